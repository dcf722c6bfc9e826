"""Which campaign a conversion is owed to: the last one whose link the person clicked, within the community's window.

What is here depends only on which clicks, conversions and reversals are known, never on the order they arrived in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from services.campaigns.domain.money import Money
from services.kit.clock import DAY
from services.kit.errors import Invalid

USUAL_DAYS = 30
LONGEST_DAYS = 365


@dataclass(frozen=True, slots=True)
class CampaignSettings:
    """How a community counts: the window of attribution in days, and what an e-mail usually costs."""

    community: str
    attribution_days: int = USUAL_DAYS
    message_cost: Money | None = None
    version: int = 0  # 0: never changed

    def __post_init__(self) -> None:
        if not 1 <= self.attribution_days <= LONGEST_DAYS:
            raise Invalid(
                f"The window of attribution is from 1 to {LONGEST_DAYS} days.",
                field="settings.attribution_days",
                message_fr=f"La fenêtre d’attribution est de 1 à {LONGEST_DAYS} jours.",
            )

        if self.message_cost is not None and self.message_cost.all_nanos < 0:
            raise Invalid(
                "A message does not cost less than nothing.",
                field="settings.message_cost",
                message_fr="Un message ne coûte pas moins que rien.",
            )

    def taking(self, other: CampaignSettings, names: Collection[str]) -> CampaignSettings:
        """These settings with the named ones of another; no names: all of them."""
        changed = {
            name: getattr(other, name) for name in ("attribution_days", "message_cost") if name in (names or (name,))
        }
        return replace(self, **changed)

    @property
    def window(self) -> int:
        return self.attribution_days * DAY


@dataclass(frozen=True, slots=True)
class Click:
    """A person (never a program) followed a link of the run at ``at``, UTC ms; ``member`` is the id that was mailed."""

    at: int
    run: str
    campaign: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A purchase, sign-up or attendance at ``at``; ``nanos`` is its amount in billionths of the currency."""

    id: str
    at: int
    nanos: int = 0


@dataclass(frozen=True, slots=True)
class Owed:
    """What became of a conversion: the click it is owed to (None: to no campaign), and what is left of its amount."""

    click: Click | None
    stands: bool
    nanos: int


def owed_to(at: int, clicks: Iterable[Click], window: int) -> Click | None:
    """The last click at or before ``at`` and within the window; of one instant, the one of greater ids."""
    eligible = (click for click in clicks if at - window <= click.at <= at)
    return max(eligible, key=lambda click: (click.at, click.run, click.member), default=None)


def settle(conversion: Conversion, clicks: Iterable[Click], reversals: Iterable[int], window: int) -> Owed:
    """Who it is owed to and what is left. ``reversals`` are amounts taken back; 0 takes back everything."""
    taken_back = list(reversals)
    left = conversion.nanos - sum(abs(nanos) for nanos in taken_back)
    stands = not taken_back or (0 not in taken_back and left > 0)
    return Owed(owed_to(conversion.at, clicks, window), stands, left if stands else 0)
