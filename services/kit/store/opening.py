"""Opening a store by its address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.kit.errors import Invalid
from services.kit.store.connection import BUSY_SECONDS
from services.kit.store.port import Store
from services.kit.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"
_MONGODB = "mongodb://"


def open_store(address: str | Path, document_classes: Sequence[type], *, busy_seconds: float = BUSY_SECONDS) -> Store:
    """The store at an address, holding documents of these classes.

    ``address`` is a path, ``sqlite:///`` and a path (four slashes for an absolute one), or a ``mongodb://`` URL with
    its database. ``busy_seconds``: how long a write to a file waits for other processes. Raises Invalid naming
    ``FANFARE_STORE`` for other addresses, Unavailable where the file or the server cannot be used.
    """
    if isinstance(address, Path):
        return SqliteStore(address, document_classes, busy_seconds=busy_seconds)
    if address.startswith(_MONGODB):
        # Only here: an embedded installation does not carry MongoDB's client in its memory.
        from services.kit.store.mongo.store import MongoStore

        return MongoStore(address, document_classes)
    scheme, separator, _ = address.partition("://")
    if separator and not address.startswith(_SQLITE):
        raise Invalid(
            f"FANFARE_STORE names a store of the kind {scheme}, which this installation has no engine for: "
            "use sqlite:/// and a path, or mongodb://host:port/database.",
            field="FANFARE_STORE",
        )
    path = address.removeprefix(_SQLITE)
    if not path:
        raise Invalid("FANFARE_STORE names no file: use sqlite:/// and a path.", field="FANFARE_STORE")
    return SqliteStore(Path(path), document_classes, busy_seconds=busy_seconds)
