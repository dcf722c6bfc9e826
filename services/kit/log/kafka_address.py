"""Where Kafka is, and how long we wait for it. Without its client library, so that settings can be checked by it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from services.kit.errors import Invalid

SCHEME = "kafka://"
PATIENCE = 10.0  # seconds, after which Kafka counts as away

_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SERVER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Some brokers, and what the names of our topics and groups begin with there."""

    servers: tuple[str, ...]
    prefix: str

    def named(self, name: str) -> str:
        """The topic or the group as Kafka knows it."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def settings(self) -> dict[str, Any]:
        """Of every client: bounded waits, and a quick return to a broker that is back."""
        return {
            "bootstrap_servers": list(self.servers),
            "bootstrap_timeout_ms": int(PATIENCE * 1_000),
            "request_timeout_ms": int(PATIENCE * 500),
            "reconnect_backoff_max_ms": 1_000,
        }

    def __str__(self) -> str:
        return ",".join(self.servers)


def address_in(url: str) -> Address:
    """``kafka://host:port[,host:port…][/prefix]``. Raises Invalid."""
    servers, _, prefix = url.removeprefix(SCHEME).partition("/")
    listed = tuple(servers.split(","))
    if not all(_SERVER.fullmatch(server) for server in listed) or (prefix and not _PREFIX.fullmatch(prefix)):
        raise Invalid(
            "FANFARE_LOG should be kafka://<host>:<port>, with further brokers after commas, and after a slash, if "
            "several installations share them, a prefix of letters, digits, dots and dashes.",
            field="FANFARE_LOG",
        )
    return Address(listed, prefix)
