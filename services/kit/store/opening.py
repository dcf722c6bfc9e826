"""Opening a store by its address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.kit.errors import Invalid
from services.kit.store.connection import BUSY_SECONDS
from services.kit.store.port import Store
from services.kit.store.sqlite import SqliteStore

_SQLITE = "sqlite:///"


def open_store(address: str | Path, document_classes: Sequence[type], *, busy_seconds: float = BUSY_SECONDS) -> Store:
    """The store at an address, holding documents of these classes.

    ``address`` is a path or ``sqlite:///`` and a path (four slashes for an absolute one). ``busy_seconds``: how long a
    write waits for other processes. Raises Invalid naming ``FANFARE_STORE`` for other addresses, Unavailable where
    the file cannot be used.
    """
    if isinstance(address, Path):
        return SqliteStore(address, document_classes, busy_seconds=busy_seconds)
    scheme, separator, _ = address.partition("://")
    if separator and not address.startswith(_SQLITE):
        raise Invalid(
            f"FANFARE_STORE names a store of the kind {scheme}, which this installation has no engine for: "
            "use a path, or sqlite:/// and a path.",
            field="FANFARE_STORE",
        )
    path = address.removeprefix(_SQLITE)
    if not path:
        raise Invalid("FANFARE_STORE names no file: use sqlite:/// and a path.", field="FANFARE_STORE")
    return SqliteStore(Path(path), document_classes, busy_seconds=busy_seconds)
