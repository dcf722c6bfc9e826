"""Imports over a room of one's own, with the lists as they really come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.kit.clock import ManualClock
from services.kit.files import FolderFiles
from services.kit.scope import Scope
from services.kit.store.opening import open_store
from services.kit.store.port import Document
from services.members.domain.importing.job import Import
from services.members.domain.importing.mapping import Mapping
from services.members.use_cases import importing
from services.members.use_cases.founding import Founding, create_community
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.running_imports import ImportWorker
from services.members.wiring import DOCUMENTS, imports_of, room_of

LISTS = Path(__file__).parents[3] / "demo" / "lists"
NOW = 1_795_435_200_000  # 23 November 2026, noon UTC


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def imports(tmp_path: Path, clock: ManualClock) -> Iterator[Imports]:
    store = open_store(tmp_path / "members.sqlite", DOCUMENTS)
    yield imports_of(store, room_of(store, clock, b"k" * 32, lambda: None), FolderFiles(tmp_path / "files"))
    store.close()


@pytest.fixture
def scope() -> Scope:
    return Scope("agency-1", None, "operator:ada")


@pytest.fixture
def club(imports: Imports, scope: Scope) -> Document:
    return create_community(imports.room, scope, Founding("Judo Club", pack="sports_club", country="BE"))


@pytest.fixture
def festival(imports: Imports, scope: Scope) -> Document:
    return create_community(imports.room, scope, Founding("Jazz en Plaine", pack="festival", country="BE"))


Run = Callable[..., Import]
Upload = Callable[[Document, bytes], str]


@pytest.fixture
def upload(imports: Imports, scope: Scope) -> Upload:
    def send(community: Document, content: bytes) -> str:
        pieces = (content[at : at + 65_536] for at in range(0, len(content), 65_536))
        return importing.upload_file(imports, scope, community["_id"], pieces)[0]

    return send


@pytest.fixture
def run(imports: Imports, scope: Scope, upload: Upload) -> Run:
    """``run(community, content, mapping, dry_run=…)``: upload, start, work to the end."""

    def go(
        community: Document, content: bytes | str, mapping: Mapping | None = None, *, dry_run: bool = False
    ) -> Import:
        file = upload(community, content.encode() if isinstance(content, str) else content)
        order = importing.ImportOrder(file, "list.csv", mapping=mapping)
        job = importing.start_import(imports, scope, community["_id"], order, dry_run=dry_run)
        work(imports)
        return imports.load(scope, job.id)

    return go


def work(imports: Imports) -> None:
    """Let a worker do what is wanted."""
    ImportWorker(imports).work(threading.Event())


def the_list(name: str) -> bytes:
    return (LISTS / f"{name}.csv").read_bytes()


def everybody(imports: Imports, scope: Scope, community: Document) -> list[dict[str, Any]]:
    within = scope.within(community["_id"])
    return [record for page in imports.room.members.stream(within) for record in page]


def counts(job: Import) -> dict[str, int]:
    """What became of the rows, without what is about time."""
    return {name: number for name, number in job.record["progress"].items() if name not in ("chunk", "at")}
