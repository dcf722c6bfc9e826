"""What members did and received: kept once by event id, shown in their timeline, their engagement and their standing.

An interaction is inserted first, marked as waiting; then the members' records are patched, and the mark is taken off.
What a crash leaves waiting is taken up by the sweep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.kit.clock import MINUTE
from services.kit.errors import FanfareError
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Document, Patch, Push
from services.kit.store.rule import Range
from services.members.domain.community import Community
from services.members.domain.engagement import (
    ATTENDED,
    BOUNCED,
    CLICKED,
    OPENED,
    PURCHASED,
    RECEIVED,
    REPORTABLE,
    SIGNED_UP,
    UNSUBSCRIBED,
    changes,
    points_of,
    recent_entry,
)
from services.members.domain.events import interaction_recorded
from services.members.domain.household import EXTERNAL, claim_id
from services.members.domain.member import (
    BOUNCED as ADDRESS_BOUNCED,
)
from services.members.domain.member import (
    ERASED,
    RECENT,
    Cause,
    Member,
    MemberGone,
    Profile,
    UnknownMember,
)
from services.members.domain.permission import (
    CONSENT,
    THE_MEMBER,
    TRACKING,
    Evidence,
    Record,
    grant,
    minor_at,
    verdict,
)
from services.members.domain.values import EMAIL, PHONE, address_on, fold, tidy
from services.members.use_cases.permitting import record_objection
from services.members.use_cases.reading import get_members
from services.members.use_cases.registering import owners_of, register_member
from services.members.use_cases.room import Room

RECORDED = "recorded"
KNOWN = "known"
UNMATCHED = "unmatched"
AMBIGUOUS = "ambiguous"
REFUSED = "refused"
_CHANGE_STANDING = (PURCHASED, SIGNED_UP, ATTENDED)
_TAKEN_UP_AFTER = MINUTE


@dataclass(frozen=True, slots=True)
class Report:
    """What a partner tells: who is named by id, or by what is known of them."""

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


@dataclass(frozen=True, slots=True)
class Visit:
    """A link followed, or a pixel fetched (``link`` -1); ``machine`` says why it is held to be a program's."""

    id: str
    run: str
    campaign: str
    member: str
    at: int
    link: int
    machine: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Whom one batch reached, and when; a higher version replaces a lower one."""

    run: str
    campaign: str
    sequence: int
    version: int
    channel: str
    purpose: str
    accepted: Sequence[str]
    accepted_at: Sequence[int]


# What partners tell


def record_interactions(room: Room, scope: Scope, community_id: str, reports: Sequence[Report]) -> list[Result]:
    """Record what partners tell, once by event id. Nobody is guessed at: what fits two members is ambiguous."""
    community = room.community(scope, community_id)
    scope = scope.within(community_id)
    now = room.clock.now()
    results: dict[int, Result] = {}
    taken: list[tuple[int, Report, str, bool]] = []
    for number, report in enumerate(reports):
        matched = _matched(room, scope, community, report, now)
        if isinstance(matched, Result):
            results[number] = matched
        else:
            taken.append((number, report, *matched))
    entries: dict[str, Record] = {}
    for _, report, member, registered in taken:
        entry = _interaction(community, report.id, member, report.kind, report.at, now)
        kept = ("subject", "currency", "amount_units", "amount_nanos", "reverses")
        entry |= {key: value for key in kept if (value := getattr(report, key))}
        room.tell(entry, [interaction_recorded(entry, registered=registered)], now)
        entries.setdefault(entry["_id"], entry)
    fresh = _insert(room, scope, community, list(entries.values()))
    for number, report, member, _ in taken:
        if report.consent_purposes:
            _enter_consent(room, scope, member, report, now)
        outcome = RECORDED if _key(community.id, report.id) in fresh else KNOWN
        fresh.discard(_key(community.id, report.id))
        results[number] = Result(report.id, outcome, member)
    room.nudge()
    return [results[number] for number in range(len(reports))]


def _matched(room: Room, scope: Scope, community: Community, report: Report, now: int) -> tuple[str, bool] | Result:
    """The member meant, and whether it was registered just now; or why there is none."""
    if not report.id or report.kind not in REPORTABLE or not 0 < report.at <= now + MINUTE:
        message = f"Give an id, a kind of {', '.join(REPORTABLE)}, and a time that has come."
        return Result(report.id, REFUSED, reason="invalid", message=message)
    if report.member:
        found = get_members(room, scope, [report.member])
        if not found or found[0]["state"] == ERASED:
            return Result(report.id, UNMATCHED, reason="unknown-member", message="There is no such member.")
        return found[0]["_id"], False
    try:
        addresses = _addresses(report, community)
    except FanfareError as error:
        return Result(report.id, REFUSED, reason=error.reason, message=error.message)
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
    return _registered(room, scope, community, report, addresses), True


def _addresses(report: Report, community: Community) -> list[tuple[str, str]]:
    given = [(channel, text) for channel, text in ((EMAIL, report.email), (PHONE, report.phone)) if text]
    addresses = [(channel, address_on(channel, text, community.country)) for channel, text in given]
    return [*addresses, *([(EXTERNAL, report.external_id)] if report.external_id else [])]


def _of_that_name(room: Room, scope: Scope, candidates: Iterable[str], report: Report) -> set[str]:
    name = fold(tidy(f"{report.given_name} {report.family_name}"))
    members = get_members(room, scope, sorted(candidates))
    return {m["_id"] for m in members if name and fold(f"{m['given_name']} {m['family_name']}".strip()) == name}


def _registered(
    room: Room, scope: Scope, community: Community, report: Report, addresses: list[tuple[str, str]]
) -> str:
    """A sign-up that matches nobody makes a prospect, with only the permission that its evidence proves."""
    profile = Profile(
        given_name=tidy(report.given_name),
        family_name=tidy(report.family_name),
        external_id=report.external_id,
        contacts=[address for address in addresses if address[0] != EXTERNAL],
    )
    return str(register_member(room, scope, community.id, profile, "partner")["_id"])


def _enter_consent(room: Room, scope: Scope, member: str, report: Report, now: int) -> None:
    evidence = report.evidence
    evidence = Evidence(
        wording=evidence.wording,
        source=evidence.source or "partner",
        at=evidence.at or report.at,
        actor=evidence.actor or THE_MEMBER,
        detail=evidence.detail,
    )
    entry = grant(
        _entry_id(report.id, member),
        basis=CONSENT,
        purposes=report.consent_purposes,
        channels=[channel for channel, given in ((EMAIL, report.email), (PHONE, report.phone)) if given],
        evidence=evidence,
        now=now,
        recorded_by=scope.actor,
    )
    room.change(scope, member, Cause(now, scope.actor, "partner"), lambda m: m.enter(entry))


# What the public pages tell


def record_visits(room: Room, scope: Scope, community_id: str, visits: Sequence[Visit]) -> None:
    """Clicks and opens of members who may be tracked; machines are kept, and count for nothing."""
    community = room.community(scope, community_id)
    scope = scope.within(community_id)
    now = room.clock.now()
    members = _living(room, scope, [visit.member for visit in visits])
    entries: dict[str, Record] = {}
    for visit in visits:
        member = members.get(visit.member)
        if member is None or not verdict(member, TRACKING, EMAIL, now, community.law, community.gives).allowed:
            continue
        kind = OPENED if visit.link < 0 else CLICKED
        entry = _interaction(community, visit.id, member["_id"], kind, visit.at, now)
        entry |= {"channel": EMAIL, "campaign": visit.campaign, "run": visit.run}
        if visit.link >= 0:
            entry["link"] = visit.link
        if visit.machine:
            entry["machine"] = visit.machine
        entries.setdefault(entry["_id"], entry)
    _insert(room, scope, community, list(entries.values()), records=members)


def record_unsubscribe(
    room: Room,
    scope: Scope,
    community_id: str,
    event: str,
    members: Sequence[str],
    *,
    channel: str,
    purposes: Sequence[str],
    at: int,
    source: str,
    campaign: str,
    run: str,
) -> None:
    """Somebody unsubscribed at an address: an objection of each member it was asked for."""
    community = room.community(scope, community_id)
    scope = scope.within(community_id)
    now = room.clock.now()
    evidence = Evidence(source=source, at=at, actor=THE_MEMBER, detail=event)
    entries: list[Record] = []
    for number, member in enumerate(dict.fromkeys(members)):
        try:
            changed = record_objection(
                room,
                scope,
                member,
                purposes=purposes,
                channels=[channel] if channel else [],
                evidence=evidence,
                entry_id=_entry_id(event, member),
                cause=Cause(now, scope.actor, source),
            )
        except (MemberGone, UnknownMember):
            continue
        entry = _interaction(community, f"{event}.{number}" if number else event, changed["_id"], UNSUBSCRIBED, at, now)
        entry |= {"channel": channel, "campaign": campaign, "run": run}
        entries.append(entry)
    _insert(room, scope, community, entries)


# What channels tell


def record_receipts(room: Room, scope: Scope, community_id: str, settled: Settled) -> None:
    """Keep whom a batch reached, once, and show it among the members' last ten."""
    scope = scope.within(community_id)
    key = f"{settled.run}/{settled.sequence:09d}"
    known = room.receipts.get(scope, [key]).get(key)
    if known is not None and settled.version <= known["settled"] == known["applied"]:
        return
    shown = set(known["members"]) if known is not None and known["applied"] == known["settled"] else set()
    reached = [
        (member, at) for member, at in zip(settled.accepted, settled.accepted_at, strict=True) if member not in shown
    ]
    receipt: Document = {
        "_id": key,
        "agency": scope.agency,
        "community": community_id,
        "schema_version": 1,
        "run": settled.run,
        "campaign": settled.campaign,
        "channel": settled.channel,
        "purpose": settled.purpose,
        "sequence": settled.sequence,
        "settled": settled.version,
        "applied": 0,
        "members": list(settled.accepted),
        "instants": list(settled.accepted_at),
        "first": min(settled.accepted, default=""),
        "last": max(settled.accepted, default=""),
        "at": max(settled.accepted_at, default=0),
    }
    if known is None:
        room.receipts.insert(scope, [receipt])
    elif settled.version >= known["settled"]:
        room.receipts.replace(scope, [{**receipt, "version": known["version"], "applied": known["applied"]}])
    room.members.patch(scope, [_received(receipt, member, at) for member, at in reached])
    room.receipts.patch(scope, [Patch(key, set={"applied": settled.version})])


def _received(receipt: Record, member: str, at: int) -> Patch:
    added, raised = changes(RECEIVED, receipt["channel"], at, 0, machine=False)
    entry = {
        "_id": receipt["_id"],
        "kind": RECEIVED,
        "channel": receipt["channel"],
        "at": at,
        "campaign": receipt["campaign"],
        "run": receipt["run"],
    }
    return Patch(member, inc=added, max=raised, push={"recent": Push(entry, keep=RECENT)})


def record_bounce(
    room: Room, scope: Scope, community_id: str, event: str, member: str, contact_point: str, *, run: str, at: int
) -> None:
    """An address is bad for everyone who shares it."""
    community = room.community(scope, community_id)
    scope = scope.within(community_id)
    found = room.members.get(scope, [member]).get(member)
    point = next((p for p in found["contact_points"] if p["id"] == contact_point), None) if found else None
    if found is None or point is None:
        return
    claim = claim_id(community_id, point["channel"], point["address"])
    held = room.claims.get(scope, [claim]).get(claim)
    cause = Cause(room.clock.now(), scope.actor, "bounce")

    def mark(changing: Member) -> None:
        for known in changing.record["contact_points"]:
            if (known["channel"], known["address"]) == (point["channel"], point["address"]):
                changing.mark_contact_point(known["id"], ADDRESS_BOUNCED)

    for owner in held["owners"] if held else [member]:
        try:
            room.change(scope, owner, cause, mark)
        except (MemberGone, UnknownMember):
            continue
    entry = _interaction(community, event, member, BOUNCED, at, cause.at)
    _insert(room, scope, community, [entry | {"channel": point["channel"], "run": run}])


# What a crash left


def take_up_waiting(room: Room) -> int:
    """Show in the members' records what was inserted, but not shown, more than a minute ago; how many."""
    late = Range("waiting", gt=0, lt=room.clock.now() - _TAKEN_UP_AFTER)
    page = room.interactions.find(everywhere("service:members"), late, limit=200)
    for entry in page.documents:
        scope = stored_scope(entry["agency"], entry["community"], "service:members")
        _show(room, scope, [entry])
    return len(page.documents)


# How it is kept


def _key(community: str, event: str) -> str:
    return f"{community}/{event}"


def _entry_id(event: str, member: str) -> str:
    return "pme_" + hashlib.blake2b(f"{event}\0{member}".encode(), digest_size=16).hexdigest()


def _interaction(community: Community, event: str, member: str, kind: str, at: int, now: int) -> Record:
    return {
        "_id": _key(community.id, event),
        "agency": community.agency,
        "community": community.id,
        "schema_version": 1,
        "event": event,
        "member": member,
        "kind": kind,
        "at": at,
        "waiting": now,
    }


def _insert(
    room: Room,
    scope: Scope,
    community: Community,
    entries: Sequence[Record],
    *,
    records: Mapping[str, Record] | None = None,
) -> set[str]:
    """Insert the entries that are new and show them in their members' records; which they were."""
    if not entries:
        return set()
    members = {record["_id"]: record for record in (records or {}).values()}
    lacking = sorted({entry["member"] for entry in entries} - members.keys())
    members |= room.members.get(scope, lacking) if lacking else {}
    for entry in entries:
        record = members.get(entry["member"])
        minor = record is None or minor_at(record, entry["at"], community.law)
        points = points_of(entry["kind"], machine=bool(entry.get("machine")), minor=minor)
        if points and not entry.get("reverses"):
            entry["points"] = points
    inserted = room.interactions.insert(scope, entries)
    _show(room, scope, [entry for entry in entries if entry["_id"] in inserted])
    return inserted


def _show(room: Room, scope: Scope, entries: Sequence[Record]) -> None:
    """Patch engagement and the last ten; derive standing anew where the kind can change it; take the marks off."""
    patches: list[Patch] = []
    for entry in entries:
        machine = bool(entry.get("machine"))
        kind = entry["kind"] if not entry.get("reverses") else ""
        added, raised = changes(
            kind, entry.get("channel") or "", entry["at"], entry.get("points") or 0, machine=machine
        )
        push = {"recent": Push(recent_entry(entry), keep=RECENT)}
        patches.append(Patch(entry["member"], inc=added, max=raised, push=push))
    if patches:
        room.members.patch(scope, patches)
    for member in dict.fromkeys(e["member"] for e in entries if e["kind"] in _CHANGE_STANDING):
        why = next(e["kind"] for e in entries if e["member"] == member)
        try:
            room.change(scope, member, Cause(room.clock.now(), scope.actor, why), lambda _: None)
        except (MemberGone, UnknownMember):
            continue
    room.interactions.patch(scope, [Patch(entry["_id"], set={"waiting": None}) for entry in entries])


def _living(room: Room, scope: Scope, ids: Sequence[str]) -> dict[str, Record]:
    """The members behind these ids, old ids included, that are not erased."""
    wanted = list(dict.fromkeys(ids))
    found = room.members.get(scope, wanted)
    living = {}
    for one in wanted:
        record = found.get(one)
        if record is not None and record["merged_into"]:
            record = next(iter(get_members(room, scope, [one])), None)
        if record is not None and record["state"] != ERASED:
            living[one] = record
    return living
