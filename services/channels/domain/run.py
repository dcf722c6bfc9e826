"""A run as channels knows it: what was ordered at launch, and whether it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.kit.errors import Invalid

# Purposes that pass promotional refusals and caps, carry no promotion, and need no unsubscribe link.
SERVICE_PURPOSES = frozenset(("service", "statutory"))


class RunState(Enum):
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"

    @classmethod
    def named(cls, name: str) -> RunState:
        try:
            return cls(name)
        except ValueError:
            raise Invalid("A run is running, paused or cancelled: name one of these.", field="state") from None


@dataclass(frozen=True, slots=True)
class RunOrder:
    """Fixed at launch. Instants are UTC ms; quiet hours are minutes after midnight in the member's zone."""

    run: str
    campaign: str
    agency: str
    community: str
    channel: str
    purpose: str
    account: str
    from_name: str = ""
    reply_to: str = ""
    unknown_policy: str = "list"
    launched_at: int = 0
    send_until: int = 0  # 0: no end
    id_ceiling: str = ""
    revision: int = 1
    quiet_from: int = 0
    quiet_until: int = 0
    cap_count: int = 0
    cap_window_days: int = 0

    @property
    def is_service(self) -> bool:
        return self.purpose in SERVICE_PURPOSES

    @property
    def sends_again(self) -> bool:
        return self.unknown_policy == "again"

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ORDER_FIELDS}


ORDER_FIELDS = tuple(RunOrder.__dataclass_fields__)
