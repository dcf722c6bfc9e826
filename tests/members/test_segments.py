"""Segments: whom a rule reaches, what it cannot know, and where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.segment import BadRule
from services.members.use_cases.founding import Founding, create_community
from services.members.use_cases.reaching import Audience, stream_audience
from services.members.use_cases.reading import list_members
from services.members.use_cases.recording import Visit, record_visits
from services.members.use_cases.room import Room
from services.members.use_cases.segmenting import (
    Counted,
    UnknownSegment,
    count_segment,
    delete_segment,
    get_segment,
    list_segments,
    sample_segment,
    save_segment,
)

Register = Callable[..., Document]


def _names(room: Room, scope: Scope, club: Document, rule: Any) -> list[str]:
    found = sample_segment(room, scope, club["_id"], json.dumps(rule), 50)
    return sorted(member["given_name"] for member in found)


@pytest.fixture
def people(register: Register) -> None:
    register(
        "Ada", email="ada@mail.example", relations=("adherent",), tags=["vip"], attributes={"city": "Huy", "fee": 120}
    )
    register(
        "Bea", email="bea@mail.example", attributes={"city": "Namur", "fee": 240.5, "fee_paid": True}, agreed=("news",)
    )
    register("Cem", phone="+32470123456", birth_date="2015-03-03", tags=["press", "vip"])
    register("Dee", email="dee@mail.example", relations=("trial",), attributes={"licence_until": "2026-11-30"})


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ({"field": "attribute.city", "is": "Huy"}, ["Ada"]),
        ({"field": "attribute.city", "in": ["Huy", "Namur"]}, ["Ada", "Bea"]),
        ({"field": "attribute.fee", "at_least": 200}, ["Bea"]),
        ({"field": "attribute.fee_paid", "is": True}, ["Bea"]),
        ({"field": "attribute.licence_until", "before": "2026-12-01"}, ["Dee"]),
        ({"field": "attribute.city", "known": False}, ["Cem", "Dee"]),
        ({"field": "tag", "is": "vip"}, ["Ada", "Cem"]),
        ({"all": [{"field": "tag", "is": "vip"}, {"not": {"field": "tag", "is": "press"}}]}, ["Ada"]),
        ({"field": "relation", "in": ["adherent", "trial"]}, ["Ada", "Dee"]),
        ({"field": "relation", "is": "adherent", "terms": "ended"}, []),
        ({"field": "standing", "is": "client"}, ["Ada"]),
        ({"any": [{"field": "standing", "is": "client"}, {"field": "birth_date", "age_below": 13}]}, ["Ada", "Cem"]),
        ({"field": "permission", "is": "news:email"}, ["Bea"]),
        ({"field": "contact", "is": "phone"}, ["Cem"]),
        ({"field": "registered", "within_days": 1}, ["Ada", "Bea", "Cem", "Dee"]),
        ({"field": "lifecycle", "is": "new"}, ["Ada", "Bea", "Cem", "Dee"]),
        ({"field": "name", "begins": "be"}, ["Bea"]),
        ({"field": "last_purchased", "known": True}, []),
        ({}, ["Ada", "Bea", "Cem", "Dee"]),
    ],
)
@pytest.mark.usefixtures("people")
def test_a_rule_reaches_whom_it_says(room: Room, scope: Scope, club: Document, rule: Any, names: list[str]) -> None:
    assert _names(room, scope, club, rule) == names


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ("{", "rule"),
        ({"all": []}, "rule/all"),
        ({"all": [{"field": "standing", "is": "client"}, {"field": "standing", "is": "customer"}]}, "rule/all/1/is"),
        ({"any": [{"field": "attribute.shoe", "is": "42"}]}, "rule/any/0/field"),
        ({"field": "attribute.health_remarks", "is": "asthma"}, "rule/field"),
        ({"not": {"field": "last_opened", "within_days": "ninety"}}, "rule/not/within_days"),
        ({"not": {"field": "last_opened"}}, "rule/not"),
        ({"field": "standing", "is": "client", "in": ["fan"]}, "rule"),
        ({"field": "attribute.fee", "begins": "1"}, "rule/begins"),
        ({"field": "permission", "is": "news"}, "rule/is"),
        ({"either": []}, "rule/either"),
        ({"field": "registered", "before": "tomorrow"}, "rule/before"),
    ],
)
def test_an_error_points_at_the_wrong_part(room: Room, scope: Scope, club: Document, rule: Any, field: str) -> None:
    text = rule if isinstance(rule, str) else json.dumps(rule)
    with pytest.raises(BadRule) as wrong:
        count_segment(room, scope, club["_id"], text)
    assert wrong.value.field == field


def test_who_may_not_be_tracked_is_unmeasurable_and_not_in_the_audience(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    opener = register("Ada", email="ada@mail.example", agreed=("news", "tracking"))
    register("Bea", email="bea@mail.example", agreed=("news", "tracking"))
    register("Cem", email="cem@mail.example", agreed=("news",))
    visit = Visit("v1", "run_1", "cmp_1", opener["_id"], clock.now() - DAY, -1, "")
    record_visits(room, scope, club["_id"], [visit])
    silent = {"not": {"field": "last_opened", "within_days": 90}}
    assert count_segment(room, scope, club["_id"], json.dumps(silent)) == Counted(1, 1, 1)
    assert _names(room, scope, club, silent) == ["Bea"]
    opened = {"field": "last_opened", "within_days": 90}
    assert count_segment(room, scope, club["_id"], json.dumps(opened)) == Counted(1, 1, 1)
    either = {"any": [opened, {"field": "contact", "is": "email"}]}
    assert count_segment(room, scope, club["_id"], json.dumps(either)) == Counted(3, 0, 0)
    audience = Audience(club["_id"], json.dumps(silent), "email", clock.now(), "")
    assert [len(page.members) for page in stream_audience(room, scope, audience)] == [1]


def test_relative_dates_count_from_the_moment_that_was_frozen(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    register("Ada", email="ada@mail.example")
    launched = clock.now()
    clock.advance(40 * DAY)
    rule = json.dumps({"field": "registered", "within_days": 30})
    assert count_segment(room, scope, club["_id"], rule).within == 0
    frozen = Audience(club["_id"], rule, "email", launched, "")
    assert [len(page.members) for page in stream_audience(room, scope, frozen)] == [1]


def test_a_segment_is_saved_changed_listed_and_deleted(room: Room, scope: Scope, club: Document) -> None:
    rule = json.dumps({"field": "tag", "is": "vip"})
    saved = save_segment(room, scope, club["_id"], "VIP", rule)
    save_segment(room, scope, club["_id"], "Friends", rule, saved["_id"])
    assert get_segment(room, scope, saved["_id"])["name"] == "Friends"
    assert [one["_id"] for one in list_segments(room, scope, club["_id"], 10, None).documents] == [saved["_id"]]
    stranger = Scope("agency-2", None, "operator:eve")
    with pytest.raises(UnknownSegment):
        delete_segment(room, stranger, saved["_id"])
    delete_segment(room, scope, saved["_id"])
    with pytest.raises(UnknownSegment):
        get_segment(room, scope, saved["_id"])


@pytest.mark.usefixtures("people")
def test_members_are_listed_in_order_and_page_by_page(room: Room, scope: Scope, club: Document) -> None:
    first = list_members(room, scope, club["_id"], order="-name", size=3)
    assert [member["given_name"] for member in first.documents] == ["Dee", "Cem", "Bea"]
    second = list_members(room, scope, club["_id"], order="-name", size=3, after=first.next)
    assert ([member["given_name"] for member in second.documents], second.next) == (["Ada"], None)
    for search in ("DEE@mail", "dee"):
        assert [m["given_name"] for m in list_members(room, scope, club["_id"], search=search).documents] == ["Dee"]
    found = list_members(room, scope, club["_id"], search="0470 12 34 56").documents
    assert [member["given_name"] for member in found] == ["Cem"]


def test_nothing_crosses_communities(room: Room, scope: Scope, register: Register) -> None:
    register("Ada", email="ada@mail.example")
    other = create_community(room, scope, Founding("Festival", pack="festival", country="FR"))
    assert list_members(room, scope, other["_id"]).documents == []
    assert count_segment(room, scope, other["_id"], "") == Counted(0, 0, 0)
