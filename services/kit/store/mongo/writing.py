"""Many writes in one request, and which of them took place: MongoDB only counts those that found their document.

So a write that finds none is made to fail, by its position: it is an upsert, and what it would insert holds a value
that a kept document holds already under a unique index. Nothing is ever inserted so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from pymongo import IndexModel, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError

Raw = Collection[dict[str, Any]]

BLOCKER = ""  # the id of the kept document; no other has an empty one
DUPLICATE = 11000
_BLOCKED = "%blocked"


def prepare(collection: Raw) -> None:
    """Make the index, and the document that stands in the way."""
    collection.create_indexes([IndexModel([(_BLOCKED, 1)], name=_BLOCKED, unique=True, sparse=True)])
    _place_blocker(collection)


def update(found: Mapping[str, Any], changes: Mapping[str, Any]) -> UpdateOne:
    """One write: ``changes`` to the document that ``found`` describes, or a failure."""
    return UpdateOne(found, {**changes, "$setOnInsert": {_BLOCKED: True}}, upsert=True)


def failures(collection: Raw, writes: Sequence[UpdateOne], *, known: Set[int] = frozenset()) -> dict[int, int]:
    """Write them; the positions of those that failed, and MongoDB's code: DUPLICATE where the document was not found.

    No two may concern the same document. Raises BulkWriteError for codes that are not ``known`` either.
    """
    if not writes:
        return {}
    try:
        details: Mapping[str, Any] = collection.bulk_write(writes, ordered=False).bulk_api_result
        failed: dict[int, int] = {}
    except BulkWriteError as error:
        details = error.details or {}
        failed = {each["index"]: each["code"] for each in details["writeErrors"]}
        if details.get("writeConcernErrors") or not {DUPLICATE, *known}.issuperset(failed.values()):
            raise
    if details.get("upserted"):  # somebody took the blocker away: what was inserted never was
        failed |= {each["index"]: DUPLICATE for each in details["upserted"]}
        collection.delete_many({"_id": {"$in": [each["_id"] for each in details["upserted"]]}, _BLOCKED: True})
        _place_blocker(collection)
    return failed


def _place_blocker(collection: Raw) -> None:
    try:
        collection.insert_one({"_id": BLOCKER, _BLOCKED: True})
    except DuplicateKeyError:
        return
