"""The audit log: every mutation that anybody asked for, with ids only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.access.viewer import Viewer
from services.kit.clock import Clock
from services.kit.ids import Ids
from services.kit.scope import Scope
from services.kit.store.port import Collection, Document, Order
from services.kit.store.rule import EVERYTHING, Equals, Rule, all_of

DONE = "done"
_MOST_TARGETS = 50


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """``outcome`` is ``done``, or the reason why not."""

    id: str
    actor: str
    operation: str
    targets: tuple[str, ...]
    outcome: str
    at: int
    trace: str


class AuditLog:
    """Keeps what was asked, by whom, and how it ended."""

    def __init__(self, entries: Collection, ids: Ids, clock: Clock) -> None:
        self._entries = entries
        self._ids = ids
        self._clock = clock

    def record(self, agency: str, actor: str, operation: str, targets: Sequence[str], outcome: str, trace: str) -> None:
        document: Document = {
            "_id": self._ids.new("aud"),
            "agency": agency,
            "community": None,
            "version": 1,
            "schema_version": 1,
            "actor": actor,
            "operation": operation,
            "targets": list(dict.fromkeys(targets))[:_MOST_TARGETS],
            "outcome": outcome,
            "at": self._clock.now(),
            "trace": trace,
        }
        self._entries.insert(Scope(agency, None, actor), [document])

    def page(
        self, viewer: Viewer, size: int, after: str | None, *, actor: str = "", target: str = ""
    ) -> tuple[list[AuditEntry], str]:
        """Newest first."""
        rules: list[Rule] = [Equals("actor", actor)] if actor else []
        rules += [Equals("targets", target)] if target else []
        page = self._entries.find(
            viewer.scope,
            all_of(*rules) if rules else EVERYTHING,
            order=Order(descending=True),
            limit=size,
            after=after or None,
        )
        return [_entry(document) for document in page.documents], page.next or ""


def _entry(document: Document) -> AuditEntry:
    return AuditEntry(
        document["_id"],
        document["actor"],
        document["operation"],
        tuple(document["targets"]),
        document["outcome"],
        document["at"],
        document.get("trace") or "",
    )
