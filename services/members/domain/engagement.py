"""What members did and received, and the points it makes: each point names its interaction, and counts for a year.

Machines make no points, and minors are never scored. Points are kept per month, so that old ones fall away.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.clock import DAY
from services.members.domain.permission import Record
from services.members.domain.standing import ACTS
from services.members.domain.values import day_of

RECEIVED = "received"
OPENED = "opened"
CLICKED = "clicked"
UNSUBSCRIBED = "unsubscribed"
BOUNCED = "bounced"
PURCHASED = "purchased"
SIGNED_UP = "signed_up"
ATTENDED = "attended"
ANSWERED = "answered"

POINTS: Mapping[str, int] = {OPENED: 1, CLICKED: 3, ANSWERED: 4, SIGNED_UP: 5, ATTENDED: 8, PURCHASED: 10}
COUNTED_PER_CHANNEL = frozenset((RECEIVED, OPENED, CLICKED))
REPORTABLE = (PURCHASED, SIGNED_UP, ATTENDED, ANSWERED)
"""What partners may tell of."""
COUNTS_FOR = 365 * DAY


def points_of(kind: str, *, machine: bool, minor: bool) -> int:
    return 0 if machine or minor else POINTS.get(kind, 0)


def month_of(at: int) -> str:
    return day_of(at)[:7]


def changes(kind: str, channel: str, at: int, points: int, *, machine: bool) -> tuple[dict[str, int], dict[str, int]]:
    """What one interaction adds to and raises in a member's record: (``inc``, ``max``) by path."""
    added: dict[str, int] = {}
    raised: dict[str, int] = {}
    if channel and kind in COUNTED_PER_CHANNEL:
        added[f"engagement.{channel}.{'machine_' if machine else ''}{kind}"] = 1
    if not machine and (kind in ACTS or kind == RECEIVED):
        raised[f"engagement.last_{kind}_at"] = at
    if points:
        added["engagement.score"] = points
        added[f"engagement.months.{month_of(at)}"] = points
    return added, raised


def forget_old_points(record: Record, now: int) -> bool:
    """Let the points of months that are over for a year fall away; whether any did."""
    engagement = record["engagement"]
    months: dict[str, int] = engagement.get("months") or {}
    oldest = month_of(now - COUNTS_FOR)
    kept = {month: points for month, points in months.items() if month >= oldest}
    if len(kept) == len(months):
        return False
    engagement["months"] = kept
    engagement["score"] = sum(kept.values())
    return True


def recent_entry(interaction: Record) -> Record:
    """The short form that the member's record holds of its last ten."""
    kept = ("kind", "channel", "at", "campaign", "run", "machine", "subject")
    return {"_id": interaction["_id"], **{key: interaction[key] for key in kept if interaction.get(key)}}
