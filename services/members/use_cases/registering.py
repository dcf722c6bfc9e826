"""New members: their addresses are claimed first, then they are written; both skip what is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.clock import MINUTE
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.community import Community
from services.members.domain.events import member_registered
from services.members.domain.household import (
    EXTERNAL,
    AddressTaken,
    ErasedBefore,
    address_hash,
    channel_of,
    claim_id,
    claims_of,
    new_claim,
)
from services.members.domain.member import Cause, Profile, mark_shared, register
from services.members.domain.permission import Record
from services.members.use_cases.room import Room, persistently

TAKEN_OVER_AFTER = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Registration:
    """Somebody to register under an id that was fixed before, so that doing it again changes nothing."""

    member: str
    profile: Profile
    cause: Cause


@dataclass(frozen=True, slots=True)
class Refused:
    """Why somebody was not registered: an address of theirs is another member's."""

    channel: str
    owner: str


def register_member(
    room: Room, scope: Scope, community_id: str, profile: Profile, source: str, *, own_act_at: int | None = None
) -> Document:
    """Register one member. ``own_act_at``: when the person came by a proven act of their own, which alone brings an
    erased address back. Raises AddressTaken, ErasedBefore, and Invalid for what the community has not declared."""
    community = room.community(scope, community_id)
    addresses = [*profile.contacts, *([(EXTERNAL, profile.external_id)] if profile.external_id else [])]
    returning = _erasures_of(room, scope, community, addresses)
    for (channel, _), erasure in returning.items():
        if own_act_at is None or own_act_at <= erasure["erased_at"]:
            raise ErasedBefore(channel)
    registration = Registration(room.ids.new("mbr"), profile, room.cause(scope, source))
    records, refused = _register(room, scope, community, [registration], telling=True)
    for refusal in refused.values():
        raise AddressTaken(refusal.channel, refusal.owner)
    if returning:
        room.erased_addresses.delete(scope, [erasure["_id"] for erasure in returning.values()])
    room.nudge()
    return records[0]


def register_members(
    room: Room, scope: Scope, community: Community, registrations: Sequence[Registration]
) -> dict[str, Refused]:
    """Register many, in a few writes; those refused, by id. Tells nothing: the caller raises one event for them all."""
    return _register(room, scope, community, registrations, telling=False)[1]


def owners_of(
    room: Room, scope: Scope, community: str, addresses: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[str]]:
    """Who owns each address (channel, address in its one form) that is claimed. ``external`` claims external ids."""
    by_claim = {claim_id(community, channel, address): (channel, address) for channel, address in addresses}
    found = room.claims.get(scope, list(by_claim))
    return {by_claim[claim]: document["owners"] for claim, document in found.items()}


def erased_among(
    room: Room, scope: Scope, community: Community, addresses: Sequence[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Those addresses whose owner asked to be erased: no import brings them back."""
    return set(_erasures_of(room, scope, community, addresses))


def refuse_erased(room: Room, scope: Scope, community: Community, channel: str, address: str) -> None:
    """Raises ErasedBefore for an address whose owner asked to be erased."""
    if erased_among(room, scope, community, [(channel, address)]):
        raise ErasedBefore(channel)


def _erasures_of(
    room: Room, scope: Scope, community: Community, addresses: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Document]:
    """What is remembered of those addresses whose owner asked to be erased."""
    if not addresses or not community.record["erasures"]:
        return {}
    by_hash = {
        address_hash(room.address_key, community.id, channel, address): (channel, address)
        for channel, address in addresses
    }
    return {by_hash[key]: found for key, found in room.erased_addresses.get(scope, list(by_hash)).items()}


def _register(
    room: Room, scope: Scope, community: Community, registrations: Sequence[Registration], *, telling: bool
) -> tuple[list[Document], dict[str, Refused]]:
    now = room.clock.now()
    records: dict[str, Record] = {}
    claims: dict[str, Document] = {}
    refused: dict[str, Refused] = {}
    for one in registrations:
        record = register(one.profile, one.member, community, one.cause)
        records[one.member] = record
        for claim in claims_of(record, now):
            first = claims.setdefault(claim["_id"], claim)
            if first is not claim:
                refused[one.member] = Refused(channel_of(claim["_id"]), first["owners"][0])
    taken = room.claims.insert(scope, list(claims.values()))
    if len(taken) != len(claims):
        standing = [claim for claim in claims.values() if claim["_id"] not in taken]
        refused |= _settle_taken(room, scope, standing, now)
    if refused:
        room.claims.delete(
            scope, [one for one in sorted(taken) if claims[one]["owners"][0] in refused]
        )  # what was claimed for somebody who is not registered
        for member in refused:
            del records[member]
    share_addresses(room, scope, records)
    documents = list(records.values())
    if telling:
        for record in documents:
            room.tell(record, [member_registered(record["_id"], record["standing"], record["source"])], now)
    room.members.insert(scope, documents)
    return documents, refused


def share_addresses(room: Room, scope: Scope, records: dict[str, Record]) -> None:
    """Make the members of these records owners of the addresses that they share, and mark the addresses of the
    others as shared."""
    joining: dict[str, list[str]] = {}
    for record in records.values():
        for point in record["contact_points"]:
            if point["shared"]:
                claim = claim_id(record["community"], point["channel"], point["address"])
                joining.setdefault(claim, []).append(record["_id"])
    if not joining:
        return
    others: set[str] = set()
    for claim, newcomers in joining.items():
        owners = persistently(lambda c=claim, n=newcomers: _join(room, scope, c, n, records), "address")  # type: ignore[misc] # bound now
        others.update(owners)
    shared = {tuple(claim.split(":", 2)[1:]) for claim in joining}
    for owner in sorted(others):
        if owner in records:
            mark_shared(records[owner], shared)
        else:
            persistently(lambda o=owner: _save_shared(room, scope, o, shared), "member")  # type: ignore[misc] # bound now


def _join(
    room: Room, scope: Scope, claim: str, newcomers: Sequence[str], records: dict[str, Record]
) -> list[str] | None:
    found = room.claims.get(scope, [claim]).get(claim)
    if found is None:
        _, channel, address = claim.split(":", 2)
        of = records[newcomers[0]]
        found = new_claim(of["agency"], of["community"], channel, address, newcomers[0], room.clock.now())
        found["owners"] = list(newcomers)
        return list(newcomers) if room.claims.insert(scope, [found]) else None
    owners: list[str] = found["owners"]
    added = [one for one in newcomers if one not in owners]
    if added:
        found["owners"] = [*owners, *added]
        if not room.claims.replace(scope, [found]):
            return None
    return list(found["owners"])


def _save_shared(room: Room, scope: Scope, member: str, shared: set[tuple[str, ...]]) -> bool | None:
    found = room.members.get(scope, [member]).get(member)
    if found is None or not mark_shared(found, shared):
        return True
    return bool(room.members.replace(scope, [found])) or None


def _settle_taken(room: Room, scope: Scope, claims: Sequence[Document], now: int) -> dict[str, Refused]:
    """Of claims that stood already: those of the same member are fine, those of nobody are taken over."""
    refused: dict[str, Refused] = {}
    standing = room.claims.get(scope, [claim["_id"] for claim in claims])
    owners = {owner for claim in standing.values() for owner in claim["owners"]}
    living = room.members.get(scope, sorted(owners)) if owners else {}
    for claim in claims:
        (newcomer,) = claim["owners"]
        known = standing.get(claim["_id"])
        if known is None or newcomer in known["owners"]:
            continue
        owner = next((one for one in known["owners"] if one in living), None)
        if owner is None and now - known["claimed_at"] > TAKEN_OVER_AFTER:
            known |= {"owners": [newcomer], "claimed_at": now}
            if room.claims.replace(scope, [known]):
                continue
        refused[newcomer] = Refused(channel_of(claim["_id"]), owner or known["owners"][0])
    return refused
