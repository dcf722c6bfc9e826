"""Reading events: a table says which type does what; what cannot be handled is parked, in order, and never lost.

A handler takes a list of events of one type, which followed each other in the log, and must bear being given an event
twice. While something it needs is away (Unavailable) the consumer waits. Any other failure is tried again a few
times; then the event is parked as a dead letter, and later events of the same subject park behind it until they are
replayed.
"""

from __future__ import annotations

import base64
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import structlog

from services.kit.clock import Clock
from services.kit.errors import FanfareError, Kind
from services.kit.log import PartitionLost
from services.kit.log.port import Event, Log, Reader, Received
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Collection, Document, Patch
from services.kit.store.rule import And, Equals, In

Handler = Callable[[list[Event]], None]

PAUSES = (0.1, 0.3, 1.0)
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0
_POLL_MS = 500

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the dead letters: ``left`` still fail, or wait behind one that does."""

    handled: int
    left: int


class _Stopping(Exception):
    """The process ends while an event waits for something that is away; it will be delivered again."""


class Consumer:
    """One group's way through some topics. A worker, to run in its own thread."""

    def __init__(
        self,
        log: Log,
        dead_letters: Collection,
        *,
        group: str,
        topics: Sequence[str],
        handlers: Mapping[str, Handler],
        clock: Clock,
        at_once: int = 500,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """``handlers`` maps the full name of an event's message to what handles it; other types are passed over.
        ``pauses`` are the seconds between the tries of a failing event; after the last it is parked."""
        self.name = f"{group}-consumer"
        self._log = log
        self._dead_letters = dead_letters
        self._group = group
        self._topics = topics
        self._handlers = handlers
        self._clock = clock
        self._at_once = at_once
        self._pauses = pauses
        self._scope = everywhere(f"service:{group}")

    def run(self, stop: threading.Event) -> None:
        wait = _FIRST_WAIT
        while not stop.is_set():
            try:
                reader = self._log.reader(self._topics, self._group)
                try:
                    while not stop.is_set():
                        self.step(reader, stop)
                        wait = _FIRST_WAIT
                finally:
                    reader.close()
            except _Stopping:
                return
            except FanfareError as error:  # the log or our own store is away; what was polled is polled again
                logger.warning("consumer_waits", group=self._group, reason=error.reason, message=error.message)
                stop.wait(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    def step(self, reader: Reader, stop: threading.Event) -> int:
        """Handle what the reader has next, and commit it; how many events it read."""
        received = reader.poll(self._at_once, _POLL_MS)
        if received:
            self._handle_all(received, stop)
            try:
                reader.commit()
            except PartitionLost as error:
                logger.info("partition_lost", group=self._group, message=error.message)
        return len(received)

    def parked(self) -> Iterator[Document]:
        """The dead letters, in the order in which they will be replayed."""
        for page in self._dead_letters.stream(self._scope, Equals("group", self._group), page=200):
            yield from page

    def replay_dead_letters(self) -> Replayed:
        """Try the parked events again, in order; a subject whose event still fails keeps all that is behind it."""
        handled = 0
        failing: set[str] = set()
        while True:
            progress = 0
            for letter in self.parked():
                if letter["subject"] in failing:
                    continue
                if self._replayed(letter):
                    progress += 1
                else:
                    failing.add(letter["subject"])
            handled += progress
            if not progress:  # a live consumer may have parked more behind those just handled
                return Replayed(handled, self._dead_letters.count(self._scope, Equals("group", self._group)))

    # Handling

    def _handle_all(self, received: Sequence[Received], stop: threading.Event) -> None:
        known = [one for one in received if one.event.type in self._handlers]
        parked = self._parked_subjects({one.event.subject for one in known})
        behind: list[tuple[Received, BaseException | None]] = []
        for together in _runs(known):
            free = [one for one in together if one.event.subject not in parked]
            behind += [(one, None) for one in together if one.event.subject in parked]
            if free:
                for failed in self._handle(free, stop):
                    parked.add(failed[0].event.subject)
                    behind.append(failed)
        self._park(behind)

    def _handle(self, run: list[Received], stop: threading.Event) -> list[tuple[Received, BaseException | None]]:
        """Handle events of one type together, and singly when that fails; those to park, with their errors."""
        handler = self._handlers[run[0].event.type]
        if self._try(handler, [one.event for one in run], stop) is None:
            return []
        left: list[tuple[Received, BaseException | None]] = [(one, None) for one in run]
        for pause in (0.0, *self._pauses):
            if stop.wait(pause):
                raise _Stopping
            left = self._handle_singly(handler, [one for one, _ in left], stop)
            if not left:
                break
        return left

    def _handle_singly(
        self, handler: Handler, events: list[Received], stop: threading.Event
    ) -> list[tuple[Received, BaseException | None]]:
        failed: dict[str, BaseException] = {}
        left: list[tuple[Received, BaseException | None]] = []
        for one in events:
            if one.event.subject in failed:
                left.append((one, None))
            elif (error := self._try(handler, [one.event], stop)) is not None:
                failed[one.event.subject] = error
                left.append((one, error))
        return left

    def _try(self, handler: Handler, events: list[Event], stop: threading.Event) -> Exception | None:
        """The error that handling raised, if any; waits for what is away."""
        wait = _FIRST_WAIT
        while True:
            try:
                handler(events)
            except FanfareError as error:
                if error.kind is not Kind.UNAVAILABLE:
                    return error
                logger.warning("handler_waits", group=self._group, type=events[0].type, reason=error.reason)
                if stop.wait(wait):
                    raise _Stopping from error
                wait = min(wait * 2, _LONGEST_WAIT)
            except Exception as error:
                return error
            else:
                return None

    # Dead letters

    def _parked_subjects(self, subjects: set[str]) -> set[str]:
        ours = Equals("group", self._group)
        if not subjects or not self._dead_letters.find(self._scope, ours, limit=1, fields=()).documents:
            return set()
        rule = And((ours, In("subject", tuple(sorted(subjects)))))
        pages = self._dead_letters.stream(self._scope, rule, fields=("subject",))
        return {letter["subject"] for page in pages for letter in page}

    def _park(self, letters: list[tuple[Received, BaseException | None]]) -> None:
        if not letters:
            return
        now = self._clock.now()
        self._dead_letters.insert(self._scope, [_letter(self._group, one, _said(error), now) for one, error in letters])
        for one, error in letters:
            logger.error(
                "event_parked",
                group=self._group,
                event_id=one.event.id,
                type=one.event.type,
                subject=one.event.subject,
                error=_said(error),
            )

    def _replayed(self, letter: Document) -> bool:
        event = _event(letter)
        scope: Scope = stored_scope(letter["agency"], letter["community"], self._scope.actor)
        try:
            self._handlers[event.type]([event])
        except Exception as error:
            again = Patch(letter["_id"], set={"error": _said(error)}, inc={"attempts": 1})
            self._dead_letters.patch(scope, [again])
            return False
        self._dead_letters.delete(scope, [letter["_id"]])
        return True


def _runs(received: Sequence[Received]) -> Iterator[list[Received]]:
    """Stretches of events of one type."""
    run: list[Received] = []
    for one in received:
        if run and run[0].event.type != one.event.type:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def _said(error: BaseException | None) -> str:
    """What went wrong and where, without what was being handled: texts of unknown errors may hold personal data."""
    if error is None:
        return "waits behind an earlier event of its subject"
    what = f"{type(error).__name__} ({error.reason}): {error.message}" if isinstance(error, FanfareError) else None
    frames = islice(reversed(traceback.extract_tb(error.__traceback__)), 3)
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{what or type(error).__name__} at {where}"


def _letter(group: str, received: Received, error: str, now: int) -> Document:
    event, position = received.event, received.position
    return {
        "_id": f"{group}:{position.topic}:{position.partition:04d}:{position.offset:016d}",  # in the order of the log
        "agency": event.agency,
        "community": event.community or None,
        "version": 1,
        "schema_version": 1,
        "group": group,
        "subject": event.subject,
        "event": {
            "id": event.id,
            "type": event.type,
            "source": event.source,
            "sequence": event.sequence,
            "at": event.at,
            "data": base64.b64encode(event.data).decode(),
            "trace": event.trace,
        },
        "error": error,
        "attempts": 1,
        "parked_at": now,
    }


def _event(letter: Document) -> Event:
    kept = letter["event"]
    return Event(
        id=kept["id"],
        type=kept["type"],
        source=kept["source"],
        subject=letter["subject"],
        sequence=kept["sequence"],
        at=kept["at"],
        agency=letter["agency"],
        community=letter["community"] or "",
        data=base64.b64decode(kept["data"]),
        trace=kept["trace"],
    )
