"""What campaigns tells the others: the domain's event, by name, and its message."""

from __future__ import annotations

from collections.abc import Sequence

from fanfare.campaigns.v1 import campaign_events_pb2 as events
from fanfare.members.v1.audience_pb2 import AudienceGroup
from services.kit.outbox import EventsOut


def _batch_planned(run: str, sequence: int, groups: Sequence[str]) -> events.BatchPlanned:
    together = [AudienceGroup(members=group.split(" ")) for group in groups]
    return events.BatchPlanned(run=run, sequence=sequence, groups=together)


EVENTS_OUT: EventsOut = {
    "CampaignLaunched": events.CampaignLaunched,
    "BatchPlanned": _batch_planned,
    "RunPlanned": events.RunPlanned,
    "RevisionMade": events.RevisionMade,
    "CampaignFinished": events.CampaignFinished,
    "CampaignCancelled": events.CampaignCancelled,
    "ObjectiveProgressed": events.ObjectiveProgressed,
    "ErasureAcknowledged": events.ErasureAcknowledged,
}
