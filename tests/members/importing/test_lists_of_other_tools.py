"""The festival's, Mailchimp's and listmonk's lists, as they come; figures taken from the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.importing.mapping import Declaration
from services.members.domain.permission import OBJECTION, Grade, verdict
from services.members.use_cases import importing
from services.members.use_cases.imports_room import Imports
from tests.members.importing.conftest import NOW, Run, counts, everybody, the_list


def test_the_festivals_yes_without_a_date_is_no_proof_and_its_no_is_an_objection(
    run: Run, imports: Imports, scope: Scope, festival: Document
) -> None:
    job = run(festival, the_list("festival-prospects"))
    assert counts(job) == {"rows": 1500, "created": 1500, "objections": 505}
    members = everybody(imports, scope, festival)
    assert not any(entry["act"] != OBJECTION for m in members for entry in m["ledger"])
    refusing = next(m for m in members if m["ledger"])
    assert refusing["ledger"][0]["at"] == NOW
    roos = next(m for m in members if m["contact_points"][0]["address"] == "roos.willems2@ecole.example")
    assert [reason["key"] for reason in roos["reasons"]] == ["jazz", "folk"]
    assert {a["key"]: a["value"] for a in roos["attributes"]} == {"found_us_through": "flyer"}
    assert sum("family_day" in [r["key"] for r in m["reasons"]] for m in members) == 298


def test_mailchimps_optin_time_and_ip_are_fair_evidence_and_confirm_time_alone_is_none(
    run: Run, imports: Imports, scope: Scope, festival: Document
) -> None:
    job = run(festival, the_list("mailchimp-subscribed"))
    assert counts(job) == {"rows": 800, "created": 800, "consents": 550}
    members = everybody(imports, scope, festival)
    community = imports.room.community(scope, festival["_id"])
    allowed = [m for m in members if verdict(m, "promotion", "email", NOW, community.law, community.gives).allowed]
    assert len(allowed) == 550
    assert all(m["ledger"][0]["grade"] == Grade.FAIR and m["ledger"][0]["detail"] for m in allowed)
    assert sum("festival 2025" in m["tags"] for m in members) == 200
    assert {m["zone"] for m in members} == {"Europe/Brussels"}
    assert all(m["birth_date"] is None for m in members)


def test_listmonks_enabled_is_no_permission_by_itself(
    run: Run, imports: Imports, scope: Scope, festival: Document
) -> None:
    job = run(festival, the_list("listmonk-export"))
    assert counts(job) == {"rows": 2000, "created": 2000}
    members = everybody(imports, scope, festival)
    assert not any(m["ledger"] for m in members)
    sami = next(m for m in members if m["contact_points"][0]["address"] == "user000001@members.example")
    assert (sami["given_name"], sami["family_name"], sami["locale"]) == ("Sami", "David", "en")
    assert sami["tags"] == ["vinyl", "beta", "vip"]
    assert {a["key"]: a["value"] for a in sami["attributes"]} == {"city": "Toulouse", "last_purchase": "2020-02-14"}


def test_an_operators_declaration_is_kept_as_the_operators_word(
    run: Run, imports: Imports, scope: Scope, festival: Document, upload: Callable[[Document, bytes], str]
) -> None:
    file = upload(festival, the_list("listmonk-export"))
    guessed = importing.guess(imports, scope, festival["_id"], file).mapping
    declared = Declaration(("news",), ("email",), "consent", "Sign-up forms of 2024, on paper in our office.", NOW)
    job = run(festival, the_list("listmonk-export"), replace(guessed, declaration=declared))
    assert counts(job)["declared"] == 2000
    community = imports.room.community(scope, festival["_id"])
    member = everybody(imports, scope, festival)[0]
    (entry,) = member["ledger"]
    assert (entry["source"], entry["actor"], entry["grade"]) == ("operator", "operator:ada", Grade.WEAK)
    assert verdict(member, "news", "email", NOW, community.law, community.gives).allowed
    assert not verdict(member, "promotion", "email", NOW, community.law, community.gives).allowed


def test_a_blocklisted_subscriber_objects_to_everything_that_is_optional(
    run: Run, imports: Imports, scope: Scope, festival: Document
) -> None:
    text = (
        "uuid,email,name,attributes,status,created_at,updated_at\n"
        '1,ada@mail.example,Ada Lovelace,"{""city"": ""Huy""}",blocklisted,2026-01-01,2026-01-01\n'
    )
    run(festival, text)
    (member,) = everybody(imports, scope, festival)
    (entry,) = member["ledger"]
    assert entry["act"] == OBJECTION
    assert {"news", "promotion", "fundraising"} <= set(entry["purposes"])
