"""The indexes of a class in MongoDB, from its declaration; made, and brought up to date, when the store opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.collection import Collection

from services.kit.store.documents import indexes_of, looked_up_only

_OURS = "by "
_SCOPE = ("agency", "community")
_Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Orders:
    """What pages may be ordered by: paths within a community (each behind the scope in an index), and any at all."""

    within: frozenset[str]
    known: frozenset[str]


def orders_of(document_class: type) -> Orders:
    scalars = [index for index in indexes_of(document_class) if index.through is None]
    within = {path for index in scalars if not index.everywhere for path in index.paths}
    known = {path for index in scalars for path in index.paths} - {*_SCOPE, "version"} | {"_id"}
    return Orders(frozenset(within if looked_up_only(document_class) else within | {"_id"}), frozenset(known))


def scalars_of(document_class: type) -> tuple[str, ...]:
    """The paths that must hold one value, since an index keeps them."""
    paths = (path for index in indexes_of(document_class) if index.through is None for path in index.paths)
    return tuple(dict.fromkeys(path for path in paths if path not in (*_SCOPE, "_id", "version")))


def bring_up_to_date(collection: Collection[dict[str, Any]], document_class: type) -> None:
    """Make the indexes that are missing, and drop those of ours that are no longer declared."""
    wanted = {_OURS + ", ".join(keys): keys for keys in _keys_of(document_class)}
    existing = {index["name"] for index in collection.list_indexes()}
    missing = [name for name in wanted if name not in existing]
    if missing:
        collection.create_indexes([IndexModel([(key, ASCENDING) for key in wanted[n]], name=n) for n in missing])
    for name in existing - wanted.keys():
        if name.startswith(_OURS):
            collection.drop_index(name)


def _keys_of(document_class: type) -> list[_Keys]:
    """Each with the scope first and the id last; those across agencies without the scope."""
    found: list[_Keys] = [] if looked_up_only(document_class) else [(*_SCOPE, "_id")]
    for index in indexes_of(document_class):
        paths = [".".join(filter(None, (index.through, path))) for path in index.paths if path not in _SCOPE]
        found.append((*(() if index.everywhere else _SCOPE), *paths, "_id"))
    return list(dict.fromkeys(found))
