"""What a chunk of rows is planned from, and what a plan says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from services.kit.ids import derived_id
from services.members.domain.household import EXTERNAL, of_one
from services.members.domain.importing.draft import Draft
from services.members.domain.member import Cause, Member
from services.members.domain.permission import Record
from services.members.domain.values import EMAIL, PHONE

Address = tuple[str, str]  # channel (or ``external``), address in its one form

CREATED, CHANGED, LEFT, REFUSED, MERGED = "c", "u", "l", "r", "m"
"""What became of a row, one letter each: the marks of a chunk are one string."""

_UNSEEN_BY_UNDO = frozenset(("version", "history", "outbox", "pending", "event_sequence", "engagement", "recent"))


@dataclass(frozen=True, slots=True)
class Origin:
    """Which import this is, when it began, and in whose name."""

    id: str
    at: int
    actor: str

    def cause(self, row: int) -> Cause:
        return Cause(self.at, self.actor, f"import:{self.id}#{row}")

    def member(self, row: int) -> str:
        return derived_id("mbr", self.at, row, self.id, "member")

    def guardian(self, row: int) -> str:
        return derived_id("mbr", self.at, row, self.id, "guardian")


def entry_id(member: str, number: int) -> str:
    """The id of the ledger entries of a row, from 0 to 15: that of the member it makes or would make, numbered."""
    return f"pme{member[3:-1]}{number:x}"


@dataclass(slots=True)
class Known:
    """What the community already holds of the people in a chunk."""

    owners: dict[Address, list[str]] = field(default_factory=dict)
    members: dict[str, Record] = field(default_factory=dict)
    unreachable: dict[str, list[Record]] = field(default_factory=dict)  # name key → members without any address
    erased: set[Address] = field(default_factory=set)
    busy: set[Address] = field(default_factory=set)  # somebody is being registered there at this moment


@dataclass(slots=True)
class Change:
    """A member that stood in the store and is changed by rows of this chunk."""

    member: Member
    version: int  # before
    before: Record
    rows: list[int] = field(default_factory=list)

    def fields(self) -> dict[str, list[Any]]:
        """Top-level fields that differ: [before, fingerprint of after]."""
        after = self.member.record
        return {
            name: [self.before.get(name), fingerprint(value)]
            for name, value in after.items()
            if name not in _UNSEEN_BY_UNDO and self.before.get(name) != value
        }


@dataclass(slots=True)
class Plan:
    """What is to be written for a chunk, and what to tell of it."""

    marks: list[str] = field(default_factory=list)
    details: list[Record] = field(default_factory=list)
    created: dict[str, Record] = field(default_factory=dict)
    changed: dict[str, Change] = field(default_factory=dict)
    claims: dict[Address, list[str]] = field(default_factory=dict)  # owners to add
    counts: Counter[str] = field(default_factory=Counter)
    guardians: set[str] = field(default_factory=set)  # those of ``created`` that no row names
    matched: int = 0  # rows that met somebody the store knew


def fingerprint(value: Any) -> str:
    """Recognises a value again without keeping it."""
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def recognised_by(draft: Draft) -> list[Address]:
    """Everything by which somebody erased is recognised: addresses, and at shared ones the person."""
    addresses = addresses_of(draft)
    return [*addresses, *(of_one(address, draft.name_key()) for address in addresses)]


def addresses_of(draft: Draft) -> list[Address]:
    """Everything by which somebody may already be known."""
    found = [(EMAIL, address) for address in draft.emails]
    found += [(PHONE, address) for address in draft.phones]
    if draft.external_id:
        found.append((EXTERNAL, draft.external_id))
    return found
