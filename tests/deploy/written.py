"""What deploy/ says: its files, read, and which settings and commands there are to be named in them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from services.gateway.__main__ import app as gateway
from services.kit.probe import QUESTIONS
from services.kit.process import MODES
from services.kit.settings import PREFIX, Settings
from services.kit.supervised import HEALTH_FILE

DEPLOY = Path(__file__).parents[2] / "deploy"
ROOMS = ("members", "campaigns", "channels")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS: Mapping[str, Mapping[str, Any]] = {
    name: service for name, service in COMPOSE["services"].items() if name not in ("mongodb", "kafka")
}
IMAGE_ENVIRONMENT = dict(re.findall(r"^ +(?:ENV )?(FANFARE_\w+)=(\S+)", DOCKERFILE, re.MULTILINE))


def settings_of(room: str) -> type[Settings]:
    module = importlib.import_module(f"services.{room}.settings")
    return getattr(module, f"{room.capitalize()}Settings")


def variables() -> set[str]:
    """Every variable that an installation may set."""
    fields = {field for room in (*ROOMS, "gateway") for field in settings_of(room).model_fields} - {"addresses"}
    addresses = {f"{PREFIX}{room.upper()}_ADDRESS" for room in ROOMS}
    return {f"{PREFIX}{field.upper()}" for field in fields} | addresses | {HEALTH_FILE}


def is_command(arguments: Sequence[str]) -> bool:
    """Whether python does something with these arguments."""
    match arguments:
        case ["-m", "services.gateway", command]:
            return command in {each.name or each.callback.__name__ for each in gateway.registered_commands}
        case ["-m", "services.kit.probe", question]:
            return question in QUESTIONS
        case ["-m", module, mode]:
            return module in {f"services.{room}" for room in ROOMS} and mode in MODES
    return False


def in_order(services: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The services as compose starts them: each after what it depends on."""
    said: set[str] = set()
    while len(said) < len(services):
        ready = [
            name
            for name, service in services.items()
            if name not in said and not (set(service.get("depends_on", ())) & services.keys() - said)
        ]
        assert ready, "services wait for each other"
        yield from ready
        said |= set(ready)
