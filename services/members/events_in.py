"""What members hears from the others: which event leads to which use case."""

from __future__ import annotations

from collections.abc import Mapping

from fanfare.campaigns.v1 import campaign_events_pb2
from fanfare.channels.v1 import delivery_events_pb2
from fanfare.gateway.v1 import public_events_pb2
from services.kit.consume import Handler
from services.kit.log.port import Event
from services.kit.scope import Scope, stored_scope
from services.members.precedence import SendingFirst
from services.members.use_cases import recording
from services.members.use_cases.erasing import acknowledge_erasure
from services.members.use_cases.room import Room

TOPICS = ("gateway", "channels", "campaigns")


def handlers(room: Room) -> Mapping[str, Handler]:
    """Full names of messages, and what handles them."""

    def links_followed(events: list[Event]) -> None:
        by_community: dict[tuple[str, str], list[recording.Visit]] = {}
        for event in events:
            visits = by_community.setdefault((event.agency, event.community), [])
            for said in public_events_pb2.LinksFollowed.FromString(event.data).visits:
                visits.append(
                    recording.Visit(said.id, said.run, said.campaign, said.member, said.at, said.link, said.machine)
                )
        for (agency, community), visits in by_community.items():
            recording.record_visits(room, _within(agency, community), community, visits)

    def unsubscribe_requested(events: list[Event]) -> None:
        for event in events:
            said = public_events_pb2.UnsubscribeRequested.FromString(event.data)
            recording.record_unsubscribe(
                room,
                _scope(event),
                event.community,
                event.id,
                [said.member, *said.also],
                channel=said.channel,
                purposes=list(said.purposes),
                at=said.at,
                source=said.source,
                wording=said.wording,
                campaign=said.campaign,
                run=said.run,
            )

    def contact_point_bounced(events: list[Event]) -> None:
        for event in events:
            said = delivery_events_pb2.ContactPointBounced.FromString(event.data)
            recording.record_bounce(
                room,
                _scope(event),
                event.community,
                event.id,
                said.member,
                said.contact_point,
                run=said.run,
                at=event.at,
            )

    def erasure_acknowledged(events: list[Event]) -> None:
        for event in events:
            said = campaign_events_pb2.ErasureAcknowledged.FromString(event.data)  # the same fields in every room's
            acknowledge_erasure(room, _scope(event), said.erasure, event.source)

    return {
        "fanfare.gateway.v1.LinksFollowed": links_followed,
        "fanfare.gateway.v1.UnsubscribeRequested": unsubscribe_requested,
        "fanfare.channels.v1.ContactPointBounced": contact_point_bounced,
        "fanfare.campaigns.v1.ErasureAcknowledged": erasure_acknowledged,
        "fanfare.channels.v1.ErasureAcknowledged": erasure_acknowledged,
    }


def receipt_handlers(room: Room, first: SendingFirst) -> Mapping[str, Handler]:
    """What is told of every message sent: read apart, so that it holds up nothing else, and after sending itself."""

    def batch_settled(events: list[Event]) -> None:
        for event in events:
            first.let_pass()
            said = delivery_events_pb2.BatchSettled.FromString(event.data)
            settled = recording.Settled(
                run=said.run,
                campaign=said.campaign,
                sequence=said.sequence,
                version=said.version,
                channel=said.channel,
                purpose=said.purpose,
                accepted=list(said.accepted),
                accepted_at=list(said.accepted_at),
            )
            recording.record_receipts(room, _scope(event), event.community, settled)

    return {"fanfare.channels.v1.BatchSettled": batch_settled}


def _scope(event: Event) -> Scope:
    return _within(event.agency, event.community)


def _within(agency: str, community: str) -> Scope:
    return stored_scope(agency, community, "service:members")
