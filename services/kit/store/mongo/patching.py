"""A patch as one update of one document.

Where MongoDB could not do it as the port says (null on the way or in the place of a number or a list; a pull and a
push of one list), the fields it concerns are read, changed here, and written back while they are still as read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import UpdateOne

from services.kit.errors import Unavailable
from services.kit.store.checks import check_patch, parts_of, patched
from services.kit.store.mongo.rules import Filter
from services.kit.store.mongo.values import ESCAPED, loaded, stored, stored_name, whole
from services.kit.store.mongo.writing import DUPLICATE, Raw, failures, update
from services.kit.store.port import Document, Patch

_CANNOT = frozenset((2, 14, 28))  # bad value, wrong type, no way along the path
_TRIES = 100


class Patching:
    """Applies the patches of one collection."""

    def __init__(self, collection: Raw, scalars: Sequence[str]) -> None:
        self._collection = collection
        self._scalars = scalars

    def check(self, patch: Patch) -> None:
        """Raises Invalid for what no patch may say."""
        check_patch(patch, self._scalars)
        for number in (*patch.inc.values(), *patch.max.values(), patch.sequence[1] if patch.sequence else 0):
            whole(number)

    def apply(self, within: Filter, patches: Sequence[Patch]) -> set[str]:
        """Each in turn; the ids changed."""
        writes = [None if _by_hand(patch) else _update(within, patch) for patch in patches]
        done: set[str] = set()
        at = 0
        while at < len(patches):
            end = _end_of_turn(patches, at)
            done |= self._turn(within, patches[at:end], writes[at:end])
            at = end
        return done

    def _turn(self, within: Filter, patches: Sequence[Patch], writes: Sequence[UpdateOne | None]) -> set[str]:
        """Patches of different documents."""
        quick = [at for at, write in enumerate(writes) if write is not None]
        failed = failures(self._collection, [write for write in writes if write is not None], known=_CANNOT)
        codes = {quick[at]: code for at, code in failed.items()}
        done: set[str] = set()
        for at, patch in enumerate(patches):
            code = codes.get(at, 0)
            slow = writes[at] is None or code in _CANNOT or (code == DUPLICATE and bool(patch.pull))
            if self._change(within, patch) if slow else code == 0:
                done.add(patch.id)
        return done

    def _change(self, within: Filter, patch: Patch) -> bool:
        names = list(dict.fromkeys(parts_of(path)[0] for path in _paths(patch)))
        fields = [stored_name(name) for name in names]
        mine = {**within, "_id": patch.id}
        for _ in range(_TRIES):
            found = self._collection.find_one(mine, [*fields, ESCAPED])
            if found is None:
                return False
            as_read = mine | {field: _as_read(found.get(field)) for field in fields}
            changed = patched(loaded(found), patch)
            if changed is None:
                return False
            if self._collection.update_one(as_read, {"$set": _stored({n: changed[n] for n in names})}).matched_count:
                return True
        raise Unavailable("A document changes too fast to be changed: try again.", field="store")


def _paths(patch: Patch) -> list[str]:
    paths = [*patch.set, *patch.inc, *patch.max, *patch.push, *patch.pull]
    return [*paths, patch.sequence[0]] if patch.sequence else paths


def _end_of_turn(patches: Sequence[Patch], start: int) -> int:
    """How far no document is met twice."""
    met: set[str] = set()
    for at in range(start, len(patches)):
        if patches[at].id in met:
            return at
        met.add(patches[at].id)
    return len(patches)


def _by_hand(patch: Patch) -> bool:
    return any(path in patch.pull for path in patch.push)


def _update(within: Filter, patch: Patch) -> UpdateOne:
    setting = _stored(patch.set)
    pushing: dict[str, Any] = {}
    for path, push in patch.push.items():
        value, escaped = stored([push.value])
        pushing[_place(path)] = {"$each": value, "$slice": -push.keep}
        if escaped:
            setting[ESCAPED] = True
    if patch.sequence:
        setting[_place(patch.sequence[0])] = patch.sequence[1]
    changes = {
        "$set": setting,
        "$inc": {_place(path): amount for path, amount in patch.inc.items()},
        "$max": {_place(path): least for path, least in patch.max.items()},
        "$push": pushing,
        "$pull": {_place(path): {"_id": {"$in": list(ids)}} for path, ids in patch.pull.items()},
    }
    return update(_found(within, patch), {operator: what for operator, what in changes.items() if what})


def _found(within: Filter, patch: Patch) -> Filter:
    found: Filter = {**within, "_id": patch.id}
    if patch.sequence:
        path, number = _place(patch.sequence[0]), patch.sequence[1]
        found["$or"] = [{path: {"$lt": number}}, {path: None}]
    return found | {_place(path): {"$type": "array"} for path in patch.pull}


def _place(path: str) -> str:
    return ".".join(stored_name(part) for part in parts_of(path))


def _stored(values: Mapping[str, Any]) -> Document:
    """Values by their paths as they are set, with the mark where one is written otherwise."""
    setting: Document = {}
    for path, value in values.items():
        setting[_place(path)], escaped = stored(value)
        if escaped:
            setting[ESCAPED] = True
    return setting


def _as_read(value: Any) -> Filter:
    if value is None:
        return {"$eq": None, "$not": {"$type": "array"}}
    return {"$eq": value}
