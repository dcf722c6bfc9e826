"""Segments: what a rule reaches, before it is saved and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.errors import Invalid, NotFound
from services.kit.scope import Scope
from services.kit.store.port import Document, Page
from services.members.domain.limits import within
from services.members.domain.segment import REACHABLE, Compiled, reachable, read_rule
from services.members.domain.values import tidy
from services.members.use_cases.room import Room, in_order, persistently

SAMPLE = 10


class UnknownSegment(NotFound):
    reason = "unknown-segment"

    def __init__(self) -> None:
        super().__init__("There is no such segment.", field="segment")


@dataclass(frozen=True, slots=True)
class Counted:
    """Members of a community by what a rule says of them: in, out, or unmeasurable (not in the audience)."""

    within: int
    out: int
    unmeasurable: int


def count_segment(room: Room, scope: Scope, community_id: str, rule: str) -> Counted:
    """The three counts of a rule as it stands now. Raises BadRule."""
    compiled, scope = _compiled(room, scope, community_id, rule)
    asked = dict.fromkeys((reachable(compiled.certain), reachable(compiled.possible), REACHABLE))
    counts = dict(zip(asked, room.together.map(lambda rule: room.members.count(scope, rule), asked), strict=True))
    within, possible = counts[reachable(compiled.certain)], counts[reachable(compiled.possible)]
    return Counted(within, counts[REACHABLE] - possible, possible - within)


def sample_segment(room: Room, scope: Scope, community_id: str, rule: str, size: int = SAMPLE) -> list[Document]:
    """A few members whom the rule reaches. Raises BadRule."""
    compiled, scope = _compiled(room, scope, community_id, rule)
    return room.members.find(scope, reachable(compiled.certain), limit=size).documents


def save_segment(room: Room, scope: Scope, community_id: str, name: str, rule: str, segment: str = "") -> Document:
    """Save a live rule under a name, or change a saved one. Raises BadRule, TextTooLong, UnknownSegment."""
    within(rule, "rule", "rule")
    _compiled(room, scope, community_id, rule)
    name = within(tidy(name), "label", "name")
    if not name:
        raise Invalid("Give the segment a name.", field="name")
    if segment:

        def rename() -> Document | None:
            found = get_segment(room, scope.within(community_id), segment)
            found |= {"name": name, "rule": rule}
            return found if room.segments.replace(scope, [found]) else None

        return persistently(rename, "segment")
    made: Document = {
        "_id": room.ids.new("seg"),
        "agency": scope.agency,
        "community": community_id,
        "schema_version": 1,
        "name": name,
        "rule": rule,
        "created_at": room.clock.now(),
        "created_by": scope.actor,
    }
    room.segments.insert(scope, [made])
    return made


def get_segment(room: Room, scope: Scope, segment: str) -> Document:
    found = room.segments.get(scope, [segment]).get(segment)
    if found is None:
        raise UnknownSegment
    return found


def get_segments(room: Room, scope: Scope, ids: Sequence[str]) -> list[Document]:
    return in_order(ids, room.segments.get(scope, ids))


def list_segments(room: Room, scope: Scope, community_id: str, size: int, after: str | None) -> Page:
    return room.segments.find(scope.within(community_id), limit=size, after=after)


def delete_segment(room: Room, scope: Scope, segment: str) -> None:
    if not room.segments.delete(scope, [segment]):
        raise UnknownSegment


def _compiled(room: Room, scope: Scope, community_id: str, rule: str) -> tuple[Compiled, Scope]:
    community = room.community(scope, community_id)
    return read_rule(rule, community, room.clock.now()), scope.within(community_id)
