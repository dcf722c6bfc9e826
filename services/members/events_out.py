"""What members tells the others: the domain's event, by name, and its message."""

from __future__ import annotations

from fanfare.members.v1 import import_events_pb2 as imports
from fanfare.members.v1 import member_events_pb2 as events
from services.kit.outbox import EventsOut

EVENTS_OUT: EventsOut = {
    "CommunityCreated": events.CommunityCreated,
    "MemberRegistered": events.MemberRegistered,
    "MembersImported": events.MembersImported,
    "ImportFinished": imports.ImportFinished,
    "ImportUndone": imports.ImportUndone,
    "StandingsChanged": events.StandingsChanged,
    "PermissionChanged": events.PermissionChanged,
    "MemberMerged": events.MemberMerged,
    "MemberUnmerged": events.MemberUnmerged,
    "MemberErased": events.MemberErased,
    "InteractionRecorded": events.InteractionRecorded,
}
