"""Starter packs: what a community of a kind begins with, so that nobody faces an empty catalogue.

Each pack is a TOML file beside this one: relations, reasons, attributes (sensitive ones marked), the standing rule,
and the objectives and templates that campaigns copies; in French and English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from services.kit.errors import Invalid

NAMES = ("sports_club", "festival")


class UnknownPack(Invalid):
    """There is no starter pack of that name."""

    reason = "unknown-pack"


@dataclass(frozen=True, slots=True)
class Pack:
    """A starter pack as it was read."""

    key: str
    table: Mapping[str, Any]


def read_packs() -> dict[str, Pack]:
    """The packs that come with the service, by key."""
    packs = resources.files(__package__)
    return {name: Pack(name, tomllib.loads(packs.joinpath(f"{name}.toml").read_text("utf-8"))) for name in NAMES}


def pack_named(packs: Mapping[str, Pack], key: str) -> Pack | None:
    """The pack, or None for no name. Raises UnknownPack."""
    if not key:
        return None
    try:
        return packs[key]
    except KeyError:
        raise UnknownPack(f"Begin with one of {', '.join(packs)}, or with none.", field="pack") from None
