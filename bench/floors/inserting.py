"""The floor of importing: the documents that an import made, inserted straight into SQLite.

What an import left in a store is read back and decoded beforehand; the clock then runs over encoding each document and
inserting it with its keys, side rows and indexes, in transactions of two thousand documents, each synced to disk.
Documents arrive in the order in which they were made, and the side rows of a transaction in the order of their keys.
"""

from __future__ import annotations

import gc
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_DOCUMENTS_IN_ONE_TRANSACTION = 2_000
_AS_THE_STORE_DOES = ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 4000", "cache_size = -8192")


@dataclass(frozen=True, slots=True)
class Inserted:
    """What it took. ``rows`` counts every row of every table."""

    wall_seconds: float
    cpu_seconds: float
    rows: int
    tables: dict[str, int]


@dataclass(slots=True)
class _Table:
    name: str
    insert: str
    rows: list[list[Any]]  # in the order of the documents they belong to
    encoded: Sequence[int]  # columns that hold a document


def insert_again(source: Path, target: Path, wanted: Callable[[str], bool], documents: int) -> Inserted:
    """Insert what the wanted tables of ``source`` hold into a new file: so many documents, and what is theirs."""
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as store:
        names = [str(row[0]) for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        names = [name for name in names if wanted(name) and not name.startswith("sqlite_")]
        marks = ", ".join("?" * len(names))
        made = store.execute(
            f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({marks}) AND sql IS NOT NULL ORDER BY type DESC", names
        ).fetchall()
        tables = [table for table in (_read(store, name) for name in names) if table.rows]
    target.unlink(missing_ok=True)
    turns = max(1, -(-documents // _DOCUMENTS_IN_ONE_TRANSACTION))
    shares = [[_share(table, turn, turns) for table in tables] for turn in range(turns)]
    copy = sqlite3.connect(target, isolation_level=None)
    for pragma in _AS_THE_STORE_DOES:
        copy.execute(f"PRAGMA {pragma}")
    for (sql,) in made:
        copy.execute(sql)
    gc.collect()
    gc.freeze()  # what lies ready is none of the floor's work
    wall, cpu = time.perf_counter(), time.process_time()
    for turn in shares:
        copy.execute("BEGIN IMMEDIATE")
        for table, share in zip(tables, turn, strict=True):
            for row in share:
                for column in table.encoded:
                    row[column] = orjson.dumps(row[column]).decode()
            copy.executemany(table.insert, share)
        copy.execute("COMMIT")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    copy.close()
    return Inserted(
        wall, cpu, sum(len(table.rows) for table in tables), {table.name: len(table.rows) for table in tables}
    )


def _read(store: sqlite3.Connection, name: str) -> _Table:
    columns = [row[1] for row in store.execute(f"PRAGMA table_xinfo({_quoted(name)})") if row[6] == 0]
    listed = ", ".join(_quoted(column) for column in columns)
    rows = [list(row) for row in store.execute(f"SELECT {listed} FROM {_quoted(name)}")]
    encoded = [place for place, value in enumerate(rows[0] if rows else ()) if _is_document(value)]
    number = columns.index("_n") if "_n" in columns else 0
    rows.sort(key=lambda row: row[number])
    for row in rows:
        for column in encoded:
            row[column] = orjson.loads(row[column])
    insert = f"INSERT INTO {_quoted(name)} ({listed}) VALUES ({', '.join('?' * len(columns))})"
    return _Table(name, insert, rows, encoded)


def _share(table: _Table, turn: int, turns: int) -> list[list[Any]]:
    """What one transaction of several brings to a table, in the order of its key."""
    share = table.rows[len(table.rows) * turn // turns : len(table.rows) * (turn + 1) // turns]
    return share if table.encoded else sorted(share, key=lambda row: [str(value) for value in row])


def _is_document(value: Any) -> bool:
    return isinstance(value, str | bytes) and value[:1] in ("{", b"{")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
