"""Pages of documents in an order: where a page begins, along which index it is read, and what comes back."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.kit.errors import Invalid
from services.kit.store.compare import ALWAYS, Sql, asks_for_nothing
from services.kit.store.compile import Reach, conjuncts
from services.kit.store.cursors import cursor_at, mark_of, place_at
from services.kit.store.encoding import column_value, json_value
from services.kit.store.plan import FEW, Driver, Planner, selecting
from services.kit.store.port import Document, Order
from services.kit.store.rule import Equals, Exists, In, Range, Rule
from services.kit.store.schema import OWN_COLUMNS, Table, quoted

Place = tuple[Any, str]  # the value of the order's column as it is stored, and the id
_Row = tuple[Any, ...]  # the order's column, the id, then what the documents are made of


class Pages:
    """Reads pages of one table."""

    def __init__(self, table: Table, planner: Planner) -> None:
        self._table = table
        self._planner = planner

    def reading(self, rule: Rule, order: Order, fields: Sequence[str] | None) -> Reading:
        """Raises Invalid for an order that no index serves."""
        if order.field != "_id" and order.field not in self._table.by_path:
            raise Invalid(f"{self._table.name} has no index to order by {order.field}: declare one.", field="order")
        return Reading(self._table, self._planner, rule, repr(rule), order, _Shape.of(self._table, fields))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is read of a document, and how it becomes one again."""

    columns: str
    build: Callable[[_Row], Document]

    @classmethod
    def of(cls, table: Table, fields: Sequence[str] | None) -> _Shape:
        if fields is None:
            return cls("CAST(m._body AS BLOB)", lambda row: _loaded(row[2]))
        names = tuple(dict.fromkeys(("_id", "version", *fields)))
        if all(name in OWN_COLUMNS or name in table.by_path for name in names):
            columns = ", ".join(f"m.{table.column_name(name)}" for name in names)
            return cls(columns, lambda row: dict(zip(names, map(json_value, row[2:]), strict=True)))
        return cls("CAST(m._body AS BLOB)", lambda row: _light(_loaded(row[2]), names))


def _loaded(body: bytes) -> Document:
    document: Document = orjson.loads(body)
    return document


def _light(document: Document, names: tuple[str, ...]) -> Document:
    return {name: document.get(name) for name in names}


@dataclass(frozen=True, slots=True)
class Reading:
    """One question, for as many pages as it takes."""

    _table: Table
    _planner: Planner
    _rule: Rule
    _key: str
    _order: Order
    _shape: _Shape

    def place(self, cursor: str | None) -> Place | None:
        """Behind which document to begin. Raises Invalid for a cursor of another question."""
        if cursor is None:
            return None
        value, an_id = place_at(cursor, self._mark())
        return column_value(value, "after"), an_id

    def cursor(self, row: _Row) -> str:
        return cursor_at(self._mark(), json_value(row[0]), row[1])

    def _mark(self) -> str:
        return mark_of(self._table.name, self._order, self._key)

    @staticmethod
    def last_id(row: _Row) -> str:
        an_id: str = row[1]
        return an_id

    def documents(self, rows: Sequence[_Row]) -> list[Document]:
        build = self._shape.build
        return [build(row) for row in rows]

    def rows(self, connection: sqlite3.Connection, reach: Reach, place: Place | None, limit: int) -> list[_Row]:
        """The next rows behind the place, all of one moment."""
        connection.execute("BEGIN")
        rows = self._rows(connection, reach, place, limit)
        connection.execute("COMMIT")
        return rows

    def _rows(self, connection: sqlite3.Connection, reach: Reach, place: Place | None, limit: int) -> list[_Row]:
        choice = self._planner.choose(connection, self._rule, self._key, reach)
        if choice.size < FEW:
            return self._read(connection, reach, choice.driver, choice.sizes, place, limit, self._shape.columns)
        along = self._along(reach)
        walk = along.driver()
        if reach.scopes is None or len(reach.scopes) == 1 or not along.prefixed:
            return self._read(connection, reach, walk, choice.sizes, place, limit, self._shape.columns)
        each = [self._read(connection, Reach((n,)), walk, choice.sizes, place, limit, "m._n") for n in reach.scopes]
        merged = list(heapq.merge(*each, key=_sort_key, reverse=self._order.descending))[:limit]
        return self._whole(connection, merged)

    def _read(
        self,
        connection: sqlite3.Connection,
        reach: Reach,
        driver: Driver | None,
        sizes: dict[int, int],
        place: Place | None,
        limit: int,
        columns: str,
    ) -> list[_Row]:
        name = f"m.{self._table.column_name(self._order.field)}"
        down = " DESC" if self._order.descending else ""
        by_id = self._order.field == "_id"
        order = f"m._id{down}" if by_id else f"{name}{down}, m._id{down}"
        rows: list[_Row] = []
        for stretch in self._stretches(name, place):
            wanted = limit - len(rows)
            if wanted:
                statement = selecting(
                    self._table, self._rule, reach, driver, sizes, f"{name}, m._id, {columns}", stretch, order, wanted
                )
                rows += connection.execute(statement.text, statement.params).fetchall()
        return rows

    def _whole(self, connection: sqlite3.Connection, places: list[_Row]) -> list[_Row]:
        """The rows at places that were read with the number of their document alone."""
        found = connection.execute(
            f"SELECT m._n, {self._shape.columns} FROM json_each(?) j "
            f"CROSS JOIN {self._table.quoted} m ON m._n = j.value",
            (orjson.dumps([row[2] for row in places]).decode(),),
        )
        rows = {row[0]: row[1:] for row in found}
        return [(*row[:2], *rows[row[2]]) for row in places if row[2] in rows]

    def _stretches(self, name: str, place: Place | None) -> list[Sql]:
        """The parts of the order behind the place: null is one, what has a value the other."""
        sign = "<" if self._order.descending else ">"
        if self._order.field == "_id":
            return [Sql(f"m._id {sign} ?", (place[1],)) if place else ALWAYS]
        nulls, values = Sql(f"{name} IS NULL"), Sql(f"{name} IS NOT NULL")
        if place and place[0] is None:
            nulls = Sql(f"{name} IS NULL AND m._id {sign} ?", (place[1],))
        elif place:
            values = Sql(f"{name} IS NOT NULL AND ({name}, m._id) {sign} (?, ?)", place)
        if self._skips_nulls():
            return [values]
        if self._order.descending:
            return [nulls] if place and place[0] is None else [values, nulls]
        return [values] if place and place[0] is not None else [nulls, values]

    def _skips_nulls(self) -> bool:
        return any(
            isinstance(each, (Equals, In, Range, Exists))
            and each.path == self._order.field
            and not asks_for_nothing(each)
            for each in conjuncts(self._rule)
        )

    def _along(self, reach: Reach) -> _Along:
        """The index that yields the order by itself: the one whose first columns the rule fixes most."""
        table, field = self._table, self._order.field
        fixed = {each.path for each in conjuncts(self._rule) if isinstance(each, Equals) and each.value is not None}
        best: tuple[int, str] | None = None
        for index in table.scalar_indexes:
            if index.everywhere:
                continue
            leading = next((at for at, path in enumerate(index.paths) if path not in fixed), len(index.paths))
            rest = index.paths[leading:]
            serves = rest == () if field == "_id" else rest == (field,) or (not rest and index.paths[-1] == field)
            if serves and (best is None or leading > best[0]):
                best = (leading, table.index_name(index))
        across = field in table.unprefixed and self._skips_nulls()
        if across and (reach.scopes is None or best is None):
            return _Along(
                table.index_name(next(i for i in table.scalar_indexes if i.everywhere and i.paths[0] == field)), False
            )
        if reach.scopes is None:
            return _Along(quoted(f"{table.name}:_id") if field == "_id" else "", False)
        if best is not None:
            return _Along(best[1], True)
        if field == "_id":
            return _Along(
                quoted(f"{table.name}:{'_id' if table.looked_up_only else '_scope'}"), not table.looked_up_only
            )
        return _Along("", False)


@dataclass(frozen=True, slots=True)
class _Along:
    """An index to walk along; prefixed ones are walked scope by scope."""

    index: str
    prefixed: bool

    def driver(self) -> Driver | None:
        return Driver(-1, None, self.index, ALWAYS) if self.index else None


def _sort_key(row: _Row) -> tuple[int, Any, str]:
    value = row[0]
    if value is None:
        return 0, 0, row[1]
    if isinstance(value, (int, float)):
        return 1, value, row[1]
    return (2 if isinstance(value, str) else 3), value, row[1]
