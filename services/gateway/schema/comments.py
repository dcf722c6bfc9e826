"""The contract's own comments, so that the graph is described in the words in which it was agreed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PROTO = Path(__file__).parents[3] / "proto" / "fanfare"

_OPENS = re.compile(r"^\s*(message|service|oneof|enum)\s+(\w+)\s*\{(.*)$")
_FIELD = re.compile(r"^\s*(?:repeated\s+|optional\s+)?[\w.<>, ]+?\s+(\w+)\s*=\s*\d+\s*[;\[]")
_RPC = re.compile(r"^\s*rpc\s+(\w+)\s*\(")
_COMMENT = re.compile(r"^\s*//\s?(.*)$")


@cache
def comments() -> dict[str, str]:
    """Comments by ``fanfare.<room>.v1.<Message>[.<field>]`` and ``…<Service>.<Rpc>``; empty without the sources."""
    found: dict[str, str] = {}
    for file in sorted(PROTO.glob("*/v1/*.proto")):
        found |= _comments_in(file.read_text(encoding="utf-8"), f"fanfare.{file.parts[-3]}.v1")
    return found


def _comments_in(source: str, package: str) -> dict[str, str]:
    found: dict[str, str] = {}
    inside: list[str] = []  # names of what is open; "" for what has no name of its own in a path
    said: list[str] = []
    for line in source.splitlines():
        if comment := _COMMENT.match(line):
            said.append(comment.group(1))
            continue
        name = ""
        if opened := _OPENS.match(line):
            inside.append("" if opened.group(1) == "oneof" else opened.group(2))
        elif member := _RPC.match(line) or _FIELD.match(line):
            name = member.group(1)
        if said and (opened or name):
            found[".".join(part for part in (package, *inside, name) if part)] = " ".join(said)
        if _RPC.match(line) and line.rstrip().endswith("{"):
            inside.append("")
        if (line.strip() == "}" and inside) or (opened and opened.group(3).strip().endswith("}")):
            inside.pop()
        said = []
    return found
