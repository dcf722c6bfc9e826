"""The embedded log: one append-only SQLite file for all services of a machine.

A stream is one partition of one topic. An event lies at ``stream << 40 | offset``, the file's own key, so that a
partition is read by range, retention removes a range, and nothing needs a second index. Publishers of one process
share their commits; those of several take turns. Reading never holds a transaction longer than one query.
"""

from __future__ import annotations

import fcntl
import random
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kit.clock import MINUTE, SECOND, Clock
from services.kit.errors import FanfareError, Invalid, Unavailable
from services.kit.log.bells import Belfry
from services.kit.log.port import Event, Reader, Terms, key_of, partition_of

OFFSET_BITS = 40
EVENT_COLUMNS = "id, type, source, subject, sequence, at, agency, community, data, trace"

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
    head INTEGER NOT NULL DEFAULT 0,  -- the offset of the next event
    tail INTEGER NOT NULL DEFAULT 0,  -- the offset of the oldest kept
    UNIQUE (topic, partition));
CREATE TABLE IF NOT EXISTS events (
    place INTEGER PRIMARY KEY, published INTEGER NOT NULL,
    id TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, subject TEXT NOT NULL, sequence INTEGER NOT NULL,
    at INTEGER NOT NULL, agency TEXT NOT NULL, community TEXT NOT NULL, data BLOB NOT NULL, trace TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (
    grp TEXT NOT NULL, stream INTEGER NOT NULL, position INTEGER NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (grp, stream)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS readers (
    id TEXT PRIMARY KEY, grp TEXT NOT NULL, topics TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
"""
_LOCK_PATIENCE = 30.0
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_AWAY = _BUSY | {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}
_SWEEP_EVERY = MINUTE
_SWEEP_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Stream:
    id: int
    topic: str
    partition: int

    @property
    def floor(self) -> int:
        """The place of its offset 0."""
        return self.id << OFFSET_BITS


class SqliteLog:
    """The log of one machine, as one process opens it. Safe to share between threads."""

    def __init__(self, path: Path, clock: Clock, terms: Terms) -> None:
        self.path = path
        self.clock = clock
        self.terms = terms
        _create(path)
        self.belfry = Belfry(path.with_name(f"{path.name}.bells"))
        self._publishing = Writer(path, durable=True)
        # Positions and leases may fall back a little when the power fails: events are delivered at least once.
        self.bookkeeping = Writer(path, durable=False)
        self._reading = connect(path)
        self._reading_lock = threading.Lock()
        self._queue: list[_Publication] = []
        self._queue_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._streams: dict[str, list[Stream]] = {}
        self._next_sweep = clock.now() + _SWEEP_EVERY

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        if not events:
            return
        publication = _Publication(topic, [_keyed_row(event) for event in events])
        streams = self.streams(topic)
        publication.place(streams)
        with self._queue_lock:
            self._queue.append(publication)
        with self._commit_lock:  # whoever comes first commits for all who queued meanwhile
            if not publication.done:
                with self._queue_lock:
                    together, self._queue = self._queue, []
                self._append(together)
        if publication.error is not None:
            raise publication.error

    def reader(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Reader:
        from services.kit.log.sqlite_reader import SqliteReader  # it imports us

        return SqliteReader(self, topics, group, from_start=from_start)

    def lag(self, topics: Sequence[str], group: str) -> int:
        streams = [stream for topic in topics for stream in self.streams(topic)]
        with self._reading_lock, plainly_said(self.path):
            rows = self._reading.execute(
                f"""SELECT head, tail, coalesce(position, 0) FROM streams
                    LEFT JOIN positions ON stream = streams.id AND grp = ?
                    WHERE streams.id IN ({marks(streams)})""",
                (group, *(stream.id for stream in streams)),
            ).fetchall()
        return sum(head - max(tail, position) for head, tail, position in rows)

    def sweep(self) -> int:
        """Forget some of what is older than the retention; how many events. Readers call it now and then."""
        horizon = self.clock.now() - self.terms.retention
        forgotten = 0
        with self.bookkeeping.transaction() as rows:
            for stream, tail, head in rows.execute("SELECT id, tail, head FROM streams WHERE tail < head").fetchall():
                floor = stream << OFFSET_BITS
                kept = tail
                for place, published in rows.execute(
                    "SELECT place, published FROM events WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
                    (floor + tail, floor + head, _SWEEP_AT_ONCE - forgotten),
                ):
                    if published >= horizon:
                        break
                    kept = place - floor + 1
                if kept > tail:
                    rows.execute("DELETE FROM events WHERE place >= ? AND place < ?", (floor + tail, floor + kept))
                    rows.execute("UPDATE streams SET tail = ? WHERE id = ?", (kept, stream))
                    forgotten += kept - tail
                if forgotten >= _SWEEP_AT_ONCE:
                    break
        if forgotten:
            self.bookkeeping.give_back_free_pages()
        return forgotten

    def sweep_if_due(self) -> None:
        now = self.clock.now()
        if now >= self._next_sweep:
            self._next_sweep = now + (SECOND if self.sweep() >= _SWEEP_AT_ONCE else _SWEEP_EVERY)

    def streams(self, topic: str) -> list[Stream]:
        """The partitions of a topic, in order; makes it where there is none yet."""
        found = self._streams.get(topic)
        if found is None:
            with self.bookkeeping.transaction() as rows:
                kept = "SELECT id, topic, partition FROM streams WHERE topic = ? ORDER BY partition"
                if not rows.execute(kept, (topic,)).fetchone():
                    rows.executemany(
                        "INSERT INTO streams (topic, partition) VALUES (?, ?)",
                        [(topic, partition) for partition in range(self.terms.partitions)],
                    )
                found = [Stream(*row) for row in rows.execute(kept, (topic,))]
            self._streams[topic] = found
        return found

    def close(self) -> None:
        self._publishing.close()
        self.bookkeeping.close()
        with self._reading_lock:
            self._reading.close()
        self.belfry.close()

    def _append(self, together: list[_Publication]) -> None:
        try:
            with self._publishing.transaction() as rows:
                touched = sorted({stream.id for publication in together for stream in publication.streams})
                head = dict(
                    rows.execute(f"SELECT id, head FROM streams WHERE id IN ({marks(touched)})", touched).fetchall()
                )
                now = self.clock.now()
                for publication in together:
                    rows.executemany(
                        f"INSERT INTO events (place, published, {EVENT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                        publication.rows_from(head, now),
                    )
                rows.executemany("UPDATE streams SET head = ? WHERE id = ?", [(at, id) for id, at in head.items()])
        except BaseException as error:
            for publication in together:
                publication.settle(error)
            if not isinstance(error, Exception):
                raise
        else:
            for publication in together:
                publication.settle(None)
            self.belfry.ring({publication.topic for publication in together})


class _Publication:
    """What one caller publishes, waiting for the commit it shares."""

    __slots__ = ("_rows", "done", "error", "streams", "topic")

    def __init__(self, topic: str, rows: list[tuple[str, tuple[Any, ...]]]) -> None:
        self.topic = topic
        self._rows = rows
        self.streams: list[Stream] = []
        self.done = False
        self.error: BaseException | None = None

    def place(self, streams: list[Stream]) -> None:
        self.streams = [streams[partition_of(key, len(streams))] for key, _ in self._rows]

    def rows_from(self, head: dict[int, int], now: int) -> Iterator[tuple[Any, ...]]:
        """The rows at their places; moves the heads on."""
        for stream, (_, row) in zip(self.streams, self._rows, strict=True):
            offset = head[stream.id]
            head[stream.id] = offset + 1
            yield (stream.floor + offset, now, *row)

    def settle(self, error: BaseException | None) -> None:
        self.done, self.error = True, error


def _keyed_row(event: Event) -> tuple[str, tuple[Any, ...]]:
    if not isinstance(event.data, bytes):
        raise Invalid("An event's data is bytes.", field="data")
    return key_of(event), (
        event.id,
        event.type,
        event.source,
        event.subject,
        event.sequence,
        event.at,
        event.agency,
        event.community,
        event.data,
        event.trace,
    )


class Writer:
    """One writing connection. Threads take turns by a lock, processes by BEGIN IMMEDIATE."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = connect(path, busy_timeout=0)
        self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Written as a whole or not at all. Raises Unavailable when the file is full, away or locked for too long."""
        with self._lock, plainly_said(self._path):
            self._begin()
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def give_back_free_pages(self, pages: int = 2_000) -> None:
        with self._lock:
            try:
                # It gives back one page a step, and only a script is stepped to its end.
                self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
            except sqlite3.OperationalError as error:
                if not _is(error, _BUSY):  # somebody is writing: the next sweep does it
                    raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _begin(self) -> None:
        deadline = time.monotonic() + _LOCK_PATIENCE
        longest = 0.001
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is(error, _BUSY) or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.0002, longest))
                longest = min(longest * 1.5, 0.02)
            else:
                return


def connect(path: Path, busy_timeout: int = 5_000) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=busy_timeout / 1_000)
    connection.execute("PRAGMA cache_size=-2048")
    return connection


def marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


@contextmanager
def plainly_said(path: Path) -> Iterator[None]:
    """SQLite's complaints about the file, in words that name the remedy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if _is(error, {sqlite3.SQLITE_FULL}):
            raise Unavailable(f"The disk is full: make room for {path}.") from error
        if _is(error, _BUSY):
            raise Unavailable(f"{path} stayed locked by another process; stop what holds it.") from error
        if _is(error, _AWAY):
            raise Unavailable(f"{path} cannot be written or read: check its disk and its permissions.") from error
        raise
    except sqlite3.DatabaseError as error:
        if _is(error, {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}):
            raise FanfareError(f"{path} is damaged or no log of ours: restore it from a backup.") from error
        raise


def _is(error: sqlite3.Error, codes: set[int]) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in codes


def _create(path: Path) -> None:
    """Make the file where there is none; one process at a time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.creating").open("w") as turn, plainly_said(path):
        fcntl.flock(turn, fcntl.LOCK_EX)
        connection = connect(path)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > _SCHEMA_VERSION:
                raise Invalid(f"{path} was written by a newer Fanfare: upgrade this one.", field="FANFARE_LOG")
            if version < _SCHEMA_VERSION:
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
                path.chmod(0o600)
        finally:
            connection.close()
