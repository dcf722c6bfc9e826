"""What members tells the others: the domain's event, by name, and its message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fanfare.members.v1 import import_events_pb2 as imports
from fanfare.members.v1 import member_events_pb2 as events
from services.kit.outbox import EventsOut


def _members_imported(*, standing_changes: Sequence[Mapping[str, Any]], **told: Any) -> events.MembersImported:
    """What an import keeps once for all whose standing changed alike is told of each of them."""
    changes: list[events.StandingChange] = []
    for alike in standing_changes:
        change = {name: value for name, value in alike.items() if name != "members"}
        changes += [events.StandingChange(member=member, **change) for member in alike["members"]]
    return events.MembersImported(standing_changes=changes, **told)


EVENTS_OUT: EventsOut = {
    "CommunityCreated": events.CommunityCreated,
    "MemberRegistered": events.MemberRegistered,
    "MembersImported": _members_imported,
    "ImportFinished": imports.ImportFinished,
    "ImportUndone": imports.ImportUndone,
    "StandingsChanged": events.StandingsChanged,
    "PermissionChanged": events.PermissionChanged,
    "MemberMerged": events.MemberMerged,
    "MemberUnmerged": events.MemberUnmerged,
    "MemberErased": events.MemberErased,
    "InteractionRecorded": events.InteractionRecorded,
}
