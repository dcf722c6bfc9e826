"""A channel account: one connection of a community to a channel."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class AccountState(Enum):
    ACTIVE = "active"
    PAUSED = "paused"
    ALARMED = "alarmed"  # stopped until an operator has looked at it


@dataclass(frozen=True, slots=True)
class Account:
    """With its secrets readable: it never leaves the process, nor shows them."""

    id: str
    version: int
    agency: str
    community: str
    channel: str
    name: str
    state: AccountState
    alarm: str
    sender_address: str
    sender_verified: bool
    host: str
    port: int
    security: str
    username: str = ""
    password: str = field(default="", repr=False)
    rate_per_minute: int = 0
    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_private_key: str = field(default="", repr=False)


def pace(free_at: int, now: int, rate_per_minute: int, wanted: int) -> tuple[int, int]:
    """How many messages the rate allows now, and until when they use it up (UTC ms).

    What was not used is not saved up: at most a second's worth goes at once.
    """
    interval = 60_000 / rate_per_minute
    burst = max(1, rate_per_minute // 60)
    start = max(free_at, now - round(interval * (burst - 1)))
    allowed = max(0, min(wanted, int((now - start) / interval) + 1)) if start <= now else 0
    return allowed, start + round(allowed * interval)
