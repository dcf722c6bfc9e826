"""Members: who they are, what they agreed to, what they did."""

from __future__ import annotations

from typing import Any

import graphene

from fanfare.members.v1 import member_pb2, member_service_pb2
from services.gateway.asking import BATCHES, Asking, by_rpc
from services.gateway.engine.short import Read
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import answer_to, by_id, listing, many, named, one

LATEST = 10


class Member(Mirror):
    class Meta:
        message = member_pb2.Member
        hide = ("agency", "recent")
        interfaces = (Node,)

    community = one("community", "Community")
    merged_into = one("merged_into", "Member", "Where `state` is merged: the member that goes on.")
    guardians = many("guardians", "Member", "Who receives and consents for this minor.")
    wards = many("wards", "Member", "The minors for whom this member receives and consents.")
    latest = graphene.List(
        graphene.NonNull(named("Interaction")),
        required=True,
        first=graphene.Argument(graphene.Int, default_value=LATEST, description=f"At most {LATEST}."),
        description="The last things that the member did or received, newest first; `timeline` has them all.",
        resolver=Read(lambda member, first: member.recent[: max(0, first)]),
    )
    permission = answer_to("MemberService.ExplainPermission", parent="member")
    history = answer_to("MemberService.GetHistory", part="changes", parent="member")
    timeline = listing(
        "MemberService.ListTimeline",
        "Interaction",
        "Everything that the member did or received, newest first.",
        parent="member",
    )


class PermissionExplained(Mirror):
    """The ledger of a member, and what it makes of permission."""

    class Meta:
        message = member_service_pb2.ExplainPermissionResponse


class Interaction(Mirror):
    class Meta:
        message = member_pb2.Interaction

    campaign = one("campaign", "Campaign")


def _as_told_by_the_operator(asking: Asking, request: Any) -> None:
    """Evidence that says no more is the word of who records it, now."""
    evidence = request.evidence
    evidence.actor = evidence.actor or asking.viewer.actor
    evidence.source = evidence.source or "operator"
    evidence.at = evidence.at or asking.desk.clock.now()


KINDS["mbr"] = "Member"
BATCHES["Member"] = by_rpc("MemberService.GetMembers")

QUERIES = {
    "members": listing(
        "MemberService.ListMembers",
        "Member",
        "The members of a community: all, those that a rule means, those found by words.",
        required=("community",),
    ),
    "member": by_id("Member", "One member; the id of a merged one answers with the member that goes on."),
}

MUTATIONS = {
    "registerMember": act("MemberService.RegisterMember", required=("community",)),
    "changeMember": act("MemberService.ChangeMember", required=("member",)),
    "addContactPoint": act("MemberService.AddContactPoint", required=("member", "channel", "address")),
    "removeContactPoint": act("MemberService.RemoveContactPoint", required=("member", "contact_point")),
    "markContactPoint": act("MemberService.MarkContactPoint", required=("member", "contact_point", "state")),
    "relateMember": act("MemberService.RelateMember", required=("member", "relation")),
    "endRelation": act("MemberService.EndRelation", required=("member", "kind")),
    "nameGuardian": act("MemberService.NameGuardian", required=("member", "guardian")),
    "dismissGuardian": act("MemberService.DismissGuardian", required=("member", "guardian")),
    "recordConsent": act(
        "MemberService.RecordConsent", required=("member", "purposes"), before=_as_told_by_the_operator
    ),
    "recordObjection": act(
        "MemberService.RecordObjection", required=("member", "purposes"), before=_as_told_by_the_operator
    ),
}
