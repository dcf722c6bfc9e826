"""What the demo sets out to do: two communities, their lists, what they aim at, and what they write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.readers import Habits

LISTS = Path(__file__).parent / "lists"
LETTERS = Path(__file__).parent / "letters"


@dataclass(frozen=True, slots=True)
class ListPlan:
    """A file, and what the operator declares about it: kept as the operator's word."""

    file: str
    declares: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """An objective that began at ``baseline`` some days ago, to be reached ``days`` from now."""

    name: Mapping[str, str]
    metric: str
    target: float
    began_days_ago: int
    days: int
    unit: str
    baseline: float = 0.0
    currency: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What readers buy, and for how much; or the activity that they say they will come to."""

    event: str
    subject: str
    amounts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CommunityPlan:
    """One community and its one campaign."""

    name: str
    master_name: str
    master_kind: str
    pack: str
    from_name: str
    sender: str
    lists: Sequence[ListPlan]
    aim: Aim
    campaign: Mapping[str, str]
    purpose: str
    rule: Mapping[str, Any]
    reasons: Sequence[str]
    letters: Sequence[tuple[str, str, str]]  # locale, subject, file
    habits: Habits
    offer: Offer
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return self.sender.rpartition("@")[2]


FESTIVAL = CommunityPlan(
    name="Festival des Rives",
    master_name="Festival des Rives",
    master_kind="FLAGSHIP_ACTIVITY",
    pack="festival",
    from_name="Festival des Rives",
    sender="bonjour@festival.example",
    lists=(
        ListPlan("mailchimp-subscribed.csv"),
        ListPlan("festival-prospects.csv"),
        ListPlan(
            "listmonk-export.csv",
            declares={
                "purposes": ["NEWS", "TRACKING"],
                "channels": ["email"],
                "basis": "consent",
                "evidence": "Everybody on this list ticked “news by e-mail, and what I open and click may be counted” "
                "at the 2025 box office; the slips are in the archive, box 12.",
            },
        ),
    ),
    aim=Aim(
        name={"fr": "Vingt-cinq mille euros de préventes", "en": "Twenty-five thousand euros of early sales"},
        metric="REVENUE",
        baseline=4_150,
        target=25_000,
        began_days_ago=20,
        days=38,
        unit="EUR",
        currency="EUR",
    ),
    campaign={"fr": "L’affiche est là", "en": "The line-up is here"},
    purpose="NEWS",
    rule={},
    reasons=("line_up", "camping", "friends"),
    letters=(
        ("fr", '{{ given_name | fallback("Ça y est") }}, l’affiche est là', "festival.fr.html"),
        ("en", '{{ given_name | fallback("At last") }}, the line-up is here', "festival.en.html"),
    ),
    habits=Habits(),
    offer=Offer("purchase", "pass-3-days", ("89.00", "178.00", "104.50")),
)

JUDO = CommunityPlan(
    name="Judo Club du Moulin",
    master_name="Judo Club du Moulin ASBL",
    master_kind="ORGANISATION",
    pack="sports_club",
    from_name="Judo Club du Moulin",
    sender="secretariat@judo.example",
    lists=(ListPlan("judo-club-members.csv"),),
    aim=Aim(
        name={"fr": "Quatre-vingts judokas samedi", "en": "Eighty judoka on Saturday"},
        metric="ATTENDANCE",
        target=80,
        began_days_ago=1,
        days=5,
        unit="",
        subject="saturday-class",
    ),
    campaign={"fr": "Pas de cours jeudi", "en": "No class on Thursday"},
    purpose="SERVICE",
    rule={"field": "relation", "is": "adherent"},
    reasons=(),
    letters=(
        ("fr", "Jeudi, pas de cours : la salle est inondée", "judo.fr.mjml"),
        ("en", "No class on Thursday: the hall is flooded", "judo.en.mjml"),
    ),
    habits=Habits(open=0.7, click=0.5, buy=0.6, unsubscribe_in_one_click=0.0, unsubscribe_on_the_page=0.004),
    offer=Offer("attendance", "saturday-class"),
)

COMMUNITIES = (FESTIVAL, JUDO)
