"""Aggregates kept as documents: read, inserted with what happened to them, replaced at the version that was read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from services.campaigns.domain.events import Happened
from services.campaigns.use_cases.desk import Listed
from services.kit.clock import Clock
from services.kit.errors import NotFound, VersionConflict
from services.kit.ids import Ids
from services.kit.outbox import append_event
from services.kit.scope import Scope
from services.kit.store.port import BY_ID, Collection, Document, Order
from services.kit.store.rule import EVERYTHING, Rule


class Aggregate(Protocol):
    version: int
    happened: list[Happened]


A = TypeVar("A", bound=Aggregate)

OUTBOX = ("outbox", "pending", "event_sequence")


class Repository(ABC, Generic[A]):
    """One kind of aggregate. ``named`` is what an error calls it: its field and its English noun."""

    named: ClassVar[tuple[str, str]]

    def __init__(self, collection: Collection, clock: Clock, ids: Ids) -> None:
        self._collection = collection
        self._clock = clock
        self._ids = ids

    @abstractmethod
    def to_document(self, aggregate: A) -> Document: ...

    @abstractmethod
    def from_document(self, document: Mapping[str, Any]) -> A: ...

    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, A]:
        found = self._collection.get(scope, ids)
        return {each: self.from_document(document) for each, document in found.items()}

    def one(self, scope: Scope, an_id: str) -> A:
        """Raises NotFound, for another agency's too."""
        found = self.get(scope, [an_id]).get(an_id)
        if found is None:
            field, noun = self.named
            raise NotFound(f"There is no such {noun}.", field=field)
        return found

    def add(self, scope: Scope, aggregate: A) -> bool:
        """Whether it is new."""
        document = self._with_events(self.to_document(aggregate), aggregate)
        return bool(self._collection.insert(scope, [document]))

    def save(self, scope: Scope, aggregate: A) -> None:
        """Raises VersionConflict where somebody was quicker."""
        document = self.to_document(aggregate)
        stored = self._collection.get(scope, [document["_id"]]).get(document["_id"])
        if stored is None or stored["version"] != aggregate.version:
            raise VersionConflict("Somebody changed this meanwhile: read it again.", field="version")
        document |= {name: stored.get(name) for name in OUTBOX}
        document["version"] = aggregate.version
        if not self._collection.replace(scope, [self._with_events(document, aggregate)]):
            raise VersionConflict("Somebody changed this meanwhile: read it again.", field="version")
        aggregate.version += 1
        aggregate.happened.clear()

    def find(
        self, scope: Scope, rule: Rule = EVERYTHING, *, order: Order = BY_ID, size: int = 50, after: str = ""
    ) -> Listed[A]:
        page = self._collection.find(scope, rule, order=order, limit=size, after=after or None)
        return Listed([self.from_document(document) for document in page.documents], page.next)

    def _with_events(self, document: Document, aggregate: A) -> Document:
        for happened in aggregate.happened:
            content = {field.name: getattr(happened, field.name) for field in fields(happened)}
            append_event(document, self._ids.new("evt"), type(happened).__name__, self._clock.now(), content)
        return document
