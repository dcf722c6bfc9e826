"""Who may be registered twice: pairs that share something rare and look alike, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from rapidfuzz.fuzz import ratio, token_sort_ratio

from services.members.domain.permission import Record

SAME_NAME = "same-name"
SIMILAR_NAME = "similar-name"
SAME_BIRTH_DATE = "same-birth-date"
SAME_PHONE = "same-phone"
SHARED_ADDRESS = "shared-address"
SAME_MAILBOX_NAME = "same-mailbox-name"

_POINTS = {
    SAME_NAME: 55,
    SIMILAR_NAME: 40,
    SAME_BIRTH_DATE: 30,
    SAME_PHONE: 30,
    SHARED_ADDRESS: 15,
    SAME_MAILBOX_NAME: 25,
}
_SIMILAR = 88
_LIKELY = 65
_LARGEST_BLOCK = 40  # a key that more members have says nothing


@dataclass(frozen=True, slots=True)
class Sketch:
    """The little of a member that pairs are found by."""

    id: str
    name: str
    birth_date: str
    phones: frozenset[str]
    emails: frozenset[str]

    @property
    def mailboxes(self) -> frozenset[str]:
        return frozenset(email.partition("@")[0] for email in self.emails)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two members who may be one, the elder first, with how likely (0 to 100) and why."""

    first: str
    second: str
    likeness: int
    reasons: tuple[str, ...]


def sketch(record: Record) -> Sketch:
    points = record["contact_points"]
    return Sketch(
        record["_id"],
        record["sort_name"],
        record["birth_date"] or "",
        frozenset(point["address"] for point in points if point["channel"] == "phone"),
        frozenset(point["address"] for point in points if point["channel"] == "email"),
    )


def likely_pairs(sketches: Iterable[Sketch]) -> list[Pair]:
    """Pairs within blocks of one key (name, birth date and initial, phone, mailbox), the likeliest first."""
    blocks: dict[str, list[Sketch]] = {}
    for one in sketches:
        for key in _keys(one):
            blocks.setdefault(key, []).append(one)
    found: dict[tuple[str, str], Pair] = {}
    for block in blocks.values():
        if 1 < len(block) <= _LARGEST_BLOCK:
            for pair in combinations(block, 2):
                first, second = sorted(pair, key=lambda one: one.id)
                if (first.id, second.id) not in found and (likely := compare(first, second)):
                    found[first.id, second.id] = likely
    return sorted(found.values(), key=lambda pair: (-pair.likeness, pair.first, pair.second))


def compare(first: Sketch, second: Sketch) -> Pair | None:
    """The pair with its reasons, or None for people who differ: brothers and sisters share an address, not a birth."""
    if first.birth_date and second.birth_date and first.birth_date != second.birth_date:
        return None
    reasons = []
    if first.name and first.name == second.name:
        reasons.append(SAME_NAME)
    elif _resemble(first.name, second.name):
        reasons.append(SIMILAR_NAME)
    if first.birth_date and first.birth_date == second.birth_date:
        reasons.append(SAME_BIRTH_DATE)
    if first.phones & second.phones:
        reasons.append(SAME_PHONE)
    if first.emails & second.emails:
        reasons.append(SHARED_ADDRESS)
    elif first.mailboxes & second.mailboxes:
        reasons.append(SAME_MAILBOX_NAME)
    likeness = min(100, sum(_POINTS[reason] for reason in reasons))
    return Pair(first.id, second.id, likeness, tuple(reasons)) if likeness >= _LIKELY else None


def _resemble(first: str, second: str) -> bool:
    """Alike in whatever order, or when the words are drawn together: De Smet, Desmet."""
    together = ratio(first.replace(" ", ""), second.replace(" ", ""))
    return bool(max(token_sort_ratio(first, second), together) >= _SIMILAR)


def _keys(one: Sketch) -> Iterator[str]:
    if one.name:
        yield "n:" + " ".join(sorted(one.name.split()))
        if one.birth_date:
            yield f"b:{one.birth_date}{one.name[0]}"
    for phone in one.phones:
        yield f"p:{phone}"
    for mailbox in one.mailboxes:
        yield f"m:{mailbox}"
