"""What people agree to and refuse: entries of the ledger, and what they make of permission."""

from __future__ import annotations

from collections.abc import Sequence

from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.member import Cause
from services.members.domain.permission import (
    CONSENT,
    PURPOSES,
    WITHOUT_CHANNEL,
    Evidence,
    Verdict,
    grant,
    objection,
    verdict,
)
from services.members.domain.values import CHANNELS
from services.members.use_cases.room import Room


def record_consent(
    room: Room,
    scope: Scope,
    member: str,
    *,
    purposes: Sequence[str],
    channels: Sequence[str],
    basis: str,
    evidence: Evidence,
) -> Document:
    """Somebody agreed, or another basis is shown; graded by its evidence. Raises Invalid."""
    cause = room.cause(scope, evidence.source or "operator")
    entry = grant(
        room.ids.new("pme"),
        basis=basis or CONSENT,
        purposes=purposes,
        channels=channels,
        evidence=evidence,
        now=cause.at,
        recorded_by=scope.actor,
    )
    return room.change(scope, member, cause, lambda m: m.enter(entry))


def record_objection(
    room: Room,
    scope: Scope,
    member: str,
    *,
    purposes: Sequence[str],
    channels: Sequence[str],
    evidence: Evidence,
    entry_id: str = "",
    cause: Cause | None = None,
) -> Document:
    """The person refuses these purposes (none: every optional one). The same ``entry_id`` is entered once."""
    cause = cause or room.cause(scope, evidence.source or "operator")
    entry = objection(
        entry_id or room.ids.new("pme"),
        purposes=purposes,
        channels=channels,
        evidence=evidence,
        now=cause.at,
        recorded_by=scope.actor,
    )
    return room.change(scope, member, cause, lambda m: m.enter(entry))


def explain_permission(room: Room, scope: Scope, member: str) -> tuple[Document, list[tuple[str, str, Verdict]]]:
    """The verdict of every purpose and channel as it is now, with the ledger entry that decides each."""
    record = room.member(scope, member)
    community = room.community(scope, record["community"])
    now = room.clock.now()
    return record, [
        (purpose, channel, verdict(record, purpose, channel, now, community.law, community.gives))
        for purpose in PURPOSES
        for channel in (("",) if purpose in WITHOUT_CHANNEL else CHANNELS)
    ]
