"""Members, lists of them, and their timelines, as operators see them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from services.kit.errors import Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document, Order, Page
from services.kit.store.rule import And, Equals, In, Range, Rule
from services.members.domain.community import Community
from services.members.domain.engagement import RECEIVED
from services.members.domain.household import EXTERNAL
from services.members.domain.member import MERGED
from services.members.domain.permission import Record
from services.members.domain.segment import LISTED, read_rule, search_rule
from services.members.domain.values import PHONE, BadAddress, phone_number
from services.members.use_cases.registering import owners_of
from services.members.use_cases.room import Room

ORDERS = {
    "id": "_id",
    "name": "sort_name",
    "registered_at": "registered_at",
    "last_opened_at": "engagement.last_opened_at",
}


def get_members(room: Room, scope: Scope, ids: Sequence[str]) -> list[Document]:
    """Those found, in the order asked; an old id answers with the member that goes on."""
    found = room.members.get(scope, ids)
    wanted = {member: member for member in ids}
    while moved := {one: found[at]["merged_into"] for one, at in wanted.items() if at in found and _moved(found[at])}:
        wanted |= moved
        found |= room.members.get(scope, [at for at in moved.values() if at not in found])
    return [found[wanted[one]] for one in ids if wanted[one] in found]


def list_members(
    room: Room,
    scope: Scope,
    community_id: str,
    *,
    rule: str = "",
    search: str = "",
    order: str = "",
    size: int = 50,
    after: str | None = None,
) -> Page:
    """A page of members by a segment's rule, words of names or addresses, and an order. Raises BadRule, Invalid."""
    community = room.community(scope, community_id)
    name = order.removeprefix("-") or "id"
    if name not in ORDERS:
        raise Invalid(f"Order by one of {', '.join(ORDERS)}, with a leading - for the reverse.", field="order")
    parts: list[Rule] = [LISTED]
    if rule:
        parts.append(read_rule(rule, community, room.clock.now()).certain)
    if search:
        parts.append(_searched(room, scope, community, search))
    return room.members.find(
        scope.within(community_id),
        parts[0] if len(parts) == 1 else And(tuple(parts)),
        order=Order(ORDERS[name], descending=order.startswith("-")),
        limit=size,
        after=after,
    )


def _searched(room: Room, scope: Scope, community: Community, text: str) -> Rule:
    """By phone number or external id where the text is one that somebody has; else by words."""
    exact = [(EXTERNAL, text.strip())]
    with suppress(BadAddress):
        exact.append((PHONE, phone_number(text, community.country)))
    owners = {owner for several in owners_of(room, scope, community.id, exact).values() for owner in several}
    return In("_id", tuple(sorted(owners))) if owners else search_rule(text)


@dataclass(frozen=True, slots=True)
class TimelinePage:
    interactions: list[Record]
    next: str | None


def list_timeline(room: Room, scope: Scope, member: str, size: int, after: str) -> TimelinePage:
    """What a member did and received, newest first; what happened to members merged into it is among it."""
    record = room.member(scope, member)
    scope = scope.within(record["community"])
    everyone = (record["_id"], *record["absorbed"])
    before, behind = _position(after)
    until = Range("at", lte=before) if before is not None else None
    newest = Order("at", descending=True)
    found: list[Record] = []
    for one in everyone:
        mine: Rule = Equals("member", one) if until is None else And((Equals("member", one), until))
        found += room.interactions.find(scope, mine, order=newest, limit=min(size + 20, 200)).documents
        found += _receipts(room, scope, one, size + 20, before)
    found.sort(key=lambda entry: (entry["at"], entry["_id"]), reverse=True)
    if before is not None:
        found = [entry for entry in found if (entry["at"], entry["_id"]) < (before, behind)]
    page = found[:size]
    last = page[-1] if page and len(found) > size else None
    return TimelinePage(page, f"{last['at']}.{last['_id']}" if last else None)


def _receipts(room: Room, scope: Scope, member: str, limit: int, before: int | None) -> list[Record]:
    """One entry for each batch that reached the member: those whose range of ids covers it."""
    received: list[Record] = []
    covers = And((Range("first", lte=member), Range("last", gte=member)))
    for page in room.receipts.stream(scope, covers):
        for receipt in page:
            if member in receipt["members"]:
                at = receipt["instants"][receipt["members"].index(member)]
                if before is None or at <= before:
                    received.append(received_entry(receipt, at))
    received.sort(key=lambda entry: (entry["at"], entry["_id"]), reverse=True)
    return received[:limit]


def received_entry(receipt: Record, at: int) -> Record:
    kept = {key: receipt[key] for key in ("channel", "campaign", "run")}
    return {"_id": receipt["_id"], "kind": RECEIVED, "at": at, **kept}


def _moved(document: Document) -> bool:
    return bool(document["state"] == MERGED)


def _position(after: str) -> tuple[int | None, str]:
    if not after:
        return None, ""
    at, _, entry = after.partition(".")
    if not at.isdigit() or not entry:
        raise Invalid("This cursor is not one of a timeline: begin without it.", field="page.after")
    return int(at), entry
