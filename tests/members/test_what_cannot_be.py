"""What no member can be: nobody, born tomorrow, or described without end; each refusal names field and remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.kit.errors import FanfareError, Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.limits import LONGEST, TextTooLong
from services.members.domain.member import NobodyNamed, Profile
from services.members.domain.permission import NEWS, Evidence
from services.members.domain.segment import BadRule
from services.members.domain.values import ImpossibleDate
from services.members.use_cases.changing import (
    Changes,
    add_contact_point,
    change_member,
    end_relation,
    relate_member,
    remove_contact_point,
)
from services.members.use_cases.permitting import record_consent, record_objection
from services.members.use_cases.registering import register_member
from services.members.use_cases.reporting import Report, record_interactions
from services.members.use_cases.room import Room
from services.members.use_cases.segmenting import count_segment, save_segment

Register = Callable[..., Document]
Act = Callable[[Room, Scope, str], object]


def _long(kind: str) -> str:
    return "a" * (LONGEST[kind] + 1)


def _consents(**said: Any) -> Act:
    return lambda room, scope, member: record_consent(
        room, scope, member, purposes=[NEWS], channels=[], basis="", evidence=Evidence(**{"source": "form", **said})
    )


TOO_LONG: dict[str, Act] = {
    "given_name": lambda room, scope, member: change_member(room, scope, member, Changes(given_name=_long("name"))),
    "display_name": lambda room, scope, member: change_member(room, scope, member, Changes(display_name=_long("name"))),
    "external_id": lambda room, scope, member: change_member(
        room, scope, member, Changes(external_id=_long("external_id"))
    ),
    "tags": lambda room, scope, member: change_member(room, scope, member, Changes(tags_added=[_long("tag")])),
    "attributes.city": lambda room, scope, member: change_member(
        room, scope, member, Changes(attributes={"city": _long("attribute")})
    ),
    "relations.source": lambda room, scope, member: relate_member(
        room, scope, member, "sponsor", "", "", _long("source")
    ),
    "evidence.wording": _consents(wording=_long("wording")),
    "evidence.source": _consents(source=_long("source")),
    "evidence.detail": _consents(detail=_long("detail")),
    "evidence.actor": _consents(actor=_long("actor")),
}


@pytest.mark.parametrize("field", TOO_LONG)
def test_no_text_about_a_member_is_without_end(room: Room, scope: Scope, register: Register, field: str) -> None:
    ada = register("Ada Lovelace", email="ada@mail.example")
    with pytest.raises(TextTooLong, match="shorten it to at most") as refused:
        TOO_LONG[field](room, scope, ada["_id"])
    assert (refused.value.reason, refused.value.field) == ("text-too-long", field)
    assert room.member(scope, ada["_id"])["version"] == ada["version"], "nothing was changed"


@pytest.mark.parametrize("name", ["given_name", "family_name", "display_name"])
def test_nobody_registers_under_a_name_without_end(room: Room, scope: Scope, club: Document, name: str) -> None:
    said: dict[str, Any] = {name: _long("name"), "contacts": [("email", "ada@mail.example")]}
    with pytest.raises(TextTooLong) as refused:
        register_member(room, scope, club["_id"], Profile(**said), "operator")
    assert refused.value.field == name
    said[name] = said[name][1:]
    assert register_member(room, scope, club["_id"], Profile(**said), "operator")["state"] == "active"


def test_one_report_that_is_too_long_does_not_refuse_the_others(room: Room, scope: Scope, club: Document) -> None:
    at = room.clock.now()
    good = Report("1", "signed_up", at, email="ada@mail.example", given_name="Ada")
    long = Report("2", "signed_up", at, email="bob@mail.example", given_name=_long("name"))
    wordy = Report("3", "signed_up", at, email="cy@mail.example", evidence=Evidence(wording=_long("wording")))
    results = record_interactions(room, scope, club["_id"], [good, long, wordy])
    assert [(one.outcome, one.reason) for one in results] == [
        ("recorded", ""),
        ("refused", "text-too-long"),
        ("refused", "text-too-long"),
    ]
    assert room.members.count(scope) == 1


@pytest.mark.parametrize(("born", "remedy"), [("2026-11-19", "correct the date"), ("1906-11-17", "correct the year")])
def test_nobody_is_born_tomorrow_or_before_anybody_alive(
    room: Room, scope: Scope, register: Register, born: str, remedy: str
) -> None:
    ada = register("Ada", birth_date="2026-11-18")
    for refuse in (
        lambda: register("Bob", birth_date=born),
        lambda: change_member(room, scope, ada["_id"], Changes(birth_date=born)),
    ):
        with pytest.raises(ImpossibleDate, match=remedy) as refused:
            refuse()
        assert (refused.value.reason, refused.value.field) == ("impossible-date", "birth_date")


def test_a_relation_never_ends_before_it_begins(room: Room, scope: Scope, register: Register) -> None:
    ada = register("Ada")
    with pytest.raises(ImpossibleDate) as refused:
        relate_member(room, scope, ada["_id"], "adherent", "2026-09-01", "20260831", "")
    assert refused.value.field == "relations.until"
    relate_member(room, scope, ada["_id"], "adherent", "2026-09-01", "", "")
    with pytest.raises(ImpossibleDate) as refused:
        end_relation(room, scope, ada["_id"], "adherent", "2026-08-31")
    assert refused.value.field == "on"
    (tie,) = end_relation(room, scope, ada["_id"], "adherent", "2026-09-01")["relations"]
    assert (tie["since"], tie["until"]) == ("2026-09-01", "2026-09-01")


def test_an_act_written_in_seconds_does_not_make_an_objection_older_than_a_consent(
    room: Room, scope: Scope, register: Register
) -> None:
    ada = register("Ada", email="ada@mail.example", agreed=(NEWS,))
    seconds = Evidence("", "one_click", room.clock.now() // 1_000, "member")
    with pytest.raises(ImpossibleDate, match="milliseconds") as refused:
        record_objection(room, scope, ada["_id"], purposes=[NEWS], channels=[], evidence=seconds)
    assert refused.value.field == "evidence.at"


@pytest.mark.parametrize(
    "said", [{"given_name": "Ada"}, {"external_id": "c-1"}, {"contacts": [("phone", "+32470123456")]}]
)
def test_a_name_an_address_or_an_external_id_is_enough(
    room: Room, scope: Scope, club: Document, said: dict[str, Any]
) -> None:
    assert register_member(room, scope, club["_id"], Profile(**said), "operator")["state"] == "active"


def test_nobody_at_all_is_not_registered_and_nobody_becomes_nobody(
    room: Room, scope: Scope, club: Document, register: Register
) -> None:
    with pytest.raises(NobodyNamed, match="give a name, an e-mail address") as refused:
        register_member(room, scope, club["_id"], Profile(tags=["vip"]), "operator")
    assert (refused.value.reason, refused.value.field) == ("nobody-named", "given_name")
    assert room.members.count(scope) == 0
    ada = register("Ada", email="ada@mail.example")
    change_member(room, scope, ada["_id"], Changes(given_name=""))
    with pytest.raises(NobodyNamed):
        remove_contact_point(room, scope, ada["_id"], "c1")
    add_contact_point(room, scope, ada["_id"], "phone", "+32470123456", share=False)
    remove_contact_point(room, scope, ada["_id"], "c1")
    with pytest.raises(FanfareError):
        remove_contact_point(room, scope, ada["_id"], "c2")


def test_a_segment_asks_for_an_age_that_somebody_has(room: Room, scope: Scope, club: Document) -> None:
    with pytest.raises(BadRule, match="0 to 120") as refused:
        count_segment(room, scope, club["_id"], '{"field": "birth_date", "age_at_least": 3000}')
    assert refused.value.field == "rule/age_at_least"
    with pytest.raises(Invalid, match="shorten"):
        save_segment(room, scope, club["_id"], _long("label"), "")
