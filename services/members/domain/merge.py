"""Two records of one person become one, explained and reversible.

The survivor keeps what it has; what only the other one has is taken, and each thing taken is noted, so that undoing
gives exactly that back. Both ledgers are joined, in which the latest proven act of the person decides; where two facts
disagree about protection (age, restriction), the more protective one holds. The order of merges therefore does not
matter for permission.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.kit.errors import Conflict, Invalid
from services.members.domain.member import ACTIVE, ERASED, MERGED, RESTRICTED
from services.members.domain.permission import OBJECTION, Record

KEPT = "kept"
TAKEN = "taken"
JOINED = "joined"

_JOINED: dict[str, Callable[[Any], str]] = {
    "contact_points": lambda point: f"{point['channel']}:{point['address']}",
    "relations": lambda tie: f"{tie['kind']}:{tie['since']}:{tie['until']}",
    "reasons": lambda each: str(each["key"]),
    "attributes": lambda each: str(each["key"]),
    "sensitive": lambda each: str(each["key"]),
    "ledger": lambda entry: str(entry["_id"]),
    "tags": str,
    "guardians": str,
    "wards": str,
}
"""Lists that are joined, and what makes two elements the same."""
_FILLED = ("given_name", "family_name", "locale", "zone", "external_id")
_PERSONAL: dict[str, Any] = {
    "display_name": "",
    "given_name": "",
    "family_name": "",
    "sort_name": "",
    "locale": "",
    "zone": "",
    "birth_date": None,
    "external_id": None,
    "contact_points": [],
    "relations": [],
    "reasons": [],
    "attributes": [],
    "sensitive": [],
    "tags": [],
    "ledger": [],
    "guardians": [],
    "wards": [],
    "standing": [],
    "lifecycle": None,
    "permission": [],
    "search": [],
    "shares": [],
    "history": [],
}
"""What a member's record holds about the person, and how it stands when it is emptied."""


class CannotMerge(Invalid):
    """These two members cannot be made one."""

    reason = "cannot-merge"


class AlreadyUndone(Conflict):
    """The merge was undone before."""

    reason = "already-undone"


@dataclass(slots=True)
class Merge:
    """What a merge takes, and the words for it: (field, decision) in the order of the record."""

    taken: list[Record] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def note(self, what: str, key: str, value: Any, was: Any = None) -> None:
        self.taken.append({"what": what, "key": key, "value": value, "was": was})

    def line(self, what: str, decision: str) -> None:
        self.lines.append((what, decision))


def merge(survivor: Record, absorbed: Record) -> Merge:
    """Change ``survivor`` in place; what it took. Raises CannotMerge."""
    _check(survivor, absorbed)
    made = Merge()
    for name in _FILLED:
        if absorbed[name] and not survivor[name]:
            made.note("field", name, absorbed[name], survivor[name])
            survivor[name] = absorbed[name]
            made.line(name, TAKEN)
        elif absorbed[name] and absorbed[name] != survivor[name]:
            made.line(name, KEPT)
    _protect(survivor, absorbed, made)
    _names(survivor, made)
    for place in _JOINED:
        _join(survivor, absorbed, made, place)
    gone = [absorbed["_id"], *absorbed["absorbed"]]
    _put(survivor, made, "absorbed", [one for one in gone if one not in survivor["absorbed"]])
    survivor["guardians"] = [one for one in survivor["guardians"] if one != survivor["_id"]]
    return made


def emptied(record: Record, state: str, merged_into: str | None) -> Record:
    """The record without the person: what is left of a merged or erased member is that it was."""
    return {**record, **copy.deepcopy(_PERSONAL), "state": state, "merged_into": merged_into}


def unmerge(survivor: Record, taken: Sequence[Record], before: Record, at: int) -> Record:
    """Take back from ``survivor`` what it took, and give the absorbed member its record of ``before``.

    What was changed since stays with the survivor; objections and a restriction made after the merge stay on both.
    """
    restricted = survivor["state"] == RESTRICTED and any(
        note["what"] == "state" and note["at"] >= at for note in survivor["history"]
    )
    later = [e for e in survivor["ledger"] if e["act"] == OBJECTION and e["recorded_at"] >= at]
    own = {e["key"] for e in taken if e["what"] == "ledger"}
    for each in reversed(taken):
        _give_back(survivor, each)
    restored: Record = copy.deepcopy(before)
    if restricted:
        survivor["state"] = restored["state"] = RESTRICTED
    known = {entry["_id"] for entry in restored["ledger"]}
    restored["ledger"] += [e for e in later if e["_id"] not in known and e["_id"] not in own]
    return restored


def _check(survivor: Record, absorbed: Record) -> None:
    if survivor["_id"] == absorbed["_id"]:
        raise CannotMerge("This is one and the same member.", field="absorbed")
    if survivor["community"] != absorbed["community"]:
        raise CannotMerge("Members of two communities stay two: nothing crosses by itself.", field="absorbed")
    for name, record in (("survivor", survivor), ("absorbed", absorbed)):
        if record["state"] in (MERGED, ERASED):
            raise CannotMerge(f"This member was {record['state']}.", field=name)
    if survivor["kind"] != absorbed["kind"]:
        raise CannotMerge("A person and an organisation are not one.", field="absorbed")
    if absorbed["_id"] in survivor["guardians"] or survivor["_id"] in absorbed["guardians"]:
        raise CannotMerge("One answers for the other: a guardian and a ward are two.", field="absorbed")


def _protect(survivor: Record, absorbed: Record, made: Merge) -> None:
    """Where two facts disagree, the more protective one: the younger age, the restriction, the earlier arrival."""
    births = [record["birth_date"] for record in (survivor, absorbed) if record["birth_date"]]
    youngest = max(births, default=None)
    if youngest != survivor["birth_date"]:
        made.note("field", "birth_date", youngest, survivor["birth_date"])
        made.line("birth_date", TAKEN)
        survivor["birth_date"] = youngest
    elif absorbed["birth_date"] and absorbed["birth_date"] != youngest:
        made.line("birth_date", KEPT)
    if survivor["state"] == ACTIVE and absorbed["state"] == RESTRICTED:
        made.note("field", "state", RESTRICTED, ACTIVE)
        made.line("state", TAKEN)
        survivor["state"] = RESTRICTED
    if absorbed["registered_at"] < survivor["registered_at"]:
        made.note("field", "registered_at", absorbed["registered_at"], survivor["registered_at"])
        survivor["registered_at"] = absorbed["registered_at"]


def _names(survivor: Record, made: Merge) -> None:
    """A name that was completed is shown as it is now."""
    if not {"given_name", "family_name"} & {each["key"] for each in made.taken if each["what"] == "field"}:
        return
    given, family = survivor["given_name"], survivor["family_name"]
    shown = " ".join(part for part in (given, family) if part)
    made.note("field", "display_name", shown, survivor["display_name"])
    survivor["display_name"] = shown


def _join(survivor: Record, absorbed: Record, made: Merge, place: str) -> None:
    key = _identity(place)
    known = {key(each) for each in survivor[place]}
    new = [copy.deepcopy(each) for each in absorbed[place] if key(each) not in known]
    if new:
        made.line(place, JOINED)
    elif any(each not in survivor[place] for each in absorbed[place]) and place in ("attributes", "sensitive"):
        made.line(place, KEPT)
    if place == "contact_points":
        taken_ids = {point["id"] for point in survivor[place]}
        for point in new:
            point["id"] = _free(taken_ids)
            taken_ids.add(point["id"])
    _put(survivor, made, place, new)


def _put(survivor: Record, made: Merge, place: str, new: Sequence[Any]) -> None:
    key = _identity(place)
    for each in new:
        made.note(place, key(each), each)
    survivor[place] = [*survivor[place], *new]


def _free(taken: set[str]) -> str:
    number = 1 + max((int(one[1:]) for one in taken), default=0)
    return f"c{number}"


def _give_back(survivor: Record, each: Record) -> None:
    what, key, value = each["what"], each["key"], each["value"]
    if what == "field":
        if survivor[key] == value:  # changed since: the later hand decides
            survivor[key] = each["was"]
        return
    identity = _identity(what)
    survivor[what] = [one for one in survivor[what] if identity(one) != key]


def _identity(place: str) -> Callable[[Any], str]:
    return _JOINED.get(place, str)


_DECISIONS = {
    "fr": {KEPT: "celui qui reste garde le sien", TAKEN: "repris de l'autre", JOINED: "réunis"},
    "en": {KEPT: "the survivor keeps its own", TAKEN: "taken from the other", JOINED: "joined"},
}
_FIELDS = {
    "fr": {
        "given_name": "Prénom",
        "family_name": "Nom",
        "locale": "Langue",
        "zone": "Fuseau horaire",
        "external_id": "Identifiant externe",
        "birth_date": "Date de naissance (la plus protectrice)",
        "state": "Limitation du traitement",
        "contact_points": "Adresses",
        "relations": "Relations",
        "reasons": "Raisons",
        "attributes": "Attributs",
        "sensitive": "Attributs sensibles",
        "ledger": "Accords et refus (le dernier acte prouvé décide)",
        "tags": "Étiquettes",
        "guardians": "Responsables",
        "wards": "Personnes à charge",
    },
    "en": {
        "given_name": "Given name",
        "family_name": "Family name",
        "locale": "Language",
        "zone": "Time zone",
        "external_id": "External id",
        "birth_date": "Date of birth (the more protective)",
        "state": "Restriction of processing",
        "contact_points": "Addresses",
        "relations": "Relations",
        "reasons": "Reasons",
        "attributes": "Attributes",
        "sensitive": "Sensitive attributes",
        "ledger": "Consents and objections (the latest proven act decides)",
        "tags": "Tags",
        "guardians": "Guardians",
        "wards": "Wards",
    },
}


def explained(what: str, decision: str, locale: str) -> str:
    """One line of a merge, for a reader of French or English."""
    language = "fr" if locale.startswith("fr") else "en"
    return f"{_FIELDS[language].get(what, what)}: {_DECISIONS[language][decision]}."
