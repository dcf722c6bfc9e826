"""The rate of an account, kept by all senders together."""

from __future__ import annotations

from services.channels.domain.account import Account, pace
from services.channels.use_cases.room import Room
from services.kit.scope import Scope
from services.kit.store.port import Document

_TRIES = 4


def reserve(room: Room, scope: Scope, account: Account, wanted: int) -> tuple[int, int]:
    """How many messages may go now, and when to ask again (UTC ms). Who is too slow for the others gets none."""
    if not account.rate_per_minute:
        return wanted, 0
    pace_id = f"pace_{account.id}"
    now = room.clock.now()
    for _ in range(_TRIES):
        kept = room.paces.get(scope, [pace_id]).get(pace_id)
        allowed, free_at = pace(kept["free_at"] if kept else 0, now, account.rate_per_minute, wanted)
        if not allowed:
            return 0, free_at
        document: Document = {
            "_id": pace_id,
            "agency": account.agency,
            "community": account.community,
            "version": kept["version"] if kept else 1,
            "schema_version": 1,
            "free_at": free_at,
        }
        taken = room.paces.replace(scope, [document]) if kept else room.paces.insert(scope, [document])
        if taken:
            return allowed, free_at
    return 0, now
