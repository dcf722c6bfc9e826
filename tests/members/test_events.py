"""Members hears what others tell, and tells what happened here: over the real log, ids only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fanfare.campaigns.v1 import campaign_events_pb2
from fanfare.channels.v1 import delivery_events_pb2
from fanfare.gateway.v1 import public_events_pb2
from fanfare.members.v1 import member_events_pb2
from services.kit.clock import DAY, ManualClock
from services.kit.consume import Consumer
from services.kit.log import Event, Log, open_log
from services.kit.outbox import Relay
from services.kit.scope import Scope, everywhere
from services.kit.store.machinery import DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Document, Store
from services.members.domain.permission import NEWS
from services.members.events_in import TOPICS, handlers, receipt_handlers
from services.members.events_out import EVENTS_OUT
from services.members.precedence import SendingFirst
from services.members.use_cases.erasing import erase_member, finish_erasures
from services.members.use_cases.merging import merge_members, unmerge_members
from services.members.use_cases.reporting import Report, record_interactions
from services.members.use_cases.room import Room
from services.members.wiring import DOCUMENTS, WITH_OUTBOX, room_of

Register = Callable[..., Document]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "members.sqlite", DOCUMENTS)
    yield store
    store.close()


@pytest.fixture
def room(store: Store, clock: ManualClock) -> Room:
    return room_of(store, clock, b"k" * 32)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = open_log(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield log
    log.close()


def _hear(log: Log, store: Store, room: Room) -> int:
    """Handle everything that waits; how many dead letters there are then."""
    letters = store.collection(DeadLetterDocument)
    table = {**handlers(room), **receipt_handlers(room, SendingFirst(room.clock))}
    consumer = Consumer(log, letters, group="members", topics=TOPICS, handlers=table, clock=room.clock)
    reader = log.reader(TOPICS, "members")
    while consumer.step(reader, threading.Event()):
        pass
    reader.close()
    return letters.count(everywhere("service:test"))


def _event(number: int, club: Document, source: str, message: object, at: int) -> Event:
    full_name = message.DESCRIPTOR.full_name  # type: ignore[attr-defined] # a protobuf message
    data = message.SerializeToString()  # type: ignore[attr-defined] # as above
    return Event(f"evt_{number}", full_name, source, "run_1", number, at, club["agency"], club["_id"], data)


def test_what_the_others_tell_shows_in_the_member(
    log: Log, store: Store, room: Room, scope: Scope, club: Document, register: Register
) -> None:
    ada = register("Ada", email="ada@mail.example", agreed=(NEWS, "tracking"))
    at = room.clock.now() - DAY
    settled = delivery_events_pb2.BatchSettled(
        run="run_1", campaign="cmp_1", sequence=1, version=2, channel="email", accepted=[ada["_id"]], accepted_at=[at]
    )
    visit = public_events_pb2.Visit(id="v1", run="run_1", campaign="cmp_1", member=ada["_id"], at=at + 5, link=3)
    bounced = delivery_events_pb2.ContactPointBounced(member=ada["_id"], contact_point="c1", channel="email")
    unsubscribed = public_events_pb2.UnsubscribeRequested(
        run="run_1", campaign="cmp_1", member=ada["_id"], channel="email", purposes=[NEWS], at=at + 9, source="page"
    )
    followed = public_events_pb2.LinksFollowed(visits=[visit])
    for _ in range(2):  # delivered at least once
        log.publish(
            "channels", [_event(1, club, "channels", settled, at), _event(2, club, "channels", bounced, at + 1)]
        )
        log.publish("gateway", [_event(3, club, "gateway", followed, at), _event(4, club, "gateway", unsubscribed, at)])
    assert _hear(log, store, room) == 0
    now = room.member(scope, ada["_id"])
    assert sorted(entry["kind"] for entry in now["recent"]) == ["bounced", "clicked", "received", "unsubscribed"]
    assert now["engagement"]["email"] == {"received": 1, "clicked": 1}
    assert now["contact_points"][0]["state"] == "bounced"
    assert now["permission"] == ["tracking:email"]


def test_what_happened_here_is_told_with_ids_only(
    log: Log, store: Store, room: Room, scope: Scope, club: Document, register: Register
) -> None:
    ada = register("Ada Lovelace", email="ada@mail.example", agreed=(NEWS,))
    double = register("Ada Lovelace", email="lovelace@mail.example")
    report = Report("order-1", "purchased", room.clock.now(), member=ada["_id"], currency="EUR", amount_units=12)
    record_interactions(room, scope, club["_id"], [report])
    saved, _ = merge_members(room, scope, ada["_id"], double["_id"])
    unmerge_members(room, scope, saved["_id"])
    erasure = erase_member(room, scope, ada["_id"])
    relay = Relay(
        "members",
        log,
        [store.collection(document) for document in WITH_OUTBOX],
        store.collection(LeaseDocument),
        EVENTS_OUT,
        room.clock,
    )
    while relay.relay_pending():
        pass
    reader = log.reader(["members"], "test")
    events = [received.event for received in reader.poll(100, 1_000)]
    reader.close()
    kinds = [event.type.rpartition(".")[2] for event in events]
    for kind, times in (
        ("CommunityCreated", 1),
        ("MemberRegistered", 2),
        ("InteractionRecorded", 1),
        ("StandingsChanged", 1),
        ("MemberMerged", 1),
        ("MemberUnmerged", 1),
        ("MemberErased", 1),
    ):
        assert kinds.count(kind) == times, kind
    told = next(event for event in events if event.type.endswith("InteractionRecorded"))
    message = member_events_pb2.InteractionRecorded.FromString(told.data)
    assert (message.id, message.member, message.amount_units, message.registered) == ("order-1", ada["_id"], 12, False)
    parted = next(event for event in events if event.type.endswith("MemberUnmerged"))
    assert getattr(member_events_pb2.MemberUnmerged.FromString(parted.data), "from") == ada["_id"]
    assert not any(word in event.data.lower() for event in events for word in (b"lovelace", b"@mail"))

    room.clock.advance(DAY)  # type: ignore[attr-defined] # a clock moved by hand
    finish_erasures(room)
    answers = [
        _event(10 + number, club, source, message_class(member=ada["_id"], erasure=erasure["_id"]), room.clock.now())
        for number, (source, message_class) in enumerate(
            (
                ("campaigns", campaign_events_pb2.ErasureAcknowledged),
                ("channels", delivery_events_pb2.ErasureAcknowledged),
            )
        )
    ]
    for answer in answers:
        log.publish(answer.source, [answer])
    assert _hear(log, store, room) == 0
    assert room.erasures.get(scope, [erasure["_id"]])[erasure["_id"]]["completed_at"] == room.clock.now()
