"""The judo club's list comes out right: every count was taken from the file itself."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

import pytest

from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.permission import OBJECTION, verdict
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.showing_imports import list_import_rows
from tests.members.importing.conftest import NOW, Run, counts, everybody, the_list

ADULTS_BORN = "2008-11-23"  # whoever was born by then is of age on 23 November 2026


@pytest.fixture
def job(run: Run, club: Document) -> Any:
    return run(club, the_list("judo-club-members"))


@pytest.fixture
def members(job: Any, imports: Imports, scope: Scope, club: Document) -> list[dict[str, Any]]:  # done first
    return everybody(imports, scope, club)


def named(members: list[dict[str, Any]], name: str, address: str = "") -> dict[str, Any]:
    found = [
        m
        for m in members
        if m["display_name"] == name and (not address or address in [p["address"] for p in m["contact_points"]])
    ]
    assert len(found) == 1, (name, address, len(found))
    return found[0]


def rows(imports: Imports, scope: Scope, job: Any, *outcomes: str) -> dict[int, Any]:
    shown, following = list_import_rows(imports, scope, job.id, outcomes, 200, None)
    while following:
        more, following = list_import_rows(imports, scope, job.id, outcomes, 200, following)
        shown += more
    return {row.row: row for row in shown}


def test_every_row_is_accounted_for(job: Any) -> None:
    """484 rows below the headings: 472 people, ten rows that tell of one of them again, a blank row and a total."""
    assert job.state == "finished"
    assert counts(job) == {
        "rows": 484,
        "created": 472,
        "merged": 10,
        "refused": 2,
        "guardians": 67,
        "fields_refused": 28,
        "consents": 183,
        "objections": 155,
    }


def test_the_total_and_the_empty_row_are_refused_with_reasons(job: Any, imports: Imports, scope: Scope) -> None:
    refused = rows(imports, scope, job, "refused")
    assert {row: shown.findings[0][1] for row, shown in refused.items()} == {484: "row-empty", 485: "row-total"}


def test_a_bad_address_refuses_its_field_and_not_its_row(
    job: Any, members: list[dict[str, Any]], imports: Imports, scope: Scope
) -> None:
    """Seven rows hold no usable address, an impossible birthday, a fee "abc", a "peut-être" and a date "hier"."""
    noted = rows(imports, scope, job, "noted")
    bad = {
        row: {(field, code) for field, code, _ in shown.findings if field}
        for row, shown in noted.items()
        if any(field == "Courriel" for field, _, _ in shown.findings)
    }
    assert sorted(bad) == [17, 60, 125, 192, 217, 304, 446]
    for row, findings in bad.items():
        address = "addresses-several" if row == 192 else "address-invalid"
        assert findings == {
            ("Courriel", address),
            ("Né(e) le", "date-impossible"),
            ("Cotisation 2026 (€)", "number-unreadable"),
            ("Newsletter", "consent-unclear"),
            ("Accord le", "date-unreadable"),
        }
        assert noted[row].outcome == "created" and noted[row].addresses == []
    kept = named([m for m in members if not m["contact_points"]], "Claes Léa".partition(" ")[2] + " Claes")
    assert kept["birth_date"] is None and kept["ledger"] == []
    assert [r["kind"] for r in kept["relations"]] == ["adherent"]


def test_children_on_a_parents_address_are_members_of_their_own_with_a_guardian(members: list[dict[str, Any]]) -> None:
    """Hélène Leclercq's address holds two children; she stands in row 380, they in rows 10 and 235."""
    address = "helene.leclercq700000@club.example"
    mother = named(members, "Hélène Leclercq", address)
    for child in ("Amélie Leclercq", "Océane Leclercq"):
        record = named(members, child, address)
        assert record["guardians"] == [mother["_id"]]
        assert record["_id"] in mother["wards"]
        assert [(p["address"], p["shared"]) for p in record["contact_points"] if p["channel"] == "email"] == [
            (address, True)
        ]
    assert [p["shared"] for p in mother["contact_points"]] == [True, True]
    assert mother["guardians"] == []


def test_where_no_adult_holds_the_address_a_guardian_is_made_without_a_name(members: list[dict[str, Any]]) -> None:
    """Three young Willems share an address that nobody of age in the file holds."""
    address = "wout.willems700001@ecole.example"
    holders = [m for m in members if address in [p["address"] for p in m["contact_points"]]]
    (guardian,) = [m for m in holders if not m["display_name"]]
    children = [m for m in holders if m["display_name"]]
    assert sorted(m["display_name"] for m in children) == ["Elke Willems", "Léa Willems", "Sébastien Willems"]
    assert all(m["guardians"] == [guardian["_id"]] for m in children)
    assert sorted(guardian["wards"]) == sorted(m["_id"] for m in children)
    assert guardian["birth_date"] is None and guardian["ledger"] == []


def test_every_minor_on_an_address_has_exactly_one_guardian(members: list[dict[str, Any]]) -> None:
    minors = [m for m in members if m["birth_date"] and m["birth_date"] > ADULTS_BORN and m["contact_points"]]
    by_id = {m["_id"]: m for m in members}
    assert len(minors) == 104
    for minor in minors:
        (guardian,) = minor["guardians"]
        assert minor["_id"] in by_id[guardian]["wards"]
        shared = {p["address"] for p in minor["contact_points"]} & {
            p["address"] for p in by_id[guardian]["contact_points"]
        }
        assert shared
    assert sum(1 for m in members if not m["display_name"]) == 67
    assert not any(m["guardians"] for m in members if m not in minors)


def test_an_undated_non_is_an_objection_dated_at_the_import(
    members: list[dict[str, Any]], club: Document, imports: Imports, scope: Scope
) -> None:
    """157 rows say "Non" or "non"; two of them tell of somebody again."""
    objecting = [m for m in members if any(e["act"] == OBJECTION for e in m["ledger"])]
    assert len(objecting) == 155
    community = imports.room.community(scope, club["_id"])
    for member in objecting:
        (entry,) = member["ledger"]
        assert entry["at"] == NOW and entry["source"] == "import"
        for purpose in ("news", "promotion"):
            held = verdict(member, purpose, "email", NOW, community.law, community.gives)
            assert (held.allowed, held.reason) == (False, OBJECTION)


def test_a_dated_oui_is_weak_evidence_enough_for_news_and_for_nothing_more(
    members: list[dict[str, Any]], club: Document, imports: Imports, scope: Scope
) -> None:
    community = imports.room.community(scope, club["_id"])
    agreed = named(members, "Ilse Maes", "ilse.maes323@club.example")
    (entry,) = agreed["ledger"]
    assert (entry["act"], entry["basis"], entry["grade"], entry["purposes"]) == ("grant", "consent", 1, ["news"])
    assert verdict(agreed, "news", "email", NOW, community.law, community.gives).allowed
    promotion = verdict(agreed, "promotion", "email", NOW, community.law, community.gives)
    assert not promotion.allowed


def test_a_child_is_told_by_its_guardians_act(
    members: list[dict[str, Any]], club: Document, imports: Imports, scope: Scope
) -> None:
    """Amélie was ten when somebody ticked "oui": it was her mother's act, and it counts for news."""
    community = imports.room.community(scope, club["_id"])
    child = named(members, "Amélie Leclercq", "helene.leclercq700000@club.example")
    (entry,) = child["ledger"]
    assert entry["actor"] == f"guardian:{child['guardians'][0]}"
    assert verdict(child, "news", "email", NOW, community.law, community.gives).allowed


def test_an_undated_oui_and_a_peut_etre_prove_nothing(
    job: Any, members: list[dict[str, Any]], imports: Imports, scope: Scope
) -> None:
    noted = rows(imports, scope, job, "noted")
    codes = Counter(code for shown in noted.values() for _, code, _ in shown.findings)
    assert codes["consent-undated"] == 36 and codes["consent-unclear"] == 7
    undated = named(members, "Elke Delvaux", "elke.delvaux307@ecole.example")
    assert undated["ledger"] == []


def test_a_member_may_be_told_that_class_is_cancelled_whatever_the_newsletter_says(
    members: list[dict[str, Any]], club: Document, imports: Imports, scope: Scope
) -> None:
    community = imports.room.community(scope, club["_id"])
    adherents = [m for m in members if any(r["kind"] == "adherent" and not r["until"] for r in m["relations"])]
    reachable = [m for m in adherents if any(p["channel"] == "email" for p in m["contact_points"])]
    assert len(reachable) > 150
    refusing = [m for m in reachable if any(e["act"] == OBJECTION for e in m["ledger"])]
    assert refusing
    for member in reachable:
        assert verdict(member, "service", "email", NOW, community.law, community.gives).allowed
    parent = next(m for m in members if [r["kind"] for r in m["relations"]] == ["parent"] and not m["ledger"])
    assert not verdict(parent, "service", "email", NOW, community.law, community.gives).allowed


def test_the_same_person_twice_is_one_member_and_the_later_row_counts(
    job: Any, members: list[dict[str, Any]], imports: Imports, scope: Scope
) -> None:
    merged = rows(imports, scope, job, "merged")
    told = {
        row: next(p["row"] for _, code, p in shown.findings if code == "same-person") for row, shown in merged.items()
    }
    assert told == {
        200: "86", 271: "169", 313: "281", 322: "113", 375: "243",
        383: "100", 400: "266", 427: "291", 432: "148", 436: "160",
    }  # fmt: skip
    lambert = named(members, "Yannick Lambert", "yannick.lambert39@mail.example")
    assert [p["address"] for p in lambert["contact_points"] if p["channel"] == "phone"] == [
        "+32467207576",
        "+32461153660",
    ]
    kinds = {r["kind"]: r["until"] for r in lambert["relations"]}
    assert kinds["former_member"] is None and kinds["adherent"] == "2026-11-22"
    assert lambert["lifecycle"] == "former"


def test_two_people_of_one_name_stay_two(members: list[dict[str, Any]]) -> None:
    assert (
        len(
            [
                m
                for m in members
                if m["display_name"].casefold() == "?ukasik" or m["display_name"].casefold() == "gaëlle ?ukasik"
            ]
        )
        == 2
    )
    assert len([m for m in members if m["display_name"].casefold() == "thérèse peeters"]) == 4


def test_remarks_about_health_are_nowhere_but_in_the_sensitive_attribute(
    members: list[dict[str, Any]], imports: Imports, scope: Scope, club: Document
) -> None:
    told = [m for m in members if m["sensitive"]]
    assert len(told) == 238  # 245 rows have a remark, seven of them tell of somebody again
    assert {a["key"] for m in told for a in m["sensitive"]} == {"health_remarks"}
    chunks = [c for page in imports.chunks.stream(scope.within(club["_id"])) for c in page]
    for member in members:
        open_parts = {name: value for name, value in member.items() if name != "sensitive"}
        for words in ("genou", "arachides", "dossier", "champion", "mardi"):
            assert words not in str(open_parts)
    for chunk in chunks:
        assert "genou" not in str(chunk) and "arachides" not in str(chunk)


def test_attributes_phones_and_languages_are_read_as_they_are_written(members: list[dict[str, Any]]) -> None:
    maes = named(members, "Maarten Maes", "maarten.maes119@ecole.example")
    assert {a["key"]: a["value"] for a in maes["attributes"]} == {
        "postal_code": "4500", "city": "Huy", "grade": "orange", "fee": 240.0
    }  # fmt: skip
    assert (maes["birth_date"], maes["locale"]) == ("2001-02-03", "nl")
    phones = [p["address"] for m in members for p in m["contact_points"] if p["channel"] == "phone"]
    assert phones and all(phone.startswith("+324") and len(phone) == 12 for phone in phones)
    addresses = [p["address"] for m in members for p in m["contact_points"] if p["channel"] == "email"]
    assert len(set(addresses)) == 428 and all(address == address.lower().strip() for address in addresses)


def test_the_counts_are_those_of_the_file() -> None:
    """The figures above, taken from the file without any of our code."""
    text = the_list("judo-club-members").decode("cp1252")
    table = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))[1:]
    answers = Counter((row[11].lower(), bool(row[12])) for row in table)
    assert len(table) == 484
    assert answers["non", False] == 157 and answers["oui", True] == 185 and answers["oui", False] == 36
    people = {(row[2].strip().lower(), row[0].lower(), row[1].lower()) for row in table[:-2]}
    assert len(people) == 472


@pytest.mark.usefixtures("job")
def test_importing_the_same_list_again_changes_nobody(run: Run, imports: Imports, scope: Scope, club: Document) -> None:
    before = {m["_id"]: m["version"] for m in everybody(imports, scope, club)}
    again = run(club, the_list("judo-club-members"))
    after = {m["_id"]: m["version"] for m in everybody(imports, scope, club)}
    assert again.state == "finished"
    assert counts(again).get("created", 0) == 0
    assert after == before
    assert counts(again).get("changed", 0) == 0
