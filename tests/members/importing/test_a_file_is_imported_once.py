"""An uploaded file is imported once: asking again finds that import, and asking differently says what is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.kit.scope import Scope
from services.kit.store.port import Document
from services.members.domain.importing.job import Import
from services.members.domain.importing.mapping import Column, Mapping
from services.members.use_cases import importing
from services.members.use_cases.importing import FileUsed, ImportOrder
from services.members.use_cases.imports_room import Imports, UnknownFile
from tests.members.importing.conftest import Upload, everybody, work

LIST = b"email;nom\nada@mail.example;Ada Byron\n"
NAMED = Mapping((Column("email", "email"), Column("nom", "full_name")))


@pytest.fixture
def order(upload: Upload, club: Document) -> ImportOrder:
    return ImportOrder(upload(club, LIST), "list.csv")


def _start(imports: Imports, scope: Scope, club: Document, order: ImportOrder, *, dry_run: bool = False) -> Import:
    return importing.start_import(imports, scope, club["_id"], order, dry_run=dry_run)


def test_the_same_order_again_is_the_same_import_before_during_and_after(
    imports: Imports, scope: Scope, club: Document, order: ImportOrder
) -> None:
    rehearsal = _start(imports, scope, club, order, dry_run=True)
    job = _start(imports, scope, club, order)
    assert job.id != rehearsal.id
    assert _start(imports, scope, club, replace(order, file_name="the same list.csv")).id == job.id
    work(imports)
    again = _start(imports, scope, club, order)
    assert (again.id, again.state) == (job.id, "finished")
    work(imports)
    assert len(everybody(imports, scope, club)) == 1


def test_another_order_for_a_file_that_was_used_names_the_import_and_the_remedy(
    imports: Imports, scope: Scope, club: Document, order: ImportOrder
) -> None:
    job = _start(imports, scope, club, order)
    otherwise = replace(order, mapping=NAMED)
    for _ in range(2):
        with pytest.raises(FileUsed, match=f"The import {job.id} used this file: .* upload the file again") as refused:
            _start(imports, scope, club, otherwise)
        assert (refused.value.reason, refused.value.field) == ("file-used", "file")
        work(imports)
    with pytest.raises(FileUsed):
        _start(imports, scope, club, order, dry_run=True)
    with pytest.raises(FileUsed):
        importing.guess(imports, scope, club["_id"], order.file)
    with pytest.raises(UnknownFile):
        importing.guess(imports, scope, club["_id"], "fil_never-uploaded")


def test_a_list_that_was_taken_back_is_uploaded_again(
    imports: Imports, scope: Scope, club: Document, order: ImportOrder, upload: Upload
) -> None:
    job = _start(imports, scope, club, order)
    work(imports)
    importing.undo_import(imports, scope, job.id, objections_too=False)
    work(imports)
    with pytest.raises(FileUsed, match=job.id):
        _start(imports, scope, club, order)
    again = _start(imports, scope, club, replace(order, file=upload(club, LIST)))
    work(imports)
    assert (imports.load(scope, again.id).state, len(everybody(imports, scope, club))) == ("finished", 1)


def test_a_list_that_was_stopped_before_its_end_is_started_anew(
    imports: Imports, scope: Scope, club: Document, order: ImportOrder
) -> None:
    stopped = _start(imports, scope, club, order)
    importing.cancel_import(imports, scope, stopped.id)
    job = _start(imports, scope, club, order)
    assert job.id != stopped.id
    work(imports)
    assert imports.load(scope, job.id).state == "finished"
