"""Merging two records of one person, and undoing it.

A merge is saved before anything is done, and what a crash interrupts is finished later.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from services.kit.clock import MINUTE
from services.kit.errors import Conflict, NotFound
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Document, Order, Page, Patch, Push
from services.kit.store.rule import And, Equals, Or, Range, Rule
from services.members.domain.events import member_merged, member_unmerged
from services.members.domain.household import EXTERNAL
from services.members.domain.member import MERGED, RECENT, Cause, Member, MemberGone, UnknownMember, derive
from services.members.domain.merge import AlreadyUndone, CannotMerge, Merge, emptied, merge, unmerge
from services.members.domain.permission import Record
from services.members.domain.standing import held_before
from services.members.use_cases.changing import leave_claims
from services.members.use_cases.registering import share_addresses
from services.members.use_cases.room import Room, persistently

_COUNTED = ("received", "opened", "clicked", "machine_opened", "machine_clicked")
_FINISHED_AFTER = MINUTE


class UnknownMerge(NotFound):
    reason = "unknown-merge"

    def __init__(self) -> None:
        super().__init__("There is no such merge.", field="merge")


class UndoLaterFirst(Conflict):
    """Somebody else was merged into the same member since."""

    reason = "undo-later-first"

    def __init__(self, later: str) -> None:
        super().__init__(
            f"Another was merged into this member since: undo the merge {later} first.", field="merge", later=later
        )


def preview_merge(room: Room, scope: Scope, survivor: str, absorbed: str) -> tuple[Merge, Record]:
    """What a merge would keep and take, and the member as it would be. Raises CannotMerge."""
    first, second = _both(room, scope, survivor, absorbed)
    first = copy.deepcopy(first)
    made = merge(first, second)
    derive(first, room.community(scope, first["community"]), room.clock.now())
    return made, first


def merge_members(room: Room, scope: Scope, survivor: str, absorbed: str) -> tuple[Document, Document]:
    """Make two records one; the merge and the member that goes on. Raises CannotMerge, UnknownMember."""
    first, second = _both(room, scope, survivor, absorbed)
    made = merge(copy.deepcopy(first), second)
    now = room.clock.now()
    saved: Document = {
        "_id": room.ids.new("mrg"),
        "agency": first["agency"],
        "community": first["community"],
        "schema_version": 1,
        "survivor": first["_id"],
        "absorbed": second["_id"],
        "before": second,
        "taken": made.taken,
        "lines": [list(line) for line in made.lines],
        "at": now,
        "by": scope.actor,
        "undone_at": None,
        "unfinished": now,
    }
    room.merges.insert(scope, [saved])
    _carry_out(room, scope, saved)
    return saved, room.member(scope, first["_id"])


def unmerge_members(room: Room, scope: Scope, merge_id: str) -> tuple[Document, list[Document]]:
    """Undo a merge; later objections stay on both. Raises UnknownMerge, AlreadyUndone, CannotMerge, UndoLaterFirst."""
    saved = room.merges.get(scope, [merge_id]).get(merge_id)
    if saved is None:
        raise UnknownMerge
    if saved["undone_at"]:
        raise AlreadyUndone("This merge was undone before.", field="merge")
    if not saved["before"]:
        raise CannotMerge("The person was erased: there is nothing to give back.", field="merge")
    scope = scope.within(saved["community"])
    if room.members.get(scope, [saved["survivor"]])[saved["survivor"]]["state"] == MERGED:
        raise CannotMerge("The survivor was merged itself: undo that merge first.", field="merge")
    _require_latest(room, scope, saved)
    now = room.clock.now()
    cause = Cause(now, scope.actor, f"unmerge:{merge_id}")
    restored: list[Record] = []

    def part(member: Member) -> None:
        back = unmerge(member.record, saved["taken"], saved["before"], saved["at"])
        member.events.append(member_unmerged(saved["absorbed"], member.id))
        restored[:] = [back]

    survivor = room.change(scope, saved["survivor"], cause, part)
    back = persistently(lambda: _put_back(room, scope, restored[0], cause), "member")
    _give_claims_back(room, scope, survivor, back)
    _tell_families(room, scope, _brought(back, saved["taken"]), survivor["_id"], cause, joining=False)
    room.members.patch(scope, _engagement(saved["survivor"], back, now, sign=-1))
    saved |= {"undone_at": now, "unfinished": None}
    room.merges.patch(scope, [Patch(merge_id, set={"undone_at": now, "unfinished": None})])
    return saved, [survivor, back]


def _require_latest(room: Room, scope: Scope, saved: Document) -> None:
    """What a later merge took was measured by what the earlier one had brought. Raises UndoLaterFirst."""
    rule = And((Equals("survivor", saved["survivor"]), Equals("undone_at", None), Range("_id", gt=saved["_id"])))
    later = room.merges.find(scope, rule, order=Order("_id", descending=True), limit=1).documents
    if later:
        raise UndoLaterFirst(later[0]["_id"])


def list_merges(room: Room, scope: Scope, community: str, member: str, size: int, after: str | None) -> Page:
    rule: Rule = Or((Equals("survivor", member), Equals("absorbed", member))) if member else And(())
    return room.merges.find(scope.within(community), rule, order=Order("_id", descending=True), limit=size, after=after)


def finish_merges(room: Room) -> None:
    """Finish what a crash interrupted more than a minute ago."""
    late = Range("unfinished", gt=0, lt=room.clock.now() - _FINISHED_AFTER)
    for saved in room.merges.find(everywhere("service:members"), late, limit=50).documents:
        _carry_out(room, stored_scope(saved["agency"], saved["community"], "service:members"), saved)


def _both(room: Room, scope: Scope, survivor: str, absorbed: str) -> tuple[Document, Document]:
    first, second = room.member(scope, survivor), room.member(scope, absorbed)
    if first["_id"] == second["_id"]:
        raise CannotMerge("These are one member already.", field="absorbed")
    return first, second


def _carry_out(room: Room, scope: Scope, saved: Document) -> None:
    """Every step of a saved merge; each can be done again."""
    scope = scope.within(saved["community"])
    before = saved["before"]
    cause = Cause(saved["at"], saved["by"], f"merge:{saved['_id']}")

    def absorb(member: Member) -> None:
        if saved["absorbed"] not in member.record["absorbed"]:
            made = merge(member.record, before)
            saved["taken"] = made.taken
            member.held = {*before["standing"], *held_before(before)}
            member.events.append(member_merged(saved["absorbed"], member.id))

    survivor = room.change(scope, saved["survivor"], cause, absorb)
    persistently(lambda: _leave_tombstone(room, scope, saved), "member")
    addresses = [(p["channel"], p["address"]) for p in before["contact_points"]]
    if before["external_id"]:
        addresses.append((EXTERNAL, before["external_id"]))
    leave_claims(room, scope, before, addresses)
    _take_claims(room, scope, survivor, addresses)
    _tell_families(room, scope, before, survivor["_id"], cause, joining=True)
    room.members.patch(scope, _engagement(survivor["_id"], before, saved["at"], sign=1))
    room.merges.patch(scope, [Patch(saved["_id"], set={"taken": saved["taken"], "unfinished": None})])
    saved["unfinished"] = None


def _leave_tombstone(room: Room, scope: Scope, saved: Document) -> bool | None:
    """The absorbed id stays, empty, and leads to the survivor."""
    record = room.members.get(scope, [saved["absorbed"]])[saved["absorbed"]]
    if record["state"] == MERGED:
        return True
    return bool(room.members.replace(scope, [emptied(record, MERGED, saved["survivor"])])) or None


def _put_back(room: Room, scope: Scope, back: Record, cause: Cause) -> Document | None:
    stored = room.members.get(scope, [back["_id"]])[back["_id"]]
    kept = ("version", "outbox", "pending", "event_sequence", "engagement", "recent")
    record = {**back, **{key: stored[key] for key in kept if key in stored}}
    derive(record, room.community(scope, record["community"]), cause.at)
    return record if room.members.replace(scope, [record]) else None


def _take_claims(room: Room, scope: Scope, survivor: Record, addresses: Sequence[tuple[str, str]]) -> None:
    points = [{"channel": channel, "address": address, "shared": True} for channel, address in addresses]
    share_addresses(room, scope, {survivor["_id"]: {**survivor, "contact_points": points}})


def _give_claims_back(room: Room, scope: Scope, survivor: Record, back: Record) -> None:
    """The survivor leaves the addresses it has no more; who is back owns its own again."""
    has = {(p["channel"], p["address"]) for p in survivor["contact_points"]}
    has.add((EXTERNAL, survivor["external_id"] or ""))
    own = [(p["channel"], p["address"]) for p in back["contact_points"]]
    if back["external_id"]:
        own.append((EXTERNAL, back["external_id"]))
    leave_claims(room, scope, survivor, [address for address in own if address not in has])
    _take_claims(room, scope, back, own)


def _tell_families(room: Room, scope: Scope, record: Record, survivor: str, cause: Cause, *, joining: bool) -> None:
    """Guardians and wards of the absorbed member know the survivor, or no more."""
    steps = [
        *((ward, Member.name_guardian if joining else Member.dismiss_guardian) for ward in record["wards"]),
        *((one, Member.answers_for if joining else Member.answers_no_more_for) for one in record["guardians"]),
    ]
    for member, step in steps:
        try:
            room.change(scope, member, cause, lambda m, s=step: s(m, survivor))  # type: ignore[misc] # bound now
        except (MemberGone, UnknownMember):
            continue


def _brought(back: Record, taken: Sequence[Record]) -> Record:
    """The family that the survivor did not have before: who was in both families stays in both."""
    by_merge = {(each["what"], each["key"]) for each in taken}
    return {place: [one for one in back[place] if (place, one) in by_merge] for place in ("wards", "guardians")}


def _engagement(survivor: str, of: Record, at: int, *, sign: int) -> list[Patch]:
    """Add, or take back, what the absorbed member did. The same step twice changes once."""
    engagement = of["engagement"] or {}
    added = {"engagement.score": engagement.get("score") or 0}
    added |= {f"engagement.months.{month}": points for month, points in (engagement.get("months") or {}).items()}
    for channel in ("email", "phone"):
        counts = engagement.get(channel) or {}
        added |= {f"engagement.{channel}.{kind}": counts[kind] for kind in _COUNTED if counts.get(kind)}
    inc = {path: sign * amount for path, amount in added.items() if amount}
    raised = {f"engagement.{key}": value for key, value in engagement.items() if key.startswith("last_") and value}
    guard = ("engagement.merges", at)
    if sign < 0:
        gone = [entry["_id"] for entry in of["recent"] or ()]
        return [Patch(survivor, inc=inc, pull={"recent": gone}, sequence=guard)]
    patches = [Patch(survivor, inc=inc, max=raised, sequence=guard)]
    recent = sorted(of["recent"] or (), key=lambda entry: entry["at"])
    return [*patches, *(Patch(survivor, push={"recent": Push(entry, keep=RECENT)}) for entry in recent)]
