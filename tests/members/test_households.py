"""Families: one address, several members, one message; and who answers for a child."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.household import AddressTaken, CannotAnswer, ErasedBefore
from services.members.domain.member import Profile
from services.members.domain.permission import GUARDIAN_MUST_CONSENT, NEWS, Evidence
from services.members.use_cases.changing import (
    add_contact_point,
    dismiss_guardian,
    name_guardian,
    remove_contact_point,
    restrict_member,
)
from services.members.use_cases.erasing import erase_member
from services.members.use_cases.merging import merge_members
from services.members.use_cases.permitting import record_consent
from services.members.use_cases.reaching import Audience, resolve_recipients, stream_audience
from services.members.use_cases.recording import record_bounce
from services.members.use_cases.registering import erased_among, owners_of, register_member
from services.members.use_cases.room import Room
from services.members.use_cases.sweeping import sweep

Register = Callable[..., Document]


def _groups(
    room: Room,
    scope: Scope,
    club: Document,
    *,
    rule: str = "",
    after: str = "",
    page: int = 0,
    ceiling: str = "",
) -> list[list[str]]:
    audience = Audience(club["_id"], rule, "email", room.clock.now(), ceiling)
    groups: list[list[str]] = []
    for each in stream_audience(room, scope, audience, after, page):
        ids = iter(each.members)
        groups += [list(islice(ids, size)) for size in each.sizes or [1] * len(each.members)]
    return groups


@pytest.fixture
def family(room: Room, scope: Scope, register: Register) -> tuple[Document, Document, Document]:
    """A mother, and two children who have no address of their own."""
    mother = register("Anne Peeters", email="anne@mail.example", relations=("parent",))
    children = [
        register(f"{name} Peeters", birth_date=f"{year}-04-01", relations=("adherent",))
        for name, year in (("Lou", 2016), ("Max", 2018))
    ]
    lou, max_ = (name_guardian(room, scope, child["_id"], mother["_id"]) for child in children)
    return room.member(scope, mother["_id"]), lou, max_


Family = tuple[Document, Document, Document]


def test_a_second_owner_of_an_address_needs_an_explicit_act(room: Room, scope: Scope, register: Register) -> None:
    ada = register("Ada", email="home@mail.example")
    with pytest.raises(AddressTaken) as taken:
        register("Bob", email="home@mail.example")
    assert taken.value.params == {"member": ada["_id"]}
    bob = register("Bob")
    with pytest.raises(AddressTaken):
        add_contact_point(room, scope, bob["_id"], "email", "Home@mail.example", share=False)
    shared = add_contact_point(room, scope, bob["_id"], "email", "Home@mail.example", share=True)
    assert shared["contact_points"][0]["shared"]
    assert room.member(scope, ada["_id"])["contact_points"][0]["shared"]
    remove_contact_point(room, scope, ada["_id"], "c1")
    address = ("email", "home@mail.example")
    assert owners_of(room, scope, ada["community"], [address]) == {address: [bob["_id"]]}


def test_one_message_goes_to_one_address_under_the_lowest_id(
    room: Room, scope: Scope, club: Document, family: Family, register: Register
) -> None:
    mother, lou, max_ = family
    alone = register("Zoe", email="zoe@mail.example")
    together = [mother["_id"], lou["_id"], max_["_id"]]
    assert _groups(room, scope, club) == [together, [alone["_id"]]]
    for page in (1, 2, 3):
        assert _groups(room, scope, club, page=page) == [together, [alone["_id"]]]
    assert _groups(room, scope, club, after=mother["_id"]) == [[alone["_id"]]]


def test_only_those_whom_the_rule_reaches_are_in_a_group(
    room: Room, scope: Scope, club: Document, family: Family
) -> None:
    _, lou, max_ = family
    rule = '{"field": "relation", "is": "adherent"}'
    assert _groups(room, scope, club, rule=rule) == [[lou["_id"], max_["_id"]]]
    assert _groups(room, scope, club, rule=rule, ceiling=lou["_id"]) == [[lou["_id"]]]
    restrict_member(room, scope, lou["_id"])
    assert _groups(room, scope, club, rule=rule) == [[max_["_id"]]]


def test_a_child_is_reached_at_its_guardians_address_and_only_its_guardian_consents(
    room: Room, scope: Scope, club: Document, family: Family, clock: ManualClock
) -> None:
    mother, lou, max_ = family
    asked: dict[str, Any] = {"channel": "email", "purpose": NEWS, "fields": ["given_name"]}
    (found,) = resolve_recipients(room, scope, club["_id"], [lou["_id"]], **asked)
    assert (found.address, found.permitted, found.permission_reason) == (
        "anne@mail.example",
        False,
        GUARDIAN_MUST_CONSENT,
    )
    assert set(found.shared_with) == {mother["_id"], max_["_id"]}
    evidence = Evidence("Oui pour Lou.", "form", clock.now(), f"guardian:{mother['_id']}")
    record_consent(room, scope, lou["_id"], purposes=[NEWS], channels=["email"], basis="", evidence=evidence)
    found, other = resolve_recipients(room, scope, club["_id"], [lou["_id"], max_["_id"]], **asked)
    assert (found.permitted, other.permitted) == (True, False)
    dismiss_guardian(room, scope, lou["_id"], mother["_id"])
    (found,) = resolve_recipients(room, scope, club["_id"], [lou["_id"]], **asked)
    assert not found.permitted, "whoever no longer answers for the child no longer consents for it"


def test_a_bounce_is_everybodys_who_shares_the_address(
    room: Room, scope: Scope, club: Document, family: Family
) -> None:
    mother, lou, max_ = family
    record_bounce(room, scope, club["_id"], "evt-1", lou["_id"], "c1", run="run_1", at=room.clock.now() - DAY)
    for member in (mother, lou, max_):
        assert room.member(scope, member["_id"])["contact_points"][0]["state"] == "bounced"


def test_nobody_writes_to_a_guardian_who_was_erased_or_dismissed(
    room: Room, scope: Scope, club: Document, family: Family
) -> None:
    mother, lou, max_ = family
    asked: dict[str, Any] = {"channel": "email", "purpose": "service", "fields": []}
    dismiss_guardian(room, scope, lou["_id"], mother["_id"])
    found, other = resolve_recipients(room, scope, club["_id"], [lou["_id"], max_["_id"]], **asked)
    assert (found.address, other.address) == ("", "anne@mail.example")
    assert found.member not in other.shared_with
    erase_member(room, scope, mother["_id"])
    now = room.member(scope, max_["_id"])
    assert (now["guardians"], now["contact_points"]) == ([], [])
    address = ("email", "anne@mail.example")
    assert owners_of(room, scope, club["_id"], [address]) == {}


def test_an_address_that_somebody_else_of_the_household_holds_stays_the_childrens(
    room: Room, scope: Scope, club: Document, family: Family, register: Register
) -> None:
    mother, lou, max_ = family
    father = register("Marc Peeters", relations=("parent",))
    add_contact_point(room, scope, father["_id"], "email", "anne@mail.example", share=True)
    erase_member(room, scope, mother["_id"])
    assert _groups(room, scope, club) == [[lou["_id"], max_["_id"], father["_id"]]]
    assert room.member(scope, lou["_id"])["guardians"] == []


def test_who_came_of_age_keeps_the_address_when_the_guardian_is_dismissed(
    room: Room, scope: Scope, register: Register, family: Family
) -> None:
    mother, _, _ = family
    grown = register("Zoe Peeters", birth_date="2008-11-18")
    name_guardian(room, scope, grown["_id"], mother["_id"])
    kept = dismiss_guardian(room, scope, grown["_id"], mother["_id"])
    assert [point["address"] for point in kept["contact_points"]] == ["anne@mail.example"]


def test_an_erased_child_costs_its_mother_and_sister_nothing(
    room: Room, scope: Scope, club: Document, family: Family
) -> None:
    mother, lou, max_ = family
    erase_member(room, scope, lou["_id"])
    community = room.community(scope, club["_id"])
    address = ("email", "anne@mail.example")
    assert erased_among(room, scope, community, [address]) == set()
    said: dict[str, Any] = {"family_name": "Peeters", "contacts": [address], "shared": frozenset([address])}
    with pytest.raises(ErasedBefore):
        register_member(room, scope, club["_id"], Profile(given_name="Lou", **said), "operator")
    eva = register_member(room, scope, club["_id"], Profile(given_name="Eva", **said), "operator")
    assert _groups(room, scope, club) == [[mother["_id"], max_["_id"], eva["_id"]]]


def test_only_an_adult_answers_and_never_for_themselves_or_for_who_answers_for_them(
    room: Room, scope: Scope, family: Family, register: Register
) -> None:
    mother, lou, max_ = family
    for guardian, ward in ((mother, mother), (lou, max_), (lou, mother)):
        with pytest.raises(CannotAnswer) as refused:
            name_guardian(room, scope, ward["_id"], guardian["_id"])
        assert (refused.value.reason, refused.value.field) == ("cannot-answer", "guardian")
        for one in (guardian, ward):
            assert room.member(scope, one["_id"])["version"] == one["version"], "nothing was changed"


def test_a_guardian_is_kept_as_long_as_somebody_needs_one(
    room: Room, scope: Scope, register: Register, clock: ManualClock
) -> None:
    mother, lou = register("Anne", email="anne@mail.example"), register("Lou", relations=("adherent",))
    name_guardian(room, scope, lou["_id"], mother["_id"])
    clock.advance(5 * 365 * DAY)
    sweep(room, 1_000_000)
    assert room.member(scope, mother["_id"])["state"] == "active"
    dismiss_guardian(room, scope, lou["_id"], mother["_id"])
    sweep(room, 1_000_001)
    assert room.member(scope, mother["_id"])["state"] == "erased"


def test_a_merged_guardian_still_answers_for_its_wards(
    room: Room, scope: Scope, family: Family, register: Register
) -> None:
    mother, lou, _ = family
    twin = register("Anne Peeters", phone="+32470123456")
    merge_members(room, scope, twin["_id"], mother["_id"])
    assert twin["_id"] in room.member(scope, lou["_id"])["guardians"]
    assert lou["_id"] in room.member(scope, twin["_id"])["wards"]
