"""What every use case works with: the stored things, the other services as this one needs them, time and ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.campaigns.domain.attribution import CampaignSettings
from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.checks import Audience, Catalogue, Sender
from services.campaigns.domain.explanation import Explanation
from services.campaigns.domain.objective import Objective
from services.campaigns.domain.run import Order, Revision, Run
from services.campaigns.domain.template import Template
from services.kit.clock import Clock
from services.kit.errors import Conflict, VersionConflict
from services.kit.ids import Ids
from services.kit.scope import Scope
from services.kit.store.port import Collection

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Listed(Generic[A]):
    """A page, and the cursor of the next (None: this was the last)."""

    items: list[A]
    next: str | None


class Campaigns(Protocol):
    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Campaign]: ...
    def one(self, scope: Scope, an_id: str) -> Campaign: ...
    def add(self, scope: Scope, campaign: Campaign) -> bool: ...
    def save(self, scope: Scope, campaign: Campaign) -> None: ...
    def page(
        self, scope: Scope, *, states: Sequence[str], objective: str, size: int, after: str
    ) -> Listed[Campaign]: ...
    def due(self, now: int) -> list[Campaign]:
        """Scheduled, and their instant has come; of every agency."""

    def opening(self) -> list[Campaign]:
        """Launched, and their run is not there yet; of every agency."""

    def uncontrolled(self) -> list[Campaign]:
        """Those whose senders have not confirmed the last control; of every agency."""


class Runs(Protocol):
    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Run]: ...
    def one(self, scope: Scope, an_id: str) -> Run: ...
    def add(self, scope: Scope, run: Run) -> bool: ...
    def save(self, scope: Scope, run: Run) -> None: ...
    def to_plan(self) -> list[Run]:
        """Those whose plan is open and whose launch is published; of every agency."""

    def under(self, scope: Scope, objective: str) -> list[Run]: ...


class Revisions(Protocol):
    def add(self, scope: Scope, order: Order, revision: Revision) -> bool: ...
    def find(self, scope: Scope, run: str, number: int) -> Revision | None: ...


class Objectives(Protocol):
    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Objective]: ...
    def one(self, scope: Scope, an_id: str) -> Objective: ...
    def add(self, scope: Scope, objective: Objective) -> bool: ...
    def save(self, scope: Scope, objective: Objective) -> None: ...
    def page(self, scope: Scope, *, size: int, after: str) -> Listed[Objective]: ...
    def open_in(self, agency: str, community: str, now: int) -> list[Objective]:
        """Those of a community whose deadline has not passed by more than a week: late reports still count."""

    def communities_with_open(self, now: int) -> list[tuple[str, str]]:
        """Agency and community of every open objective, each once."""


class Templates(Protocol):
    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Template]: ...
    def one(self, scope: Scope, an_id: str) -> Template: ...
    def add(self, scope: Scope, templates: Sequence[Template]) -> None: ...
    def save(self, scope: Scope, template: Template) -> None: ...
    def page(self, scope: Scope, *, size: int, after: str) -> Listed[Template]: ...


class Settings(Protocol):
    def of(self, scope: Scope, community: str) -> CampaignSettings: ...
    def save(self, scope: Scope, settings: CampaignSettings) -> None: ...


@dataclass(frozen=True, slots=True)
class AudiencePage:
    """Ids in order; ``sizes`` says how many share an address, group by group (empty: none do). The audience goes on
    behind ``last``."""

    members: list[str]
    sizes: list[int]
    last: str


class Members(Protocol):
    """What campaigns asks of members."""

    def stream_audience(self, scope: Scope, order: Order, rule: str, after: str) -> Iterator[AudiencePage]: ...
    def audience(self, scope: Scope, community: str, rule: str) -> Audience: ...
    def catalogue(self, scope: Scope, community: str) -> Catalogue: ...
    def segment_rule(self, scope: Scope, community: str, segment: str) -> str:
        """Raises NotFound for a segment that the community does not have."""

    def community_name(self, scope: Scope, community: str) -> str: ...
    def membership(self, scope: Scope, community: str, rule: str, member: str, now: int) -> str:
        """`in`, `out`, `unmeasurable`, or `missing` for a member who does not exist (any more)."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as a member would get it; ``verdict`` says why they would not, were it sent now (empty: they would)."""

    subject: str
    html: str
    text: str
    locale: str
    source: bytes
    verdict: str


@dataclass(frozen=True, slots=True)
class Tested:
    message_id: str
    outcome: str
    reply: str


class Channels(Protocol):
    """What campaigns asks of channels."""

    def sender(self, scope: Scope, account: str) -> Sender | None: ...
    def control(self, scope: Scope, run: str, state: str, revision: int) -> None: ...
    def explain(self, scope: Scope, run: str, member: str, locale: str) -> Explanation: ...
    def preview(self, scope: Scope, order: Order, revision: Revision, member: str) -> Rendered: ...
    def send_test(self, scope: Scope, order: Order, revision: Revision, member: str, to: str) -> Tested: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """``nudge`` tells the relay that something was just written; ``recount`` that objectives of an (agency, community)
    may stand differently."""

    campaigns: Campaigns
    runs: Runs
    revisions: Revisions
    objectives: Objectives
    templates: Templates
    settings: Settings
    batches: Collection
    batch_totals: Collection
    reactions: Collection
    conversions: Collection
    aliases: Collection
    gains: Collection
    erasures: Collection
    members: Members
    channels: Channels
    clock: Clock
    ids: Ids
    nudge: Callable[[], None]
    recount: Callable[[str, str], None]


_TRIES = 5


def trying_again(change: Callable[[], A]) -> A:
    """Make a change that reads, decides and saves; somebody who was quicker makes it read again."""
    for _ in range(_TRIES - 1):
        try:
            return change()
        except VersionConflict:
            continue
    return change()


def require_version(asked: int, stored: int) -> None:
    """Raises Conflict where the caller read another version than the stored one; 0 asks for none."""
    if asked and asked != stored:
        raise Conflict(
            "Somebody changed this since you read it: read it again.",
            field="version",
            message_fr="Quelqu’un l’a modifié depuis votre lecture : relisez-le.",
        )
