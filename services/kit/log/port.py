"""The log port: topics of events, kept in order per key, read by groups at their own pace.

One topic per service; the key is the community, so that what happens in a community arrives in its order. An event
is delivered at least once: positions are read positions, never idempotency.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from services.kit.clock import DAY, SECOND
from services.kit.errors import Conflict


@dataclass(frozen=True, slots=True)
class Terms:
    """How a log is kept. ``partitions`` holds for topics made from now on; a lease covers a reader's silence."""

    partitions: int = 8
    retention: int = 30 * DAY
    lease: int = 60 * SECOND


class PartitionLost(Conflict):
    """Another reader of the group took the partition over; it will deliver again what was not committed."""

    reason = "partition-lost"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with CloudEvents 1.0 attributes; ``data`` is the protobuf payload named by ``type``.

    ``type`` is the full name of the message (``fanfare.members.v1.MemberRegistered``), ``source`` the service,
    ``subject`` the aggregate's id and ``sequence`` the aggregate's own count of its events, so that stale ones can be
    told; ``at`` is UTC milliseconds. Never personal data: ids only.
    """

    id: str
    type: str
    source: str
    subject: str
    sequence: int
    at: int
    agency: str
    community: str  # "" for agency-wide events
    data: bytes
    trace: str = ""  # W3C traceparent


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event stands."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received:
    event: Event
    position: Position


def key_of(event: Event) -> str:
    """What an event keeps its order in: its community, or its agency where there is none."""
    return event.community or event.agency


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """The partition that a key's events go to, today, after every restart, and on every engine."""
    return zlib.crc32(key.encode()) % partitions


class Reader(Protocol):
    """One member of a group: holds some partitions of its topics, and reads them in order."""

    def poll(self, limit: int = 500, timeout_ms: int = 100) -> list[Received]:
        """The next events, waiting up to the timeout for the first; empty when there are none."""

    def commit(self) -> None:
        """What was polled is handled; the group goes on behind it, whoever reads then."""

    def close(self) -> None:
        """Give the partitions back."""


class Log(Protocol):
    def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Append, in order; durable when the call returns. Keyed by community (agency where there is none)."""

    def reader(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Reader: ...

    def lag(self, topics: Sequence[str], group: str) -> int:
        """How many events the group has still to read."""

    def close(self) -> None: ...
