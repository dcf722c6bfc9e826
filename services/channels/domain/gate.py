"""The policy gate: may this message go to this member now, and if not, why. Every verdict is kept with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.channels.domain import reasons
from services.channels.domain.run import RunOrder
from services.kit.clock import MINUTE


class Recipient(NamedTuple):
    """What members tells of one member at the moment of hand-off; ``values`` are the merge fields'. Never stored."""

    member: str
    state: str
    address: str
    contact_point: str
    contact_state: str
    permitted: bool
    permission_reason: str
    may_track: bool
    locale: str
    zone: str
    display_name: str
    registered_at: int
    values: Sequence[str]


class Decision(Enum):
    SEND = "send"
    SKIP = "skip"
    DEFER = "defer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``until`` (UTC ms) is when a deferred one is asked again."""

    decision: Decision
    reason: str = ""
    until: int = 0


SEND = Verdict(Decision.SEND)
_BARRED_STATES = {
    "missing": reasons.MISSING,
    "merged": reasons.MERGED,
    "erased": reasons.ERASED,
    "restricted": reasons.RESTRICTED,
}
_BARRED_CONTACTS = frozenset(("bounced", "complained", "invalid"))


def skip(reason: str) -> Verdict:
    return Verdict(Decision.SKIP, reason)


class Gate:
    """The gate of one run at one moment; ``now`` is UTC ms."""

    def __init__(self, order: RunOrder, now: int) -> None:
        self._order = order
        self._now = now
        self._expired = 0 < order.send_until <= now
        self._quiet = order.quiet_from != order.quiet_until
        self._quiet_until_by_zone: dict[str, int] = {}

    def judge(self, recipient: Recipient, *, suppressed: bool, received: int) -> Verdict:
        """``suppressed``: for this purpose; ``received``: messages under the cap within its window."""
        order = self._order
        if self._expired:
            return skip(reasons.EXPIRED)
        if recipient.state != "active":
            return skip(_BARRED_STATES.get(recipient.state, reasons.MISSING))
        if recipient.registered_at > order.launched_at or (order.id_ceiling and recipient.member > order.id_ceiling):
            return skip(reasons.JOINED_AFTER_LAUNCH)
        if not recipient.address:
            return skip(reasons.NO_CONTACT_POINT)
        if recipient.contact_state in _BARRED_CONTACTS:
            return skip(reasons.BOUNCED_CONTACT)
        if not recipient.permitted:
            return skip(recipient.permission_reason or reasons.NO_PERMISSION)
        if suppressed:
            return skip(reasons.SUPPRESSED)
        if order.cap_count and received >= order.cap_count and not order.is_service:
            return skip(reasons.CAP)
        if self._quiet and (until := self._quiet_until(recipient.zone)):
            return Verdict(Decision.DEFER, reasons.QUIET_HOURS, min(until, order.send_until or until))
        return SEND

    def _quiet_until(self, zone: str) -> int:
        """When the quiet hours of a zone end; 0 where it is not quiet there."""
        known = self._quiet_until_by_zone.get(zone)
        if known is None:
            known = quiet_until(self._now, zone, self._order.quiet_from, self._order.quiet_until)
            self._quiet_until_by_zone[zone] = known
        return known


def quiet_until(now: int, zone: str, quiet_from: int, until: int) -> int:
    """When the quiet hours that hold now in the zone end (UTC ms); 0 where none hold. An unknown zone is UTC."""
    try:
        place: ZoneInfo | None = ZoneInfo(zone) if zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        place = None
    local = datetime.fromtimestamp(now / 1_000, place or UTC)
    minute = local.hour * 60 + local.minute
    over_midnight = quiet_from > until
    after, before = minute >= quiet_from, minute < until
    if not (after or before if over_midnight else after and before):
        return 0
    return now - now % MINUTE + ((until - minute) % (24 * 60)) * MINUTE
