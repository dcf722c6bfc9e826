"""What channels hears from the others: which event leads to which use case."""

from __future__ import annotations

from collections.abc import Mapping

from fanfare.campaigns.v1 import campaign_events_pb2 as campaigns
from fanfare.members.v1 import member_events_pb2 as members
from services.channels.domain.run import RunState
from services.channels.saying import order_of
from services.channels.use_cases import controlling, erasing, planning, suppressing
from services.channels.use_cases.room import ACTOR, Room
from services.kit.consume import Handler
from services.kit.log.port import Event
from services.kit.scope import Scope, stored_scope

TOPICS = ("campaigns", "members")


def handlers(room: Room) -> Mapping[str, Handler]:
    """Full names of messages, and what handles them."""

    def campaign_launched(events: list[Event]) -> None:
        for event in events:
            planning.record_launch(room, order_of(campaigns.CampaignLaunched.FromString(event.data).order))

    def batch_planned(events: list[Event]) -> None:
        by_community: dict[tuple[str, str], list[planning.PlannedBatch]] = {}
        for event in events:
            said = campaigns.BatchPlanned.FromString(event.data)
            planned = planning.PlannedBatch(said.run, said.sequence, [list(group.members) for group in said.groups])
            by_community.setdefault((event.agency, event.community), []).append(planned)
        for (agency, community), batches in by_community.items():
            planning.add_batches(room, agency, community, batches)

    def run_planned(events: list[Event]) -> None:
        for event in events:
            said = campaigns.RunPlanned.FromString(event.data)
            planning.close_plan(room, _scope(event), said.run, said.batches)

    def revision_made(events: list[Event]) -> None:
        for event in events:
            said = campaigns.RevisionMade.FromString(event.data)
            planning.make_revision(room, _scope(event), said.run, said.number)

    def campaign_finished(events: list[Event]) -> None:
        for event in events:
            planning.end_run(room, _scope(event), campaigns.CampaignFinished.FromString(event.data).run)

    def campaign_cancelled(events: list[Event]) -> None:
        for event in events:
            run = campaigns.CampaignCancelled.FromString(event.data).run
            if run:
                controlling.control_run(room, _scope(event), run, RunState.CANCELLED)

    def permission_changed(events: list[Event]) -> None:
        by_community: dict[tuple[str, str], list[suppressing.Permitted]] = {}
        for event in events:
            said = members.PermissionChanged.FromString(event.data)
            if said.allowed:
                permitted = suppressing.Permitted(said.member, said.channel, said.purpose, event.at)
                by_community.setdefault((event.agency, event.community), []).append(permitted)
        for (agency, community), together in by_community.items():
            suppressing.permit_again(room, stored_scope(agency, community, ACTOR), community, together)

    def member_erased(events: list[Event]) -> None:
        for event in events:
            said = members.MemberErased.FromString(event.data)
            erasing.erase_member(room, event.agency, event.community, said.member, said.erasure)

    return {
        "fanfare.campaigns.v1.CampaignLaunched": campaign_launched,
        "fanfare.campaigns.v1.BatchPlanned": batch_planned,
        "fanfare.campaigns.v1.RunPlanned": run_planned,
        "fanfare.campaigns.v1.RevisionMade": revision_made,
        "fanfare.campaigns.v1.CampaignFinished": campaign_finished,
        "fanfare.campaigns.v1.CampaignCancelled": campaign_cancelled,
        "fanfare.members.v1.PermissionChanged": permission_changed,
        "fanfare.members.v1.MemberErased": member_erased,
    }


def _scope(event: Event) -> Scope:
    return stored_scope(event.agency, event.community, ACTOR)
