"""Campaigns: document ↔ domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from services.campaigns.domain.campaign import Campaign, State
from services.campaigns.domain.content import Message
from services.campaigns.domain.draft import Draft
from services.campaigns.domain.links import LinkTable
from services.campaigns.domain.money import Money
from services.campaigns.domain.run import Order as RunOrder
from services.campaigns.domain.wording import Problem, Wording
from services.campaigns.storage.documents import CampaignDocument
from services.campaigns.storage.repository import Repository
from services.campaigns.use_cases.desk import Listed
from services.kit.clock import MINUTE
from services.kit.scope import Scope, everywhere
from services.kit.store.port import Document, Order
from services.kit.store.rule import Equals, In, Range, Rule, all_of

_EVERYWHERE = everywhere("service:campaigns")
_NEWEST = Order(descending=True)
TRIED_AGAIN_AFTER = MINUTE


class StoredCampaigns(Repository[Campaign]):
    named = ("campaign", "campaign")

    def page(self, scope: Scope, *, states: Sequence[str], objective: str, size: int, after: str) -> Listed[Campaign]:
        wanted: list[Rule] = [
            *([In("state", tuple(states))] if states else []),
            *([Equals("draft.objective", objective)] if objective else []),
        ]
        return self.find(scope, all_of(*wanted), order=_NEWEST, size=size, after=after)

    def due(self, now: int) -> list[Campaign]:
        return self.find(_EVERYWHERE, Range("due_at", gt=0, lte=now), order=Order("due_at"), size=20).items

    def opening(self) -> list[Campaign]:
        return self.find(_EVERYWHERE, Range("opening_since", gt=0), order=Order("opening_since"), size=20).items

    def uncontrolled(self) -> list[Campaign]:
        return self.find(_EVERYWHERE, Range("control_since", gt=0), order=Order("control_since"), size=20).items

    def to_document(self, aggregate: Campaign) -> Document:
        campaign = aggregate
        scheduled = campaign.state is State.SCHEDULED
        waits = max(campaign.scheduled_at, campaign.tried_at + TRIED_AGAIN_AFTER if campaign.tried_at else 0)
        return {
            "_id": campaign.id,
            "agency": campaign.agency,
            "community": campaign.community,
            "version": campaign.version,
            "schema_version": CampaignDocument.SCHEMA_VERSION,
            "draft": asdict(campaign.draft),
            "template": campaign.template,
            "state": campaign.state.value,
            "created_at": campaign.created_at,
            "created_by": campaign.created_by,
            "scheduled_at": campaign.scheduled_at,
            "tried_at": campaign.tried_at,
            "problems": [
                {"reason": p.reason, "field": p.field, "en": p.said.en, "fr": p.said.fr} for p in campaign.problems
            ],
            "run": campaign.run,
            "launched_at": campaign.launched_at,
            "finished_at": campaign.finished_at,
            "revision": campaign.revision,
            "links": list(campaign.links.urls),
            "link_offers": list(campaign.links.offers),
            "community_name": campaign.community_name,
            "opening": asdict(campaign.opening) if campaign.opening else None,
            "due_at": waits if scheduled else None,
            "opening_since": campaign.launched_at if campaign.opening else None,
            "control_since": self._clock.now() if campaign.control_pending else None,
        }

    def from_document(self, document: Mapping[str, Any]) -> Campaign:
        return Campaign(
            id=document["_id"],
            agency=document["agency"],
            community=document["community"],
            draft=draft_from(document["draft"]),
            created_at=document["created_at"],
            created_by=document["created_by"],
            template=document["template"],
            state=State(document["state"]),
            scheduled_at=document["scheduled_at"],
            tried_at=document["tried_at"],
            problems=tuple(Problem(p["reason"], p["field"], Wording(p["en"], p["fr"])) for p in document["problems"]),
            run=document["run"],
            launched_at=document["launched_at"],
            finished_at=document["finished_at"],
            revision=document["revision"],
            links=LinkTable(list(document["links"]), list(document["link_offers"])),
            community_name=document["community_name"],
            opening=RunOrder(**document["opening"]) if document["opening"] else None,
            control_pending=document["control_since"] is not None,
            version=document["version"],
        )


def draft_from(stored: Mapping[str, Any]) -> Draft:
    return Draft(
        **{
            **stored,
            "reasons": tuple(stored["reasons"]),
            "messages": messages_from(stored["messages"]),
            "message_cost": money_from(stored["message_cost"]),
        }
    )


def messages_from(stored: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(**message) for message in stored)


def money_from(stored: Mapping[str, Any] | None) -> Money | None:
    return Money(**stored) if stored else None
