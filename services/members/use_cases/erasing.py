"""Erasure (GDPR, art. 17): everything about the person is emptied here and in every room.

The wish is saved first, so that a crash cannot lose it; each step can be done again. What survives is a keyed hash of
each address, by which a later import is kept from bringing the person back.
"""

from __future__ import annotations

from contextlib import suppress

from services.kit.clock import MINUTE
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Document, Order, Page, Patch
from services.kit.store.rule import Equals, In, Or, Range
from services.members.domain.events import member_erased
from services.members.domain.household import EXTERNAL, address_hash, of_one
from services.members.domain.importing.draft import name_key
from services.members.domain.member import ERASED, Cause, MemberGone, UnknownMember
from services.members.domain.merge import emptied
from services.members.domain.permission import Record
from services.members.use_cases.changing import leave_claims, part_from
from services.members.use_cases.registering import owners_of
from services.members.use_cases.room import Room, persistently

HERE = "members"
ROOMS = frozenset((HERE, "campaigns", "channels"))
"""The rooms that keep something of members; the gateway keeps nothing but ids."""
_FINISHED_AFTER = MINUTE


def erase_member(room: Room, scope: Scope, member: str, *, remembered: bool = True) -> Document:
    """Erase a member, everywhere. ``remembered``: its addresses are recognised later. Raises UnknownMember."""
    record = room.member(scope, member)
    if record["state"] == ERASED:
        return room.erasures.find(scope, Equals("member", record["_id"]), limit=1).documents[0]
    now = room.clock.now()
    erasure: Document = {
        "_id": room.ids.new("ers"),
        "agency": record["agency"],
        "community": record["community"],
        "schema_version": 1,
        "member": record["_id"],
        "remembered": remembered,
        "requested_at": now,
        "requested_by": scope.actor,
        "acknowledged": [],
        "completed_at": None,
        "told_at": None,
        "unfinished": now,
    }
    room.erasures.insert(scope, [erasure])
    return _carry_out(room, scope, erasure)


def acknowledge_erasure(room: Room, scope: Scope, erasure: str, by: str) -> None:
    """A room has emptied what it held; the last one completes the erasure."""

    def acknowledge() -> bool | None:
        found = room.erasures.get(scope, [erasure]).get(erasure)
        if found is None or by in found["acknowledged"]:
            return True
        found["acknowledged"] = sorted({*found["acknowledged"], by})
        if set(found["acknowledged"]) >= ROOMS:
            found["completed_at"] = room.clock.now()
        return bool(room.erasures.replace(scope, [found])) or None

    persistently(acknowledge, "erasure")


def list_erasures(room: Room, scope: Scope, size: int, after: str | None) -> Page:
    return room.erasures.find(scope, order=Order("_id", descending=True), limit=size, after=after)


def finish_erasures(room: Room) -> None:
    """Finish what a crash interrupted more than a minute ago."""
    late = Range("unfinished", gt=0, lt=room.clock.now() - _FINISHED_AFTER)
    for erasure in room.erasures.find(everywhere("service:members"), late, limit=50).documents:
        _carry_out(room, stored_scope(erasure["agency"], erasure["community"], "service:members"), erasure)


def _carry_out(room: Room, scope: Scope, erasure: Document) -> Document:
    scope = scope.within(erasure["community"])
    record = room.members.get(scope, [erasure["member"]])[erasure["member"]]
    everyone = [record["_id"], *record["absorbed"]]
    if record["state"] != ERASED:
        _leave_family(room, scope, record)
        addresses = _addresses(record)
        if erasure["remembered"] and addresses:
            _remember(room, scope, record, addresses)
        leave_claims(room, scope, record, addresses)
    all_gone = _forget_interactions(room, scope, everyone)
    _forget_merges(room, scope, everyone)
    for forget in room.forgetters:
        forget(scope, erasure["community"], everyone)
    persistently(lambda: _empty(room, scope, erasure["member"]), "member")
    room.members.patch(scope, [Patch(one, set={"engagement": {}, "recent": []}) for one in everyone])
    return persistently(lambda: _tell(room, scope, erasure["_id"], everyone, all_gone=all_gone), "erasure")


def _addresses(record: Record) -> list[tuple[str, str]]:
    addresses = [(point["channel"], point["address"]) for point in record["contact_points"]]
    return [*addresses, *([(EXTERNAL, record["external_id"])] if record["external_id"] else [])]


def _remember(room: Room, scope: Scope, record: Record, addresses: list[tuple[str, str]]) -> None:
    """Keep a hash of each address; at one that others hold too, only the person of that name is recognised."""
    community = record["community"]
    now = room.clock.now()
    owners = owners_of(room, scope, community, addresses)
    name = name_key(record["display_name"])
    addresses = [
        of_one(address, name) if set(owners.get(address, ())) - {record["_id"]} else address for address in addresses
    ]
    room.erased_addresses.insert(
        scope,
        [
            {
                "_id": address_hash(room.address_key, community, channel, address),
                "agency": record["agency"],
                "community": community,
                "schema_version": 1,
                "erased_at": now,
            }
            for channel, address in addresses
        ],
    )

    def count() -> bool | None:
        found = room.communities.get(scope, [community])[community]
        found["erasures"] += 1
        return bool(room.communities.replace(scope, [found])) or None

    persistently(count, "community")


def _leave_family(room: Room, scope: Scope, record: Record) -> None:
    cause = Cause(room.clock.now(), scope.actor, "erasure")
    for ward in record["wards"]:
        with suppress(MemberGone, UnknownMember):
            part_from(room, scope, ward, record, cause)
    for guardian in record["guardians"]:
        with suppress(MemberGone, UnknownMember):
            room.change(scope, guardian, cause, lambda m: m.answers_no_more_for(record["_id"]))


def _forget_interactions(room: Room, scope: Scope, everyone: list[str]) -> bool:
    """Delete what they did; whether all of it is gone: what others are still to be told of waits until they were."""
    mine = In("member", tuple(everyone))
    for page in room.interactions.stream(scope, mine, page=200, fields=("pending",)):
        room.interactions.delete(scope, [document["_id"] for document in page if not document.get("pending")])
    return not room.interactions.count(scope, mine)


def _forget_merges(room: Room, scope: Scope, everyone: list[str]) -> None:
    about = Or((In("survivor", tuple(everyone)), In("absorbed", tuple(everyone))))
    for page in room.merges.stream(scope, about, fields=()):
        room.merges.patch(scope, [Patch(merge["_id"], set={"before": {}, "taken": []}) for merge in page])


def _empty(room: Room, scope: Scope, member: str) -> bool | None:
    found = room.members.get(scope, [member])[member]
    if found["state"] == ERASED:
        return True
    return bool(room.members.replace(scope, [emptied(found, ERASED, None)])) or None


def _tell(room: Room, scope: Scope, erasure: str, everyone: list[str], *, all_gone: bool) -> Document | None:
    found = room.erasures.get(scope, [erasure])[erasure]
    now = room.clock.now()
    if found["told_at"] is None:
        found["told_at"] = now
        room.tell(found, [member_erased(one, erasure) for one in everyone], now)
    if all_gone:
        found["unfinished"] = None
        _acknowledge(found, HERE, now)
    if not room.erasures.replace(scope, [found]):
        return None
    room.nudge()
    return found


def _acknowledge(erasure: Document, by: str, now: int) -> None:
    erasure["acknowledged"] = sorted({*erasure["acknowledged"], by})
    if set(erasure["acknowledged"]) >= ROOMS:
        erasure["completed_at"] = now
