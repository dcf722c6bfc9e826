"""New members: their addresses are claimed first, then they are written; both skip what is there already."""

from __future__ import annotations

from collections.abc import Sequence

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
    mark_shared,
    new_claim,
    of_one,
)
from services.members.domain.importing.draft import name_key
from services.members.domain.member import Profile, register
from services.members.domain.permission import Record
from services.members.use_cases.room import Room, persistently

TAKEN_OVER_AFTER = 10 * MINUTE


def register_member(
    room: Room, scope: Scope, community_id: str, profile: Profile, source: str, *, own_act_at: int | None = None
) -> Document:
    """Register one member. ``own_act_at``: when the person came by a proven act of their own, which alone brings an
    erased address back. Raises AddressTaken, ErasedBefore, and Invalid for what the community has not declared."""
    community = room.community(scope, community_id)
    addresses = [*profile.contacts, *([(EXTERNAL, profile.external_id)] if profile.external_id else [])]
    name = name_key(profile.display_name or f"{profile.given_name} {profile.family_name}")
    theirs = [*addresses, *(of_one(address, name) for address in addresses)]
    returning = _erasures_of(room, scope, community, theirs)
    for (channel, _), erasure in returning.items():
        if own_act_at is None or own_act_at <= erasure["erased_at"]:
            raise ErasedBefore(channel)
    record = register(profile, room.ids.new("mbr"), community, room.cause(scope, source))
    _claim_all(room, scope, record)
    share_addresses(room, scope, {record["_id"]: record})
    room.tell(record, [member_registered(record["_id"], record["standing"], record["source"])], room.clock.now())
    room.members.insert(scope, [record])
    if returning:
        room.erased_addresses.delete(scope, [erasure["_id"] for erasure in returning.values()])
    room.nudge()
    return record


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


def _claim_all(room: Room, scope: Scope, record: Record) -> None:
    """Claim the addresses of somebody new, and none of them where one is another's. Raises AddressTaken."""
    now = room.clock.now()
    claims = claims_of(record, now)
    taken = room.claims.insert(scope, claims)
    try:
        for claim in claims:
            if claim["_id"] not in taken:
                _take_over(room, scope, claim, now)
    except AddressTaken:
        room.claims.delete(scope, sorted(taken))
        raise


def _take_over(room: Room, scope: Scope, claim: Document, now: int) -> None:
    """Of a claim that stood already: one of nobody is taken over after a while. Raises AddressTaken."""
    known = room.claims.get(scope, [claim["_id"]]).get(claim["_id"])
    if known is None:
        return
    living = room.members.get(scope, known["owners"])
    if not living and now - known["claimed_at"] > TAKEN_OVER_AFTER:
        known |= {"owners": claim["owners"], "claimed_at": now}
        if room.claims.replace(scope, [known]):
            return
    raise AddressTaken(
        channel_of(claim["_id"]), next((one for one in known["owners"] if one in living), known["owners"][0])
    )


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
