"""What members did and received: kept once by event id, shown in their timeline, their engagement and their standing.

An interaction is inserted first, marked as waiting; then the members' records are patched, and the mark is taken off.
What a crash leaves waiting is taken up by the sweep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.kit.clock import MINUTE
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
    SIGNED_UP,
    UNSUBSCRIBED,
    changes,
    points_of,
    recent_entry,
)
from services.members.domain.household import claim_id
from services.members.domain.member import (
    BOUNCED as ADDRESS_BOUNCED,
)
from services.members.domain.member import (
    ERASED,
    RECENT,
    Cause,
    Member,
    MemberGone,
    UnknownMember,
)
from services.members.domain.permission import (
    THE_MEMBER,
    TRACKING,
    Evidence,
    Record,
    minor_at,
    verdict,
)
from services.members.domain.values import EMAIL
from services.members.use_cases.permitting import record_objection
from services.members.use_cases.reading import get_members
from services.members.use_cases.room import Room

_CHANGE_STANDING = (PURCHASED, SIGNED_UP, ATTENDED)
_TAKEN_UP_AFTER = MINUTE


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
        entry = interaction(community, visit.id, member["_id"], kind, visit.at, now)
        entry |= {"channel": EMAIL, "campaign": visit.campaign, "run": visit.run}
        if visit.link >= 0:
            entry["link"] = visit.link
        if visit.machine:
            entry["machine"] = visit.machine
        entries.setdefault(entry["_id"], entry)
    keep(room, scope, community, list(entries.values()), records=members)


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
    wording: str,
    campaign: str,
    run: str,
) -> None:
    """Somebody unsubscribed at an address: an objection of each it was asked for, told directly before or not."""
    community = room.community(scope, community_id)
    scope = scope.within(community_id)
    now = room.clock.now()
    evidence = Evidence(wording=wording, source=source, at=at, actor=THE_MEMBER, detail=run)
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
                entry_id=entry_id_of(event, member),
                cause=Cause(now, scope.actor, source),
            )
        except (MemberGone, UnknownMember):
            continue
        entry = interaction(community, f"{event}.{number}" if number else event, changed["_id"], UNSUBSCRIBED, at, now)
        entry |= {"channel": channel, "campaign": campaign, "run": run}
        entries.append(entry)
    keep(room, scope, community, entries)


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
    entry = interaction(community, event, member, BOUNCED, at, cause.at)
    keep(room, scope, community, [entry | {"channel": point["channel"], "run": run}])


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


def key_of(community: str, event: str) -> str:
    return f"{community}/{event}"


def entry_id_of(event: str, member: str) -> str:
    return "pme_" + hashlib.blake2b(f"{event}\0{member}".encode(), digest_size=16).hexdigest()


def interaction(community: Community, event: str, member: str, kind: str, at: int, now: int) -> Record:
    return {
        "_id": key_of(community.id, event),
        "agency": community.agency,
        "community": community.id,
        "schema_version": 1,
        "event": event,
        "member": member,
        "kind": kind,
        "at": at,
        "waiting": now,
    }


def keep(
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
