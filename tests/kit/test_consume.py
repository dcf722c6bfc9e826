"""A consumer handles what it reads, waits for what is away, parks what it cannot handle; it loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.kit.clock import ManualClock
from services.kit.consume import Consumer, Handler, Replayed
from services.kit.errors import Conflict, Unavailable
from services.kit.log import Event, Log, open_log
from tests.kit.rooms import SCOPE, Room
from tests.kit.waiting import PATIENCE, until

WRITTEN, COUNTED = "test.NoteWritten", "test.NoteCounted"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.store.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = open_log(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield log
    log.close()


def event(number: int, *, subject: str = "note_a", type: str = WRITTEN) -> Event:
    return Event(f"evt_{number}", type, "notes", subject, number, 1_000, "agy_a", "com_a", bytes([number]), "trace")


class Notes:
    """What handlers were given; ``refuse`` names the events that fail, with their errors."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.refuse: dict[int, Exception] = {}

    def take(self, events: list[Event]) -> None:
        for each in events:
            if each.sequence in self.refuse:
                raise self.refuse[each.sequence]
        self.batches.append([each.sequence for each in events])

    @property
    def taken(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


@pytest.fixture
def notes() -> Notes:
    return Notes()


def consumer_of(log: Log, room: Room, handlers: Mapping[str, Handler], **named: Any) -> Consumer:
    return Consumer(
        log,
        room.dead_letters,
        group="readers",
        topics=["notes"],
        handlers=handlers,
        clock=ManualClock(),
        pauses=(0.01, 0.01),
        **named,
    )


def consume(consumer: Consumer, log: Log) -> None:
    """Run the consumer as a service does, until nothing is left to read."""
    with running(consumer):
        until(lambda: log.lag(["notes"], "readers") == 0)


class running:  # noqa: N801 # read as a word: with running(consumer)
    def __init__(self, consumer: Consumer) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=consumer.run, args=(self._stop,))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def letters(room: Room) -> list[dict[str, Any]]:
    return room.dead_letters.find(SCOPE, limit=200).documents


def test_events_of_one_type_that_follow_each_other_are_handled_together(log: Log, room: Room, notes: Notes) -> None:
    log.publish("notes", [event(1), event(2), event(3, type=COUNTED), event(4), event(5)])
    consume(consumer_of(log, room, {WRITTEN: notes.take, COUNTED: notes.take}), log)
    assert notes.batches == [[1, 2], [3], [4, 5]]


def test_types_without_a_handler_are_passed_over(log: Log, room: Room, notes: Notes) -> None:
    log.publish("notes", [event(1), event(2, type="test.Unheard"), event(3)])
    consume(consumer_of(log, room, {WRITTEN: notes.take}), log)
    assert notes.batches == [[1, 3]]
    assert letters(room) == []


def test_an_event_that_keeps_failing_is_parked_and_the_others_go_on(log: Log, room: Room, notes: Notes) -> None:
    notes.refuse[2] = ValueError("no such note: ada@example.org")
    log.publish("notes", [event(1), event(2, subject="note_b"), event(3)])
    consume(consumer_of(log, room, {WRITTEN: notes.take}), log)
    assert notes.taken == [1, 3]
    (letter,) = letters(room)
    assert (letter["subject"], letter["group"], letter["event"]["id"]) == ("note_b", "readers", "evt_2")
    assert (letter["agency"], letter["community"]) == ("agy_a", "com_a")
    assert letter["error"].startswith("ValueError at test_consume.py:")
    assert "ada" not in str(letter)


def test_an_error_of_the_field_is_kept_with_its_reason(log: Log, room: Room, notes: Notes) -> None:
    notes.refuse[1] = Conflict("The note is closed: open it first.")
    log.publish("notes", [event(1)])
    consume(consumer_of(log, room, {WRITTEN: notes.take}), log)
    assert letters(room)[0]["error"].startswith("Conflict (conflict): The note is closed: open it first.")


def test_a_failure_that_passes_parks_nothing(log: Log, room: Room, notes: Notes) -> None:
    tries: list[int] = []

    def take(events: list[Event]) -> None:
        tries.append(len(events))
        if len(tries) < 3:
            raise ValueError("not yet")
        notes.take(events)

    log.publish("notes", [event(1)])
    consume(consumer_of(log, room, {WRITTEN: take}), log)
    assert notes.taken == [1]
    assert letters(room) == []


def test_later_events_of_a_parked_subject_park_behind_it(log: Log, room: Room, notes: Notes) -> None:
    notes.refuse[1] = ValueError()
    log.publish("notes", [event(1), event(2, subject="note_b"), event(3), event(4, type=COUNTED)])
    handlers = {WRITTEN: notes.take, COUNTED: notes.take}
    consume(consumer_of(log, room, handlers), log)
    log.publish("notes", [event(5), event(6, subject="note_b")])
    del notes.refuse[1]
    consume(consumer_of(log, room, handlers), log)  # another process, which only the store tells what is parked
    assert notes.taken == [2, 6]
    assert [letter["event"]["sequence"] for letter in letters(room)] == [1, 3, 4, 5]
    assert "waits behind" in letters(room)[1]["error"]


def test_replaying_handles_the_parked_in_their_order(log: Log, room: Room, notes: Notes) -> None:
    notes.refuse[1] = ValueError()
    log.publish("notes", [event(1), event(2), event(3)])
    consumer = consumer_of(log, room, {WRITTEN: notes.take})
    consume(consumer, log)
    assert consumer.replay_dead_letters() == Replayed(handled=0, left=3)
    assert letters(room)[0]["attempts"] == 2
    del notes.refuse[1]
    assert consumer.replay_dead_letters() == Replayed(handled=3, left=0)
    assert notes.taken == [1, 2, 3]
    assert consumer.replay_dead_letters() == Replayed(handled=0, left=0)
    log.publish("notes", [event(4)])
    consume(consumer, log)
    assert notes.taken == [1, 2, 3, 4]


def test_a_replayed_event_is_the_event_that_was_parked(log: Log, room: Room) -> None:
    seen: list[Event] = []
    failing = [True]

    def take(events: list[Event]) -> None:
        if failing[0]:
            raise ValueError
        seen.extend(events)

    log.publish("notes", [event(1)])
    consumer = consumer_of(log, room, {WRITTEN: take})
    consume(consumer, log)
    failing.clear()
    failing.append(False)
    consumer.replay_dead_letters()
    assert seen == [event(1)]


def test_a_subject_that_still_fails_keeps_what_is_behind_it_while_others_are_replayed(
    log: Log, room: Room, notes: Notes
) -> None:
    notes.refuse.update({1: ValueError(), 3: ValueError()})
    log.publish("notes", [event(1), event(2), event(3, subject="note_b"), event(4, subject="note_b")])
    consumer = consumer_of(log, room, {WRITTEN: notes.take})
    consume(consumer, log)
    del notes.refuse[3]
    assert consumer.replay_dead_letters() == Replayed(handled=2, left=2)
    assert notes.taken == [3, 4]


def test_what_is_away_is_waited_for_and_parks_nothing(log: Log, room: Room, notes: Notes) -> None:
    notes.refuse[1] = Unavailable("members is away")
    log.publish("notes", [event(1), event(2)])
    consumer = consumer_of(log, room, {WRITTEN: notes.take})
    with running(consumer):
        until(lambda: log.lag(["notes"], "readers") == 2)
        del notes.refuse[1]
        until(lambda: log.lag(["notes"], "readers") == 0)
    assert notes.taken == [1, 2]
    assert letters(room) == []


def test_stopping_while_something_is_away_leaves_the_events_for_the_next_start(
    log: Log, room: Room, notes: Notes
) -> None:
    waits = threading.Event()

    def take(_events: list[Event]) -> None:
        waits.set()
        raise Unavailable("members is away")

    log.publish("notes", [event(1), event(2)])
    with running(consumer_of(log, room, {WRITTEN: take})):
        assert waits.wait(PATIENCE)
    assert log.lag(["notes"], "readers") == 2
    consume(consumer_of(log, room, {WRITTEN: notes.take}), log)
    assert notes.taken == [1, 2]


def test_a_consumer_goes_on_when_its_own_store_was_away_for_a_moment(log: Log, room: Room, notes: Notes) -> None:
    class Away:
        """The dead letters behind a disk that is full the first two times."""

        def __init__(self) -> None:
            self.failures = 2

        def __getattr__(self, name: str) -> Callable[..., Any]:
            if self.failures:
                self.failures -= 1
                raise Unavailable("the disk is full")
            return getattr(room.dead_letters, name)  # type: ignore[no-any-return]

    log.publish("notes", [event(1), event(2)])
    consumer = Consumer(
        log,
        Away(),  # type: ignore[arg-type]
        group="readers",
        topics=["notes"],
        handlers={WRITTEN: notes.take},
        clock=ManualClock(),
    )
    consume(consumer, log)
    assert notes.taken == [1, 2]


def test_an_event_delivered_twice_is_parked_once(log: Log, room: Room, notes: Notes) -> None:
    notes.refuse[1] = ValueError()
    log.publish("notes", [event(1)])
    consumer = consumer_of(log, room, {WRITTEN: notes.take})
    stop = threading.Event()
    for _ in range(2):
        reader = log.reader(["notes"], "readers")
        while not reader.poll(timeout_ms=50):
            pass
        reader.close()  # killed before it committed
        reader = log.reader(["notes"], "readers")
        consumer._handle_all(reader.poll(), stop)
        reader.close()
    assert len(letters(room)) == 1


def test_the_lowest_place_in_the_log_is_replayed_first_whatever_was_parked_first(
    log: Log, room: Room, notes: Notes
) -> None:
    notes.refuse.update({number: ValueError() for number in range(1, 13)})
    log.publish("notes", [event(number) for number in range(1, 13)])
    consumer = consumer_of(log, room, {WRITTEN: notes.take}, at_once=5)
    consume(consumer, log)
    notes.refuse.clear()
    assert consumer.replay_dead_letters() == Replayed(handled=12, left=0)
    assert notes.taken == list(range(1, 13))
