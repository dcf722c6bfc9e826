"""Promise 3: an import cannot weaken permission. What would change is shown before it does; it can be undone."""

from __future__ import annotations

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.household import address_hash
from services.members.domain.importing.job import Import
from services.members.domain.importing.mapping import Column, Mapping
from services.members.domain.permission import OBJECTION, Evidence, Verdict, verdict
from services.members.use_cases import importing
from services.members.use_cases.erasing import erase_member
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.permitting import record_consent, record_objection
from services.members.use_cases.showing_imports import list_import_rows, list_undo_left
from tests.members.importing.conftest import NOW, Run, counts, everybody, the_list, work

HEAD = "email;prénom;nom;newsletter;accord le\n"
MAILCHIMP = "Email Address,First Name,Last Name,OPTIN_TIME,OPTIN_IP,LEID,EUID\n"


def held(imports: Imports, scope: Scope, community: Document, purpose: str = "news", now: int = NOW) -> Verdict:
    (member,) = everybody(imports, scope, community)
    compiled = imports.room.community(scope, community["_id"])
    return verdict(member, purpose, "email", now, compiled.law, compiled.gives)


def an_objection(run: Run, imports: Imports, scope: Scope, club: Document) -> str:
    run(club, HEAD + "ada@mail.example;Ada;Lovelace;;\n")
    (member,) = everybody(imports, scope, club)
    record_objection(
        imports.room, scope, member["_id"], purposes=["news"], channels=["email"],
        evidence=Evidence("", "one_click", NOW, "member"),
    )  # fmt: skip
    return str(member["_id"])


def test_promise_03_an_import_cannot_weaken_permission_an_old_yes_does_not_lift_an_objection(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    an_objection(run, imports, scope, club)
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace;oui;20/11/2026\n")
    assert held(imports, scope, club).reason == OBJECTION
    assert counts(job)["objections_standing"] == 1 and counts(job)["left"] == 1
    (row,), _ = list_import_rows(imports, scope, job.id, ["noted"], 50, None)
    assert [code for _, code, _ in row.findings] == ["objection-stands"]


def test_promise_03_a_later_yes_without_proof_does_not_lift_it_either(
    run: Run, imports: Imports, scope: Scope, club: Document, clock: ManualClock
) -> None:
    an_objection(run, imports, scope, club)
    clock.advance(30 * DAY)
    run(club, HEAD + "ada@mail.example;Ada;Lovelace;oui;20/12/2026\n")
    assert held(imports, scope, club, now=clock.now()).reason == OBJECTION


def test_promise_03_a_later_proven_act_of_the_person_does(
    run: Run, imports: Imports, scope: Scope, club: Document, clock: ManualClock
) -> None:
    an_objection(run, imports, scope, club)
    clock.advance(30 * DAY)
    run(club, MAILCHIMP + "ada@mail.example,Ada,Lovelace,2026-12-20 10:00:00,192.0.2.7,1,2\n")
    now = clock.now()
    assert (held(imports, scope, club, now=now).allowed, held(imports, scope, club, now=now).reason) == (
        True,
        "consent",
    )


def test_promise_03_worse_proof_does_not_replace_better(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, HEAD + "ada@mail.example;Ada;Lovelace;;\n")
    (member,) = everybody(imports, scope, club)
    proof = Evidence("I want the news.", "double_opt_in", NOW - DAY, "member", "192.0.2.1")
    record_consent(
        imports.room, scope, member["_id"], purposes=["news"], channels=["email"], basis="consent", evidence=proof
    )
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace;oui;22/11/2026\n")
    assert counts(job)["left"] == 1
    (after,) = everybody(imports, scope, club)
    assert len(after["ledger"]) == 1


def test_promise_03_a_no_is_recorded_even_against_better_proof(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    """What is ambiguous is read restrictively: an undated "Non" counts from the import."""
    run(club, MAILCHIMP + "ada@mail.example,Ada,Lovelace,2026-11-20 10:00:00,192.0.2.7,1,2\n")
    assert held(imports, scope, club).allowed
    run(club, HEAD + "ada@mail.example;Ada;Lovelace;Non;\n")
    assert held(imports, scope, club).reason == OBJECTION


def test_promise_03_what_would_change_is_shown_before_it_does(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, MAILCHIMP + "ada@mail.example,Ada,Lovelace,2026-11-20 10:00:00,192.0.2.7,1,2\n")
    versions = {m["_id"]: m["version"] for m in everybody(imports, scope, club)}
    text = HEAD + "ada@mail.example;Ada;Byron;Non;\nnew@mail.example;New;Comer;oui;01/02/2026\n"
    rehearsal = run(club, text, dry_run=True)
    assert {m["_id"]: m["version"] for m in everybody(imports, scope, club)} == versions
    (first, second), _ = list_import_rows(imports, scope, rehearsal.id, [], 50, None)
    assert first.outcome == "changed"
    assert ("permission.news:email", "consent (fair)", "no: objection") in first.changes
    assert ("family_name", "Lovelace", "Byron") in first.changes
    assert (second.outcome, second.display_name, second.addresses) == ("created", "New Comer", ["new@mail.example"])
    assert [(p["effect"], p["evidence"]) for p in second.permissions] == [("consent", "weak")]
    real = run(club, text)
    assert counts(real) == counts(rehearsal)
    (shown, _), _ = list_import_rows(imports, scope, real.id, [], 50, None)
    assert shown.changes == first.changes


def undo(imports: Imports, scope: Scope, job: Import, *, objections_too: bool = False) -> Import:
    importing.undo_import(imports, scope, job.id, objections_too=objections_too)
    work(imports)
    done = imports.load(scope, job.id)
    assert done.state == "undone", done.record["problem"]
    return done


def test_promise_03_undoing_takes_back_members_and_fields_but_leaves_objections(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    run(club, HEAD + "ada@mail.example;Ada;Lovelace;;\n")
    (before,) = everybody(imports, scope, club)
    job = run(
        club,
        HEAD + "ada@mail.example;Ada;Byron;Non;\n"
        "new@mail.example;New;Comer;oui;01/02/2026\nno@mail.example;No;Thanks;Non;\n",
    )
    undone = undo(imports, scope, job)
    assert undone.record["undo_progress"] | {"chunk": 0} == {"chunk": 0, "removed": 1, "restored": 1, "left": 1}
    members = {m["display_name"]: m for m in everybody(imports, scope, club)}
    assert set(members) == {"Ada Lovelace", "No Thanks"}
    ada = members["Ada Lovelace"]
    assert (ada["family_name"], ada["search"]) == ("Lovelace", before["search"])
    assert [e["act"] for e in ada["ledger"]] == [OBJECTION]
    (left,), _ = list_undo_left(imports, scope, job.id, 50, None)
    assert (left.member, left.code) == (members["No Thanks"]["_id"], "objection-stays")
    kept = members["No Thanks"]
    assert kept["relations"] == [] and [p["address"] for p in kept["contact_points"]] == ["no@mail.example"]
    again = run(club, HEAD + "new@mail.example;New;Comer;;\nno@mail.example;No;Thanks;oui;22/11/2026\n")
    assert counts(again)["created"] == 1 and counts(again)["objections_standing"] == 1


def test_promise_03_an_operator_may_take_the_objections_back_too(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    job = run(club, HEAD + "no@mail.example;No;Thanks;Non;\n")
    undo(imports, scope, job, objections_too=True)
    assert everybody(imports, scope, club) == []
    claims = [c for page in imports.room.claims.stream(scope) for c in page]
    assert claims == []


def test_undoing_leaves_what_something_later_touched_and_says_so(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace;;\nnew@mail.example;New;Comer;;\n")
    ada = next(m for m in everybody(imports, scope, club) if m["given_name"] == "Ada")
    imports.room.change(scope, ada["_id"], imports.room.cause(scope), lambda m: m.tag(["vip"]))
    undo(imports, scope, job)
    (left,), _ = list_undo_left(imports, scope, job.id, 50, None)
    assert (left.member, left.code) == (ada["_id"], "changed-since")
    assert [m["given_name"] for m in everybody(imports, scope, club)] == ["Ada"]


def test_undoing_the_judo_club_leaves_only_those_who_said_non(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    job = run(club, the_list("judo-club-members"))
    undone = undo(imports, scope, job)
    members = everybody(imports, scope, club)
    objecting = [m for m in members if m["ledger"]]
    assert len(objecting) == 155
    needed = {guardian for m in objecting for guardian in m["guardians"]}
    assert {m["_id"] for m in members} == {m["_id"] for m in objecting} | needed
    assert all(m["relations"] == [] and m["sensitive"] == [] for m in objecting)
    assert undone.record["undo_progress"]["removed"] == 539 - len(members)


def test_erased_people_do_not_come_back_through_an_import(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    room = imports.room
    community = room.communities.get(scope, [club["_id"]])[club["_id"]]
    room.communities.replace(scope, [community | {"erasures": 1}])
    room.erased_addresses.insert(
        scope,
        [
            {
                "_id": address_hash(room.address_key, club["_id"], "email", "ada@mail.example"),
                "agency": "agency-1",
                "community": club["_id"],
                "schema_version": 1,
                "erased_at": NOW,
            }
        ],
    )
    job = run(club, HEAD + "Ada@Mail.example;Ada;Lovelace;oui;22/11/2026\nnew@mail.example;New;Comer;;\n")
    assert counts(job)["refused"] == 1 and counts(job)["created"] == 1
    (row,), _ = list_import_rows(imports, scope, job.id, ["refused"], 50, None)
    assert [code for _, code, _ in row.findings] == ["erased"]


def test_promise_03_a_later_no_counts_although_an_earlier_one_stands(
    run: Run, imports: Imports, scope: Scope, club: Document, clock: ManualClock
) -> None:
    run(club, HEAD + "ada@mail.example;Ada;Lovelace;non;01/03/2024\n")
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace;non;01/03/2026\n")
    assert counts(job)["objections"] == 1
    clock.advance(DAY)
    run(club, MAILCHIMP + "ada@mail.example,Ada,Lovelace,2025-06-01 10:00:00,192.0.2.7,1,2\n")
    assert held(imports, scope, club, now=clock.now()).reason == OBJECTION, "she said no after that yes"
    job = run(club, HEAD + "ada@mail.example;Ada;Lovelace;non;01/03/2026\n")
    assert counts(job)["left"] == 1, "the same list again says nothing new"


def test_promise_03_a_mothers_no_is_heard_although_her_child_was_erased(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    head = "email;prénom;nom;né le;newsletter;accord le\n"
    rows = "anne@mail.example;Anne;Peeters;01/04/1980;;\nanne@mail.example;Lou;Peeters;01/04/2016;;\n"
    run(club, head + rows)
    mother, child = everybody(imports, scope, club)
    erase_member(imports.room, scope, child["_id"])
    job = run(club, head + rows.replace("1980;;", "1980;non;"))
    refused, _ = list_import_rows(imports, scope, job.id, ["refused"], 50, None)
    assert [(row.row, row.findings[0][1]) for row in refused] == [(3, "erased")]
    assert [entry["act"] for entry in imports.room.member(scope, mother["_id"])["ledger"]] == [OBJECTION]


def test_promise_03_a_list_makes_no_adult_of_a_minor(run: Run, imports: Imports, scope: Scope, club: Document) -> None:
    mapping = Mapping(
        (Column("id", "external_id"), Column("nom", "full_name"), Column("né le", "birth_date")),
        identity="external_id",
    )
    head = "id;nom;né le\n"
    run(club, head + "7;Lou Peeters;01/04/2016\n", mapping)
    job = run(club, head + "7;Lou Peeters;01/04/1980\n", mapping)
    (row,), _ = list_import_rows(imports, scope, job.id, ["noted"], 50, None)
    assert [code for _, code, _ in row.findings] == ["minor-stays"]
    assert everybody(imports, scope, club)[0]["birth_date"] == "2016-04-01"
    run(club, head + "7;Lou Peeters;01/04/2017\n", mapping)
    assert everybody(imports, scope, club)[0]["birth_date"] == "2017-04-01"


def test_promise_03_a_guardian_whom_a_list_gave_to_a_child_goes_with_the_list(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    head = "email;prénom;nom;né le\n"
    run(club, head + "anne@mail.example;Lou;Peeters;\n")
    (lou,) = everybody(imports, scope, club)
    job = run(club, head + "anne@mail.example;Anne;Peeters;01/04/1980\nanne@mail.example;Lou;Peeters;01/04/2016\n")
    importing.undo_import(imports, scope, job.id, objections_too=False)
    work(imports)
    assert list_undo_left(imports, scope, job.id, 10, None)[0] == []
    (left,) = everybody(imports, scope, club)
    assert (left["_id"], left["guardians"], left["contact_points"]) == (lou["_id"], [], lou["contact_points"])
