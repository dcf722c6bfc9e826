"""Who may be written to: the laws of the ledger, held by properties, and the words of product.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.law import read_laws
from services.members.domain.permission import (
    ASK_ANEW,
    BASES,
    CONSENT,
    GRADES,
    GUARDIAN_MUST_CONSENT,
    NEWS,
    OBJECTION,
    PROMOTION,
    PURPOSES,
    SERVICE,
    THE_MEMBER,
    TOO_WEAK,
    Entry,
    Evidence,
    Grade,
    Record,
    grant,
    objection,
    permission_tokens,
    verdict,
)
from services.members.use_cases.permitting import record_consent, record_objection
from services.members.use_cases.room import Room

NOW = 1_795_000_000_000
LAW = read_laws().of("BE")
GIVES = {"adherent": ["membership", "contract", "legal_duty"], "customer": ["contract"]}

instants = st.one_of(st.none(), st.integers(NOW - 800 * DAY, NOW + 30 * DAY))
evidences = st.builds(
    Evidence,
    wording=st.sampled_from(["", "I agree."]),
    source=st.sampled_from(["", "operator", "import", "form", "double_opt_in", "one_click"]),
    at=instants,
    actor=st.sampled_from(["", "member", "operator:1", "guardian:mbr_mother", "guardian:mbr_stranger"]),
    detail=st.sampled_from(["", "192.0.2.1"]),
)
channels = st.sampled_from([(), ("email",), ("phone",), ("email", "phone")])


@st.composite
def grants(draw: st.DrawFn) -> Entry:
    purposes = draw(st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=4, unique=True))
    return grant(
        f"pme_{draw(st.integers(0, 10**9))}",
        basis=draw(st.sampled_from(BASES)),
        purposes=purposes,
        channels=draw(channels),
        evidence=draw(evidences),
        now=NOW,
        recorded_by="test",
    )


@st.composite
def objections(draw: st.DrawFn) -> Entry:
    return objection(
        f"pme_{draw(st.integers(0, 10**9))}",
        purposes=draw(st.lists(st.sampled_from(PURPOSES), max_size=3, unique=True)),
        channels=draw(channels),
        evidence=draw(evidences),
        now=NOW,
        recorded_by="test",
    )


def _id(entry: Entry) -> str:
    return str(entry["_id"])


@st.composite
def records(draw: st.DrawFn) -> Record:
    return {
        "ledger": draw(st.lists(st.one_of(grants(), objections()), max_size=6, unique_by=_id)),
        "relations": [
            {"kind": kind, "since": "2025-01-01", "until": None}
            for kind in draw(st.lists(st.sampled_from(sorted(GIVES)), max_size=2, unique=True))
        ],
        "guardians": draw(st.sampled_from([[], ["mbr_mother"]])),
        "birth_date": draw(st.sampled_from([None, "1980-05-05", "2013-06-01", "2016-02-29", "2011-01-01"])),
        "registered_at": NOW - 900 * DAY,
        "contact_points": [{"channel": channel, "address": f"a@{channel}.example"} for channel in ("email", "phone")],
    }


def _asks() -> list[tuple[str, str]]:
    return [(purpose, channel) for purpose in PURPOSES for channel in ("email", "phone")]


def _covers(entry: Entry, purpose: str, channel: str) -> bool:
    return purpose in entry["purposes"] and (not entry["channels"] or channel in entry["channels"])


@given(records())
def test_promise_05_an_objection_stands_until_a_later_proven_act_of_the_same_person(record: Record) -> None:
    for purpose, channel in _asks():
        refused = [e for e in record["ledger"] if e["act"] == OBJECTION and _covers(e, purpose, channel)]
        if not refused:
            continue
        latest = max(entry["at"] for entry in refused)
        proven_later = [
            entry
            for entry in record["ledger"]
            if entry["act"] == "grant"
            and entry["basis"] == CONSENT
            and _covers(entry, purpose, channel)
            and entry["grade"] >= Grade.FAIR
            and entry["at"] is not None
            and entry["at"] > latest
            and entry["actor"] in ("member", "guardian:mbr_mother")
        ]
        if not proven_later:
            found = verdict(record, purpose, channel, NOW, LAW, GIVES)
            assert (found.allowed, found.reason) == (False, OBJECTION)


@given(records(), st.randoms())
def test_promise_05_the_order_of_the_ledger_does_not_matter(record: Record, random: Any) -> None:
    before = [verdict(record, *ask, NOW, LAW, GIVES) for ask in _asks()]
    random.shuffle(record["ledger"])
    assert [verdict(record, *ask, NOW, LAW, GIVES)[:2] for ask in _asks()] == [one[:2] for one in before]


@given(records(), objections())
def test_an_objection_more_never_allows_more(record: Record, refusal: Entry) -> None:
    before = set(permission_tokens(record, NOW, LAW, GIVES))
    record["ledger"].append(refusal)
    assert set(permission_tokens(record, NOW, LAW, GIVES)) <= before


@given(records())
def test_the_tokens_say_what_the_verdicts_say(record: Record) -> None:
    tokens = set(permission_tokens(record, NOW, LAW, GIVES))
    for purpose, channel in _asks():
        if purpose != "image":
            assert (f"{purpose}:{channel}" in tokens) == verdict(record, purpose, channel, NOW, LAW, GIVES).allowed


@given(records())
def test_promise_05_whatever_is_allowed_names_a_basis_with_enough_evidence(record: Record) -> None:
    for purpose, channel in _asks():
        found = verdict(record, purpose, channel, NOW, LAW, GIVES)
        if found.allowed:
            assert found.grade >= LAW.rules[purpose].bases[found.reason]
            assert found.entry or record["relations"]


@given(evidences)
def test_an_operators_word_and_an_undated_act_prove_little(evidence: Evidence) -> None:
    grade = evidence.grade(NOW)
    if evidence.at is None or evidence.at > NOW + 5_000:
        assert grade is Grade.NONE
    elif evidence.actor.startswith("operator") or not evidence.actor or not (evidence.wording or evidence.detail):
        assert grade is Grade.WEAK
    assert GRADES[grade.word] is grade


def _adult(*ledger: Entry) -> Record:
    return {
        "ledger": list(ledger),
        "relations": [],
        "guardians": [],
        "birth_date": None,
        "registered_at": NOW,
        "contact_points": [],
    }


def _consent(purposes: tuple[str, ...], evidence: Evidence, number: int = 1) -> Entry:
    return grant(
        f"pme_{number}",
        basis=CONSENT,
        purposes=purposes,
        channels=("email",),
        evidence=evidence,
        now=NOW,
        recorded_by="t",
    )


def test_a_dated_yes_without_wording_is_enough_for_news_but_not_for_promotion() -> None:
    record = _adult(_consent((NEWS, PROMOTION), Evidence(source="import", at=NOW - DAY)))
    assert verdict(record, NEWS, "email", NOW, LAW, {}).allowed
    assert verdict(record, PROMOTION, "email", NOW, LAW, {}).reason == TOO_WEAK


def test_an_undated_yes_proves_nothing_and_an_undated_no_counts_from_its_recording() -> None:
    record = _adult(_consent((NEWS,), Evidence(source="import")))
    assert not verdict(record, NEWS, "email", NOW, LAW, {}).allowed
    refusal = objection("pme_2", purposes=(NEWS,), evidence=Evidence(source="import"), now=NOW, recorded_by="t")
    assert refusal["at"] == NOW


def test_a_service_message_passes_a_promotional_refusal() -> None:
    refusal = objection("pme_2", evidence=Evidence(source="one_click", at=NOW - DAY), now=NOW, recorded_by="t")
    record = _adult(refusal) | {"relations": [{"kind": "adherent", "since": "2026-01-01", "until": None}]}
    assert verdict(record, SERVICE, "email", NOW, LAW, GIVES).allowed
    assert verdict(record, NEWS, "email", NOW, LAW, GIVES).reason == OBJECTION


def test_a_childs_own_yes_does_not_count_and_its_guardians_does_until_it_is_old_enough_to_be_asked() -> None:
    said_on = 1_725_148_800_000  # 1 September 2024
    by_child = _consent((NEWS,), Evidence("Oui", "form", said_on, THE_MEMBER))
    by_mother = _consent((NEWS,), Evidence("Oui", "form", said_on, "guardian:mbr_mother"), 2)
    child = _adult(by_child) | {"birth_date": "2014-03-02", "guardians": ["mbr_mother"]}
    assert verdict(child, NEWS, "email", NOW, LAW, {}).reason == GUARDIAN_MUST_CONSENT
    child["ledger"].append(by_mother)
    assert verdict(child, NEWS, "email", NOW, LAW, {}).allowed
    turned_thirteen = 1_803_945_600_000  # 2 March 2027
    assert verdict(child, NEWS, "email", turned_thirteen - 1, LAW, {}).allowed
    assert verdict(child, NEWS, "email", turned_thirteen, LAW, {}).reason == ASK_ANEW


def test_promise_05_permission_has_proof(
    room: Room, scope: Scope, register: Callable[..., Document], clock: ManualClock
) -> None:
    ada = register("Ada Lovelace", email="ada@mail.example")
    evidence = Evidence("Oui, écrivez-moi.", "form", clock.now() - DAY, THE_MEMBER, "192.0.2.7")
    agreed = record_consent(room, scope, ada["_id"], purposes=[NEWS], channels=["email"], basis="", evidence=evidence)
    assert agreed["permission"] == ["news:email"]
    (entry,) = agreed["ledger"]
    assert (entry["wording"], entry["source"], entry["actor"], entry["detail"], entry["grade"]) == (
        "Oui, écrivez-moi.",
        "form",
        "member",
        "192.0.2.7",
        Grade.FAIR,
    )
    clock.advance(DAY)
    refused = record_objection(
        room,
        scope,
        ada["_id"],
        purposes=[NEWS],
        channels=[],
        evidence=Evidence(source="one_click", at=clock.now(), actor=THE_MEMBER),
    )
    assert refused["permission"] == []
    assert len(refused["ledger"]) == 2, "the ledger is only ever added to"
    told = [(entry["type"], entry["data"].get("allowed")) for entry in refused["outbox"]]
    assert ("PermissionChanged", False) in told
    clock.advance(DAY)
    word = Evidence("She said yes on the phone.", "operator", clock.now(), "operator:ada")
    still = record_consent(room, scope, ada["_id"], purposes=[NEWS], channels=[], basis="", evidence=word)
    assert still["permission"] == [], "an operator's word lifts no objection"
    again = Evidence("Oui, à nouveau.", "double_opt_in", clock.now(), THE_MEMBER)
    lifted = record_consent(room, scope, ada["_id"], purposes=[NEWS], channels=[], basis="", evidence=again)
    assert lifted["permission"] == ["news:email"]


@pytest.mark.parametrize("channel", ["email", "phone"])
def test_permission_is_only_given_for_channels_that_reach_the_member(
    channel: str, register: Callable[..., Document]
) -> None:
    address = {"email": "ada@mail.example", "phone": "+32470123456"}[channel]
    ada = register("Ada", agreed=(NEWS,), **{channel: address})
    assert ada["permission"] == [f"news:{channel}"]
