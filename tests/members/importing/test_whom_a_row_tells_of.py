"""Identity: by e-mail, by e-mail and name, by external id; and what happens where it is not clear."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from services.kit.clock import DAY, MINUTE, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.household import new_claim
from services.members.domain.importing.guessing import guess_mapping
from services.members.domain.importing.mapping import Column, Declaration, Mapping, MappingWrong, PermissionColumns
from services.members.domain.importing.refusals import explain
from services.members.use_cases import importing
from services.members.use_cases.importing import UnknownMapping
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.showing_imports import list_import_rows
from tests.members.importing.conftest import NOW, Run, Upload, counts, everybody, work

NAMES = (Column("email", "email"), Column("prénom", "given_name"), Column("nom", "family_name"))
BY_EMAIL = Mapping(NAMES)
BY_NAME = Mapping(NAMES, identity="email_name", households=True)
BY_ID = Mapping((*NAMES, Column("id", "external_id")), identity="external_id", households=True)
HEAD = "email;prénom;nom\n"


def codes(imports: Imports, scope: Scope, job: object, outcome: str) -> list[str]:
    shown, _ = list_import_rows(imports, scope, job.id, [outcome], 50, None)  # type: ignore[attr-defined] # an Import
    return [code for row in shown for _, code, _ in row.findings]


def test_by_email_a_second_person_on_an_address_is_refused(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    job = run(club, HEAD + "home@mail.example;Ada;Lovelace\nhome@mail.example;Bob;Lovelace\n", BY_EMAIL)
    assert counts(job) == {"rows": 2, "created": 1, "refused": 1}
    assert codes(imports, scope, job, "refused") == ["address-shared"]


def test_by_email_a_changed_name_changes_the_member(run: Run, imports: Imports, scope: Scope, club: Document) -> None:
    run(club, HEAD + "ada@mail.example;Ada;Byron\n", BY_EMAIL)
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace\n", BY_EMAIL)
    assert counts(job) == {"rows": 1, "changed": 1}
    (member,) = everybody(imports, scope, club)
    assert member["display_name"] == "Ada Lovelace" and member["version"] == 2


def test_by_email_and_name_a_second_person_joins_the_household(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, HEAD + "home@mail.example;Ada;Lovelace\n", BY_NAME)
    job = run(club, HEAD + "home@mail.example;LOVELACE;Ada\nhome@mail.example;Bob;Lovelace\n", BY_NAME)
    assert counts(job) == {"rows": 2, "left": 1, "created": 1}
    members = everybody(imports, scope, club)
    assert [[p["shared"] for p in m["contact_points"]] for m in members] == [[True], [True]]
    (claim,) = [c for page in imports.room.claims.stream(scope) for c in page]
    assert sorted(claim["owners"]) == sorted(m["_id"] for m in members)


def test_by_external_id_an_address_may_change_and_names_may_be_the_same(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    head = "id;email;prénom;nom\n"
    run(club, head + "1;old@mail.example;Jan;Peeters\n2;two@mail.example;Jan;Peeters\n", BY_ID)
    job = run(club, head + "1;new@mail.example;Jan;Peeters\n;nobody@mail.example;Jan;Peeters\n", BY_ID)
    assert counts(job) == {"rows": 2, "changed": 1, "refused": 1}
    assert codes(imports, scope, job, "refused") == ["identity-missing"]
    first = next(m for m in everybody(imports, scope, club) if m["external_id"] == "1")
    assert [p["address"] for p in first["contact_points"]] == ["old@mail.example", "new@mail.example"]


def test_an_external_id_belongs_to_one_member(run: Run, imports: Imports, scope: Scope, club: Document) -> None:
    mapping = replace(BY_NAME, columns=BY_ID.columns)
    head = "id;email;prénom;nom\n"
    job = run(club, head + "1;ada@mail.example;Ada;Lovelace\n1;bob@mail.example;Bob;Lovelace\n", mapping)
    assert counts(job) == {"rows": 2, "created": 2, "fields_refused": 1}
    assert [m["external_id"] for m in everybody(imports, scope, club)] == ["1", None]


def test_a_name_comes_to_the_member_that_only_an_address_was_known_of(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, "email\nada@mail.example\n", Mapping((Column("email", "email"),)))
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace\n", BY_NAME)
    assert counts(job) == {"rows": 1, "changed": 1}
    (member,) = everybody(imports, scope, club)
    assert member["display_name"] == "Ada Lovelace"


def test_the_mother_who_comes_later_is_the_guardian_that_was_made_for_her_children(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    mapping = replace(BY_NAME, columns=(*NAMES, Column("né", "birth_date")))
    head = "email;prénom;nom;né\n"
    run(club, head + "home@mail.example;Léa;Willems;07/09/2019\n", mapping)
    job = run(club, head + "home@mail.example;Anne;Willems;07/09/1985\n", mapping)
    assert counts(job) == {"rows": 1, "changed": 1}
    child, mother = sorted(everybody(imports, scope, club), key=lambda m: m["display_name"] == "Anne Willems")
    assert (child["guardians"], mother["wards"]) == ([mother["_id"]], [child["_id"]])


def test_a_list_that_expects_only_strangers_still_recognises_who_is_known(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    """After a chunk of strangers the next is written without a look-up; a claim that stands is met again."""
    run(club, HEAD + "late@mail.example;Late;Comer\n", BY_NAME)
    small = replace(imports, chunk_rows=5)
    content = HEAD + "".join(f"s{n}@mail.example;Kim;Number{n}\n" for n in range(17)) + "late@mail.example;Late;Comer\n"
    file, _ = importing.upload_file(small, scope, club["_id"], [content.encode()])
    order = importing.ImportOrder(file, mapping=BY_NAME)
    job = importing.start_import(small, scope, club["_id"], order, dry_run=False)
    work(small)
    assert counts(small.load(scope, job.id)) == {"rows": 18, "created": 17, "left": 1}
    assert len(everybody(imports, scope, club)) == 18
    claims = [c for page in imports.room.claims.stream(scope) for c in page]
    owners = {owner for claim in claims for owner in claim["owners"]}
    assert owners == {m["_id"] for m in everybody(imports, scope, club)} and len(claims) == 18


def test_a_claim_whose_owner_never_came_may_be_taken_over_after_ten_minutes(
    run: Run, imports: Imports, scope: Scope, club: Document, clock: ManualClock
) -> None:
    claim = new_claim("agency-1", club["_id"], "email", "ada@mail.example", "mbr_gone", NOW)
    imports.room.claims.insert(scope, [claim])
    busy = run(club, HEAD + "ada@mail.example;Ada;Lovelace\n", BY_EMAIL)
    assert codes(imports, scope, busy, "refused") == ["address-busy"]
    clock.advance(11 * MINUTE)
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace\n", BY_EMAIL)
    assert counts(job) == {"rows": 1, "created": 1}
    (member,) = everybody(imports, scope, club)
    (kept,) = [c for page in imports.room.claims.stream(scope) for c in page]
    assert kept["owners"] == [member["_id"]]


def test_a_row_with_nothing_that_says_who_it_is_is_refused(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    job = run(club, HEAD + "not an address;Ada;\n;;\n;Ada;Lovelace\nx;y\n", BY_EMAIL)
    assert counts(job) == {"rows": 4, "created": 1, "refused": 3}
    assert codes(imports, scope, job, "refused") == ["nobody-named", "row-empty", "cells-missing"]


# What imports keep


def test_what_chunks_keep_of_an_erased_member_is_emptied(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, HEAD + "ada@mail.example;Ada;Byron\nada@mail.example;Ada;Byron\n", BY_NAME)
    job = run(club, "email;prénom;nom;ville\nada@mail.example;Ada;Byron;Huy\n", replace(
        BY_NAME, columns=(*NAMES, Column("ville", "attribute", name="city"))
    ))  # fmt: skip
    (member,) = everybody(imports, scope, club)
    (row,), _ = list_import_rows(imports, scope, job.id, ["changed"], 50, None)
    assert row.changes == [("attributes.city", None, "Huy")]
    importing.forget_in_imports(imports, scope, club["_id"], [member["_id"]])
    (row,), _ = list_import_rows(imports, scope, job.id, ["changed"], 50, None)
    assert row.changes == []
    assert "Huy" not in str([c for page in imports.chunks.stream(scope) for c in page])


def test_files_and_rehearsals_are_swept_after_a_week_and_a_file_goes_with_its_import(
    run: Run, imports: Imports, scope: Scope, club: Document, upload: Upload, clock: ManualClock, tmp_path: Path
) -> None:
    def kept() -> int:
        return len(list(imports.files.list(scope, club["_id"], "imports/")))

    content = HEAD + "ada@mail.example;Ada;Lovelace\n"
    run(club, content, BY_NAME)
    assert kept() == 0
    rehearsal = run(club, content, BY_NAME, dry_run=True)
    upload(club, content.encode())
    for file in (tmp_path / "files").rglob("*"):
        os.utime(file, (NOW / 1_000, NOW / 1_000))
    assert kept() == 2
    importing.sweep_imports(imports)
    assert kept() == 2
    clock.advance(8 * DAY)
    importing.sweep_imports(imports)
    assert kept() == 0
    assert rehearsal.id not in imports.imports.get(scope, [rehearsal.id])


# Mappings


def test_dutch_and_english_headings_are_understood(imports: Imports, scope: Scope, club: Document) -> None:
    community = imports.room.community(scope, club["_id"])
    headings = [
        "Voornaam",
        "Familienaam",
        "E-mailadres",
        "Geboortedatum",
        "Taal",
        "Woonplaats",
        "Lidgeld",
        "Nieuwsbrief",
    ]
    sample = [["Ada", "Lovelace", "ada@mail.example", "10/12/1815", "nl", "Gent", "12,50", "ja"]]
    guessed = guess_mapping(community, headings, sample)
    targets = {column.heading: column.name or column.target for column in guessed.columns}
    assert targets == {
        "Voornaam": "given_name", "Familienaam": "family_name", "E-mailadres": "email", "Geboortedatum": "birth_date",
        "Taal": "locale", "Woonplaats": "city", "Lidgeld": "fee", "Nieuwsbrief": "ignore",
    }  # fmt: skip
    assert guessed.permissions[0].heading == "Nieuwsbrief"


def test_a_column_that_belies_its_heading_is_left_alone(imports: Imports, scope: Scope, club: Document) -> None:
    community = imports.room.community(scope, club["_id"])
    guessed = guess_mapping(community, ["nom", "email", "mobile"], [["Ada", "ada@mail.example", "yes"]] * 3)
    assert [column.target for column in guessed.columns] == ["full_name", "email", "ignore"]


def test_a_mapping_is_corrected_saved_and_used_again(
    imports: Imports, scope: Scope, club: Document, upload: Upload
) -> None:
    corrected = replace(BY_NAME, tags=("Stage 2026",), relation="trial")
    importing.save_mapping(imports, scope, club["_id"], "Secretary's sheet", corrected)
    file = upload(club, (HEAD + "ada@mail.example;Ada;Lovelace\n").encode())
    order = importing.ImportOrder(file, mapping_name="secretary's SHEET")
    job = importing.start_import(imports, scope, club["_id"], order, dry_run=False)
    assert job.mapping == corrected
    page = importing.list_mappings(imports, scope, club["_id"], 50, None)
    assert [document["name"] for document in page.documents] == ["Secretary's sheet"]
    with pytest.raises(UnknownMapping):
        importing.start_import(
            imports, scope, club["_id"], importing.ImportOrder(file, mapping_name="another"), dry_run=True
        )


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        (replace(BY_EMAIL, columns=(*NAMES, Column("nope", "tags"))), "mapping.columns[3].heading"),
        (replace(BY_EMAIL, columns=(*NAMES, Column("email", "attribute", name="shoe"))), "mapping.columns[3].name"),
        (replace(BY_EMAIL, columns=(*NAMES, Column("email", "note", name="city"))), "mapping.columns[3].name"),
        (replace(BY_EMAIL, columns=(Column("email", "tags"),)), "mapping.columns"),
        (replace(BY_EMAIL, identity="external_id"), "mapping.identity"),
        (replace(BY_EMAIL, relation="king"), "mapping.relation"),
    ],
)
def test_a_mapping_that_does_not_fit_says_which_part(
    imports: Imports,
    scope: Scope,
    club: Document,
    upload: Upload,
    mapping: Mapping,
    field: str,
) -> None:
    file = upload(club, (HEAD + "ada@mail.example;Ada;Lovelace\n").encode())
    with pytest.raises(MappingWrong) as caught:
        importing.start_import(imports, scope, club["_id"], importing.ImportOrder(file, mapping=mapping), dry_run=False)
    assert caught.value.field == field


def test_a_row_whose_name_has_no_end_is_refused_rather_than_taken_for_who_holds_the_address(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, HEAD + "home@mail.example;Anne;Peeters\n", BY_NAME)
    job = run(club, HEAD + f"home@mail.example;{'Lou' * 70};Peeters\n", BY_NAME)
    (row,), _ = list_import_rows(imports, scope, job.id, ["refused"], 50, None)
    assert row.findings == [("prénom", "text-too-long", {"limit": "200"})]
    assert [member["display_name"] for member in everybody(imports, scope, club)] == ["Anne Peeters"]


def test_what_is_too_long_is_refused_and_never_cut(run: Run, imports: Imports, scope: Scope, club: Document) -> None:
    mapping = Mapping((*NAMES, Column("tags", "tags"), Column("ville", "attribute", name="city")))
    job = run(club, f"email;prénom;nom;tags;ville\nada@mail.example;Ada;Byron;vip|{'a' * 61};{'b' * 501}\n", mapping)
    (row,), _ = list_import_rows(imports, scope, job.id, ["noted"], 50, None)
    assert row.findings == [
        ("tags", "text-too-long", {"limit": "60"}),
        ("ville", "text-too-long", {"limit": "500"}),
    ]
    (member,) = everybody(imports, scope, club)
    assert (member["tags"], member["attributes"]) == (["vip"], [])
    job = run(club, f"{HEAD.strip()};id\n;Bob;Byron;{'c' * 201}\n", BY_ID)
    assert codes(imports, scope, job, "refused") == ["text-too-long"]
    assert explain("text-too-long", "fr-BE", {"limit": "200"}) == (
        "Le texte dépasse 200 caractères.",
        "Raccourcissez-le.",
    )


def test_two_names_that_are_long_together_do_not_stop_a_list(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    given, family = "a" * 150, "b" * 150
    run(club, HEAD + "ada@mail.example;Ada;Byron\n", BY_EMAIL)
    job = run(club, HEAD + f"ada@mail.example;{given};{family}\n", BY_EMAIL)
    assert (job.state, counts(job)["changed"]) == ("finished", 1)


def test_nobody_agreed_before_there_was_e_mail_nor_tomorrow(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    said = PermissionColumns(("news",), at_heading="accord")
    job = run(
        club, f"{HEAD.strip()};accord\nada@mail.example;Ada;Byron;01/02/1970\n", replace(BY_EMAIL, permissions=(said,))
    )
    assert codes(imports, scope, job, "noted") == ["act-too-old"]
    assert everybody(imports, scope, club)[0]["ledger"] == []
    for at, reason in ((1_795_435_200, "before 1990"), (NOW + DAY, "has not come")):
        declared = Declaration(("service",), ("email",), "membership", "They all signed the club's form.", at)
        with pytest.raises(MappingWrong, match=reason) as refused:
            run(club, HEAD + "ada@mail.example;Ada;Byron\n", replace(BY_EMAIL, declaration=declared))
        assert refused.value.field == "mapping.declaration.at"
