"""What the contract's messages say, in this room's words."""

from __future__ import annotations

from fanfare.campaigns.v1.run_pb2 import Revision as RevisionMessage
from fanfare.campaigns.v1.run_pb2 import RunOrder as RunOrderMessage
from services.channels.domain.content import Content, Revision
from services.channels.domain.run import ORDER_FIELDS, RunOrder


def order_of(message: RunOrderMessage) -> RunOrder:
    return RunOrder(**{name: getattr(message, name) for name in ORDER_FIELDS})


def revision_of(message: RevisionMessage) -> Revision:
    contents = tuple(
        Content(each.locale, each.subject, each.html, each.text, each.preheader) for each in message.contents
    )
    return Revision(message.run, message.number, contents, tuple(message.fields), tuple(message.links))
