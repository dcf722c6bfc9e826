"""What a member is to the master, and where in their story: derived by the community's own rule, never typed in.

The rule is data that an operator can read and change: which relations and recent acts make a client, a fan, a prospect,
and after how many quiet days somebody is at risk, or lapsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.kit.clock import DAY
from services.kit.errors import Invalid
from services.members.domain.permission import Record, is_current
from services.members.domain.values import day_of, instant_of

PROSPECT = "prospect"
FAN = "fan"
CLIENT = "client"
STANDINGS = (PROSPECT, FAN, CLIENT)

NEW = "new"
ACTIVE = "active"
AT_RISK = "at_risk"
LAPSED = "lapsed"
FORMER = "former"
LIFECYCLES = (NEW, ACTIVE, AT_RISK, LAPSED, FORMER)

ACTS = ("opened", "clicked", "purchased", "signed_up", "attended", "answered")
"""What people do; the last time of each stands in ``engagement.last_<act>_at``."""


USUAL_DAYS = {"new_days": 60, "at_risk_days": 180, "lapsed_days": 365}


@dataclass(frozen=True, slots=True)
class Made:
    """What makes a standing: one of these relations now, or one of these acts within so many days."""

    relations: frozenset[str] = frozenset()
    acts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StandingRule:
    """Who is a client, a fan, a prospect (besides: whoever is neither), and when a lifecycle turns, in days."""

    client: Made
    fan: Made
    prospect: Made
    new_days: int
    at_risk_days: int
    lapsed_days: int

    def standings(self, record: Record, now: int) -> list[str]:
        today = day_of(now)
        kinds = {r["kind"] for r in record["relations"] if is_current(r, today)} if record["relations"] else frozenset()
        engagement = record["engagement"]
        found = [
            name
            for name, made in ((FAN, self.fan), (CLIENT, self.client))
            if not made.relations.isdisjoint(kinds) or (engagement and _acted(made.acts, engagement, now))
        ]
        if not found or not self.prospect.relations.isdisjoint(kinds):
            found.insert(0, PROSPECT)
        return found

    def lifecycle(self, record: Record, now: int, standings: list[str]) -> str:
        today = day_of(now)
        relations = record["relations"]
        made_client = [r for r in relations if r["kind"] in self.client.relations]
        if made_client and CLIENT not in standings and all(r["until"] and r["until"] < today for r in made_client):
            return FORMER
        if now - record["registered_at"] < self.new_days * DAY and not any(
            r["since"] and r["since"] < day_of(now - self.new_days * DAY) for r in relations
        ):
            return NEW
        if any(is_current(r, today) and r["kind"] in self.client.relations for r in relations):
            return ACTIVE
        quiet = now - self._last_sign(record)
        if quiet > self.lapsed_days * DAY:
            return LAPSED
        return AT_RISK if quiet > self.at_risk_days * DAY else ACTIVE

    def _last_sign(self, record: Record) -> int:
        engagement = record["engagement"]
        acts = [engagement.get(f"last_{act}_at") or 0 for act in ACTS] if engagement else []
        begun = [instant_of(r["since"]) for r in record["relations"] if r["since"]]
        return max([int(record["registered_at"]), *acts, *begun])

    def to_record(self) -> Record:
        def made(value: Made) -> Record:
            return {"relations": sorted(value.relations), "acts": dict(value.acts)}

        return {
            "client": made(self.client),
            "fan": made(self.fan),
            "prospect": made(self.prospect),
            "new_days": self.new_days,
            "at_risk_days": self.at_risk_days,
            "lapsed_days": self.lapsed_days,
        }


_TAKES_BACK = {"undo": "import", "unmerge": "merge"}


def held_before(record: Record) -> set[str]:
    """Every standing the member is known to have had, as its history tells; not those of an import or a merge that was
    taken back."""
    notes = [(note, *str(note["cause"]).partition("#")[0].split(":", 1)) for note in record["history"]]
    told = [(note["was"], note["now"], why, *of) for note, why, *of in notes if note["what"] == "standing"]
    gone = {(_TAKES_BACK[why], *of) for _, _, why, *of in told if why in _TAKES_BACK}
    held: set[str] = set()
    for was, now, why, *of in told:
        if why not in _TAKES_BACK and (why, *of) not in gone:
            held.update(was, now)
    return held


def standing_rule(table: Mapping[str, Any], kinds: frozenset[str]) -> StandingRule:
    """The rule of a table (TOML, JSON), checked against the relation kinds of the catalogue. Raises Invalid."""

    def made(name: str) -> Made:
        part = table.get(name, {})
        for kind in part.get("relations", ()):
            if kind not in kinds:
                raise Invalid(f"The catalogue has no relation “{kind}”.", field=f"standing_rule.{name}.relations")
        for act, days in part.get("acts", {}).items():
            if act not in ACTS or not isinstance(days, int) or days < 1:
                raise Invalid(
                    f"An act is one of {', '.join(ACTS)}, with the days it counts for.",
                    field=f"standing_rule.{name}.acts",
                )
        return Made(frozenset(part.get("relations", ())), dict(part.get("acts", {})))

    days = [
        int(table.get(name, usual)) for name, usual in (("new_days", 60), ("at_risk_days", 180), ("lapsed_days", 365))
    ]
    if not days[0] >= 0 or not 0 < days[1] < days[2]:
        raise Invalid("At risk comes before lapsed: at_risk_days < lapsed_days.", field="standing_rule.lapsed_days")
    return StandingRule(made(CLIENT), made(FAN), made(PROSPECT), *days)


def _acted(acts: Mapping[str, int], engagement: Mapping[str, Any], now: int) -> bool:
    return any((engagement.get(f"last_{act}_at") or 0) > now - days * DAY for act, days in acts.items())
