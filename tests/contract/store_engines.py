"""The engines of the store that the contract runs on, and why others were not run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.kit.errors import Invalid
from services.kit.scope import Scope
from services.kit.store.opening import open_store
from services.kit.store.port import Store

AGENCY, OTHER_AGENCY = "agc_1", "agc_2"
CLUB, FESTIVAL = "com_club", "com_festival"
IN_CLUB = Scope(AGENCY, frozenset((CLUB,)), "operator:ann")
IN_AGENCY = Scope(AGENCY, None, "operator:ann")
ELSEWHERE = Scope(OTHER_AGENCY, None, "operator:eve")


def absent() -> dict[str, str]:
    """The engines that are not at hand, and why."""
    mongodb = os.environ.get("FANFARE_TEST_MONGODB", "")
    if not mongodb:
        return {"mongodb": "FANFARE_TEST_MONGODB names no MongoDB server"}
    try:
        open_store(mongodb, ()).close()
    except Invalid as error:
        return {"mongodb": error.message}
    return {}


def engines() -> list[Any]:
    """The engines at hand, as parameters."""
    known = {"sqlite": "sqlite", "mongodb": os.environ.get("FANFARE_TEST_MONGODB", "")}
    return [pytest.param(engine, id=name) for name, engine in known.items() if name not in absent()]


def opened(engine: str, folder: Path, document_classes: Sequence[type]) -> Iterator[Store]:
    """A fresh store, closed afterwards."""
    store = open_store(folder / "store.db" if engine == "sqlite" else f"{engine}/{folder.name}", document_classes)
    yield store
    store.close()
