"""What partners tell of members: matched by id or by an unambiguous address, and recorded once by event id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import orjson

from services.kit.clock import MINUTE
from services.kit.errors import FanfareError
from services.kit.scope import Scope
from services.members.domain.community import Community
from services.members.domain.engagement import REPORTABLE, SIGNED_UP
from services.members.domain.events import interaction_recorded
from services.members.domain.household import EXTERNAL, AddressTaken, ErasedBefore
from services.members.domain.limits import within
from services.members.domain.member import ERASED, Cause, MemberGone, Profile
from services.members.domain.permission import CONSENT, PURPOSES, THE_MEMBER, Evidence, Grade, Record, grant
from services.members.domain.values import EMAIL, PHONE, address_on, fold, tidy
from services.members.use_cases.reading import get_members
from services.members.use_cases.recording import entry_id_of, interaction, keep, key_of
from services.members.use_cases.registering import owners_of, register_member
from services.members.use_cases.room import Room

RECORDED = "recorded"
KNOWN = "known"
UNMATCHED = "unmatched"
AMBIGUOUS = "ambiguous"
REFUSED = "refused"
_TEXTS = {
    "id": "event_id",
    "reverses": "event_id",
    "subject": "subject",
    "external_id": "external_id",
    "given_name": "name",
    "family_name": "name",
}
"""The free text of a report, each of a kind of ``LONGEST``."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a partner tells: who is named by id, or by what is known of them. ``at`` 0: when it is told."""

    id: str
    kind: str
    at: int
    member: str = ""
    email: str = ""
    phone: str = ""
    external_id: str = ""
    given_name: str = ""
    family_name: str = ""
    subject: str = ""
    currency: str = ""
    amount_units: int = 0
    amount_nanos: int = 0
    reverses: str = ""
    consent_purposes: Sequence[str] = ()
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a report."""

    id: str
    outcome: str
    member: str = ""
    reason: str = ""
    message: str = ""
    field: str = ""


def record_interactions(room: Room, scope: Scope, community_id: str, reports: Sequence[Report]) -> list[Result]:
    """Record what partners tell, once by event id. Nobody is guessed at: what fits two members is ambiguous.

    The same id with the same content is known; with another one it is refused, before anybody is looked for.
    """
    community = room.community(scope, community_id)
    scope = scope.within(community_id)
    now = room.clock.now()
    before = _told_before(room, scope, community, [report.id for report in reports])
    results: dict[int, Result] = {}
    taken: list[tuple[int, Report, str]] = []
    entries: dict[str, Record] = {}
    for number, report in enumerate(reports):
        told = _fingerprint(report)
        known = entries.get(report.id) or before.get(report.id)
        if known is not None and known.get("told") != told:
            results[number] = _reused(report)
            continue
        report = replace(report, at=report.at or now)  # from here on it has its time
        if known is not None:
            taken.append((number, report, known["member"]))
            continue
        matched = _matched(room, scope, community, report, now)
        if isinstance(matched, Result):
            results[number] = matched
            continue
        member, registered = matched
        taken.append((number, report, member))
        entries[report.id] = _entry(community, report, told, member, now)
        room.tell(entries[report.id], [interaction_recorded(entries[report.id], registered=registered)], now)
    fresh = keep(room, scope, community, list(entries.values()))
    late = [event for event in entries if key_of(community.id, event) not in fresh]
    before |= _told_before(room, scope, community, late)
    for number, report, member in taken:
        results[number] = _outcome(room, scope, report, member, entries.get(report.id), before.get(report.id))
        if results[number].outcome == RECORDED:
            before[report.id] = entries[report.id]
        if report.consent_purposes and results[number].outcome != REFUSED:
            _enter_consent(room, scope, member, report, now)
    room.nudge()
    return [results[number] for number in range(len(reports))]


def _told_before(room: Room, scope: Scope, community: Community, events: Sequence[str]) -> dict[str, Record]:
    """What is kept under these event ids."""
    found = room.interactions.get(scope, [key_of(community.id, event) for event in dict.fromkeys(events) if event])
    return {entry["event"]: entry for entry in found.values()}


def _fingerprint(report: Report) -> str:
    """Recognises a report that is told again, without keeping what it says of the person."""
    return blake2b(orjson.dumps(report), digest_size=16).hexdigest()


def _entry(community: Community, report: Report, told: str, member: str, now: int) -> Record:
    entry = interaction(community, report.id, member, report.kind, report.at, now) | {"told": told}
    kept = ("subject", "currency", "amount_units", "amount_nanos", "reverses")
    return entry | {key: value for key in kept if (value := getattr(report, key))}


def _outcome(
    room: Room, scope: Scope, report: Report, member: str, entry: Record | None, before: Mapping[str, Any] | None
) -> Result:
    """What became of a report that names a member; somebody may have been quicker with another one of its id."""
    if before is None:
        return Result(report.id, RECORDED, member)
    if entry is not None and entry["told"] != before.get("told"):
        return _reused(report)
    going_on = get_members(room, scope, [member])
    return Result(report.id, KNOWN, going_on[0]["_id"] if going_on else member)


def _reused(report: Report) -> Result:
    message = "Another event was told under this id before: give each event an id of its own."
    return Result(report.id, REFUSED, reason="event-id-reused", message=message, field="id")


def _matched(room: Room, scope: Scope, community: Community, report: Report, now: int) -> tuple[str, bool] | Result:
    """The member meant, and whether it was registered just now; or why there is none."""
    if not report.id or report.kind not in REPORTABLE or not 0 < report.at <= now + MINUTE:
        message = f"Give an id, a kind of {', '.join(REPORTABLE)}, and a time that has come."
        return Result(report.id, REFUSED, reason="invalid", message=message)
    if not set(report.consent_purposes) <= set(PURPOSES):
        message = f"A purpose is one of {', '.join(PURPOSES)}."
        return Result(report.id, REFUSED, reason="invalid", message=message, field="consent_purposes")
    try:
        _check(report)
        addresses = _addresses(report, community)
    except FanfareError as error:
        return _refused(report, error)
    if report.member:
        found = get_members(room, scope, [report.member])
        if not found or found[0]["state"] == ERASED:
            return Result(report.id, UNMATCHED, reason="unknown-member", message="There is no such member.")
        return found[0]["_id"], False
    if not addresses:
        message = "Name the member by id, e-mail, phone or external id."
        return Result(report.id, REFUSED, reason="invalid", message=message)
    claimed = owners_of(room, scope, community.id, addresses)
    candidates = set.intersection(*map(set, claimed.values())) if claimed else set()
    if claimed and not candidates:
        message = "Its addresses belong to different members: name one by id."
        return Result(report.id, AMBIGUOUS, reason="different-members", message=message)
    if len(candidates) > 1:
        candidates = _of_that_name(room, scope, candidates, report) or candidates
    if len(candidates) > 1:
        message = "Several members share this address: name one by id, or give the name."
        return Result(report.id, AMBIGUOUS, reason="shared-address", message=message)
    if candidates:
        (member,) = candidates
        living = get_members(room, scope, [member])
        if living and living[0]["state"] != ERASED:
            return living[0]["_id"], False
    if report.kind != SIGNED_UP:
        return Result(report.id, UNMATCHED, reason="no-match", message="No member has this address.")
    try:
        return _registered(room, scope, community, report, addresses, now), True
    except (ErasedBefore, AddressTaken) as error:
        return _refused(report, error)


def _refused(report: Report, error: FanfareError) -> Result:
    return Result(report.id, REFUSED, reason=error.reason, message=error.message, field=error.field)


def _check(report: Report) -> None:
    """Raises TextTooLong, ImpossibleDate."""
    for name, kind in _TEXTS.items():
        within(getattr(report, name), kind, name)
    report.evidence.check()


def _addresses(report: Report, community: Community) -> list[tuple[str, str]]:
    given = [(channel, text) for channel, text in ((EMAIL, report.email), (PHONE, report.phone)) if text]
    addresses = [(channel, address_on(channel, text, community.country)) for channel, text in given]
    return [*addresses, *([(EXTERNAL, report.external_id)] if report.external_id else [])]


def _of_that_name(room: Room, scope: Scope, candidates: Iterable[str], report: Report) -> set[str]:
    name = fold(tidy(f"{report.given_name} {report.family_name}"))
    members = get_members(room, scope, sorted(candidates))
    return {m["_id"] for m in members if name and fold(f"{m['given_name']} {m['family_name']}".strip()) == name}


def _registered(
    room: Room, scope: Scope, community: Community, report: Report, addresses: list[tuple[str, str]], now: int
) -> str:
    """A sign-up that matches nobody makes a prospect, with only the permission that its evidence proves.

    Raises ErasedBefore unless its evidence proves that the person signed up themselves, after the erasure.
    """
    profile = Profile(
        given_name=tidy(report.given_name),
        family_name=tidy(report.family_name),
        external_id=report.external_id,
        contacts=[address for address in addresses if address[0] != EXTERNAL],
    )
    evidence = _with_defaults(report)
    own_act_at = evidence.at if evidence.grade(now) >= Grade.FAIR else None
    return str(register_member(room, scope, community.id, profile, "partner", own_act_at=own_act_at)["_id"])


def _with_defaults(report: Report) -> Evidence:
    """The evidence as told; its source and time are those of the report where it has none."""
    evidence = report.evidence
    return replace(evidence, source=evidence.source or "partner", at=evidence.at or report.at)


def _enter_consent(room: Room, scope: Scope, member: str, report: Report, now: int) -> None:
    evidence = _with_defaults(report)
    evidence = replace(evidence, actor=evidence.actor or THE_MEMBER)
    entry = grant(
        entry_id_of(report.id, member),
        basis=CONSENT,
        purposes=report.consent_purposes,
        channels=[channel for channel, given in ((EMAIL, report.email), (PHONE, report.phone)) if given],
        evidence=evidence,
        now=now,
        recorded_by=scope.actor,
    )
    with suppress(MemberGone):  # erased since it was told first
        room.change(scope, member, Cause(now, scope.actor, "partner"), lambda m: m.enter(entry))
