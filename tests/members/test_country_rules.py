"""Every rule of every country cites its article, and its examples come out as they say."""

from __future__ import annotations

from typing import Any

import pytest

from services.kit.clock import DAY
from services.members.domain.law import Case, cases, read_laws
from services.members.domain.permission import CONSENT, Evidence, Record, grant, objection, verdict

NOW = 1_795_000_000_000
LAWS = read_laws()


def _record(case: Case, country: str) -> tuple[Record, dict[str, list[str]]]:
    guardians = ["mbr_guardian"] if "age" in case else []
    born = f"{2026 - case['age']}-01-01" if "age" in case else None
    ledger = []
    for number, act in enumerate(case.get("acts", ())):
        at = NOW - act["days_ago"] * DAY if "days_ago" in act else None
        actor = act.get("actor", "")
        actor = "guardian:mbr_guardian" if actor == "guardian" else actor
        evidence = Evidence(act.get("wording", ""), act.get("source", ""), at, actor)
        common: dict[str, Any] = {"channels": [], "evidence": evidence, "now": NOW, "recorded_by": country}
        purposes = list(LAWS.of(country).rules)
        if act.get("act") == "objection":
            ledger.append(objection(f"pme_{number}", purposes=purposes, **common))
        else:
            ledger.append(grant(f"pme_{number}", basis=act.get("basis", CONSENT), purposes=purposes, **common))
    bases = case.get("relations", [])
    record: Record = {
        "ledger": ledger,
        "relations": [{"kind": basis, "since": "2026-01-01", "until": None} for basis in bases],
        "guardians": guardians,
        "birth_date": born,
        "registered_at": NOW,
        "contact_points": [{"channel": "email", "address": case.get("address", "ada@mail.example")}],
    }
    return record, {basis: [basis] for basis in bases}


@pytest.mark.parametrize(
    ("country", "purpose", "outcome", "case"), cases(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_example_of_a_country_rule_comes_out_as_it_says(
    country: str, purpose: str, outcome: str, case: Case
) -> None:
    record, gives = _record(case, country)
    found = verdict(record, purpose, "" if purpose == "image" else "email", NOW, LAWS.of(country), gives)
    assert found.allowed == (outcome == "allowed"), (case["text"], found)


@pytest.mark.parametrize("country", ["BE", "FR", "DE"])
def test_every_purpose_has_a_rule_with_its_article(country: str) -> None:
    for purpose, rule in LAWS.of(country).rules.items():
        assert rule.article, purpose
        assert rule.bases, purpose


def test_the_age_of_consent_is_the_countrys_own() -> None:
    assert [LAWS.of(country).age_of_consent for country in ("BE", "FR", "NL")] == [13, 15, 16]
