"""``python -m bench <figure> [N]``: measures one figure and its floor, and ends with one line of JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench.counting import bench_count
from bench.figure import Figure
from bench.graph import bench_graphql
from bench.importing import bench_import
from bench.memory import bench_memory
from bench.sending import bench_send
from bench.tracking import bench_tracking

FIGURES: dict[str, tuple[Callable[[int], Figure], int]] = {
    "import": (bench_import, 100_000),
    "send": (bench_send, 100_000),
    "graphql": (bench_graphql, 100_000),
    "count": (bench_count, 100_000),
    "tracking": (bench_tracking, 2_000),
    "memory": (bench_memory, 100_000),
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in FIGURES:
        print(f"Say what to measure: python -m bench {' | '.join(FIGURES)} [N]", file=sys.stderr)
        return 2
    measure, usual = FIGURES[arguments[0]]
    print(measure(int(arguments[1]) if len(arguments) > 1 and arguments[1] else usual).line())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
