"""What channels tells the others: the domain's event, by name, and its message."""

from __future__ import annotations

from fanfare.channels.v1 import delivery_events_pb2 as events
from services.kit.outbox import EventsOut

EVENTS_OUT: EventsOut = {
    "BatchProgressed": events.BatchProgressed,
    "BatchSettled": events.BatchSettled,
    "ContactPointBounced": events.ContactPointBounced,
    "AccountAlarmed": events.AccountAlarmed,
    "ErasureAcknowledged": events.ErasureAcknowledged,
}
