"""Events: one port, two engines. A topic is an append-only log in partitions, read by groups."""

from __future__ import annotations

from pathlib import Path

from services.kit.clock import Clock, SystemClock
from services.kit.errors import Invalid
from services.kit.log.port import Event, Log, Position, Reader, Received
from services.kit.log.sqlite import SqliteLog, Terms
from services.kit.log.sqlite_reader import PartitionLost

__all__ = ["Event", "Log", "PartitionLost", "Position", "Reader", "Received", "Terms", "open_log"]

_EMBEDDED = "sqlite:///"


def open_log(url: str, *, clock: Clock | None = None, terms: Terms | None = None) -> Log:
    """Open the log at ``sqlite:///<path>``, making it where there is none. Raises Invalid for any other engine."""
    path = url.removeprefix(_EMBEDDED)
    if path == url or not path:
        raise Invalid(
            "FANFARE_LOG names an engine that this version does not have: use sqlite:///<path of a file>.",
            field="FANFARE_LOG",
        )
    return SqliteLog(Path(path), clock or SystemClock(), terms or Terms())
