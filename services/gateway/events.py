"""What the gateway tells, and what it hears: tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fanfare.gateway.v1 import public_events_pb2 as pb
from fanfare.members.v1 import member_events_pb2
from services.gateway.public.pauses import Pauses
from services.kit.log.port import Event

TOPICS = ("members",)

EVENTS_OUT = {"UnsubscribeRequested": pb.UnsubscribeRequested}


def handlers(pauses: Pauses) -> Mapping[str, Callable[[list[Event]], None]]:
    """Which event leads to what."""

    def member_erased(events: list[Event]) -> None:
        for event in events:
            told = member_events_pb2.MemberErased.FromString(event.data)
            pauses.forget_member(event.agency, event.community, told.member)

    return {"fanfare.members.v1.MemberErased": member_erased}
