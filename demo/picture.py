"""The picture at the end: a campaign's funnel, why some were not written to, and how the objective stands.

SVG without script. In every bar, machines stand apart from people: a hatched tail beyond the solid part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from demo.words import words

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_BAR_WIDTH = 440
_TRACK_WIDTH = 820


@dataclass(frozen=True, slots=True)
class Step:
    """One bar: ``people`` counted solid, ``machines`` hatched behind."""

    key: str
    people: int
    machines: int = 0


@dataclass(frozen=True, slots=True)
class ObjectivePicture:
    """How an objective stands, in its own unit. ``expected`` is where a steady pace would stand now."""

    name: str
    unit: str
    baseline: float
    target: float
    value: float
    expected: float
    deadline: str
    forecast: str

    def place(self, value: float) -> float:
        """Where a value stands on the track, in its pixels."""
        span = max(self.target, self.value) - self.baseline
        share = (value - self.baseline) / span if span else 0.0
        return _TRACK_WIDTH * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class CampaignPicture:
    """One campaign as its figures tell it, counted in members. The first step is the whole audience."""

    name: str
    community: str
    steps: Sequence[Step]
    skipped: Sequence[tuple[str, int]] = ()  # why not, in words, and how many
    addresses: int = 0
    notes: Sequence[str] = ()
    objective: ObjectivePicture | None = None

    def width(self, count: int) -> float:
        """All bars share one scale, so that their lengths may be compared by eye."""
        most = max((step.people + step.machines for step in self.steps), default=0)
        return _BAR_WIDTH * count / most if most else 0.0

    def share(self, step: Step) -> float:
        """Of the audience, in percent."""
        return 100 * step.people / self.steps[0].people if self.steps[0].people else 0.0


def number(value: float, language: str) -> str:
    """A whole number as it is written in the language."""
    return f"{round(value):,}".replace(",", "\u202f" if language == "fr" else ",")


def day(instant: str, language: str) -> str:
    """The (UTC) day of an ISO 8601 instant as it is written in the language."""
    return format_date(datetime.fromisoformat(instant), format="long", locale=language)


def percent(value: float, language: str) -> str:
    text = f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return f"{text.replace('.', ',')} %" if language == "fr" else f"{text}%"


def funnel_svg(picture: CampaignPicture, language: str) -> str:
    return _page("funnel.svg", language, picture=picture)


def report_html(
    pictures: Sequence[CampaignPicture], language: str, addresses: Mapping[str, str], query: str, other: str
) -> str:
    """One page that needs nothing else. ``addresses`` become links; ``other`` is the page in the other language."""
    return _page("report.html", language, pictures=pictures, addresses=addresses, query=query, other=other)


def _page(template: str, language: str, **values: object) -> str:
    return _PAGES.get_template(template).render(
        lang=language,
        say=words(language),
        number=partial(number, language=language),
        percent=partial(percent, language=language),
        **values,
    )
