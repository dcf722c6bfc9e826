"""What a tree of processes costs: CPU time, and memory as the sum of proportional set sizes (Linux)."""

from __future__ import annotations

import os
import threading
import time
from itertools import pairwise
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def tree_of(root: int) -> list[int]:
    """The process and everything that descends from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, reached = [], [root]
    while reached:
        pid = reached.pop()
        found.append(pid)
        reached += children.get(pid, [])
    return found


class Spent:
    """User and system time of a tree since it was made, children that have ended included."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._before = _seconds_by_process(root)

    def by_process(self) -> dict[str, float]:
        """Seconds by the name of the process."""
        spent: dict[str, float] = {}
        for pid, seconds in _seconds_by_process(self._root).items():
            name = _name(pid)
            spent[name] = round(spent.get(name, 0.0) + seconds - self._before.get(pid, 0.0), 2)
        return spent

    def seconds(self) -> float:
        return sum(self.by_process().values())


def _seconds_by_process(root: int) -> dict[int, float]:
    found = {pid: _stat(pid) for pid in tree_of(root)}
    return {
        pid: sum(int(field) for field in fields[11:15]) / _TICK for pid, fields in found.items() if fields is not None
    }


def pss_megabytes(root: int) -> float:
    """Proportional set size of the tree: memory shared between its processes is counted once."""
    return sum(_pss_kilobytes(pid) for pid in tree_of(root)) / 1_000


def names_of(root: int) -> dict[str, float]:
    """Megabytes by process, for the curious."""
    return {f"{_name(pid)}:{pid}": round(_pss_kilobytes(pid) / 1_000, 1) for pid in tree_of(root)}


class PeakMemory:
    """Samples a tree's memory every 0.2 s until stopped; use as a context manager."""

    def __init__(self, root: int, every_seconds: float = 0.2) -> None:
        self._root = root
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.megabytes = 0.0
        self.samples = 0
        self.by_process: dict[str, float] = {}

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            by_process = names_of(self._root)
            total = sum(by_process.values())
            self.samples += 1
            if total > self.megabytes:
                self.megabytes, self.by_process = total, by_process
            due = max(due + self._every, time.monotonic())
            self._stop.wait(due - time.monotonic())


def _stat(pid: int) -> list[str] | None:
    """The fields behind the name: 0 state, 1 parent, 11 user time, 12 system time, 13 and 14 those of its dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _pss_kilobytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return "ended"
    modules = [after for word, after in pairwise(words) if word == "-m"]
    return modules[0] if modules else Path(words[0]).name
