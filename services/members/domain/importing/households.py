"""Which rows of a file belong together: the same person twice, and the families on one address.

A file is surveyed once before it is planned. Of every row only eight bytes per key are kept; the few rows whose key
comes twice are then read again and settled together, so that a child in row 9 knows that its mother stands in row 380.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from services.members.domain.importing.draft import NO_LINK, Draft, Link
from services.members.domain.importing.interpreting import Interpreter

_BUCKETS = 64
GUARDIAN_RELATIONS = frozenset(("parent", "guardian"))
"""Relation kinds that make somebody of unknown age the adult of a household."""


class Survey:
    """Finds the keys that come more than once in a file."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]

    def add(self, keys: Iterable[str]) -> None:
        for key in keys:
            number = hash(key)
            self._buckets[number & (_BUCKETS - 1)].append(number)

    def repeated(self) -> frozenset[int]:
        """The keys of more than one row, as numbers that only this process knows."""
        found: set[int] = set()
        for bucket in self._buckets:
            last: int | None = None
            for number in sorted(bucket):
                if number == last:
                    found.add(number)
                last = number
        return frozenset(found)


class Families:
    """The rows whose keys repeat, gathered by key; then how they hang together."""

    def __init__(self, repeated: frozenset[int], interpreter: Interpreter) -> None:
        self._repeated = repeated
        self._interpreter = interpreter
        self._drafts: dict[int, Draft] = {}
        self._groups: dict[int, list[int]] = {}

    def add(self, row: int, cells: Sequence[str]) -> None:
        numbers = [n for key in self._interpreter.keys(cells) if (n := hash(key)) in self._repeated]
        if not numbers:
            return
        draft = self._interpreter.read(row, cells)
        if draft.refused is None:
            self._drafts[row] = draft
            for number in numbers:
                self._groups.setdefault(number, []).append(row)

    def links(self) -> dict[int, Link]:
        """By row; a row that stands alone has none."""
        links: dict[int, Link] = {}
        for rows in self._groups.values():
            drafts = [self._drafts[row] for row in dict.fromkeys(rows)]
            if len(drafts) > 1:
                for row, link in settle(drafts, self._interpreter).items():
                    links[row] = _joined(links.get(row, NO_LINK), link)
        return {row: link for row, link in links.items() if link != NO_LINK}


def settle(drafts: Sequence[Draft], interpreter: Interpreter) -> dict[int, Link]:
    """The links of rows that share a key, in their order in the file."""
    links: dict[int, Link] = {}
    persons: list[Draft] = []
    for draft in drafts:
        first = next((known for known in persons if interpreter.is_same(known, draft)), None)
        if first is not None:
            links[draft.row] = Link(same_as=first.row)
        elif persons and not interpreter.households and _share_address(persons, draft):
            links[draft.row] = Link(refused="address-shared")
        else:
            persons.append(draft)
    if interpreter.households and len(persons) > 1:
        guardians = _guardians(persons, drafts, links, interpreter)
        for person in persons:
            links[person.row] = guardians.get(person.row, NO_LINK)._replace(shared=True)
    return links


def _guardians(
    persons: Sequence[Draft], drafts: Sequence[Draft], links: dict[int, Link], interpreter: Interpreter
) -> dict[int, Link]:
    """Each minor answers to the adult who holds the address; else to a guardian made with the first of them.

    A parent by relation goes before the eldest; somebody of unknown age is an adult only as a parent.
    """
    minors = [person for person in persons if interpreter.is_minor(person.birth_date)]
    if not minors:
        return {}
    others = [person for person in persons if not interpreter.is_minor(person.birth_date)]
    parents = {
        links.get(draft.row, NO_LINK).same_as or draft.row
        for draft in drafts
        if not GUARDIAN_RELATIONS.isdisjoint(draft.relations)
    }
    adults = [a for a in others if a.row in parents] or sorted(
        (a for a in others if a.birth_date), key=lambda adult: adult.birth_date
    )
    if adults:
        return {minor.row: Link(guardian=adults[0].row) for minor in minors}
    return {minor.row: Link(made_by=minors[0].row) for minor in minors}


def _share_address(persons: Sequence[Draft], draft: Draft) -> bool:
    return any(set(known.emails) & set(draft.emails) for known in persons)


def _joined(held: Link, link: Link) -> Link:
    """A row may share its address with some and its external id with others: what was found first counts."""
    return Link(
        same_as=held.same_as or link.same_as,
        guardian=held.guardian or link.guardian,
        made_by=held.made_by or link.made_by,
        shared=held.shared or link.shared,
        refused=held.refused or link.refused,
    )
