"""The outbox: what happened is written in the same write as the aggregate it happened to, then relayed to the log.

An event may be published twice, with the same id; it is never lost, and the events of an aggregate first appear in
their order. Three fields of the aggregate's document carry this: ``outbox`` (the entries still to publish),
``pending`` (since when something waits there, UTC ms; null: nothing) and ``event_sequence``.

``event_sequence`` counts the aggregate's events, and is raised once more when the relay has emptied the outbox. An
event appended meanwhile has raised it first; then the relay's patch is refused, and the newcomer stays pending. The
numbers of an aggregate's events therefore ascend, with gaps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import structlog

from services.kit.clock import MINUTE, Clock
from services.kit.errors import FanfareError
from services.kit.lease import SKEW, Lease
from services.kit.log.port import Event, Log
from services.kit.scope import everywhere
from services.kit.store.port import Collection, Document, Order, Patch
from services.kit.store.rule import Range

POLL_SECONDS = 0.1
_GATHER_SECONDS = 0.03  # between two looks while there is work: what comes meanwhile is published together
_PAGE = 200
_FIELDS = ("agency", "community", "outbox", "pending", "event_sequence")
_LONGEST_BACKOFF = 5.0

logger = structlog.get_logger(__name__)


def append_event(
    document: Document, event_id: str, type_name: str, at: int, data: Mapping[str, Any], *, trace: str = ""
) -> None:
    """Put an event into the outbox of the document it happened to, which the caller then inserts or replaces.

    ``type_name`` is the domain's (``CampaignLaunched``), ``at`` UTC ms, ``data`` plain values named like the fields of
    the event's contract: ids only, never personal data. ``trace`` is a W3C traceparent.
    """
    sequence = int(document.get("event_sequence") or 0) + 1
    entry: Document = {"_id": event_id, "type": type_name, "at": at, "sequence": sequence, "data": dict(data)}
    if trace:
        entry["trace"] = trace
    document["event_sequence"] = sequence
    document["outbox"] = [*(document.get("outbox") or ()), entry]
    document["pending"] = document.get("pending") or at


class EventMessage(Protocol):
    """What the relay asks of a protobuf message."""

    DESCRIPTOR: Any

    def SerializeToString(self) -> bytes: ...  # noqa: N802 # protobuf's name


EventsOut = Mapping[str, Callable[..., EventMessage]]


class Relay:
    """Publishes the outboxes of one service; one relay works at a time. A worker, to run in its own thread."""

    def __init__(
        self,
        service: str,
        log: Log,
        collections: Sequence[Collection],
        leases: Collection,
        events_out: EventsOut,
        clock: Clock,
    ) -> None:
        """``collections`` are those whose documents have an outbox; ``events_out`` maps a domain event's name to its
        message class. The topic is the service's name."""
        self.name = f"{service}-relay"
        self._service = service
        self._log = log
        self._collections = collections
        self._lease = Lease(leases, self.name, clock)
        self._events_out = events_out
        self._clock = clock
        self._scope = everywhere(f"service:{service}")
        self._nudged = threading.Event()

    def nudge(self) -> None:
        """Something was just written: look now rather than in a moment."""
        self._nudged.set()

    def run(self, stop: threading.Event) -> None:
        backoff = POLL_SECONDS
        while not stop.is_set():
            try:
                published = self.relay_pending() if self._lease.hold() else 0
                backoff = POLL_SECONDS
            except FanfareError as error:
                logger.warning("relay_waits", relay=self.name, reason=error.reason, message=error.message)
                stop.wait(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
                continue
            if not published:
                self._nudged.wait(POLL_SECONDS)
            elif published < _PAGE:
                stop.wait(_GATHER_SECONDS)
            self._nudged.clear()
        with suppress(FanfareError):  # what stays pending is relayed at the next start
            if self._lease.hold():
                self.relay_pending()
                self._lease.release()

    def relay_pending(self) -> int:
        """Publish one page of every collection that has something waiting; how many events."""
        return sum(self._relay_page(collection) for collection in self._collections)

    def _relay_page(self, collection: Collection) -> int:
        now = self._clock.now()
        page = collection.find(
            self._scope, Range("pending", gt=0, lte=now + SKEW), order=Order("pending"), limit=_PAGE, fields=_FIELDS
        )
        if not page.documents:
            return 0
        events: list[Event] = []
        cleared: list[Patch] = []
        held_back: list[Patch] = []
        for document in page.documents:
            sent, complete = self._converted(document)
            events += sent
            published = {"outbox": [event.id for event in sent]} if sent else {}
            if complete:
                guard = ("event_sequence", int(document.get("event_sequence") or 0) + 1)
                cleared.append(Patch(document["_id"], set={"pending": None}, pull=published, sequence=guard))
            else:
                held_back.append(Patch(document["_id"], set={"pending": now + MINUTE}, pull=published))
        self._log.publish(self._service, events)
        done = collection.patch(self._scope, cleared + held_back)
        overtaken = [Patch(patch.id, pull=patch.pull) for patch in cleared if patch.id not in done and patch.pull]
        if overtaken:
            collection.patch(self._scope, overtaken)
        return len(events)

    def _converted(self, document: Document) -> tuple[list[Event], bool]:
        """The document's events, up to the first that fits no contract, and whether these are all."""
        events: list[Event] = []
        for entry in document.get("outbox") or ():
            try:
                message = self._events_out[entry["type"]](**entry["data"])
                events.append(
                    Event(
                        id=entry["_id"],
                        type=message.DESCRIPTOR.full_name,
                        source=self._service,
                        subject=document["_id"],
                        sequence=entry["sequence"],
                        at=entry["at"],
                        agency=document["agency"],
                        community=document.get("community") or "",
                        data=message.SerializeToString(),
                        trace=entry.get("trace", ""),
                    )
                )
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                logger.error(
                    "event_fits_no_contract",
                    service=self._service,
                    subject=document["_id"],
                    event_id=entry.get("_id"),
                    type=entry.get("type"),
                    error=type(error).__name__,
                    remedy="events_out.py and the contract must agree; tried again every minute",
                )
                return events, False
        return events, True
