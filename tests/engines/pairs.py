"""A store and a log for one platform of a test: fresh ones, on the engines asked for."""

from __future__ import annotations

import secrets

import pytest

from services.kit.settings import Settings
from tests.engines import ENGINES
from tests.engines.at_hand import NotAtHand


def settings_of(store: str, log: str) -> dict[str, str]:
    """What a platform is told (FANFARE_* without the prefix) to run on this pair. Skips where it cannot be had."""
    return {"STORE": fresh_mongodb() if store == "mongodb" else "", "LOG": fresh_kafka() if log == "kafka" else ""}


def fresh_mongodb() -> str:
    """The address of databases that are this test's own, as FANFARE_STORE has it."""
    return Settings(store=running("mongodb").url).store_url(secrets.token_hex(8))


def fresh_kafka() -> str:
    """Topics and groups of its own, as FANFARE_LOG has it."""
    return f"{running('kafka').url}/{secrets.token_hex(6)}"


def running(engine: str):  # type: ignore[no-untyped-def] # each engine's own class
    """The engine of this session, or whatever stands in for it; without one, the test that asks is skipped."""
    try:
        return ENGINES[engine].running()
    except NotAtHand as reason:
        pytest.skip(f"{engine}: {reason}")
