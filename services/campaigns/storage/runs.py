"""Runs and their revisions: document ↔ domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.campaigns.domain.content import Content
from services.campaigns.domain.events import CampaignLaunched
from services.campaigns.domain.figures import Totals
from services.campaigns.domain.run import Order as RunOrder
from services.campaigns.domain.run import Plan, PlanState, Revision, Run
from services.campaigns.storage.documents import RevisionDocument, RunDocument
from services.campaigns.storage.repository import Repository
from services.kit.scope import Scope, everywhere
from services.kit.store.port import Collection, Document, Order
from services.kit.store.rule import Equals, Range

_EVERYWHERE = everywhere("service:campaigns")


class StoredRuns(Repository[Run]):
    named = ("run", "run")

    def add(self, scope: Scope, run: Run) -> bool:  # the launch is told by the run's own outbox
        run.happened.append(CampaignLaunched(asdict(run.order)))
        return Repository.add(self, scope, run)

    def to_plan(self) -> list[Run]:
        page = self._collection.find(
            _EVERYWHERE, Range("planning_since", gt=0), order=Order("planning_since"), limit=20
        )
        return [self.from_document(document) for document in page.documents if not document["outbox"]]

    def under(self, scope: Scope, objective: str) -> list[Run]:
        runs: list[Run] = []
        after = ""
        while True:
            page = self.find(scope, Equals("objective", objective), size=200, after=after)
            runs += page.items
            if page.next is None:
                return runs
            after = page.next

    def to_document(self, aggregate: Run) -> Document:
        run = aggregate
        return {
            "_id": run.id,
            "agency": run.order.agency,
            "community": run.order.community,
            "version": run.version,
            "schema_version": RunDocument.SCHEMA_VERSION,
            "order": asdict(run.order),
            "campaign": run.order.campaign,
            "rule": run.rule,
            "objective": run.objective,
            "community_name": run.community_name,
            "plan": {**asdict(run.plan), "state": run.plan.state.value},
            "settled": asdict(run.settled) if run.settled else None,
            "settled_at": run.settled_at,
            "planning_since": None if run.plan.is_closed else run.order.launched_at,
        }

    def from_document(self, document: Mapping[str, Any]) -> Run:
        settled = document["settled"]
        return Run(
            order=RunOrder(**document["order"]),
            rule=document["rule"],
            objective=document["objective"],
            community_name=document["community_name"],
            plan=Plan(**{**document["plan"], "state": PlanState(document["plan"]["state"])}),
            settled=Totals(**settled) if settled else None,
            settled_at=document["settled_at"],
            version=document["version"],
        )


class StoredRevisions:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def add(self, scope: Scope, order: RunOrder, revision: Revision) -> bool:
        document = {
            **asdict(revision),
            "_id": f"{revision.run}.{revision.number}",
            "agency": order.agency,
            "community": order.community,
            "schema_version": RevisionDocument.SCHEMA_VERSION,
        }
        return bool(self._collection.insert(scope, [document]))

    def find(self, scope: Scope, run: str, number: int) -> Revision | None:
        an_id = f"{run}.{number}"
        document = self._collection.get(scope, [an_id]).get(an_id)
        if document is None:
            return None
        return Revision(
            run=document["run"],
            number=document["number"],
            contents=tuple(Content(**content) for content in document["contents"]),
            fields=tuple(document["fields"]),
            links=tuple(document["links"]),
            link_offers=tuple(document["link_offers"]),
        )
