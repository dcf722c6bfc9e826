"""What is to be reached: a metric, a baseline, a target, a deadline; and honestly, how it stands.

The forecast is one straight line: what came in the last four weeks goes on coming. It says what it assumes, how
far off it may be, and when there is too little to say anything.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from services.campaigns.domain.events import Happened, ObjectiveProgressed
from services.campaigns.domain.wording import Wording, one_of
from services.kit.clock import DAY
from services.kit.errors import Invalid

RECENT = 28 * DAY
_LEAST_DAYS = 3
_LEAST_COUNTED = 5
_FOUR_IN_FIVE = 1.2816  # standard deviations around the mean that hold four times in five
_SHOWN_DAYS = 90
_CURRENCY = re.compile("[A-Z]{3}").fullmatch


class Metric(StrEnum):
    NEW_MEMBERS = "new_members"  # who joined, or gained the standing
    CONVERSIONS = "conversions"  # prospects who became clients
    ATTENDANCE = "attendance"
    REVENUE = "revenue"  # purchases less reversals
    CLICKS = "clicks"  # members who followed a link of the objective's campaigns, once for each campaign


STANDINGS = ("prospect", "fan", "client")


class Pace(StrEnum):
    NOT_STARTED = "not-started"
    AHEAD = "ahead"
    ON_PACE = "on-pace"
    BEHIND = "behind"
    REACHED = "reached"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Goal:
    """What an operator states. Instants in UTC ms; ``target`` is in the same measure as ``baseline``."""

    name: str
    metric: Metric
    target: float
    deadline: int
    starts_at: int
    baseline: float = 0.0
    standing: str = ""  # of new members; empty: any
    subject: str = ""  # the activity or offer of attendance and revenue; empty: any
    currency: str = ""  # of revenue

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name.strip()))
        if not 0 < len(self.name) <= 200:
            raise Invalid(
                "Give the objective a name of at most 200 characters.",
                field="goal.name",
                message_fr="Donnez à l’objectif un nom d’au plus 200 caractères.",
            )
        one_of(self.metric, Metric, "goal.metric")
        object.__setattr__(self, "metric", Metric(self.metric))
        if self.standing and (self.standing not in STANDINGS or self.metric is not Metric.NEW_MEMBERS):
            raise Invalid(
                f"A standing is one of {', '.join(STANDINGS)}, and only new members are counted by it.",
                field="goal.standing",
                message_fr=f"Un statut est l’un de {', '.join(STANDINGS)}, et seuls les nouveaux membres se comptent "
                "ainsi.",
            )
        if bool(self.currency) != (self.metric is Metric.REVENUE) or (self.currency and not _CURRENCY(self.currency)):
            raise Invalid(
                "Revenue, and only revenue, names a currency (ISO 4217): EUR.",
                field="goal.currency",
                message_fr="Le chiffre d’affaires, et lui seul, nomme une devise (ISO 4217) : EUR.",
            )
        if not (math.isfinite(self.baseline) and math.isfinite(self.target)) or self.target <= self.baseline:
            raise Invalid(
                "The target lies above the baseline: raise it.",
                field="goal.target",
                message_fr="La cible est au-dessus du point de départ : relevez-la.",
            )
        if self.deadline <= self.starts_at:
            raise Invalid(
                "The deadline comes after the start: choose a later one.",
                field="goal.deadline",
                message_fr="L’échéance vient après le début : choisissez-la plus tard.",
            )


@dataclass(frozen=True, slots=True)
class Counted:
    """What came since the start: altogether, and each day (UTC, ISO 8601)."""

    value: float = 0.0
    days: Mapping[str, float] = field(default_factory=dict)
    counted_at: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where it would end. ``low`` and ``high`` hold four times in five; None: too little to say."""

    value: float | None
    low: float | None
    high: float | None
    assumption: Wording


@dataclass(frozen=True, slots=True)
class Progress:
    """How an objective stands at an instant."""

    value: float
    share: float
    time_share: float
    pace: Pace
    forecast: Forecast


@dataclass(slots=True)
class Objective:
    id: str
    agency: str
    community: str
    goal: Goal
    created_at: int
    counted: Counted = field(default_factory=Counted)
    version: int = 1
    happened: list[Happened] = field(default_factory=list)

    def edit(self, goal: Goal) -> None:
        """Restate it. What is counted stays: another metric is another objective."""
        if (goal.metric, goal.standing, goal.subject, goal.currency) != (
            self.goal.metric,
            self.goal.standing,
            self.goal.subject,
            self.goal.currency,
        ):
            raise Invalid(
                "Another metric is another objective: create one.",
                field="goal.metric",
                message_fr="Une autre mesure est un autre objectif : créez-en un.",
            )
        self.goal = goal

    def count(self, counted: Counted) -> bool:
        """Take a new count over; whether it differs."""
        changed = (counted.value, counted.days) != (self.counted.value, self.counted.days)
        if changed:
            self.happened.append(ObjectiveProgressed(self.id, self.goal.baseline + counted.value))
        self.counted = counted
        return changed

    def progress(self, now: int) -> Progress:
        goal = self.goal
        value = goal.baseline + self.counted.value
        share = self.counted.value / (goal.target - goal.baseline)
        time_share = min(max((now - goal.starts_at) / (goal.deadline - goal.starts_at), 0.0), 1.0)
        return Progress(
            value, share, time_share, _pace(share, time_share, now, goal), forecast(goal, self.counted, now)
        )


def _pace(share: float, time_share: float, now: int, goal: Goal) -> Pace:
    if share >= 1:
        return Pace.REACHED
    if now >= goal.deadline:
        return Pace.MISSED
    if now < goal.starts_at:
        return Pace.NOT_STARTED
    if abs(share - time_share) <= max(0.1 * time_share, 0.01):
        return Pace.ON_PACE
    return Pace.AHEAD if share > time_share else Pace.BEHIND


def forecast(goal: Goal, counted: Counted, now: int) -> Forecast:
    """Where it would end at the deadline, were the recent pace to hold."""
    value = goal.baseline + counted.value
    if now >= goal.deadline:
        return Forecast(value, value, value, Wording("The deadline has passed.", "L’échéance est passée."))
    since = max(goal.starts_at, now - RECENT)
    elapsed = now - since
    recent = sum(amount for day, amount in counted.days.items() if _day_end(day) > since)
    lived_days = sum(1 for day in counted.days if _day_end(day) > since)
    events = recent if goal.metric is not Metric.REVENUE else float(lived_days)
    if elapsed < _LEAST_DAYS * DAY or events < _LEAST_COUNTED:
        return Forecast(None, None, None, _too_little(goal, elapsed))
    rate = recent / elapsed
    coming = max(rate * (goal.deadline - now), 0.0)
    doubt = _FOUR_IN_FIVE * _deviation(goal, counted, since, now, coming)
    return Forecast(
        value + coming,
        max(value + coming - doubt, value if goal.metric is not Metric.REVENUE else -math.inf),
        value + coming + doubt,
        _assumes(goal, rate * DAY, elapsed),
    )


def _deviation(goal: Goal, counted: Counted, since: int, now: int, coming: float) -> float:
    """Of what is still to come: counts scatter like Poisson's, amounts like the days behind them do; and the pace
    itself is only known from that stretch."""
    length = (goal.deadline - now) / (now - since)
    if goal.metric is not Metric.REVENUE:
        return math.sqrt(coming * (1 + length))
    first = _date(since)
    amounts = [
        counted.days.get((first + timedelta(days=n)).isoformat(), 0.0) for n in range((_date(now) - first).days + 1)
    ]
    mean = sum(amounts) / len(amounts)
    variance = sum((amount - mean) ** 2 for amount in amounts) / max(len(amounts) - 1, 1)
    days_left = (goal.deadline - now) / DAY
    return math.sqrt(variance * days_left * (1 + length))


def _too_little(goal: Goal, elapsed: int) -> Wording:
    if elapsed < _LEAST_DAYS * DAY:
        return Wording(
            f"Too early for a forecast: it takes at least {_LEAST_DAYS} days.",
            f"Trop tôt pour une prévision : il faut au moins {_LEAST_DAYS} jours.",
        )
    if goal.metric is Metric.REVENUE:
        return Wording(
            f"Too little for a forecast: it takes purchases on at least {_LEAST_COUNTED} days of the last four weeks.",
            f"Trop peu pour une prévision : il faut des achats au moins {_LEAST_COUNTED} jours des quatre dernières "
            "semaines.",
        )
    return Wording(
        f"Too little for a forecast: it takes at least {_LEAST_COUNTED} in the last four weeks.",
        f"Trop peu pour une prévision : il en faut au moins {_LEAST_COUNTED} dans les quatre dernières semaines.",
    )


def _assumes(goal: Goal, per_day: float, elapsed: int) -> Wording:
    days = round(elapsed / DAY)
    unit = f" {goal.currency}" if goal.currency else ""
    until = datetime.fromtimestamp(goal.deadline / 1_000, UTC).date().isoformat()
    english, french = _figure(per_day), _figure(per_day).replace(".", ",")
    return Wording(
        f"Assuming that the pace of the last {days} days ({english}{unit} a day) holds until {until}.",
        f"En supposant que le rythme des {days} derniers jours ({french}{unit} par jour) tienne jusqu’au {until}.",
    )


def _figure(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 1 else f"{number:.2f}"


def day_of(at: int) -> str:
    """The UTC day of an instant, ISO 8601."""
    return _date(at).isoformat()


def _date(at: int) -> date:
    return datetime.fromtimestamp(at / 1_000, UTC).date()


def _day_end(day: str) -> int:
    after = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    return int(after.timestamp() * 1_000)


def latest_days(counted: Counted) -> list[tuple[str, float]]:
    """The last days with something, oldest first."""
    return sorted(counted.days.items())[-_SHOWN_DAYS:]
