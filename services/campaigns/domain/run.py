"""A run: one launch of a campaign, with everything frozen that must not change under it, and its plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from services.campaigns.domain.content import Compiled, Content
from services.campaigns.domain.events import Happened, RunPlanned
from services.campaigns.domain.figures import Totals
from services.kit.ids import derived_id, id_bytes, id_from_bytes

BATCH_SIZE = 200


@dataclass(frozen=True, slots=True)
class Order:
    """What the senders must know of a run; named like the fields of the contract's RunOrder."""

    run: str
    campaign: str
    agency: str
    community: str
    channel: str
    purpose: str
    account: str
    from_name: str
    reply_to: str
    unknown_policy: str
    launched_at: int
    send_until: int
    id_ceiling: str
    revision: int
    quiet_from: int
    quiet_until: int
    cap_count: int
    cap_window_days: int


@dataclass(frozen=True, slots=True)
class Revision:
    """The content of a run for the recipients handed off under it. Never changed once made."""

    run: str
    number: int
    contents: tuple[Content, ...]
    fields: tuple[str, ...]
    links: tuple[str, ...]
    link_offers: tuple[str, ...]


def revision(run: str, number: int, compiled: Compiled) -> Revision:
    return Revision(run, number, compiled.contents, compiled.fields, compiled.links, compiled.link_offers)


class PlanState(StrEnum):
    PLANNING = "planning"
    CLOSED = "closed"


@dataclass(slots=True)
class Plan:
    """How far the audience is laid out in batches; the counts are final once it is closed."""

    state: PlanState = PlanState.PLANNING
    batches: int = 0
    members: int = 0
    addresses: int = 0

    @property
    def is_closed(self) -> bool:
        return self.state is PlanState.CLOSED


@dataclass(slots=True)
class Run:
    """One launch. ``settled`` are its totals once every recipient is terminal, at ``settled_at``."""

    order: Order
    rule: str
    objective: str
    community_name: str
    plan: Plan = field(default_factory=Plan)
    settled: Totals | None = None
    settled_at: int = 0
    version: int = 1
    happened: list[Happened] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.order.run

    def close_plan(self, batches: int, members: int, addresses: int) -> None:
        """The audience ends here. Closing it again changes nothing: the counts were saved before."""
        if self.plan.is_closed:
            return
        self.plan = Plan(PlanState.CLOSED, batches, members, addresses)
        self.happened.append(RunPlanned(self.id, batches, members))

    def settle(self, totals: Totals, now: int) -> None:
        self.settled = totals
        self.settled_at = self.settled_at or now


def batch_id(order: Order, sequence: int) -> str:
    """Always the same for a run and sequence, ascending: whoever saves it first has decided what it holds."""
    return derived_id("bat", order.launched_at, sequence, order.run)


def id_ceiling(now: int) -> str:
    """The greatest id that a member who was there at ``now`` can have."""
    return f"mbr_{now:012x}7fffbfffffffffffffff"  # a UUIDv7 of that millisecond, all else set


def test_run(campaign: str) -> str:
    """The run that previews and test messages of a draft name: the campaign's id under the prefix of runs."""
    return id_from_bytes("run", id_bytes(campaign))


def campaign_of_test_run(run: str) -> str:
    return id_from_bytes("cmp", id_bytes(run))
