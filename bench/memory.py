"""Memory: at rest, and the peaks of an import and a campaign of two sizes, which ought to be the same."""

from __future__ import annotations

import time

from bench.figure import Figure, tell
from bench.processes import PeakMemory
from bench.sink import Sink
from bench.stage import stage

_AT_MOST_MEGABYTES = 450.0
_REST_SECONDS = 10.0


def bench_memory(n: int) -> Figure:
    """``n`` is the larger size; the smaller is a tenth of it."""
    small, small_by = _peaks(n // 10)
    large, large_by = _peaks(n)
    return Figure(
        "memory",
        n,
        max(small["rest"], large["rest"]),
        "MB at rest",
        _AT_MOST_MEGABYTES,
        "Sum of the proportional set sizes of every process of the platform, the supervisor included, sampled each "
        f"0.2 s: the peak of {_REST_SECONDS:g} s at rest on an empty folder, of an import, and of a campaign to the "
        "same members. The floor is the most it may take at rest.",
        higher_is_better=False,
        more={
            "small_n": n // 10,
            "import_small": small["import"],
            "import_large": large["import"],
            "import_growth": large["import"] / small["import"],
            "send_small": small["send"],
            "send_large": large["send"],
            "send_growth": large["send"] / small["send"],
            "peak": max(*small.values(), *large.values()),
            "peak_by_process": large_by,
            "small_peak_by_process": small_by,
        },
    )


def _peaks(n: int) -> tuple[dict[str, float], dict[str, float]]:
    peaks: dict[str, float] = {}
    with stage("memory") as on, Sink(on.folder) as sink:
        with PeakMemory(on.house.pid) as memory:
            time.sleep(_REST_SECONDS)
        peaks["rest"] = memory.megabytes
        tell(f"at rest: {memory.megabytes:.0f} MB")
        with PeakMemory(on.house.pid) as memory:
            on.bring(n)
        peaks["import"] = memory.megabytes
        tell(f"importing {n}: {memory.megabytes:.0f} MB")
        campaign = on.campaign(on.account(sink))
        with PeakMemory(on.house.pid) as memory:
            on.launch(campaign)
            sink.wait_for(n, 900)
            on.wait_until_finished(campaign, 60)
        peaks["send"] = memory.megabytes
        tell(f"sending {n}: {memory.megabytes:.0f} MB {memory.by_process}")
    return peaks, memory.by_process
