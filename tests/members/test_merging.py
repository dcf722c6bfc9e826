"""Merges are explained and reversible, an old id always resolves, and no order of merges weakens permission."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.law import read_laws
from services.members.domain.merge import CannotMerge, explained, merge, unmerge
from services.members.domain.permission import NEWS, OBJECTION, PURPOSES, THE_MEMBER, Evidence, Record, verdict
from services.members.use_cases.changing import name_guardian, restrict_member
from services.members.use_cases.identifying import dismiss_duplicate, suggest_duplicates
from services.members.use_cases.merging import (
    UndoLaterFirst,
    finish_merges,
    merge_members,
    preview_merge,
    unmerge_members,
)
from services.members.use_cases.permitting import record_objection
from services.members.use_cases.reading import get_members, list_timeline
from services.members.use_cases.registering import owners_of
from services.members.use_cases.reporting import Report, record_interactions
from services.members.use_cases.room import Room
from tests.members.test_permission import grants, objections

NOW = 1_795_000_000_000
LAW = read_laws().of("BE")
GIVES = {"adherent": ["membership"], "customer": ["contract"]}


@st.composite
def members(draw: st.DrawFn, number: int) -> Record:
    words = st.sampled_from(["", "Ada", "Lovelace", "Byron"])
    ledger = draw(st.lists(st.one_of(grants(), objections()), max_size=3))
    for entry in ledger:
        entry["_id"] = f"{entry['_id']}_{number}"
    attributes = draw(st.lists(st.sampled_from(["city", "grade"]), max_size=2, unique=True))
    return {
        "_id": f"mbr_{number}",
        "community": "cmt_1",
        "kind": "person",
        "state": draw(st.sampled_from(["active", "active", "restricted"])),
        "display_name": "Ada",
        "given_name": draw(words),
        "family_name": draw(words),
        "locale": draw(st.sampled_from(["", "fr", "nl"])),
        "zone": "",
        "external_id": draw(st.sampled_from([None, f"ext-{number}"])),
        "birth_date": draw(st.sampled_from([None, "1980-05-05", "2015-06-01"])),
        "contact_points": [
            {"id": f"c{i}", "channel": "email", "address": address, "state": "active", "shared": False}
            for i, address in enumerate(
                draw(st.lists(st.sampled_from(["a@x.example", "b@x.example"]), max_size=2, unique=True)), 1
            )
        ],
        "relations": [
            {"kind": kind, "since": draw(st.sampled_from(["2025-01-01", "2026-01-01"])), "until": None}
            for kind in draw(st.lists(st.sampled_from(sorted(GIVES)), max_size=2, unique=True))
        ],
        "reasons": [],
        "attributes": [{"key": key, "value": draw(words)} for key in attributes],
        "sensitive": [],
        "tags": draw(st.lists(st.sampled_from(["vip", "press"]), max_size=2, unique=True)),
        "ledger": ledger,
        "guardians": draw(st.sampled_from([[], ["mbr_mother"]])),
        "wards": [],
        "absorbed": [],
        "history": [],
        "registered_at": NOW - draw(st.integers(0, 900)) * DAY,
    }


def _verdicts(record: Record) -> list[tuple[bool, bool]]:
    state = record["state"] == "active"
    return [
        (state, verdict(record, purpose, channel, NOW, LAW, GIVES).allowed)
        for purpose in PURPOSES
        for channel in ("email", "phone")
    ]


@given(members(1), members(2))
def test_promise_06_unmerging_restores_both(first: Record, second: Record) -> None:
    before = copy.deepcopy((first, second))
    made = merge(first, second)
    restored = unmerge(first, made.taken, second, NOW + 1)
    assert (first, restored) == before


@given(members(1), members(2), members(3))
def test_promise_06_the_order_of_merges_does_not_matter_for_permission(one: Record, two: Record, three: Record) -> None:
    outcomes = []
    for order in permutations((one, two, three)):
        survivor, *others = copy.deepcopy(order)
        for other in others:
            merge(survivor, other)
        outcomes.append(_verdicts(survivor))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(members(1), members(2))
def test_promise_05_an_objection_of_either_stands_after_a_merge_unless_a_later_proven_act_lifts_it(
    first: Record, second: Record
) -> None:
    refused = [
        (purpose, channel)
        for purpose in PURPOSES
        for channel in ("email", "phone")
        if verdict(second, purpose, channel, NOW, LAW, GIVES).reason == OBJECTION
        and not any(entry["act"] == "grant" for entry in first["ledger"])
    ]
    merge(first, second)
    assert not any(verdict(first, *ask, NOW, LAW, GIVES).allowed for ask in refused)


def test_promise_06_a_merge_is_explained_before_it_is_done(
    room: Room, scope: Scope, register: Callable[..., Document]
) -> None:
    ada = register("Ada Lovelace", email="ada@mail.example")
    double = register("Ada", email="a.lovelace@mail.example", tags=["vip"], agreed=(NEWS,))
    made, record = preview_merge(room, scope, ada["_id"], double["_id"])
    assert [line for line in made.lines if line[0] != "given_name"] == [
        ("contact_points", "joined"),
        ("ledger", "joined"),
        ("tags", "joined"),
    ]
    assert explained("tags", "joined", "fr-BE") == "Étiquettes: réunis."
    assert record["permission"] == ["news:email"]
    assert room.member(scope, ada["_id"])["tags"] == [], "a preview changes nothing"


def test_promise_06_a_merge_is_undone_and_an_old_id_always_resolves(
    room: Room, scope: Scope, club: Document, register: Callable[..., Document], clock: ManualClock
) -> None:
    ada = register("Ada Lovelace", email="ada@mail.example", agreed=(NEWS,))
    double = register("Ada L", email="a.l@mail.example", tags=["vip"], external_id="x7", agreed=(NEWS,))
    buy = Report("buy-1", "purchased", clock.now() - DAY, member=double["_id"], subject="ofr_1")
    record_interactions(room, scope, club["_id"], [buy])
    clock.advance(DAY)
    saved, survivor = merge_members(room, scope, ada["_id"], double["_id"])
    assert [point["address"] for point in survivor["contact_points"]] == ["ada@mail.example", "a.l@mail.example"]
    assert [member["_id"] for member in get_members(room, scope, [double["_id"]])] == [ada["_id"]]
    both = [("email", "a.l@mail.example"), ("external", "x7")]
    assert owners_of(room, scope, club["_id"], both) == {address: [ada["_id"]] for address in both}
    assert [entry["event"] for entry in list_timeline(room, scope, double["_id"], 10, "").interactions] == ["buy-1"]
    assert room.member(scope, ada["_id"])["engagement"]["score"] == 10

    clock.advance(DAY)
    record_objection(
        room,
        scope,
        ada["_id"],
        purposes=[NEWS],
        channels=[],
        evidence=Evidence("", "one_click", clock.now(), THE_MEMBER),
    )
    clock.advance(DAY)
    _, (kept, back) = unmerge_members(room, scope, saved["_id"])
    assert (back["_id"], back["tags"], back["external_id"], back["state"]) == (double["_id"], ["vip"], "x7", "active")
    assert [point["address"] for point in kept["contact_points"]] == ["ada@mail.example"]
    assert owners_of(room, scope, club["_id"], both) == {address: [double["_id"]] for address in both}
    assert kept["permission"] == back["permission"] == [], "a later objection stays on both"
    assert room.member(scope, ada["_id"])["engagement"]["score"] == 0
    assert room.member(scope, double["_id"])["engagement"]["score"] == 10
    told = [entry["type"] for entry in room.member(scope, ada["_id"])["outbox"]]
    assert "MemberMerged" in told
    assert "MemberUnmerged" in told


def test_a_merge_that_a_crash_interrupted_is_finished_later(
    room: Room, scope: Scope, register: Callable[..., Document], clock: ManualClock
) -> None:
    ada, double = register("Ada", email="ada@mail.example"), register("Ada", email="b@mail.example")
    saved, _ = merge_members(room, scope, ada["_id"], double["_id"])
    stored = room.merges.get(scope, [saved["_id"]])[saved["_id"]]
    room.merges.replace(scope, [stored | {"unfinished": clock.now()}])
    tombstone = room.members.get(scope, [double["_id"]])[double["_id"]]
    room.members.replace(scope, [{**double, "version": tombstone["version"]}])
    clock.advance(DAY)
    finish_merges(room)
    assert room.members.get(scope, [double["_id"]])[double["_id"]]["merged_into"] == ada["_id"]
    assert room.merges.get(scope, [saved["_id"]])[saved["_id"]]["unfinished"] is None


def test_promise_06_undoing_a_merge_leaves_a_guardian_of_before_the_merge_its_wards(
    room: Room, scope: Scope, register: Callable[..., Document]
) -> None:
    mother, twin = register("Anne Peeters", email="anne@mail.example"), register("Anne P", phone="+32470123456")
    lou, twin_of_lou = register("Lou", birth_date="2016-04-01"), register("Lou P", birth_date="2016-04-01")
    for guardian in (mother, twin):
        for ward in (lou, twin_of_lou):
            name_guardian(room, scope, ward["_id"], guardian["_id"])
    for survivor, absorbed in ((mother, twin), (lou, twin_of_lou)):
        before = [room.member(scope, one["_id"]) for one in (mother, twin, lou, twin_of_lou)]
        saved, _ = merge_members(room, scope, survivor["_id"], absorbed["_id"])
        unmerge_members(room, scope, saved["_id"])
        after = [room.member(scope, one["_id"]) for one in (mother, twin, lou, twin_of_lou)]
        for place in ("guardians", "wards"):
            assert [set(one[place]) for one in after] == [set(one[place]) for one in before]


def test_promise_06_merges_into_one_member_are_undone_from_the_last(
    room: Room, scope: Scope, register: Callable[..., Document], clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    born = {"one": "1983-02-28", "two": "1984-02-28"}
    others = {name: register("Ada", email=f"{name}@mail.example", birth_date=day) for name, day in born.items()}
    merges = {}
    for name, other in others.items():
        clock.advance(DAY)
        merges[name], _ = merge_members(room, scope, ada["_id"], other["_id"])
    with pytest.raises(UndoLaterFirst, match=f"undo the merge {merges['two']['_id']} first") as refused:
        unmerge_members(room, scope, merges["one"]["_id"])
    assert (refused.value.reason, refused.value.field) == ("undo-later-first", "merge")
    for name in ("two", "one"):
        clock.advance(DAY)
        _, (_, back) = unmerge_members(room, scope, merges[name]["_id"])
        assert back["birth_date"] == born[name]
    assert room.member(scope, ada["_id"])["birth_date"] is None


def test_promise_06_a_restriction_asked_for_since_stays_on_both(
    room: Room, scope: Scope, register: Callable[..., Document], clock: ManualClock
) -> None:
    ada, double = register("Ada", email="ada@mail.example"), register("Ada", email="b@mail.example")
    saved, _ = merge_members(room, scope, ada["_id"], double["_id"])
    clock.advance(DAY)
    restrict_member(room, scope, ada["_id"])
    _, both = unmerge_members(room, scope, saved["_id"])
    assert [one["state"] for one in both] == ["restricted", "restricted"]


def test_a_guardian_and_a_ward_are_never_one(room: Room, scope: Scope, register: Callable[..., Document]) -> None:
    mother = register("Anne Peeters", email="anne@mail.example")
    child = register("Anne Peeters", birth_date="2018-04-01")
    name_guardian(room, scope, child["_id"], mother["_id"])
    with pytest.raises(CannotMerge):
        merge_members(room, scope, mother["_id"], child["_id"])


def test_duplicates_are_suggested_with_reasons_and_dismissed_for_good(
    room: Room, scope: Scope, club: Document, register: Callable[..., Document]
) -> None:
    said: dict[str, Any] = {"birth_date": "1980-05-05"}
    one = register("Renée De Smet", email="renee@mail.example", **said)
    other = register("Renee Desmet", email="renee@work.example", **said)
    register("Renée De Smet", birth_date="2015-01-01")
    (pair,) = suggest_duplicates(room, scope, club["_id"], 10)
    assert (pair.first, pair.second) == (one["_id"], other["_id"])
    assert {"same-birth-date", "similar-name"} <= set(pair.reasons)
    dismiss_duplicate(room, scope, other["_id"], one["_id"])
    assert suggest_duplicates(room, scope, club["_id"], 10) == []
