"""How the embedded store opens its file, and what its troubles are called."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.kit.errors import FanfareError, Invalid, Unavailable

BUSY_SECONDS = 30.0
_STATEMENTS = 128
_WRITER_CACHE_KIB = 8 * 1024
_READER_CACHE_KIB = 2 * 1024  # the operating system keeps the file's pages anyway, once for all
_IDLE_READERS = 8
_CHECKPOINT_PAGES = 4_000
_WAL_BYTES = 64 * 1024 * 1024


def connect(path: Path, *, reads_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection to the file, made if it is not there: write-ahead log, each commit on disk when it returns."""
    connection = sqlite3.connect(
        path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
    )
    try:
        if not reads_only:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB if reads_only else _WRITER_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        if reads_only:
            connection.execute("PRAGMA query_only = 1")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Readers:
    """Connections for reading, as many as threads read at once; the one used last is used next, warm."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """A connection for one statement or page, nobody else's meanwhile. Raises Unavailable."""
        if self._closed:
            raise Unavailable("The store is closed.")
        with troubles(self._path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = connect(self._path, reads_only=True)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if self._closed or len(self._idle) >= _IDLE_READERS:
                connection.close()
            else:
                self._idle.append(connection)

    def close(self) -> None:
        self._closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


_MESSAGES = {
    sqlite3.SQLITE_FULL: "is full, or its disk is: free some space, and try again",
    sqlite3.SQLITE_BUSY: "was locked by another process for too long: try again",
    sqlite3.SQLITE_LOCKED: "was locked by another process for too long: try again",
    sqlite3.SQLITE_READONLY: "cannot be written: check its owner and permissions",
    sqlite3.SQLITE_PERM: "cannot be written: check its owner and permissions",
    sqlite3.SQLITE_CORRUPT: "is damaged: stop the service and restore it from a backup",
    sqlite3.SQLITE_NOTADB: "is not a store: stop the service and restore it from a backup",
    sqlite3.SQLITE_IOERR: "could not be read or written: check its disk for space and errors",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and may be written",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is: try again",
    sqlite3.SQLITE_PROTOCOL: "was locked by another process for too long: try again",
}


@contextmanager
def troubles(path: Path) -> Iterator[None]:
    """Name what goes wrong inside, by the field's words."""
    try:
        yield
    except sqlite3.Error as error:
        raise named(error, path) from error
    except OverflowError as error:
        raise Invalid("A whole number does not fit in 64 bits.", field="document") from error
    except UnicodeEncodeError as error:
        raise Invalid("Text holds half a character (a lone surrogate): take it out.", field="document") from error


def named(error: sqlite3.Error, path: Path) -> FanfareError | sqlite3.Error:
    """The error as the port raises it; what is a mistake of ours stays as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _MESSAGES:
        return Unavailable(f"The store {path.name} {_MESSAGES[code]}.", field="store")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return Unavailable("The store is closed.", field="store")
    return error
