"""Communities, their packs, and the rules that an operator can read and change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.kit.errors import Forbidden, Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.community import MASTER_KINDS, NotInCatalogue, UnknownCommunity
from services.members.domain.member import relation
from services.members.domain.packs import NAMES, UnknownPack, read_packs
from services.members.use_cases.changing import Changes, change_member, relate_member
from services.members.use_cases.founding import (
    Founding,
    change_community,
    change_standing_rule,
    create_community,
    declare_attribute,
    declare_reason,
    declare_relation,
    list_communities,
)
from services.members.use_cases.room import Room
from services.members.use_cases.sweeping import sweep
from tests.members.conftest import TODAY

Register = Callable[..., Document]


@pytest.mark.parametrize("name", NAMES)
def test_a_starter_pack_is_whole_in_french_and_english(name: str) -> None:
    table = read_packs()[name].table
    least = {"relations": 6, "reasons": 8, "attributes": 4, "objectives": 3, "templates": 3}
    for part, number in least.items():
        assert len(table[part]) >= number, part
    assert any(attribute.get("sensitive") for attribute in table["attributes"])
    for part in ("relations", "reasons", "attributes", "objectives"):
        assert all(each["fr"] and each["en"] for each in table[part])
    reasons = {reason["key"] for reason in table["reasons"]}
    for template in table["templates"]:
        assert set(template["reasons"]) <= reasons
        for language in ("fr", "en"):
            assert "{{ unsubscribe_url }}" in template[language]["html"]
            assert template[language]["subject"]


@pytest.mark.parametrize("kind", MASTER_KINDS)
def test_a_master_of_any_kind_has_its_community(room: Room, scope: Scope, kind: str) -> None:
    found = create_community(room, scope, Founding("Jazz in the Park", master_kind=kind, country="FR"))
    assert (found["master_kind"], found["locale"], found["zone"]) == (kind, "fr", "Europe/Brussels")
    assert [entry["type"] for entry in found["outbox"]] == ["CommunityCreated"]


def test_what_is_wrong_is_refused_by_name(room: Room, scope: Scope) -> None:
    for founding, field in (
        (Founding(" "), "name"),
        (Founding("A", master_kind="band"), "master_kind"),
        (Founding("A", country="Belgium"), "country"),
        (Founding("A", country="XX"), "country"),
        (Founding("A", zone="Brussels"), "zone"),
    ):
        with pytest.raises(Invalid) as wrong:
            create_community(room, scope, founding)
        assert wrong.value.field == field
    with pytest.raises(UnknownPack):
        create_community(room, scope, Founding("A", pack="circus"))
    with pytest.raises(Forbidden):
        create_community(room, Scope("agency-1", frozenset({"cmt_1"}), "operator:bob"), Founding("A"))


def test_another_agency_sees_no_community(room: Room, scope: Scope, club: Document) -> None:
    stranger = Scope("agency-2", None, "operator:eve")
    assert list_communities(room, stranger, 10, None).documents == []
    with pytest.raises(UnknownCommunity):
        room.community(stranger, club["_id"])
    assert [one["_id"] for one in list_communities(room, scope, 10, None).documents] == [club["_id"]]


def test_the_catalogue_grows_and_a_type_stays(room: Room, scope: Scope, club: Document, register: Register) -> None:
    ada = register("Ada")
    with pytest.raises(NotInCatalogue):
        change_member(room, scope, ada["_id"], Changes(attributes={"shoe_size": 42}))
    declare_attribute(
        room, scope, club["_id"], {"key": "shoe_size", "type": "number", "fr": "Pointure", "en": "Shoe size"}
    )
    declare_reason(room, scope, club["_id"], {"key": "yoga", "fr": "Yoga", "en": "Yoga"})
    declare_relation(room, scope, club["_id"], {"key": "neighbour", "fr": "Voisin", "en": "Neighbour"})
    relate_member(room, scope, ada["_id"], "neighbour", TODAY, "", "")
    changed = change_member(room, scope, ada["_id"], Changes(attributes={"shoe_size": 42}, reasons_given=["yoga"]))
    assert changed["attributes"] == [{"key": "shoe_size", "value": 42}]
    assert [reason["key"] for reason in changed["reasons"]] == ["yoga"]
    with pytest.raises(Invalid) as wrong:
        declare_attribute(room, scope, club["_id"], {"key": "shoe_size", "type": "text"})
    assert wrong.value.field == "attributes.type"
    for value in ("42", True, float("nan")):
        with pytest.raises(Invalid):
            change_member(room, scope, ada["_id"], Changes(attributes={"shoe_size": value}))
    assert change_community(room, scope, club["_id"], " Club du Lac ")["name"] == "Club du Lac"
    assert change_community(room, scope, club["_id"], "")["name"] == "Club du Lac"


def test_a_changed_rule_changes_every_standing(room: Room, scope: Scope, club: Document, register: Register) -> None:
    parent = register("Ada", relations=("parent",))
    assert parent["standing"] == ["fan"]
    rule = dict(club["standing_rule"]) | {"client": {"relations": ["adherent", "parent"]}}
    change_standing_rule(room, scope, club["_id"], rule)
    sweep(room, room.clock.now())
    assert room.member(scope, parent["_id"])["standing"] == ["fan", "client"]
    with pytest.raises(Invalid) as wrong:
        change_standing_rule(room, scope, club["_id"], {"client": {"relations": ["king"]}})
    assert wrong.value.field == "standing_rule.client.relations"


def test_every_change_of_a_member_is_kept_with_its_date_and_cause(room: Room, scope: Scope, register: Register) -> None:
    ada = register("Ada", attributes={"city": "Huy", "health_remarks": "none"})
    changes = Changes(
        family_name="Lovelace",
        locale="fr_be",
        zone="Europe/Paris",
        birth_date="1980-05-05",
        tags_added=["VIP", "vip "],
        attributes={"city": "Namur", "health_remarks": "asthma"},
    )
    changed = change_member(room, scope, ada["_id"], changes)
    kept = {change["what"]: (change["was"], change["now"], change["actor"]) for change in changed["history"]}
    assert kept["attributes.city"] == ("Huy", "Namur", "operator:ada")
    assert kept["sensitive.health_remarks"] == (None, None, "operator:ada")
    assert kept["tags"] == (None, ["vip"], "operator:ada")
    assert (changed["display_name"], changed["locale"], changed["sort_name"]) == (
        "Ada Lovelace",
        "fr-BE",
        "lovelace ada",
    )
    assert changed["search"] == ["lovelace", "ada"]


def test_an_undeclared_relation_registers_nobody(room: Room, scope: Scope, register: Register) -> None:
    with pytest.raises(NotInCatalogue):
        register("Ada", email="ada@mail.example", relations=("king",))
    assert room.members.count(scope) == 0


def test_a_date_that_is_none_names_the_field_it_was_written_in(
    room: Room, scope: Scope, club: Document, register: Register
) -> None:
    ada = register("Ada")
    with pytest.raises(Invalid) as wrong:
        change_member(room, scope, ada["_id"], Changes(birth_date="2016-13-04"))
    assert wrong.value.field == "birth_date"
    for term in ("since", "until"):
        with pytest.raises(Invalid) as wrong:
            relation(room.community(scope, club["_id"]), "adherent", **{term: "tomorrow"})
        assert wrong.value.field == f"relations.{term}"
