"""The tables of a document class, derived from its declaration; made, and brought up to date, when the store opens.

One table per class: the body as JSON text, every indexed scalar as a real column. One side table per indexed list.
``_n`` numbers the documents of a table and ``_scope`` the pairs of agency and community: short keys, since every side
row and every index entry repeats them.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import orjson

from services.kit.errors import Invalid
from services.kit.store.checks import parts_of
from services.kit.store.documents import Index, collection_name, indexes_of, left_alone, looked_up_only, place_of
from services.kit.store.encoding import NOTHING, PLAIN, column_value, found_at, in_order, side_value

LAYOUT = 1  # raised when what stands here derives other tables from the same class
_CHUNK = 2_000
OWN_COLUMNS = ("_id", "version")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def json_path(path: str) -> str:
    """The path as SQLite's JSON functions take it. Raises Invalid for keys they cannot tell."""
    return "$" + "".join(f'."{part}"' for part in parts_of(path))


@dataclass(frozen=True, slots=True)
class Column:
    """An indexed scalar."""

    path: str
    parts: tuple[str, ...]
    nested: bool
    name: str  # quoted


Key = tuple[Any, ...]  # scope, then a value for each path
Places = dict[Key, list[int]]
"""The rows of a side table: the numbers of the documents that hold each key."""


@dataclass(frozen=True, slots=True)
class Side:
    """An indexed list: one row for each element (for each of its values, where an element holds a list of them)."""

    table: str  # quoted
    through: str
    paths: tuple[str, ...]
    names: tuple[str, ...]  # quoted, one for each path
    scalar: tuple[bool, ...]  # whether the path is declared to hold one value

    def places(self, lists: Iterable[tuple[int, int, Any]]) -> Places:
        """The rows of lists, each given with the scope and number of its document."""
        found: Places = defaultdict(list)
        for scope, n, each in lists:
            for key in self.keys(scope, each):
                found[key].append(n)
        return found

    def list_in(self, document: Mapping[str, Any]) -> Any:
        return found_at(document, tuple(self.through.split("."))) if "." in self.through else document.get(self.through)

    def keys(self, scope: int, found: Any) -> list[Key]:
        """What a list is found by. An import asks for millions: the common ones take few steps."""
        if found is None:
            return []
        elements = found if found.__class__ is list else [found]
        if not self.paths[0]:
            return [
                (scope, each if each.__class__ in PLAIN else side_value(each)) for each in elements if each is not None
            ]
        if len(self.paths) == 2 and not any("." in path for path in self.paths):
            return self._pairs(scope, elements)
        return [(scope, *values) for element in elements for values in self._products(element)]

    def _pairs(self, scope: int, elements: list[Any]) -> list[Key]:
        one, other = self.paths
        keys: list[Key] = []
        for element in elements:
            if element.__class__ is dict:
                first, second = element.get(one), element.get(other)
                if first.__class__ is list or second.__class__ is list:
                    keys += [(scope, *values) for values in self._products(element)]
                else:
                    first = first if first.__class__ in PLAIN else side_value(first)
                    keys.append((scope, first, second if second.__class__ in PLAIN else side_value(second)))
        return keys

    def _products(self, element: Any) -> Iterable[tuple[Any, ...]]:
        if element.__class__ is not dict:
            return ()
        return product(*(_side_values(found_at(element, tuple(path.split(".")))) for path in self.paths))


def _side_values(value: Any) -> tuple[Any, ...]:
    if value.__class__ is list:
        return tuple(side_value(each) for each in value if each is not None) or (NOTHING,)
    return (side_value(value),)


@dataclass(frozen=True)
class Table:
    """All that one document class needs."""

    document_class: type
    name: str
    columns: tuple[Column, ...]
    sides: tuple[Side, ...]
    scalar_indexes: tuple[Index, ...]
    left_alone: tuple[str, ...]
    looked_up_only: bool

    @cached_property
    def quoted(self) -> str:
        return quoted(self.name)

    @cached_property
    def by_path(self) -> dict[str, Column]:
        return {column.path: column for column in self.columns}

    @cached_property
    def unprefixed(self) -> frozenset[str]:
        """Paths that some index across agencies begins with."""
        return frozenset(index.paths[0] for index in self.scalar_indexes if index.everywhere)

    def index_name(self, index: Index) -> str:
        return quoted(f"{self.name}:{'*' if index.everywhere else ''}{','.join(index.paths)}")

    def column_name(self, path: str) -> str:
        return path if path in OWN_COLUMNS else self.by_path[path].name

    def column_values(self, document: Mapping[str, Any]) -> list[Any]:
        values = [found_at(document, c.parts) if c.nested else document.get(c.path) for c in self.columns]
        for at, value in enumerate(values):
            if value is not None and value.__class__ not in PLAIN:
                values[at] = column_value(value, self.columns[at].path)
        return values

    def create(self) -> Iterator[tuple[str, str]]:
        """Name and statement of every table and index, in order."""
        columns = "".join(f", {column.name}" for column in self.columns)
        statement = (
            f"CREATE TABLE {self.quoted} (_n INTEGER PRIMARY KEY, _scope INTEGER NOT NULL, _id TEXT NOT NULL, "
            f"version INTEGER NOT NULL{columns}, _body TEXT NOT NULL)"
        )
        yield self.quoted, statement
        yield from self._create_indexes()
        for side in self.sides:
            names = "".join(f"{name} NOT NULL, " for name in side.names)
            keys = ", ".join(side.names)
            statement = (
                f"CREATE TABLE {side.table} (_scope INTEGER NOT NULL, {names}_n INTEGER NOT NULL, "
                f"PRIMARY KEY (_scope, {keys}, _n)) WITHOUT ROWID"
            )
            yield side.table, statement

    def _create_indexes(self) -> Iterator[tuple[str, str]]:
        by_id, by_scope = quoted(f"{self.name}:_id"), quoted(f"{self.name}:_scope")
        yield by_id, f"CREATE UNIQUE INDEX {by_id} ON {self.quoted} (_id)"
        if not self.looked_up_only:
            yield by_scope, f"CREATE INDEX {by_scope} ON {self.quoted} (_scope, _id)"
        for index in self.scalar_indexes:
            name, keys = self.index_name(index), ", ".join(self.column_name(path) for path in index.paths)
            prefix = "" if index.everywhere else "_scope, "
            sparse = f" WHERE {self.column_name(index.paths[0])} IS NOT NULL" if index.everywhere else ""
            yield name, f"CREATE INDEX {name} ON {self.quoted} ({prefix}{keys}, _id){sparse}"


def table_of(document_class: type) -> Table:
    """Derive the tables of a class. Raises Invalid for a declaration that cannot be kept."""
    if not isinstance(getattr(document_class, "SCHEMA_VERSION", None), int):
        raise Invalid(f"{document_class.__name__} states no SCHEMA_VERSION.", field="SCHEMA_VERSION")
    name = collection_name(document_class)
    declared = indexes_of(document_class)
    scalars = tuple(_without_prefix(index) for index in declared if index.through is None)
    paths = dict.fromkeys(path for index in scalars for path in index.paths if path not in OWN_COLUMNS)
    return Table(
        document_class,
        name,
        tuple(Column(path, tuple(path.split(".")), "." in path, quoted(path)) for path in paths),
        tuple(_side(document_class, name, index) for index in declared if index.through is not None),
        tuple(dict.fromkeys(index for index in scalars if index.paths)),
        left_alone(document_class),
        looked_up_only(document_class),
    )


def _without_prefix(index: Index) -> Index:
    """The community and agency come first in every index anyway."""
    paths = tuple(path for path in index.paths if path not in ("agency", "community"))
    return Index(paths, None, index.everywhere)


def _side(document_class: type, table: str, index: Index) -> Side:
    through = index.through or ""
    places = [place_of(document_class, f"{through}.{path}" if path else through) for path in index.paths]
    return Side(
        quoted(f"{table}/{through}" + (f".{'+'.join(index.paths)}" if index.paths != ("",) else "")),
        through,
        index.paths,
        tuple(quoted(path or "value") for path in index.paths),
        tuple(place is not None and place.scalar for place in places),
    )


def bring_up_to_date(connection: sqlite3.Connection, tables: Iterable[Table]) -> None:
    """Create what is missing, fill it from the documents that exist, and drop the indexes no longer declared."""
    connection.execute("CREATE TABLE IF NOT EXISTS _tables (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL) STRICT")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS _scopes (n INTEGER PRIMARY KEY, agency TEXT NOT NULL, community TEXT NOT NULL, "
        "UNIQUE (agency, community)) STRICT"
    )
    stored = dict(connection.execute("SELECT name, fingerprint FROM _tables"))
    for table in tables:
        fingerprint = fingerprint_of(table)
        if stored.get(table.name) != fingerprint:
            _migrate(connection, table)
            connection.execute("INSERT OR REPLACE INTO _tables VALUES (?, ?)", (table.name, fingerprint))


def fingerprint_of(table: Table) -> str:
    text = "\n".join([str(LAYOUT), *(statement for _, statement in table.create())])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _migrate(connection: sqlite3.Connection, table: Table) -> None:
    statements = dict(table.create())
    existing = _existing(connection, table)
    if table.quoted not in existing:
        for statement in statements.values():
            connection.execute(statement)
        return
    for name in existing - statements.keys():
        connection.execute(f"DROP {'TABLE' if '/' in name else 'INDEX'} {name}")
    had = {row[1] for row in connection.execute(f"PRAGMA table_info({table.quoted})")}
    new_columns = [column for column in table.columns if column.path not in had]
    for column in new_columns:
        connection.execute(f"ALTER TABLE {table.quoted} ADD COLUMN {column.name}")
    for path in had - {column.path for column in table.columns} - {"_n", "_scope", "_body", *OWN_COLUMNS}:
        connection.execute(f"ALTER TABLE {table.quoted} DROP COLUMN {quoted(path)}")  # nobody keeps it right any more
    new_sides = [side for side in table.sides if side.table not in existing]
    for side in new_sides:
        connection.execute(statements[side.table])
    _fill(connection, table, new_columns, new_sides)
    for name, statement in statements.items():
        if name not in existing and name not in {side.table for side in new_sides}:
            connection.execute(statement)


def _existing(connection: sqlite3.Connection, table: Table) -> set[str]:
    """What was made for the table, by quoted name."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL AND (tbl_name = ?1 OR substr(name, 1, length(?1) + 1) = "
        "?1 || '/')",
        (table.name,),
    )
    return {quoted(row[0]) for row in rows}


def _fill(connection: sqlite3.Connection, table: Table, columns: list[Column], sides: list[Side]) -> None:
    behind = 0
    while columns or sides:
        rows = connection.execute(
            f"SELECT _n, _scope, _body FROM {table.quoted} WHERE _n > ? ORDER BY _n LIMIT {_CHUNK}", (behind,)
        ).fetchall()
        if not rows:
            return
        behind = rows[-1][0]
        bodies = [(scope, n, orjson.loads(body)) for n, scope, body in rows]
        if columns:
            assignments = ", ".join(f"{column.name} = ?" for column in columns)
            connection.executemany(
                f"UPDATE {table.quoted} SET {assignments} WHERE _n = ?",
                [(*(column_value(found_at(body, c.parts), c.path) for c in columns), n) for _, n, body in bodies],
            )
        for side in sides:
            insert_rows(connection, side, side.places((scope, n, side.list_in(body)) for scope, n, body in bodies))


def insert_rows(connection: sqlite3.Connection, side: Side, places: Places, first: int = 0) -> None:
    """Write rows whose numbers count from ``first``: one statement a key, however many documents hold it."""
    marks = ", ".join("?" * (len(side.paths) + 1))
    statement = f"INSERT OR IGNORE INTO {side.table} SELECT {marks}, ? + value FROM json_each(?)"
    connection.executemany(statement, [(*key, first, _numbers(places[key])) for key in in_order(list(places))])


def delete_rows(connection: sqlite3.Connection, side: Side, places: Places) -> None:
    keys = " AND ".join(f"{name} = ?" for name in ("_scope", *side.names))
    statement = f"DELETE FROM {side.table} WHERE {keys} AND _n IN (SELECT value FROM json_each(?))"
    connection.executemany(statement, [(*key, _numbers(places[key])) for key in in_order(list(places))])


def _numbers(places: list[int]) -> str:
    return orjson.dumps(places).decode()
