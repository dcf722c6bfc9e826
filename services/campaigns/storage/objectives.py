"""Objectives: document ↔ domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.campaigns.domain.objective import Counted, Goal, Metric, Objective
from services.campaigns.storage.documents import ObjectiveDocument
from services.campaigns.storage.repository import Repository
from services.campaigns.use_cases.desk import Listed
from services.kit.clock import DAY
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Document, Order
from services.kit.store.rule import Range

LATE_REPORTS = 7 * DAY
_EVERYWHERE = everywhere("service:campaigns")


class StoredObjectives(Repository[Objective]):
    named = ("objective", "objective")

    def page(self, scope: Scope, *, size: int, after: str) -> Listed[Objective]:
        return self.find(scope, Range("goal.deadline", gt=0), order=Order("goal.deadline"), size=size, after=after)

    def open_in(self, agency: str, community: str, now: int) -> list[Objective]:
        scope = stored_scope(agency, community, "service:campaigns")
        return self.find(
            scope, Range("goal.deadline", gt=now - LATE_REPORTS), order=Order("goal.deadline"), size=200
        ).items

    def communities_with_open(self, now: int) -> list[tuple[str, str]]:
        found: dict[tuple[str, str], None] = {}
        for page in self._collection.stream(
            _EVERYWHERE, Range("goal.deadline", gt=now - LATE_REPORTS), fields=("agency", "community")
        ):
            found.update(((each["agency"], each["community"]), None) for each in page)
        return list(found)

    def to_document(self, aggregate: Objective) -> Document:
        return {
            "_id": aggregate.id,
            "agency": aggregate.agency,
            "community": aggregate.community,
            "version": aggregate.version,
            "schema_version": ObjectiveDocument.SCHEMA_VERSION,
            "goal": {**asdict(aggregate.goal), "metric": aggregate.goal.metric.value},
            "counted": {**asdict(aggregate.counted), "days": dict(aggregate.counted.days)},
            "created_at": aggregate.created_at,
        }

    def from_document(self, document: Mapping[str, Any]) -> Objective:
        return Objective(
            id=document["_id"],
            agency=document["agency"],
            community=document["community"],
            goal=Goal(**{**document["goal"], "metric": Metric(document["goal"]["metric"])}),
            created_at=document["created_at"],
            counted=Counted(**document["counted"]),
            version=document["version"],
        )
