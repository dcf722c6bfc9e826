"""What the gateway tells, and what it hears: tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fanfare.gateway.v1 import public_events_pb2 as pb
from fanfare.members.v1 import member_events_pb2
from services.gateway.public.pauses import Pauses
from services.kit.clock import Clock
from services.kit.ids import derived_id
from services.kit.log.port import Event, Log

TOPIC = "gateway"
TOPICS = ("members",)

EVENTS_OUT = {"UnsubscribeRequested": pb.UnsubscribeRequested}


def handlers(pauses: Pauses, log: Log, clock: Clock) -> Mapping[str, Callable[[list[Event]], None]]:
    """Which event leads to what."""

    def member_erased(events: list[Event]) -> None:
        acknowledged = []
        for event in events:
            told = member_events_pb2.MemberErased.FromString(event.data)
            pauses.forget_member(event.agency, event.community, told.member)
            acknowledged.append(_acknowledged(event, told, clock.now()))
        log.publish(TOPIC, acknowledged)

    return {"fanfare.members.v1.MemberErased": member_erased}


def _acknowledged(heard: Event, told: member_events_pb2.MemberErased, now: int) -> Event:
    """The same answer has the same id, however often it is given."""
    return Event(
        id=derived_id("evt", heard.at, 0, "gateway-acknowledges", told.erasure),
        type=pb.ErasureAcknowledged.DESCRIPTOR.full_name,
        source=TOPIC,
        subject=told.member,
        sequence=heard.at,
        at=now,
        agency=heard.agency,
        community=heard.community,
        data=pb.ErasureAcknowledged(member=told.member, erasure=told.erasure).SerializeToString(),
        trace=heard.trace,
    )
