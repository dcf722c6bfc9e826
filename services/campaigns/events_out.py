"""What campaigns tells the others: the domain's event, by name, and its message."""

from __future__ import annotations

from fanfare.campaigns.v1 import campaign_events_pb2 as events
from services.kit.outbox import EventsOut

EVENTS_OUT: EventsOut = {
    "CampaignLaunched": events.CampaignLaunched,
    "BatchPlanned": events.BatchPlanned,
    "RunPlanned": events.RunPlanned,
    "RevisionMade": events.RevisionMade,
    "CampaignFinished": events.CampaignFinished,
    "CampaignCancelled": events.CampaignCancelled,
    "ObjectiveProgressed": events.ObjectiveProgressed,
    "ErasureAcknowledged": events.ErasureAcknowledged,
}
