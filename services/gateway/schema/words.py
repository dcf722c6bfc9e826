"""Closed vocabularies of the graph, and which fields of the contract speak them."""

from __future__ import annotations

from typing import Any

import graphene


def _named(name: str, description: str, *values: str) -> Any:
    return graphene.Enum(name, [(value.replace("-", "_").upper(), value) for value in values], description=description)


MasterKind = _named(
    "MasterKind", "Who a community is for.", "brand", "organisation", "personality", "cause", "flagship_activity"
)
MemberKind = _named("MemberKind", "What a member is.", "person", "organisation")
MemberState = _named("MemberState", "Whether a member is there.", "active", "restricted", "merged", "erased")
Standing = _named("Standing", "What a member is to the master; several at once.", "prospect", "fan", "client")
PresenceKind = _named("PresenceKind", "How a member came to be there.", "voluntary", "involuntary")
Purpose = _named(
    "Purpose",
    "What a message is for; permission is given by purpose.",
    "service",
    "statutory",
    "news",
    "promotion",
    "fundraising",
    "review_request",
    "image",
    "tracking",
)
EvidenceGrade = _named("EvidenceGrade", "How well an act is proven.", "none", "weak", "fair", "strong")
CampaignState = _named(
    "CampaignState", "Where a campaign stands.", "draft", "scheduled", "running", "paused", "finished", "cancelled"
)
UnknownPolicy = _named(
    "UnknownPolicy", "What is done with what was perhaps sent: list it, or send it again.", "list", "again"
)
Metric = _named("Metric", "What an objective counts.", "new_members", "conversions", "attendance", "revenue", "clicks")
Pace = _named(
    "Pace",
    "How an objective stands against its time.",
    "not-started",
    "ahead",
    "on-pace",
    "behind",
    "reached",
    "missed",
)
ContentFormat = _named("ContentFormat", "What a message is written in.", "html", "mjml")
Security = _named("Security", "How a connection is secured.", "none", "starttls", "tls")

ENUMS: dict[str, Any] = {
    # by the name of the field, wherever it stands
    "master_kind": MasterKind,
    "standing": Standing,
    "purpose": Purpose,
    "purposes": Purpose,
    "consent_purposes": Purpose,
    "unknown_policy": UnknownPolicy,
    "metric": Metric,
    "pace": Pace,
    "security": Security,
    # or by message and field
    "Member.kind": MemberKind,
    "RegisterMemberRequest.kind": MemberKind,
    "Member.state": MemberState,
    "Member.presence": PresenceKind,
    "RegisterMemberRequest.presence": PresenceKind,
    "ChangeMemberRequest.presence": PresenceKind,
    "ImportMapping.presence": PresenceKind,
    "StarterPack.master_kind": MasterKind,
    "Permit.evidence": EvidenceGrade,
    "Campaign.state": CampaignState,
    "ListCampaignsRequest.states": CampaignState,
    "Message.format": ContentFormat,
}

# Fields that are instants, JSON, or ids: by name, or by message and name.
INSTANTS = frozenset({"at", "since", "now", "deadline", "send_until"})
JSON_TEXTS = frozenset({"rule", "AccessMemberResponse.content"})
IDS = frozenset(
    {
        "id",
        "absorbed",
        "account",
        "agency",
        "campaign",
        "community",
        "contact_point",
        "entry",
        "file",
        "guardian",
        "import",
        "into",
        "merge",
        "member",
        "merged_into",
        "objective",
        "run",
        "segment",
        "survivor",
        "template",
        "DismissDuplicateRequest.first",
        "DismissDuplicateRequest.second",
    }
)
