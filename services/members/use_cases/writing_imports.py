"""Whom a chunk of rows meets in the store, and its claims on addresses."""

from __future__ import annotations

from collections.abc import Sequence

from services.kit.scope import Scope
from services.kit.store.port import Document
from services.kit.store.rule import In
from services.members.domain.community import Community
from services.members.domain.household import claim_id, new_claim
from services.members.domain.importing.draft import Draft, Link, name_key
from services.members.domain.importing.plan import Address, Known, Origin, Plan, addresses_of, recognised_by
from services.members.domain.member import MERGED
from services.members.domain.permission import Record
from services.members.domain.values import fold
from services.members.use_cases.reading import get_members
from services.members.use_cases.registering import TAKEN_OVER_AFTER, erased_among
from services.members.use_cases.room import Room


class Meeting:
    """The drafts of a chunk, how they hang together, and what the store knows of them."""

    def __init__(self, drafts: Sequence[Draft], links: dict[int, Link], *, thorough: bool) -> None:
        self.drafts = drafts
        self.links = links
        self.thorough = thorough  # everybody was looked up
        self.known = Known()
        self.claims: dict[Address, Document] = {}
        self.nobodys: dict[Address, list[str]] = {}  # owners of a claim who were never written

    def look_up(self, room: Room, scope: Scope, community: Community, origin: Origin, drafts: Sequence[Draft]) -> None:
        """Ask the store in a few calls for the whole chunk."""
        if community.record["erasures"]:
            every = list(dict.fromkeys(address for draft in self.drafts for address in recognised_by(draft)))
            self.known.erased = erased_among(room, scope, community, every)
        addresses = list(dict.fromkeys(address for draft in drafts for address in addresses_of(draft)))
        if addresses:
            self._look_up_owners(room, scope, community, addresses, origin)
        names = [draft for draft in drafts if not addresses_of(draft) and draft.name()]
        if names:
            self._look_up_names(room, scope, names)

    def _look_up_owners(
        self, room: Room, scope: Scope, community: Community, addresses: Sequence[Address], origin: Origin
    ) -> None:
        by_claim = {claim_id(community.id, *address): address for address in addresses}
        found = room.claims.get(scope, list(by_claim))
        self.claims = {by_claim[key]: claim for key, claim in found.items()}
        owners = sorted({owner for claim in found.values() for owner in claim["owners"]})
        living: dict[str, Record] = {}
        if owners:
            living = room.members.get(scope, owners)
            for old in [one for one, record in living.items() if record["state"] == MERGED]:
                for record in get_members(room, scope, [old]):
                    living[old] = record
        self.known.members.update({record["_id"]: record for record in living.values()})
        ours: set[str] | None = None
        for address, claim in self.claims.items():
            there = list(dict.fromkeys(living[owner]["_id"] for owner in claim["owners"] if owner in living))
            if len(there) < len(claim["owners"]):
                ours = self._ours(origin) if ours is None else ours
                absent = [owner for owner in claim["owners"] if owner not in living]
                old = room.clock.now() - claim["claimed_at"] > TAKEN_OVER_AFTER
                self.nobodys[address] = [owner for owner in absent if old or owner in ours]
                if len(self.nobodys[address]) < len(absent):
                    self.known.busy.add(address)
            if there:
                self.known.owners[address] = there

    def _ours(self, origin: Origin) -> set[str]:
        """The members that this chunk may have claimed for before a crash, and not yet written."""
        rows = [draft.row for draft in self.drafts]
        makers = {link.made_by for link in self.links.values() if link.made_by}
        return {origin.member(row) for row in rows} | {origin.guardian(row) for row in {*rows, *makers}}

    def _look_up_names(self, room: Room, scope: Scope, drafts: Sequence[Draft]) -> None:
        sort_names = {fold(f"{d.family_name} {d.given_name}" if d.family_name else d.name()) for d in drafts}
        for page in room.members.stream(scope, In("sort_name", tuple(sorted(sort_names)))):
            for record in page:
                if not record["contact_points"] and record["state"] != MERGED:
                    self.known.members[record["_id"]] = record
                    self.known.unreachable.setdefault(name_key(record["display_name"]), []).append(record)


def write_claims(room: Room, scope: Scope, community: Community, plan: Plan, meeting: Meeting, now: int) -> bool:
    """Claim every address of a plan for its owners; False where another took one since the look-up."""
    fresh: dict[str, Document] = {}
    standing: list[Document] = []
    for address, owners in plan.claims.items():
        claim = meeting.claims.get(address)
        if claim is None:
            claim = new_claim(community.agency, community.id, *address, owners[0], now)
            if len(owners) > 1:
                claim["owners"] = list(dict.fromkeys(owners))
            fresh[claim["_id"]] = claim
        else:
            gone = meeting.nobodys.get(address, ())
            wanted = list(dict.fromkeys((*(one for one in claim["owners"] if one not in gone), *owners)))
            if wanted != claim["owners"]:
                standing.append(claim | {"owners": wanted, "claimed_at": now})
    if fresh:
        taken = room.claims.insert(scope, list(fresh.values()))
        if len(taken) < len(fresh) and not _are_ours(room, scope, [fresh[key] for key in fresh if key not in taken]):
            return False
    if standing and len(room.claims.replace(scope, standing)) < len(standing):
        return False
    _let_go(room, scope, plan, meeting)
    return True


def _are_ours(room: Room, scope: Scope, claims: Sequence[Document]) -> bool:
    """Whether claims that stood already name the very owners we wanted: an earlier try of this chunk made them."""
    found = room.claims.get(scope, [claim["_id"] for claim in claims])
    return all(claim["_id"] in found and found[claim["_id"]]["owners"] == claim["owners"] for claim in claims)


def _let_go(room: Room, scope: Scope, plan: Plan, meeting: Meeting) -> None:
    """Claims that an earlier try made for somebody who is not made after all."""
    idle = [
        claim["_id"]
        for address, claim in meeting.claims.items()
        if address not in plan.claims and set(claim["owners"]) == set(meeting.nobodys.get(address, ()))
    ]
    if idle:
        room.claims.delete(scope, idle)
