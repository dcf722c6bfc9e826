"""The engines of the store that the contract runs on, and why others were not run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from services.kit.scope import Scope
from services.kit.settings import Settings
from services.kit.store.opening import open_store
from services.kit.store.port import Store
from services.kit.store.sqlite import SqliteStore
from tests.engines.pairs import fresh_mongodb, running

AGENCY, OTHER_AGENCY = "agc_1", "agc_2"
CLUB, FESTIVAL = "com_club", "com_festival"
IN_CLUB = Scope(AGENCY, frozenset((CLUB,)), "operator:ann")
IN_AGENCY = Scope(AGENCY, None, "operator:ann")
ELSEWHERE = Scope(OTHER_AGENCY, None, "operator:eve")


def engines() -> list[Any]:
    """Every engine, as parameters; one that is not at hand is skipped with its reason."""
    return ["sqlite", "mongodb"]


def opened(engine: str, folder: Path, document_classes: Sequence[type]) -> Iterator[Store]:
    """A fresh store, closed afterwards; a database in memory goes with it."""
    where = address(engine, folder)
    store = open_store(where, document_classes)
    yield store
    store.close()
    if engine == "mongodb":
        client: MongoClient[dict[str, Any]] = MongoClient(where)
        client.drop_database(client.get_default_database().name)
        client.close()


def address(engine: str, folder: Path) -> str:
    """Of a store that is this test's own."""
    if engine == "sqlite":
        return f"sqlite:///{folder}/store.db"
    return Settings(store=fresh_mongodb()).store_url("test")


def real_or_embedded(store: Store) -> bool:
    """Whether what this store shows is proven: mongo-java-server is no MongoDB, and wrong in places."""
    return isinstance(store, SqliteStore) or bool(running("mongodb").real)
