"""The engines beside SQLite, which is always at hand: found, or started for one test session, or the reason why not."""

from __future__ import annotations

from typing import Any

from tests.engines import kafka, mongodb
from tests.engines.at_hand import Engine

ENGINES: dict[str, Engine[Any]] = {
    "kafka": Engine(kafka.start),
    "mongodb": Engine(mongodb.start),
}
