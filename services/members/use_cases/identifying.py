"""Who may be registered twice, and who was said not to be."""

from __future__ import annotations

import hashlib

from services.kit.scope import Scope
from services.members.domain.duplicates import Pair, likely_pairs, sketch
from services.members.domain.segment import LISTED
from services.members.use_cases.room import Room

_FIELDS = ("sort_name", "birth_date", "contact_points")


def suggest_duplicates(room: Room, scope: Scope, community: str, limit: int) -> list[Pair]:
    """The likeliest pairs that nobody dismissed."""
    room.community(scope, community)
    scope = scope.within(community)
    pages = room.members.stream(scope, LISTED, fields=_FIELDS)
    pairs = likely_pairs(sketch(record) for page in pages for record in page)
    suggested: list[Pair] = []
    for start in range(0, len(pairs), 500):
        several = {_key(pair.first, pair.second): pair for pair in pairs[start : start + 500]}
        dismissed = room.dismissals.get(scope, list(several))
        suggested += [pair for key, pair in several.items() if key not in dismissed]
        if len(suggested) >= limit:
            break
    return suggested[:limit]


def dismiss_duplicate(room: Room, scope: Scope, first: str, second: str) -> None:
    """These two are different people."""
    one, other = room.member(scope, first), room.member(scope, second)
    scope = scope.within(one["community"])
    dismissal = {
        "_id": _key(one["_id"], other["_id"]),
        "agency": one["agency"],
        "community": one["community"],
        "schema_version": 1,
        "dismissed_at": room.clock.now(),
        "dismissed_by": scope.actor,
    }
    room.dismissals.insert(scope, [dismissal])


def _key(first: str, second: str) -> str:
    low, high = sorted((first, second))
    return "dis_" + hashlib.blake2b(f"{low}\0{high}".encode(), digest_size=16).hexdigest()
