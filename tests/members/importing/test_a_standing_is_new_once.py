"""Who gains a standing is new to it once: not after losing it, nor after a merge, nor by a list that was taken back."""

from __future__ import annotations

from typing import Any

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.importing.mapping import Column, Mapping
from services.members.domain.member import Profile, relation
from services.members.domain.values import day_of
from services.members.use_cases import importing
from services.members.use_cases.changing import end_relation, relate_member
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.merging import merge_members, unmerge_members
from services.members.use_cases.registering import register_member
from services.members.use_cases.sweeping import sweep
from tests.members.importing.conftest import NOW, Run, everybody, work

ADHERENTS = Mapping((Column("email", "email"),), relation="adherent")
LIST = "email\nada@mail.example\n"
TODAY = day_of(NOW)


def _told(documents: list[dict[str, Any]]) -> list[tuple[list[str], list[str], list[str]]]:
    """(gained, regained, lost) of each change of standing that was told, in order."""
    events = [event["data"] for document in documents for event in document.get("outbox") or ()]
    changes = [change for data in events for change in data.get("standing_changes", data.get("changes", ()))]
    return [(change["gained"], change["regained"], change["lost"]) for change in changes]


def _chunks(imports: Imports, scope: Scope) -> list[dict[str, Any]]:
    return [chunk for page in imports.chunks.stream(scope) for chunk in page]


def test_a_member_of_a_list_who_lapses_and_comes_back_is_no_new_client(
    run: Run, imports: Imports, scope: Scope, club: Document, clock: ManualClock
) -> None:
    run(club, LIST, ADHERENTS)
    (ada,) = everybody(imports, scope, club)
    end_relation(imports.room, scope, ada["_id"], "adherent", TODAY)
    clock.advance(2 * DAY)
    sweep(imports.room, 1_000_000)
    relate_member(imports.room, scope, ada["_id"], "adherent", day_of(clock.now()), "", "")
    assert _told(_chunks(imports, scope)) == [(["client"], [], [])]
    assert _told([imports.room.member(scope, ada["_id"])])[-1][:2] == ([], ["client"])


def test_a_list_tells_who_is_client_for_the_first_time_and_who_again(
    run: Run, imports: Imports, scope: Scope, club: Document, clock: ManualClock
) -> None:
    room = imports.room
    made = Profile(
        contacts=[("email", "ada@mail.example")],
        relations=[relation(room.community(scope, club["_id"]), "adherent", "2025-01-01", TODAY)],
    )
    register_member(room, scope, club["_id"], made, "operator")
    register_member(room, scope, club["_id"], Profile(contacts=[("email", "bob@mail.example")]), "operator")
    clock.advance(2 * DAY)
    sweep(room, 1_000_000)
    job = run(club, LIST + "bob@mail.example\n", ADHERENTS)
    (ada_told, bob_told) = _told(_chunks(imports, scope))
    assert (ada_told[:2], bob_told[:2]) == (([], ["client"]), (["client"], []))
    importing.undo_import(imports, scope, job.id, objections_too=False)
    work(imports)
    taken_back = _told(_chunks(imports, scope))[2:]
    assert [lost for _, _, lost in taken_back] == [[], ["client"]], "only what the list was the first to give"


def test_what_a_list_gave_and_was_taken_back_is_new_when_it_comes(
    run: Run, imports: Imports, scope: Scope, club: Document
) -> None:
    room = imports.room
    ada = register_member(room, scope, club["_id"], Profile(contacts=[("email", "ada@mail.example")]), "operator")
    job = run(club, LIST, ADHERENTS)
    importing.undo_import(imports, scope, job.id, objections_too=False)
    work(imports)
    notes = [note for note in room.member(scope, ada["_id"])["history"] if note["what"] == "standing"]
    assert [(note["now"], note["cause"].split(":")[0]) for note in notes] == [
        (["client"], "import"),
        (["prospect"], "undo"),
    ]
    relate_member(room, scope, ada["_id"], "adherent", "", "", "")
    assert _told([room.member(scope, ada["_id"])])[-1][0] == ["client"]


def test_a_client_found_twice_is_one_client(imports: Imports, scope: Scope, club: Document, clock: ManualClock) -> None:
    room = imports.room
    tie = relation(room.community(scope, club["_id"]), "adherent")
    ada = register_member(room, scope, club["_id"], Profile(given_name="Ada"), "operator")
    double = register_member(room, scope, club["_id"], Profile(given_name="Ada", relations=[tie]), "operator")
    saved, _ = merge_members(room, scope, ada["_id"], double["_id"])
    assert _told([room.member(scope, ada["_id"])])[-1][:2] == ([], ["client"])
    clock.advance(DAY)
    unmerge_members(room, scope, saved["_id"])
    relate_member(room, scope, ada["_id"], "adherent", "", "", "")
    assert _told([room.member(scope, ada["_id"])])[-1][0] == ["client"], "parted again, it becomes one itself"
