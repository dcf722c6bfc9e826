"""Roles, and what each may do. The grants are those that every rpc of the contract names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.kit.errors import Invalid
from services.kit.rpc.trust import WHOLE_AGENCY, Grants

READS = frozenset({"members.read", "campaigns.read", "channels.read"})
HOLDS = frozenset({"outgoing.hold"})
LAUNCHES = frozenset({"campaigns.launch"})
WRITES = frozenset({"members.write", "campaigns.write", "channels.write"})
ADMINISTERS = frozenset({"agency.admin"})

ROLES: Mapping[str, frozenset[str]] = {
    "owner": READS | WRITES | LAUNCHES | HOLDS | ADMINISTERS,
    "manager": READS | WRITES | LAUNCHES | HOLDS,
    "approver": READS | LAUNCHES | HOLDS,
    "analyst": READS,
}

EVENTS = "events.write"
SCOPES: Mapping[str, str] = {
    "members.read": "read communities, members, segments and imports",
    "members.write": "change members and permissions, and import",
    "campaigns.read": "read objectives, campaigns and figures",
    "campaigns.write": "write objectives, campaigns and templates",
    "campaigns.launch": "launch, pause and cancel campaigns",
    "channels.read": "read channel accounts",
    "channels.write": "add and change channel accounts",
    "outgoing.hold": "stop everything, and let it go on",
    "agency.admin": "open communities and read the audit log",
    EVENTS: "report purchases, sign-ups and attendance to /v1/events",
}
"""What an API key may be made for. Operators and keys themselves are managed by operators only."""


class UnknownRole(Invalid):
    reason = "unknown-role"


class UnknownScope(Invalid):
    reason = "unknown-scope"


@dataclass(frozen=True, slots=True)
class Role:
    """A role in one community, or (None) in the whole agency."""

    name: str
    community: str | None = None

    def __post_init__(self) -> None:
        if self.name not in ROLES:
            raise UnknownRole(f"A role is one of {', '.join(ROLES)}.", field="role")


def grants_of(roles: Iterable[Role]) -> Grants:
    """What these roles may do, by community."""
    held: dict[str, frozenset[str]] = {}
    for role in roles:
        place = role.community or WHOLE_AGENCY
        held[place] = held.get(place, frozenset()) | ROLES[role.name]
    return held


def key_grants(scopes: Iterable[str], communities: Iterable[str] | None) -> Grants:
    """What a key of these scopes may do; ``None``: in every community."""
    held = frozenset(scopes)
    return dict.fromkeys(communities if communities is not None else (WHOLE_AGENCY,), held)


def known_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes, each once and in order. Raises UnknownScope."""
    asked = set(scopes)
    if unknown := sorted(asked - set(SCOPES)):
        raise UnknownScope(f"There is no scope {unknown[0]}; there are: {', '.join(SCOPES)}.", field="scopes")
    if not asked:
        raise UnknownScope("Name at least one scope.", field="scopes")
    return [scope for scope in SCOPES if scope in asked]
