"""The log port: topics of events, kept in order per key, read by groups at their own pace.

One topic per service; the key is the community, so that what happens in a community arrives in its order. An event
is delivered at least once: positions are read positions, never idempotency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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
