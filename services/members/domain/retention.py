"""How long a member may be kept: while a relation, a consent or a sign of life justifies it (GDPR, art. 5(1)(e))."""

from __future__ import annotations

from services.kit.clock import DAY
from services.members.domain.community import Community
from services.members.domain.member import RESTRICTED
from services.members.domain.permission import GRANT, OBJECTION, Record
from services.members.domain.standing import ACTS
from services.members.domain.values import instant_of


def kept_until(record: Record, community: Community) -> int | None:
    """The instant after which nothing justifies keeping the member; None while a relation runs without an end, while
    somebody is left for whom they answer, or while they asked that nothing be done with it (GDPR, art. 18)."""
    if record["wards"] or record["state"] == RESTRICTED:
        return None
    general: int = community.record["retention_days"] * DAY
    until: int = record["registered_at"] + general
    for tie in record["relations"]:
        if tie["until"] is None:
            return None
        kind = community.relations.get(tie["kind"])
        days = kind["retention_days"] if kind else community.record["retention_days"]
        until = max(until, instant_of(tie["until"]) + (1 + days) * DAY)
    for entry in record["ledger"]:
        if entry["act"] == GRANT:
            until = max(until, (entry["at"] or entry["recorded_at"]) + general)
    engagement = record["engagement"] or {}
    for act in ACTS:
        until = max(until, (engagement.get(f"last_{act}_at") or 0) + general)
    return until


def must_be_remembered(record: Record) -> bool:
    """Whether an address that is let go must still be recognised: its owner objected, and no import may forget that."""
    return any(entry["act"] == OBJECTION for entry in record["ledger"])
