"""The law as data: what each country allows, read from ``countries/``, with the cases that show it.

Not advice of a lawyer: each rule cites its article, and shows one case it allows and one it refuses.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from services.members.domain.permission import GRADES, Law, PurposeRule

Case = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Laws:
    """The law of every known country; others follow the European frame."""

    default: Law
    countries: Mapping[str, Law]

    def of(self, country: str) -> Law:
        return self.countries.get(country, self.default)


def read_laws() -> Laws:
    """The rules that come with the service."""
    default = _law(_table("default"), None)
    return Laws(default, {law.country: law for law in (_law(_table(name), default) for name in ("be", "fr"))})


def cases() -> list[tuple[str, str, str, Case]]:
    """Every stated example: country, purpose, ``allowed`` or ``refused``, and the case."""
    return [
        (table["country"], purpose, outcome, rule[outcome])
        for table in (_table(name) for name in ("default", "be", "fr"))
        for purpose, rule in table["purposes"].items()
        for outcome in ("allowed", "refused")
    ]


def _table(name: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("countries", f"{name}.toml").read_text("utf-8"))


def _law(table: Mapping[str, Any], default: Law | None) -> Law:
    rules = dict(default.rules) if default else {}
    for purpose, rule in table["purposes"].items():
        bases = {basis: GRADES[grade] for basis, grade in rule["bases"].items()}
        rules[purpose] = PurposeRule(purpose, bases, rule.get("impersonal_only", False), rule["article"])
    return Law(table["country"], table["age_of_consent"], table["age_article"], rules)
