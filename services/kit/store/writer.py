"""One thread that writes: calls that wait at the same time share one transaction, and its flush to disk.

A call is a function of the connection, and may run again when the transaction it ran in was lost. Where one fails, the
transaction is undone and each is done by itself, so that it takes nothing with it; all are answered when the commit is
on disk.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from services.kit.errors import Unavailable
from services.kit.store.connection import BUSY_SECONDS, connect, troubles

_T = TypeVar("_T")
_MOST_CALLS = 256
_FREE_PAGES_KEPT = 1_000
_PAGES_FREED = 500
_QUIET_SECONDS = 0.5

Call = Callable[[sqlite3.Connection], Any]
_Waiting = tuple[Call, "Future[Any]"]


class Writer:
    """Runs calls in group commits until closed."""

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._may_have_freed = True
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"store-writer-{path.name}", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[sqlite3.Connection], _T]) -> _T:
        """What the call returns, once it is on disk. Raises what it raises, and Unavailable."""
        answer: Future[_T] = Future()
        with self._closing:
            if self._closed:
                raise Unavailable("The store is closed.", field="store")
            self._waiting.put((call, answer))
        with troubles(self._path):
            return answer.result()

    def close(self) -> None:
        """Finish what waits, then end."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        closing = False
        while not closing:
            try:
                first = self._waiting.get(timeout=_QUIET_SECONDS if self._may_have_freed else None)
            except Empty:
                self._give_pages_back()
                continue
            calls: list[_Waiting] = []
            while first is not None:
                calls.append(first)
                if len(calls) == _MOST_CALLS:
                    break
                try:
                    first = self._waiting.get_nowait()
                except Empty:
                    break
            closing = first is None
            if calls:
                self._commit_together(calls)
        if self._connection is not None:
            self._connection.close()

    def _commit_together(self, calls: list[_Waiting]) -> None:
        try:
            answers = self._transaction(calls)
        except BaseException as error:
            self._abandon(error)
            if len(calls) == 1:
                calls[0][1].set_exception(error)
                return
            for each in calls:  # each by itself: a trouble of one is not the others'
                self._commit_together([each])
            return
        for (_, future), answer in zip(calls, answers, strict=True):
            future.set_result(answer)

    def _transaction(self, calls: list[_Waiting]) -> list[Any]:
        connection = self._begun()
        answers = [call(connection) for call, _ in calls]
        connection.execute("COMMIT")
        self._may_have_freed = True
        return answers

    def _begun(self) -> sqlite3.Connection:
        """A connection that holds the write lock; other processes hold it for a moment at a time."""
        if self._connection is None:
            self._connection = connect(self._path, busy_seconds=self._busy_seconds)
            self._connection.execute("PRAGMA busy_timeout = 0")
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                return self._connection
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.0002, 0.002))  # only to fall between the others' commits

    def _abandon(self, error: BaseException) -> None:
        """Undo what was begun; after anything but a lock, begin anew with a fresh connection."""
        connection = self._connection
        if connection is None:
            return
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
        if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT) or connection.in_transaction:
            self._connection = None
            with suppress(sqlite3.Error):
                connection.close()

    def _give_pages_back(self) -> None:
        """While nobody waits: return the pages that deletions left, some at a time."""
        self._may_have_freed = False
        if self._connection is None:
            return
        with suppress(sqlite3.Error):
            free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
            if free > _FREE_PAGES_KEPT:
                # executescript steps to the end; execute would stop at the first page
                self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_FREED})")
                self._may_have_freed = True
