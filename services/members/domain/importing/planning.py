"""What a chunk of rows would do to a community, decided before anything is written.

A row makes a member, changes one, leaves it as it is, tells of somebody an earlier row told of, or is refused. Ids
follow from the import and the row, so that planning again after a crash plans the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from services.kit.clock import DAY
from services.kit.errors import Invalid
from services.members.domain import permission
from services.members.domain.community import Community
from services.members.domain.household import EXTERNAL, holds_alone, mark_shared
from services.members.domain.importing.draft import NO_LINK, Draft, Link, name_key, same_person
from services.members.domain.importing.interpreting import Interpreter
from services.members.domain.importing.mapping import Mapping as ListMapping
from services.members.domain.importing.minting import Mint
from services.members.domain.importing.plan import (
    CHANGED,
    CREATED,
    LEFT,
    MERGED,
    REFUSED,
    Address,
    Change,
    Known,
    Origin,
    Plan,
    addresses_of,
    recognised_by,
)
from services.members.domain.importing.proving import Proofs
from services.members.domain.importing.refusals import Finding, refuses
from services.members.domain.member import ERASED, RESTRICTED, Member
from services.members.domain.permission import Record
from services.members.domain.values import EMAIL, PHONE, day_of

SUPERSEDES: Mapping[str, tuple[str, ...]] = {
    "adherent": ("trial", "former_member"),
    "former_member": ("adherent", "trial"),
}
"""Relation kinds that end when another one is told: nobody is a member and a former one at a time."""


class RowRefused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Planner:
    """Plans one chunk, row after row; rows see what earlier rows of the chunk planned."""

    def __init__(
        self,
        community: Community,
        mapping: ListMapping,
        interpreter: Interpreter,
        origin: Origin,
        known: Known,
        links: Mapping[int, Link],
        *,
        strangers: bool = False,
    ) -> None:
        """``strangers``: rows without a link are taken for people nobody met yet; writing their claims will tell."""
        self.plan = Plan()
        self._strangers = strangers
        self._community = community
        self._mapping = mapping
        self._interpreter = interpreter
        self._origin = origin
        self._known = known
        self._links = links
        self._source = f"import:{origin.id}"
        self._yesterday = day_of(origin.at - DAY)
        self._mint = Mint(community, origin, mapping.presence)
        self._proofs = Proofs(community, origin, mapping.declaration, self.plan.counts)

    def add_all(self, drafts: Sequence[Draft]) -> None:
        """Plan the rows of the chunk, in their order."""
        self._supersede(drafts)
        for draft in drafts:
            self.add(draft)

    def _supersede(self, drafts: Sequence[Draft]) -> None:
        """What a later row of the same person replaces, the earlier one tells as ended."""
        rows: dict[int, list[Draft]] = {}
        by_row = {draft.row: draft for draft in drafts} if self._links else {}
        for draft in drafts if self._links else ():
            first = self._links.get(draft.row, NO_LINK).same_as
            if first not in by_row:
                continue
            earlier = rows.setdefault(first, [by_row[first]])
            ended = {other for word in draft.relations for other in SUPERSEDES.get(word, ())}
            for one in earlier if ended else ():
                one.relations = tuple(f"{word}:ended" if word in ended else word for word in one.relations)
            earlier.append(draft)

    def add(self, draft: Draft) -> None:
        """Plan one row."""
        link = self._links.get(draft.row, NO_LINK)
        mark, member = REFUSED, ""
        changes: list[list[Any]] = []
        if draft.refused is None and link.refused:
            draft.refuse(link.refused)
        if draft.refused is None:
            try:
                mark, member, changes = self._place(draft, link)
            except RowRefused as refused:
                draft.refuse(refused.code)
        self._tell(draft, mark, member, changes)

    # What becomes of a row

    def _place(self, draft: Draft, link: Link) -> tuple[str, str, list[list[Any]]]:
        known = self._known
        if known.erased and not known.erased.isdisjoint(recognised_by(draft)):
            raise RowRefused("erased")
        if known.busy and not known.busy.isdisjoint(addresses_of(draft)):
            raise RowRefused("address-busy")
        own = self._origin.member(draft.row)
        met = not self._strangers or draft.row in self._links or not (draft.emails or draft.external_id)
        found = self._match(draft) if met else None
        if found is None or found["_id"] == own:
            self._create(draft, link, own)
            return CREATED, own, []
        if found["state"] == ERASED:
            raise RowRefused("erased")
        if found["state"] == RESTRICTED:
            raise RowRefused("member-restricted")
        id_ = found["_id"]
        changes = self._apply(found, draft, link)
        if link.same_as:
            draft.found("", "same-person", row=str(link.same_as))
            return MERGED, id_, changes
        if id_ in self.plan.created:
            return MERGED, id_, changes
        self.plan.matched += 1
        return (CHANGED if changes else LEFT), id_, changes

    def _match(self, draft: Draft) -> Record | None:
        """The member a row tells of, if the community has it."""
        identity = self._mapping.identity
        if identity == "external_id":
            return next(iter(self._holders([(EXTERNAL, draft.external_id)])), None)
        if draft.emails:
            held = self._holders([(EMAIL, address) for address in draft.emails])
        elif draft.phones:
            held = self._holders([(PHONE, address) for address in draft.phones])
        else:
            held = self._known.unreachable.get(draft.name_key(), [])
        if not held:
            return None
        key = draft.name_key()
        if not key:
            if len(held) > 1:
                raise RowRefused("several-match")
            return held[0]
        birth = draft.birth_date
        for record in held:
            if same_person(key, birth, name_key(record["display_name"]), record["birth_date"] or ""):
                return record
        if not draft.emails:
            return None
        nameless = next((record for record in held if not record["display_name"]), None)
        if nameless is not None and not self._interpreter.is_minor(birth):
            return nameless
        if self._mapping.households:
            return None
        if identity == "email" and len(held) == 1:
            return held[0]
        raise RowRefused("address-shared")

    def _holders(self, addresses: Sequence[Address]) -> list[Record]:
        members = self._known.members
        found: dict[str, Record] = {}
        for address in addresses:
            for owner in self._known.owners.get(address, ()):
                if (record := members.get(owner)) is not None:
                    found[record["_id"]] = record
        return list(found.values())

    # Somebody new

    def _create(self, draft: Draft, link: Link, own: str) -> None:
        contacts, shared = self._contacts(draft, link, own)
        guardian = self._guardian(draft, link, contacts) if self._mapping.households else ""
        if guardian and contacts:
            shared.add(contacts[0])
        if draft.external_id and self._is_anothers((EXTERNAL, draft.external_id), own):
            draft.found(EXTERNAL, "address-of-another")
            draft.external_id = ""
        ledger = self._proofs.entries(draft, guardian, own)
        self._proofs.count(ledger)
        record = self._mint.strike(draft, own, contacts, shared, guardian, ledger)
        self._enrol(record, contacts)
        if draft.row in self._links:
            self._find_wards(record, contacts)
        if draft.external_id:
            self._own((EXTERNAL, draft.external_id), own)
        if guardian:
            self._answer_for(guardian, own, draft.row)

    def _contacts(self, draft: Draft, link: Link, own: str) -> tuple[list[Address], set[Address]]:
        """The contact points of a new member, and those of them that a household shares."""
        contacts: list[Address] = []
        shared: set[Address] = set()
        for channel, addresses in ((EMAIL, draft.emails), (PHONE, draft.phones)):
            for text in addresses:
                address = (channel, text)
                others = [owner for owner in self._known.owners.get(address, ()) if owner != own]
                if others and not self._mapping.households:
                    draft.found(channel, "address-of-another")
                    continue
                contacts.append(address)
                if others:
                    self._share(address, others, draft.row)
                if others or (link.shared and channel == EMAIL):
                    shared.add(address)
        return contacts, shared

    def _enrol(self, record: Record, contacts: Iterable[Address]) -> None:
        own = record["_id"]
        self.plan.created[own] = record
        self._known.members[own] = record
        for address in contacts:
            self._own(address, own)
        if not record["contact_points"]:
            self._known.unreachable.setdefault(name_key(record["display_name"]), []).append(record)

    def _is_anothers(self, address: Address, own: str) -> bool:
        return any(owner != own for owner in self._known.owners.get(address, ()))

    def _own(self, address: Address, owner: str) -> None:
        owners = self._known.owners.setdefault(address, [])
        if owner not in owners:
            owners.append(owner)
        self.plan.claims.setdefault(address, []).append(owner)

    def _share(self, address: Address, others: Sequence[str], row: int) -> None:
        """Whoever holds the address already holds it for a household from now on."""
        for other in others:
            record = self._known.members.get(other)
            if record is None:
                continue
            if other not in self.plan.created and holds_alone(record, address):
                self._changing(record, row)
            mark_shared(record, (address,))

    # Guardians

    def _guardian(self, draft: Draft, link: Link, contacts: Sequence[Address]) -> str:
        """Who answers for a minor: the adult who holds the address, or one made from it, name unknown."""
        if not self._interpreter.is_minor(draft.birth_date) or not contacts:
            return ""
        origin = self._origin
        maker = link.made_by or draft.row
        for holder in self._holders(contacts[:1]):
            if holder["_id"] == origin.guardian(maker):  # made for a sister or brother, or before a crash
                draft.found("", "guardian-made")
                if maker == draft.row:
                    self.plan.created[holder["_id"]] = holder
                    self.plan.guardians.add(holder["_id"])
                    self.plan.counts["guardians"] += 1
                return str(holder["_id"])
            grown = holder["birth_date"] and not self._interpreter.is_minor(holder["birth_date"])
            if grown or holder["wards"]:
                self._note_guardian(draft, link)
                return str(holder["_id"])
        if link.guardian:
            self._note_guardian(draft, link)
            return origin.member(link.guardian)
        guardian = origin.guardian(maker)
        draft.found("", "guardian-made")
        self._make_guardian(guardian, contacts[0])
        return guardian

    @staticmethod
    def _note_guardian(draft: Draft, link: Link) -> None:
        if link.guardian:
            draft.found("", "guardian-found", row=str(link.guardian))

    def _make_guardian(self, guardian: str, contact: Address) -> None:
        self._enrol(self._mint.guardian(guardian, contact), (contact,))
        self.plan.guardians.add(guardian)
        self.plan.counts["guardians"] += 1

    def _answer_for(self, guardian: str, ward: str, row: int) -> None:
        """The guardian knows its wards; one that a later row brings finds them when it comes."""
        record = self._known.members.get(guardian)
        if record is None or ward in record["wards"]:
            return
        if guardian not in self.plan.created:
            self._changing(record, row)
        record["wards"].append(ward)

    def _find_wards(self, record: Record, contacts: Iterable[Address]) -> None:
        """Children of earlier rows wait for the parent of this one."""
        own = record["_id"]
        for holder in self._holders(list(contacts)):
            if own in holder["guardians"] and holder["_id"] not in record["wards"]:
                record["wards"].append(holder["_id"])

    # Somebody known

    def _changing(self, record: Record, row: int) -> Member:
        """The member while it changes; what stood before is kept once."""
        own = record["_id"]
        cause = self._origin.cause(row)
        if own in self.plan.created:
            return Member(record, self._community, cause)
        change = self.plan.changed.get(own)
        if change is None:
            before: Record = orjson.loads(orjson.dumps(record))
            change = Change(Member(record, self._community, cause), int(record["version"]), before)
            self.plan.changed[own] = change
        change.member.cause = cause
        change.rows.append(row)
        return change.member

    def _apply(self, record: Record, draft: Draft, link: Link) -> list[list[Any]]:
        """Let the row say what it says of somebody known; returns what changed: [what, before, after]."""
        was_changing = record["_id"] in self.plan.changed
        member = self._changing(record, draft.row)
        history = len(record["history"])
        verdicts = self._proofs.verdicts(record, draft)
        self._describe(member, draft)
        self._reach(member, draft, link)
        self._relate(member, draft)
        entered = self._proofs.enter(member, draft)
        if entered == 0 and len(record["history"]) == history:
            if not was_changing:
                self.plan.changed.pop(record["_id"], None)
            return []
        member.settle()
        changes = [_shown(note, record) for note in record["history"][history:]]
        return changes + self._proofs.changes(record, verdicts)

    def _describe(self, member: Member, draft: Draft) -> None:
        record = member.record
        if draft.name() and name_key(draft.name()) != name_key(record["display_name"]):
            member.rename(given_name=draft.given_name, family_name=draft.family_name, display_name=draft.full_name)
        if draft.locale and draft.locale != record["locale"]:
            member.speaks(draft.locale)
        if draft.zone and draft.zone != record["zone"]:
            member.lives_in(draft.zone)
        if draft.birth_date and draft.birth_date != record["birth_date"]:
            if self._interpreter.is_minor(record["birth_date"]) and not self._interpreter.is_minor(draft.birth_date):
                draft.found("birth_date", "minor-stays")
            else:
                member.born_on(draft.birth_date)
        if draft.external_id and draft.external_id != record["external_id"]:
            self._identify(member, draft)
        for key, value in draft.attributes.items():
            member.describe(key, value)
        if draft.tags:
            member.tag(draft.tags)
        for key in draft.reasons:
            member.give_reason(key)

    def _identify(self, member: Member, draft: Draft) -> None:
        if self._is_anothers((EXTERNAL, draft.external_id), member.id):
            draft.found(EXTERNAL, "address-of-another")
        else:
            member.known_elsewhere_as(draft.external_id)
            self._own((EXTERNAL, draft.external_id), member.id)

    def _reach(self, member: Member, draft: Draft, link: Link) -> None:
        held = {(point["channel"], point["address"]) for point in member.record["contact_points"]}
        missing = [address for address in addresses_of(draft) if address[0] != EXTERNAL and address not in held]
        if missing:
            only = Draft(draft.row)
            only.emails = tuple(text for channel, text in missing if channel == EMAIL)
            only.phones = tuple(text for channel, text in missing if channel == PHONE)
            contacts, shared = self._contacts(only, link, member.id)
            draft.findings += only.findings
            for address in contacts:
                member.add_contact_point(*address, shared=address in shared)
                self._own(address, member.id)
        if self._mapping.households and not member.record["guardians"]:
            points = [(point["channel"], point["address"]) for point in member.record["contact_points"]]
            guardian = self._guardian(draft, link, points)
            if guardian and guardian != member.id:
                member.name_guardian(guardian)
                self._answer_for(guardian, member.id, draft.row)

    def _relate(self, member: Member, draft: Draft) -> None:
        for word in draft.relations:
            kind, _, ended = word.partition(":")
            known = [r for r in member.record["relations"] if r["kind"] == kind]
            running = [r for r in known if permission.is_current(r, day_of(self._origin.at))]
            if ended:
                if running and not draft.until:
                    self._supersede_in(member, kind)
                elif running:
                    self._end(member, kind, draft)
                elif not known:
                    member.relate(kind, draft.since, draft.until or self._yesterday, self._source)
            elif draft.since or draft.until or not running:
                for other in SUPERSEDES.get(kind, ()):
                    self._supersede_in(member, other)
                try:
                    member.relate(kind, draft.since, draft.until, self._source)
                except Invalid:
                    draft.found("relation", "dates-reversed")

    def _supersede_in(self, member: Member, kind: str) -> None:
        """Relations of the kind are over since yesterday; one that begins later, on its first day."""
        begins = [tie["since"] for tie in member.record["relations"] if tie["kind"] == kind and tie["since"]]
        member.end_relation(kind, max([self._yesterday, *begins]))

    @staticmethod
    def _end(member: Member, kind: str, draft: Draft) -> None:
        try:
            member.end_relation(kind, draft.until)
        except Invalid:
            draft.found("relation", "dates-reversed")

    # What to tell

    def _tell(self, draft: Draft, mark: str, member: str, changes: list[list[Any]]) -> None:
        plan = self.plan
        plan.marks.append(mark)
        if draft.refused is not None:
            plan.details.append({"row": draft.row, "findings": [_kept(draft.refused)]})
            return
        if draft.findings or changes or mark in (CHANGED, MERGED):
            detail: Record = {"row": draft.row}
            if mark != CREATED:
                detail["member"] = member
            if draft.findings:
                detail["findings"] = [_kept(finding) for finding in draft.findings]
                plan.counts["fields_refused"] += sum(refuses(f.code) for f in draft.findings)
            if changes:
                detail["changes"] = changes
            plan.details.append(detail)


def _kept(finding: Finding) -> list[Any]:
    return [finding.field, finding.code, dict(finding.params)]


def _shown(note: Record, record: Record) -> list[Any]:
    """A note of the history as a reader wants it: an address instead of the number of a contact point."""
    if note["what"] == "contact_points":
        for point in record["contact_points"]:
            if point["id"] == note["now"]:
                return [point["channel"], None, point["address"]]
    return [note["what"], note["was"], note["now"]]
