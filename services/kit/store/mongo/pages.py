"""Pages of documents in an order, and where each begins.

An order stands behind the scope in an index, so each stretch of it is read from one place: first what is null, then
what has a value, and within a page first what shares the value at the cursor. Several communities are read by one
request, which MongoDB merges along the index as long as they are few.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pymongo import ASCENDING, DESCENDING

from services.kit.errors import Invalid
from services.kit.store.compare import asks_for_nothing
from services.kit.store.compile import conjuncts
from services.kit.store.cursors import cursor_at, mark_of, place_at
from services.kit.store.encoding import found_at
from services.kit.store.mongo.indexes import Orders
from services.kit.store.mongo.rules import EVERY, Compiler, Filter, all_of
from services.kit.store.mongo.values import ESCAPED, loaded, stored_name
from services.kit.store.mongo.writing import BLOCKER, Raw
from services.kit.store.port import Document, Order
from services.kit.store.rule import Equals, Exists, In, Range, Rule

Place = tuple[Any, str]  # the value of the order's field, and the id

_MERGED = 100  # communities along one index at once; MongoDB sorts by itself beyond twice as many


class Pages:
    """Reads pages of one collection."""

    def __init__(self, collection: Raw, compiler: Compiler, orders: Orders) -> None:
        self._collection = collection
        self._compiler = compiler
        self._orders = orders

    def reading(self, rule: Rule, order: Order, fields: Sequence[str] | None) -> Reading:
        """Raises Invalid for an order that no index serves."""
        if order.field not in self._orders.known:
            name = self._collection.name
            raise Invalid(f"{name} has no index to order by {order.field}: declare one.", field="order")
        return Reading(
            self._collection,
            self._compiler.filter(rule),
            order,
            mark_of(self._collection.name, order, repr(rule)),
            None if fields is None else tuple(dict.fromkeys(("_id", "version", *fields))),
            order.field in self._orders.within,
            _skips_nulls(rule, order.field),
        )


def _skips_nulls(rule: Rule, field: str) -> bool:
    return field == "_id" or any(
        isinstance(each, (Equals, In, Range, Exists)) and each.path == field and not asks_for_nothing(each)
        for each in conjuncts(rule)
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """One question, for as many pages as it takes."""

    _collection: Raw
    _filter: Filter
    _order: Order
    _mark: str
    _fields: tuple[str, ...] | None
    _behind_scope: bool
    _skips_nulls: bool

    def place(self, cursor: str | None) -> Place | None:
        """Behind which document to begin. Raises Invalid for a cursor of another question."""
        return None if cursor is None else place_at(cursor, self._mark)

    def cursor(self, document: Document) -> str:
        return cursor_at(self._mark, found_at(document, tuple(self._order.field.split("."))), document["_id"])

    def rows(self, within: Filter, place: Place | None, limit: int) -> list[Document]:
        """The next documents behind the place, as they are stored."""
        found: list[Document] = []
        homes = self._homes(within)
        for stretch in self._stretches(place):
            wanted = limit - len(found)
            if not wanted:
                break
            each = [self._read(all_of([home, stretch, self._filter]), wanted) for home in homes]
            found += each[0] if len(each) == 1 else self._merged(each, wanted)
        return found

    def documents(self, rows: Sequence[Document]) -> list[Document]:
        """What was asked for of each."""
        if self._fields is None:
            return [loaded(row) for row in rows]
        names = self._fields
        return [{name: whole.get(name) for name in names} for whole in map(loaded, rows)]

    def _read(self, asked: Filter, limit: int) -> list[Document]:
        direction = DESCENDING if self._order.descending else ASCENDING
        by_id = [("_id", direction)]
        order = by_id if self._order.field == "_id" else [(self._path(), direction), *by_id]
        found = self._collection.find(asked, self._projection(), limit=limit, batch_size=limit, sort=order)
        return list(found)

    def _projection(self) -> list[str] | None:
        if self._fields is None:
            return None
        return [*dict.fromkeys((*map(stored_name, self._fields), self._order.field.split(".")[0], ESCAPED))]

    def _path(self) -> str:
        return ".".join(map(stored_name, self._order.field.split(".")))

    def _homes(self, within: Filter) -> list[Filter]:
        """The scope as filters that each let MongoDB read along the order's index."""
        if "agency" not in within:
            return [all_of([within, {"_id": {"$gt": BLOCKER}}])]
        if not self._behind_scope:
            return [within]
        asked = within.get("community")
        if isinstance(asked, str):
            return [within]
        communities: list[str | None] = asked["$in"] if asked else self._communities(within)
        if len(communities) <= _MERGED:
            return [within | {"community": {"$in": communities}}]
        parts = (communities[at : at + _MERGED] for at in range(0, len(communities), _MERGED))
        return [within | {"community": {"$in": part}} for part in parts]

    def _communities(self, within: Filter) -> list[str | None]:
        known = self._collection.distinct("community", within)
        return [None, *sorted(each for each in known if each is not None)]

    def _merged(self, each: list[list[Document]], limit: int) -> list[Document]:
        key = self._sort_key
        if self._order.descending:
            return heapq.nlargest(limit, chain.from_iterable(each), key=key)
        return heapq.nsmallest(limit, chain.from_iterable(each), key=key)

    def _sort_key(self, row: Document) -> tuple[bool, Any, str]:
        value = found_at(row, tuple(self._path().split(".")))
        return value is not None, 0 if value is None else value, row["_id"]

    def _stretches(self, place: Place | None) -> list[Filter]:
        """The parts of the order behind the place, in turn."""
        field, sign = self._path(), "$lt" if self._order.descending else "$gt"
        if place is None:
            return [EVERY]
        value, an_id = place
        if field == "_id":
            return [{"_id": {sign: an_id}}]
        nulls: Filter = {field: None}
        if value is None:
            behind: list[Filter] = [{field: None, "_id": {sign: an_id}}]
            return behind if self._order.descending else [*behind, {field: {"$ne": None}}]
        behind = [{field: value, "_id": {sign: an_id}}, {field: {sign: value}}]
        return [*behind, nulls] if self._order.descending and not self._skips_nulls else behind
