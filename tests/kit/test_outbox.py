"""What happened is published: at least once, with the same id, first appearances in order, and never lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from services.kit.clock import MINUTE, SECOND, ManualClock, SystemClock
from services.kit.errors import Unavailable
from services.kit.lease import DURATION, SKEW, Lease
from services.kit.log import Event, Log, open_log
from services.kit.outbox import Relay, append_event
from services.kit.store.port import Collection
from tests.kit.rooms import SCOPE, Room, new_note
from tests.kit.waiting import PATIENCE, until

EVENTS_OUT = {"NoteWritten": StringValue, "NoteCounted": Int64Value}


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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def relay_of(room: Room, log: Log, notes: Collection | None = None, clock: Any = None) -> Relay:
    return Relay("notes", log, [notes or room.notes], room.leases, EVENTS_OUT, clock or SystemClock())


def write(room: Room, name: str, *numbers: int) -> None:
    """Append events to a note, made where there is none."""
    found = room.notes.get(SCOPE, [name]).get(name)
    note = found or new_note(name)
    for number in numbers:
        append_event(note, f"evt_{name}_{number}", "NoteWritten", 1_000 + number, {"value": str(number)})
    assert room.notes.replace(SCOPE, [note]) if found else room.notes.insert(SCOPE, [note])


def published(log: Log) -> list[Event]:
    reader = log.reader(["notes"], "onlooker")
    events: list[Event] = []
    while batch := reader.poll(timeout_ms=20):
        events += [received.event for received in batch]
    reader.close()  # without a commit: the next onlooker sees all of it again
    return events


class Interrupted:
    """The notes as a relay sees them when something happens just before it clears what it published."""

    def __init__(self, notes: Collection, before: Callable[[], None]) -> None:
        self._notes = notes
        self._before = [before]

    def find(self, *arguments: Any, **named: Any) -> Any:
        return self._notes.find(*arguments, **named)

    def patch(self, *arguments: Any) -> set[str]:
        while self._before:
            self._before.pop()()
        return self._notes.patch(*arguments)


def test_an_event_lies_in_its_document_until_it_is_published(room: Room, log: Log) -> None:
    note = new_note("note_a")
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    append_event(note, "evt_1", "NoteWritten", 5_000, {"value": "hello"}, trace=trace)
    append_event(note, "evt_2", "NoteCounted", 6_000, {"value": 7})
    assert (note["pending"], note["event_sequence"], [entry["_id"] for entry in note["outbox"]]) == (
        5_000,
        2,
        ["evt_1", "evt_2"],
    )
    room.notes.insert(SCOPE, [note])
    assert relay_of(room, log).relay_pending() == 2
    first, second = published(log)
    assert first == Event(
        id="evt_1",
        type="google.protobuf.StringValue",
        source="notes",
        subject="note_a",
        sequence=1,
        at=5_000,
        agency="agy_a",
        community="com_a",
        data=StringValue(value="hello").SerializeToString(),
        trace=trace,
    )
    assert (second.type, second.sequence) == ("google.protobuf.Int64Value", 2)
    kept = room.note("note_a")
    assert (kept["outbox"], kept["pending"], kept["version"]) == ([], None, 1)
    assert relay_of(room, log).relay_pending() == 0


def test_an_agency_wide_event_names_no_community(room: Room, log: Log) -> None:
    note = new_note("note_a", community=None)
    append_event(note, "evt_1", "NoteWritten", 5_000, {"value": ""})
    room.notes.insert(SCOPE, [note])
    relay_of(room, log).relay_pending()
    assert [event.community for event in published(log)] == [""]


def test_many_documents_are_relayed_in_pages(room: Room, log: Log) -> None:
    notes = [new_note(f"note_{number:04d}") for number in range(450)]
    for note in notes:
        for number in range(3):
            append_event(note, f"{note['_id']}_{number}", "NoteCounted", 1_000, {"value": number})
    room.notes.insert(SCOPE, notes)
    relay = relay_of(room, log)
    assert [relay.relay_pending() for _ in range(4)] == [600, 600, 150, 0]
    assert log.lag(["notes"], "onlooker") == 1_350


def test_an_event_appended_while_the_relay_publishes_is_not_lost(room: Room, log: Log) -> None:
    write(room, "note_a", 1)
    relay = relay_of(room, log, Interrupted(room.notes, lambda: write(room, "note_a", 2)))  # type: ignore[arg-type]
    assert relay.relay_pending() == 1
    assert [entry["_id"] for entry in room.note("note_a")["outbox"]] == ["evt_note_a_2"]
    assert relay.relay_pending() == 1
    assert relay.relay_pending() == 0
    assert [event.id for event in published(log)] == ["evt_note_a_1", "evt_note_a_2"]


def test_a_writer_that_read_before_the_relay_and_writes_after_it_loses_nothing(room: Room, log: Log) -> None:
    write(room, "note_a", 1)
    stale = room.note("note_a")
    relay = relay_of(room, log)
    relay.relay_pending()
    append_event(stale, "evt_note_a_2", "NoteWritten", 2_000, {"value": "2"})
    assert room.notes.replace(SCOPE, [stale])  # a patch does not bump the version
    while relay.relay_pending():
        pass
    assert [event.id for event in published(log)] == ["evt_note_a_1", "evt_note_a_1", "evt_note_a_2"]
    assert room.note("note_a")["outbox"] == []


def test_a_relay_that_dies_before_clearing_publishes_again_with_the_same_ids(room: Room, log: Log) -> None:
    write(room, "note_a", 1, 2)

    def die() -> None:
        raise Unavailable("the machine stopped here")

    with pytest.raises(Unavailable):
        relay_of(room, log, Interrupted(room.notes, die)).relay_pending()  # type: ignore[arg-type]
    relay_of(room, log).relay_pending()
    assert [event.sequence for event in published(log)] == [1, 2, 1, 2]


def test_an_event_that_fits_no_contract_holds_back_its_own_aggregate_only(
    room: Room, log: Log, clock: ManualClock
) -> None:
    note = new_note("note_a")
    append_event(note, "evt_1", "NoteWritten", 1_000, {"value": "fits"})
    append_event(note, "evt_2", "NoteWritten", 1_000, {"colour": "does not"})
    append_event(note, "evt_3", "NoteWritten", 1_000, {"value": "waits"})
    room.notes.insert(SCOPE, [note])
    write(room, "note_b", 1)
    relay = relay_of(room, log, clock=clock)
    assert relay.relay_pending() == 2
    assert relay.relay_pending() == 0
    assert [entry["_id"] for entry in room.note("note_a")["outbox"]] == ["evt_2", "evt_3"]
    assert {event.id for event in published(log)} == {"evt_1", "evt_note_b_1"}
    mended = Relay(
        "notes",
        log,
        [room.notes],
        room.leases,
        {"NoteWritten": lambda value="", colour="": StringValue(value=value or colour)},
        clock,
    )
    clock.advance(2 * MINUTE)
    assert mended.relay_pending() == 2
    assert [event.id for event in published(log) if event.subject == "note_a"] == ["evt_1", "evt_2", "evt_3"]


def test_one_relay_works_at_a_time(room: Room, clock: ManualClock) -> None:
    first = Lease(room.leases, "notes-relay", clock)
    second = Lease(room.leases, "notes-relay", clock)
    assert (first.hold(), second.hold()) == (True, False)
    clock.advance(DURATION + SKEW - SECOND)
    assert not second.hold()
    clock.advance(2 * SECOND)
    assert second.hold()
    assert second.epoch == first.epoch + 1
    assert not first.hold()
    second.release()
    assert first.hold()


def test_a_kept_lease_is_not_lost(room: Room, clock: ManualClock) -> None:
    first = Lease(room.leases, "notes-relay", clock)
    second = Lease(room.leases, "notes-relay", clock)
    for _ in range(20):
        assert first.hold()
        assert not second.hold()
        clock.advance(DURATION // 2)


def test_a_nudged_relay_publishes_and_a_stopped_one_lets_its_lease_go(room: Room, log: Log) -> None:
    relay = relay_of(room, log)
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        write(room, "note_a", 1)
        relay.nudge()
        until(lambda: log.lag(["notes"], "onlooker") == 1)
        write(room, "note_a", 2)  # nobody nudges: it looks by itself
        until(lambda: log.lag(["notes"], "onlooker") == 2)
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert Lease(room.leases, "notes-relay", SystemClock()).hold()


def test_two_relays_and_many_writers_lose_nothing_and_keep_the_order(room: Room, log: Log) -> None:
    names = [f"note_{number}" for number in range(4)]
    room.notes.insert(SCOPE, [new_note(name) for name in names])
    done = threading.Event()

    def append(writer: int) -> None:
        for number in range(40):
            name = names[(writer + number) % len(names)]
            while True:  # until nobody was quicker
                note = room.note(name)
                append_event(note, f"evt_{writer}_{number}", "NoteCounted", 1_000, {"value": number})
                if room.notes.replace(SCOPE, [note]):
                    break

    def relay() -> None:  # without a lease, as one that slept through it
        each = relay_of(room, log)
        while not done.is_set():
            each.relay_pending()

    writers = [threading.Thread(target=append, args=(writer,)) for writer in range(3)]
    relays = [threading.Thread(target=relay) for _ in range(2)]
    for thread in writers + relays:
        thread.start()
    for thread in writers:
        thread.join(PATIENCE)
    until(lambda: not any(room.note(name)["outbox"] for name in names))
    done.set()
    for thread in relays:
        thread.join(PATIENCE)
    assert relay_of(room, log).relay_pending() == 0
    assert_first_appearances_are_complete_and_in_order(published(log), 3 * 40)


def assert_first_appearances_are_complete_and_in_order(events: Sequence[Event], count: int) -> None:
    assert len({event.id for event in events}) == count
    highest: dict[str, tuple[int, set[str]]] = {}
    for event in events:
        top, seen = highest.setdefault(event.subject, (0, set()))
        if event.id not in seen:
            assert event.sequence > top
            seen.add(event.id)
            highest[event.subject] = (event.sequence, seen)


RELAY = """
from pathlib import Path
import threading
from services.kit.clock import SystemClock
from services.kit.log import open_log
from tests.kit.rooms import Room
from tests.kit.test_outbox import relay_of
folder = Path({folder!r})
print("relaying", flush=True)
relay_of(Room(folder), open_log(f"sqlite:///{{folder / 'log.sqlite'}}")).run(threading.Event())
"""


def test_a_killed_relay_is_taken_over_at_once_and_nothing_is_lost(room: Room, log: Log, tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        script = textwrap.dedent(RELAY.format(folder=str(tmp_path)))
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)

    written = 0
    for _ in range(4):
        relay = start()
        assert relay.stdout is not None
        relay.stdout.readline()
        goal = log.lag(["notes"], "onlooker") + 10
        while log.lag(["notes"], "onlooker") < goal:
            for number in range(written, written + 20):
                write(room, f"note_{number % 7}", number)
            written += 20
        relay.send_signal(signal.SIGKILL)
        relay.wait(PATIENCE)
    last = relay_of(room, log)
    assert last._lease.hold()  # the dead one's has long to run
    while last.relay_pending():
        pass
    assert_first_appearances_are_complete_and_in_order(published(log), written)
