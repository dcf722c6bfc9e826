"""The embedded engine of the store: one SQLite file per service, shared by its processes.

``schema`` derives the tables, ``compile`` and ``plan`` turn rules into statements, ``patching`` turns patches into
them, ``writer`` commits in groups; here they meet the port.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from services.kit.errors import Invalid, Unavailable
from services.kit.scope import EVERY_AGENCY, Scope
from services.kit.store.checks import check_scope, key_of, version_of
from services.kit.store.compare import Sql
from services.kit.store.compile import Reach
from services.kit.store.connection import BUSY_SECONDS, Readers, connect, troubles
from services.kit.store.encoding import dumped
from services.kit.store.pages import Pages
from services.kit.store.patching import Patching
from services.kit.store.plan import Planner
from services.kit.store.port import BY_ID, PAGE_LIMIT, Document, Order, Page, Patch
from services.kit.store.rule import EVERYTHING, Rule
from services.kit.store.schema import (
    Places,
    Side,
    Table,
    bring_up_to_date,
    delete_rows,
    fingerprint_of,
    insert_rows,
    json_path,
    table_of,
)
from services.kit.store.writer import Writer

_T = TypeVar("_T")
_Lists = dict[str, tuple[Any, ...]]  # by id: scope, number, and the JSON text of each list


class SqliteStore:
    """The documents of one service in one file."""

    def __init__(self, path: Path, document_classes: Sequence[type], *, busy_seconds: float = BUSY_SECONDS) -> None:
        tables = [table_of(each) for each in document_classes]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The folder of the store {path.name} cannot be made: {error.strerror}.") from error
        with troubles(path):
            _prepare(path, tables, busy_seconds)
        self._path = path
        self._readers = Readers(path)
        self._writer = Writer(path, busy_seconds=busy_seconds)
        scopes = _Scopes(self._readers, self._writer)
        self._collections = {
            table.document_class: SqliteCollection(table, self._readers, self._writer, scopes) for table in tables
        }

    def collection(self, document_class: type) -> SqliteCollection:
        """Raises Invalid for a class that was not named when the store was opened."""
        try:
            return self._collections[document_class]
        except KeyError:
            raise Invalid(
                f"The store was opened without {document_class.__name__}: name it there.", field="document_class"
            ) from None

    def close(self) -> None:
        self._writer.close()
        self._readers.close()


def _prepare(path: Path, tables: list[Table], busy_seconds: float) -> None:
    """Make the file and its tables, or bring them up to date; processes that start together take turns."""
    deadline = time.monotonic() + busy_seconds
    while True:
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(path, busy_seconds=busy_seconds)
            if not _is_current(connection, tables):
                connection.execute("BEGIN IMMEDIATE")
                bring_up_to_date(connection, tables)
                connection.execute("COMMIT")
            return
        except sqlite3.OperationalError as error:  # switching to the write-ahead log does not wait for its lock
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.001, 0.02))  # only to let another process finish
        finally:
            if connection is not None:
                connection.close()


def _is_current(connection: sqlite3.Connection, tables: list[Table]) -> bool:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_tables'").fetchone():
        return False
    stored = dict(connection.execute("SELECT name, fingerprint FROM _tables"))
    return all(stored.get(table.name) == fingerprint_of(table) for table in tables)


class _Scopes:
    """The numbers that stand for agency and community. They are given once and never change."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer
        self._known: dict[tuple[str, str], int] = {}

    def reach(self, scope: Scope) -> Reach | None:
        """What the scope may see; None where nothing of it is stored."""
        if scope.agency == EVERY_AGENCY:
            if scope.communities is None:
                return Reach(None)
            return Reach(()) if not scope.communities else self._of_communities(scope.communities)
        if scope.communities is not None:
            wanted = [(scope.agency, community) for community in scope.communities if community]
            if any(pair not in self._known for pair in wanted):
                self._learn(scope.agency)
            numbers = [self._known[pair] for pair in wanted if pair in self._known]
        else:
            numbers = self._learn(scope.agency)
        return Reach(tuple(sorted(numbers))) if numbers else None

    def number(self, agency: str, community: str) -> int:
        """The number of a pair, given now if it is new."""
        pair = (agency, community)
        if pair not in self._known:
            self._writer.run(
                lambda c: c.execute("INSERT OR IGNORE INTO _scopes (agency, community) VALUES (?, ?)", pair)
            )
            self._learn(agency)
        return self._known[pair]

    def _learn(self, agency: str) -> list[int]:
        with self._readers.one() as connection:
            rows = connection.execute("SELECT community, n FROM _scopes WHERE agency = ?", (agency,)).fetchall()
        self._known.update({(agency, community): n for community, n in rows})
        return [n for _, n in rows]

    def _of_communities(self, communities: frozenset[str]) -> Reach | None:
        with self._readers.one() as connection:
            rows = connection.execute(
                "SELECT n FROM _scopes WHERE community IN (SELECT value FROM json_each(?))",
                (orjson.dumps(sorted(communities)).decode(),),
            ).fetchall()
        return Reach(tuple(sorted(row[0] for row in rows))) if rows else None


class SqliteCollection:
    """The documents of one class; ``port.Collection`` says what each call promises."""

    def __init__(self, table: Table, readers: Readers, writer: Writer, scopes: _Scopes) -> None:
        self._table = table
        self._readers = readers
        self._writer = writer
        self._scopes = scopes
        self._planner = Planner(table)
        self._patching = Patching(table)
        self._pages = Pages(table, self._planner)
        columns = ", ".join(["_scope", "_id", "version", *(c.name for c in table.columns), "_body"])
        marks = ", ".join("?" * (len(table.columns) + 4))
        self._insert = f"INSERT INTO {table.quoted} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"
        self._get = (
            "SELECT m._id, CAST(m._body AS BLOB) FROM json_each(?) j "
            f"CROSS JOIN {table.quoted} m ON m._id = j.value WHERE "
        )
        mine = [c for c in table.columns if c.parts[0] not in table.left_alone]
        self._replaced_columns = mine
        self._replaced_sides = tuple(s for s in table.sides if s.through.split(".")[0] not in table.left_alone)
        self._replace = _replace_statement(table, [c.name for c in mine])

    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Document]:
        reach = self._scopes.reach(scope)
        if reach is None or not ids:
            return {}
        within = reach.over("m._scope")
        with self._readers.one() as connection:
            rows = connection.execute(self._get + within.text, (_listed(ids), *within.params)).fetchall()
        return {row[0]: orjson.loads(row[1]) for row in rows}

    def insert(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        if not documents:
            return set()
        check_scope(scope, documents)
        table, rows = self._table, []
        sides: dict[Side, Places] = {side: defaultdict(list) for side in table.sides}
        for at, document in enumerate(sorted(documents, key=key_of)):
            document["version"] = 1
            number = self._scopes.number(document["agency"], document.get("community") or "")
            rows.append((number, document["_id"], 1, *table.column_values(document), dumped(document)))
            for side, places in sides.items():
                for key in side.keys(number, side.list_in(document)):
                    places[key].append(at)
        return self._write(lambda connection: self._insert_rows(connection, rows, sides))

    def _insert_rows(
        self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]], sides: dict[Side, Places]
    ) -> set[str]:
        """Documents are numbered on, in their order; ``sides`` know them by their place in it."""
        first = connection.execute(f"SELECT IFNULL(MAX(_n), 0) + 1 FROM {self._table.quoted}").fetchone()[0]
        if connection.executemany(self._insert, rows).rowcount < len(rows):
            stored = f"SELECT _id, _n - ?1 FROM {self._table.quoted} WHERE _n >= ?1"
            numbers = dict(connection.execute(stored, (first,)))
            new = {at: numbers.pop(row[1]) for at, row in enumerate(rows) if row[1] in numbers}
            rows = [rows[at] for at in new]
            sides = {
                side: {key: [new[at] for at in ats if at in new] for key, ats in places.items()}
                for side, places in sides.items()
            }
        for side, places in sides.items():
            insert_rows(connection, side, places, first)
        return {row[1] for row in rows}

    def replace(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        if not documents:
            return set()
        check_scope(scope, documents)
        rows = []
        for document in documents:
            version = version_of(document)
            number = self._scopes.number(document["agency"], document.get("community") or "")
            kept = {key: value for key, value in document.items() if key not in self._table.left_alone}
            kept["version"] = version + 1
            rows.append(
                (dumped(kept), version + 1, *self._replaced_values(kept), key_of(document), version, number, kept)
            )
        done = self._write(lambda connection: self._replace_rows(connection, rows))
        for document in documents:
            if document["_id"] in done:
                document["version"] += 1
        return done

    def _replaced_values(self, document: Document) -> list[Any]:
        values = dict(zip((c.path for c in self._table.columns), self._table.column_values(document), strict=True))
        return [values[c.path] for c in self._replaced_columns]

    def _replace_rows(self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> set[str]:
        sides = self._replaced_sides
        before = self._stored_lists(connection, [row[-4] for row in rows], sides)
        done: set[str] = set()
        after: _Lists = {}
        for row in rows:
            if connection.execute(self._replace, row[:-1]).rowcount:
                an_id, document = row[-4], row[-1]
                done.add(an_id)
                if sides:
                    after[an_id] = (*before[an_id][:2], *(_text_of(side.list_in(document)) for side in sides))
        self._settle_sides(connection, sides, before, after)
        return done

    def patch(self, scope: Scope, patches: Sequence[Patch]) -> set[str]:
        reach = self._scopes.reach(scope)
        statements = [(each.id, *self._patching.statement(each, reach or Reach(()))) for each in patches]
        if reach is None or not patches:
            return set()
        return self._write(lambda connection: self._patch_rows(connection, statements))

    def _patch_rows(
        self, connection: sqlite3.Connection, statements: list[tuple[str, Sql, tuple[Side, ...]]]
    ) -> set[str]:
        done: set[str] = set()
        for an_id, statement, sides in statements:
            before = self._stored_lists(connection, [an_id], sides)
            if connection.execute(statement.text, statement.params).rowcount:
                done.add(an_id)
                self._settle_sides(connection, sides, before, self._stored_lists(connection, [an_id], sides))
        return done

    def delete(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        reach = self._scopes.reach(scope)
        if reach is None or not ids:
            return set()
        within = reach.over("_scope")
        statement = f"DELETE FROM {self._table.quoted} WHERE _id = ? AND {within.text}"
        sides = self._table.sides

        def call(connection: sqlite3.Connection) -> set[str]:
            before = self._stored_lists(connection, ids, sides)
            done = {an_id for an_id in ids if connection.execute(statement, (an_id, *within.params)).rowcount}
            gone = {an_id: (*before[an_id][:2], *(None for _ in sides)) for an_id in done if sides}
            self._settle_sides(connection, sides, before, gone)
            return done

        return self._write(call)

    def find(
        self,
        scope: Scope,
        rule: Rule = EVERYTHING,
        *,
        order: Order = BY_ID,
        limit: int = 50,
        after: str | None = None,
        fields: Sequence[str] | None = None,
    ) -> Page:
        if not 0 < limit <= PAGE_LIMIT:
            raise Invalid(f"A page holds 1 to {PAGE_LIMIT} documents.", field="limit")
        reading = self._pages.reading(rule, order, fields)
        place = reading.place(after)
        reach = self._scopes.reach(scope)
        if reach is None:
            return Page([], None)
        with self._readers.one() as connection:
            rows = reading.rows(connection, reach, place, limit + 1)
        following = reading.cursor(rows[limit - 1]) if len(rows) > limit else None
        return Page(reading.documents(rows[:limit]), following)

    def stream(
        self,
        scope: Scope,
        rule: Rule = EVERYTHING,
        *,
        page: int = 1_000,
        after: str = "",
        fields: Sequence[str] | None = None,
    ) -> Iterator[list[Document]]:
        reading = self._pages.reading(rule, BY_ID, fields)
        reach = self._scopes.reach(scope)
        behind = after
        while reach is not None:
            with self._readers.one() as connection:
                rows = reading.rows(connection, reach, (None, behind) if behind else None, page)
            if rows:
                yield reading.documents(rows)
            if len(rows) < page:
                return
            behind = reading.last_id(rows[-1])

    def count(self, scope: Scope, rule: Rule = EVERYTHING) -> int:
        reach = self._scopes.reach(scope)
        if reach is None:
            return 0
        with self._readers.one() as connection:
            statement = self._planner.counting(connection, rule, reach)
            found: int = connection.execute(statement.text, statement.params).fetchone()[0]
        return found

    def _write(self, call: Callable[[sqlite3.Connection], _T]) -> _T:
        return self._writer.run(call)

    def _stored_lists(self, connection: sqlite3.Connection, ids: Sequence[str], sides: tuple[Side, ...]) -> _Lists:
        """The lists that the side tables tell, as they are stored."""
        if not sides:
            return {}
        lists = ", ".join(f"m._body -> '{json_path(side.through)}'" for side in sides)
        rows = connection.execute(
            f"SELECT m._id, m._scope, m._n, {lists} FROM json_each(?) j CROSS JOIN {self._table.quoted} m "
            "ON m._id = j.value",
            (_listed(ids),),
        )
        return {row[0]: row[1:] for row in rows}

    def _settle_sides(
        self, connection: sqlite3.Connection, sides: tuple[Side, ...], before: _Lists, after: _Lists
    ) -> None:
        """Write the side rows of the lists that changed, each table in its order."""
        for at, side in enumerate(sides, start=2):
            changed = [an_id for an_id, now in after.items() if now[at] != before[an_id][at]]
            if not changed:
                continue
            had, have = (
                side.places((of[i][0], of[i][1], orjson.loads(of[i][at] or "null")) for i in changed)
                for of in (before, after)
            )
            delete_rows(connection, side, _only_in(had, have))
            insert_rows(connection, side, _only_in(have, had))


def _only_in(some: Places, others: Places) -> Places:
    return {key: rest for key, ns in some.items() if (rest := sorted({*ns} - {*others.get(key, ())}))}


def _text_of(found: Any) -> str | None:
    return None if found is None else dumped(found)


def _replace_statement(table: Table, columns: list[str]) -> str:
    body = "?"
    if table.left_alone:
        kept = ", ".join(
            f"'{json_path(name)}', json(IFNULL(_body -> '{json_path(name)}', 'null'))" for name in table.left_alone
        )
        body = f"json_set(?, {kept})"
    assignments = "".join(f", {name} = ?" for name in columns)
    return (
        f"UPDATE {table.quoted} SET _body = {body}, version = ?{assignments} "
        "WHERE _id = ? AND version = ? AND _scope = ?"
    )


def _listed(ids: Sequence[str]) -> str:
    return orjson.dumps(list(ids)).decode()
