"""What an operator corrects in a member: rectification (GDPR, art. 16) and everyday work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.kit.errors import FanfareError
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.household import EXTERNAL, AddressTaken, claim_id, is_under_age, may_answer, new_claim
from services.members.domain.limits import within
from services.members.domain.member import Cause, Member, contact_on, says_who
from services.members.domain.permission import Record
from services.members.domain.values import CHANNELS, address_on
from services.members.use_cases.registering import owners_of, refuse_erased, share_addresses
from services.members.use_cases.room import Room, persistently


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change; None leaves as it is, and empty text empties."""

    given_name: str | None = None
    family_name: str | None = None
    display_name: str | None = None
    locale: str | None = None
    zone: str | None = None
    birth_date: str | None = None
    external_id: str | None = None
    presence: str | None = None
    tags_added: Sequence[str] = ()
    tags_removed: Sequence[str] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)  # None clears one
    reasons_given: Sequence[str] = ()
    reasons_withdrawn: Sequence[str] = ()


def change_member(room: Room, scope: Scope, member: str, changes: Changes) -> Document:
    """Raises UnknownMember, Invalid, NotInCatalogue; AddressTaken, ErasedBefore (of an external id)."""
    before = room.member(scope, member)
    external = changes.external_id.strip() if changes.external_id is not None else None
    if external and external != before["external_id"]:
        within(external, "external_id", "external_id")
        refuse_erased(room, scope, room.community(scope, before["community"]), EXTERNAL, external)
        _claim(room, scope, before, EXTERNAL, external)
    try:
        changed = room.change(scope, member, room.cause(scope), lambda m: _apply(m, changes))
    except FanfareError:
        if external and external != before["external_id"]:
            leave_claims(room, scope, before, [(EXTERNAL, external)])
        raise
    if external is not None and before["external_id"] and before["external_id"] != external:
        leave_claims(room, scope, changed, [(EXTERNAL, before["external_id"])])
    return changed


def _apply(member: Member, changes: Changes) -> None:
    record = member.record
    names = (changes.given_name, changes.family_name, changes.display_name)
    if any(name is not None for name in names):
        given, family, display = names
        member.rename(
            given_name=record["given_name"] if given is None else given,
            family_name=record["family_name"] if family is None else family,
            display_name=display or "",
        )
    for value, change in (
        (changes.locale, member.speaks),
        (changes.zone, member.lives_in),
        (changes.birth_date, member.born_on),
        (changes.external_id, member.known_elsewhere_as),
        (changes.presence, member.is_present),
    ):
        if value is not None:
            change(value)
    member.untag(changes.tags_removed)
    member.tag(changes.tags_added)
    for key, value in changes.attributes.items():
        member.describe(key, value)
    for key in changes.reasons_withdrawn:
        member.withdraw_reason(key)
    for key in changes.reasons_given:
        member.give_reason(key)
    says_who(record)


def relate_member(room: Room, scope: Scope, member: str, kind: str, since: str, until: str, source: str) -> Document:
    """Begin a relation, or correct the end of the one that begins on that day. Raises NotInCatalogue, Invalid."""
    return room.change(scope, member, room.cause(scope), lambda m: m.relate(kind, since, until, source))


def end_relation(room: Room, scope: Scope, member: str, kind: str, on: str) -> Document:
    return room.change(scope, member, room.cause(scope), lambda m: m.end_relation(kind, on))


def add_contact_point(room: Room, scope: Scope, member: str, channel: str, address: str, *, share: bool) -> Document:
    """Raises BadAddress, ErasedBefore, and AddressTaken for somebody else's address that is not to be shared."""
    record = room.member(scope, member)
    community = room.community(scope, record["community"])
    made = address_on(channel, address, community.country)
    refuse_erased(room, scope, community, channel, made)
    shared = _claim(room, scope, record, channel, made, share=share)

    def act(changing: Member) -> None:
        changing.add_contact_point(channel, made, shared=shared)

    return room.change(scope, member, room.cause(scope), act)


def remove_contact_point(room: Room, scope: Scope, member: str, contact_point: str) -> Document:
    """Raises NobodyNamed for the last thing by which anybody knows who this is."""
    gone: list[Record] = []

    def act(changing: Member) -> None:
        gone.append(changing.remove_contact_point(contact_point))
        says_who(changing.record)

    changed = room.change(scope, member, room.cause(scope), act)
    leave_claims(room, scope, changed, [(gone[-1]["channel"], gone[-1]["address"])])
    return changed


def mark_contact_point(room: Room, scope: Scope, member: str, contact_point: str, state: str) -> Document:
    return room.change(scope, member, room.cause(scope), lambda m: m.mark_contact_point(contact_point, state))


def name_guardian(room: Room, scope: Scope, member: str, guardian: str) -> Document:
    """Somebody answers for a minor, who is reached at the guardian's address where they have none of their own.

    Raises CannotAnswer for a minor, and for two who would answer for each other.
    """
    answering = room.member(scope, guardian)
    ward = room.member(scope, member)
    if answering["community"] != ward["community"]:
        room.member(scope.within(ward["community"]), guardian)  # another community's member does not exist here
    cause = room.cause(scope)
    may_answer(answering, ward, cause.at)
    room.change(scope, answering["_id"], cause, lambda m: m.answers_for(ward["_id"]))
    has = {point["channel"] for point in ward["contact_points"]}
    lent = [point for channel in CHANNELS if channel not in has and (point := contact_on(answering, channel))]
    for point in lent:
        _claim(room, scope, ward, point["channel"], point["address"], share=True)

    def act(changing: Member) -> None:
        changing.name_guardian(answering["_id"])
        for point in lent:
            changing.add_contact_point(point["channel"], point["address"], shared=True)

    return room.change(scope, ward["_id"], cause, act)


def dismiss_guardian(room: Room, scope: Scope, member: str, guardian: str) -> Document:
    """Somebody answers no more for a minor, who leaves the addresses that were the guardian's."""
    cause = room.cause(scope)
    answering = room.members.get(scope, [guardian]).get(guardian) or room.member(scope, guardian)
    changed = part_from(room, scope, member, answering, cause)
    room.change(scope, guardian, cause, lambda m: m.answers_no_more_for(changed["_id"]))
    return changed


def part_from(room: Room, scope: Scope, ward: str, guardian: Record, cause: Cause) -> Document:
    """The ward has this guardian no more. A minor is no longer written to at an address that only the guardian, and
    those for whom the guardian answers, hold: whoever reads there answers for the minor no more."""
    addresses = [(point["channel"], point["address"]) for point in guardian["contact_points"]]
    own = {guardian["_id"], *guardian["wards"], ward}
    owners = owners_of(room, scope, guardian["community"], addresses)
    left = [address for address, held in owners.items() if own.issuperset(held)]
    gone: list[Record] = []

    def part(changing: Member) -> None:
        changing.dismiss_guardian(guardian["_id"])
        points = changing.record["contact_points"] if is_under_age(changing.record, cause.at) else []
        gone[:] = [point for point in points if (point["channel"], point["address"]) in left]
        for point in gone:
            changing.remove_contact_point(point["id"])

    changed = room.change(scope, ward, cause, part)
    leave_claims(room, scope, changed, [(point["channel"], point["address"]) for point in gone])
    return changed


def restrict_member(room: Room, scope: Scope, member: str) -> Document:
    """Keep the member, but neither write to nor use it (GDPR, art. 18)."""
    return room.change(scope, member, room.cause(scope), lambda m: m.restrict())


def lift_restriction(room: Room, scope: Scope, member: str) -> Document:
    return room.change(scope, member, room.cause(scope), lambda m: m.lift_restriction())


def leave_claims(room: Room, scope: Scope, record: Record, addresses: Sequence[tuple[str, str]]) -> None:
    """The member owns these addresses no more; a claim without owners is gone."""
    for channel, address in addresses:
        claim = claim_id(record["community"], channel, address)
        persistently(lambda c=claim: _leave(room, scope, c, record["_id"]), "address")  # type: ignore[misc] # bound now


def _leave(room: Room, scope: Scope, claim: str, member: str) -> bool | None:
    found = room.claims.get(scope, [claim]).get(claim)
    if found is None or member not in found["owners"]:
        return True
    found["owners"] = [owner for owner in found["owners"] if owner != member]
    if found["owners"]:
        return bool(room.claims.replace(scope, [found])) or None
    return bool(room.claims.delete(scope, [claim])) or None


def _claim(room: Room, scope: Scope, record: Record, channel: str, address: str, *, share: bool = False) -> bool:
    """Claim an address for the member; whether it is shared. Raises AddressTaken."""
    now = room.clock.now()
    claim = new_claim(record["agency"], record["community"], channel, address, record["_id"], now)
    if room.claims.insert(scope, [claim]):
        return False
    owners = room.claims.get(scope, [claim["_id"]])[claim["_id"]]["owners"]
    if owners == [record["_id"]]:
        return False
    if record["_id"] not in owners and not share:
        raise AddressTaken(channel, owners[0])
    newcomer = {**record, "contact_points": [{"channel": channel, "address": address, "shared": True}]}
    share_addresses(room, scope, {record["_id"]: newcomer})
    return True
