"""An import survives its own death anywhere: it goes on, no row twice, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.clock import ManualClock
from services.kit.files import FolderFiles
from services.kit.scope import Scope
from services.kit.store.opening import open_store
from services.kit.store.port import Collection, Document
from services.members.domain.permission import Evidence
from services.members.use_cases import importing
from services.members.use_cases.founding import Founding, create_community
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.permitting import record_objection
from services.members.use_cases.running_imports import advance
from services.members.wiring import DOCUMENTS, imports_of, room_of
from tests.members.importing.conftest import NOW, counts, everybody, work

SCOPE = Scope("agency-1", None, "operator:ada")
FIRST = "email;prénom;nom;né le;statut;newsletter;accord le;tel\n" + "".join(
    f"m{n}@mail.example;Kim;Number{n};0{1 + n % 9}/03/19{60 + n % 30};membre;;;\n" for n in range(0, 24, 2)
)
SECOND = "email;prénom;nom;né le;statut;newsletter;accord le;tel\n" + "".join(
    [
        *(
            f"m{n}@mail.example;Kim;Number{n};;ancien;{'Non' if n % 3 else 'oui'};01/02/2026;04701234{n:02}\n"
            for n in range(24)
        ),
        "home@mail.example;Léa;Willems;07/09/2019;essai;oui;12/09/2025;\n",
        "pas d'adresse;Noël;Aerts;31/02/1999;membre;;;\n",
        "home@mail.example;Elke;Willems;22/01/2013;essai;;;\n",
        "m3@mail.example;Kim;Number3;;membre;;;0471999999\n",
        ";;;;;;;\n",
        "two@mail.example;Inès;Goossens;02/02/2010;essai;;;\n",
        "m5@mail.example;Tom;Number5;01/01/2015;membre;Non;;\n",
        "two@mail.example;Lotte;Goossens;14/03/1984;parent;oui;12/09/2025;\n",
        "TOTAL;31;;;;;;\n",
    ]
)  # fmt: skip


class Killed(BaseException):
    """What the tests end a worker with: nothing in our code catches it, like a kill -9."""


class Mortal:
    """A collection on which the whole process dies at its n-th write, before or after the write was done."""

    def __init__(self, collection: Collection, dying: Callable[[], tuple[bool, bool]]) -> None:
        self._collection = collection
        self._dying = dying

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)
        if name not in ("insert", "replace", "patch", "delete"):
            return method

        def write(*arguments: Any) -> Any:
            before, after = self._dying()
            if before:
                raise Killed
            if after and name == "insert" and len(arguments[1]) > 1:  # in the middle: half of it was done
                method(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise Killed
            result = method(*arguments)
            if after:
                raise Killed
            return result

        return write


class World:
    """A store in a folder, and the list that is imported into it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW)
        self.store = open_store(folder / "members.sqlite", DOCUMENTS)
        room = room_of(self.store, self.clock, b"k" * 32, lambda: None)
        self.imports = replace(imports_of(self.store, room, FolderFiles(folder / "files")), chunk_rows=7)
        self.club = create_community(room, SCOPE, Founding("Judo Club", pack="sports_club", country="BE"))
        self.begin(FIRST)
        work(self.imports)
        kim = everybody(self.imports, SCOPE, self.club)[3]
        record_objection(
            room, SCOPE, kim["_id"], purposes=["news"], channels=["email"], evidence=Evidence("", "form", NOW, "member")
        )

    def begin(self, text: str) -> str:
        file, _ = importing.upload_file(self.imports, SCOPE, self.club["_id"], [text.encode()])
        order = importing.ImportOrder(file)
        return importing.start_import(self.imports, SCOPE, self.club["_id"], order, dry_run=False).id

    def mortal(self, deaths: Iterator[tuple[bool, bool]]) -> Imports:
        """The same imports, on collections that die."""
        over: tuple[bool, bool] = (False, False)

        def dying() -> tuple[bool, bool]:
            return next(deaths, over)

        def doomed(collection: Collection) -> Any:
            return Mortal(collection, dying)

        room = replace(
            self.imports.room, members=doomed(self.imports.room.members), claims=doomed(self.imports.room.claims)
        )
        return replace(
            self.imports, room=room, imports=doomed(self.imports.imports), chunks=doomed(self.imports.chunks)
        )

    def outcome(self, job: str) -> dict[str, Any]:
        """What can be said of the end without naming ids that differ from run to run."""
        members = everybody(self.imports, SCOPE, self.club)
        names = {m["_id"]: m["display_name"] or f"guardian of {m['contact_points'][0]['address']}" for m in members}
        claims = [claim for page in self.imports.room.claims.stream(SCOPE) for claim in page]
        done = self.imports.load(SCOPE, job)
        chunks = [c for page in self.imports.chunks.stream(SCOPE) for c in page if c["import_id"] == job]
        return {
            "state": done.state,
            "counts": counts(done),
            "marks": [c["marks"] for c in chunks],
            "events": [[entry["type"] for entry in c["outbox"]] for c in chunks],
            "told": [
                sorted(names[m] for e in c["outbox"] for m in e["data"]["created"] + e["data"]["changed"])
                for c in chunks
            ],
            "members": sorted((_plain(m, names) for m in members), key=str),
            "claims": sorted((c["_id"].split(":", 1)[1], sorted(names[o] for o in c["owners"])) for c in claims),
        }

    def close(self) -> None:
        self.store.close()


def _plain(member: Document, names: dict[str, str]) -> Any:
    kept = ("display_name", "birth_date", "contact_points", "attributes", "tags", "standing", "lifecycle", "version")
    said = {name: member[name] for name in kept}
    said["relations"] = [(r["kind"], r["since"], r["until"]) for r in member["relations"]]
    said["ledger"] = [
        (e["act"], e["purposes"], e["at"], names.get(e.get("actor", "")[9:], "")) for e in member["ledger"]
    ]
    said["guardians"] = sorted(names[g] for g in member["guardians"])
    said["wards"] = sorted(names[w] for w in member["wards"])
    said["history"] = [note["what"] for note in member["history"]]
    return json.loads(json.dumps(said))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    world = World(tmp_path_factory.mktemp("undisturbed"))
    job = world.begin(SECOND)
    work(world.imports)
    outcome = world.outcome(job)
    world.close()
    assert outcome["state"] == "finished"
    assert outcome["counts"]["merged"] == 1 and outcome["counts"]["guardians"] == 2
    return outcome


def run_to_death(world: World, job: str, deaths: Iterator[tuple[bool, bool]]) -> int:
    """Work, die, be started anew, until nothing is left to do; how often it died."""
    died = 0
    mortal = world.mortal(deaths)
    while True:
        try:
            advance(mortal, SCOPE, job, lambda: True)
        except Killed:
            died += 1
            continue
        return died


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=12))
def test_an_import_that_dies_anywhere_ends_as_if_nothing_had_happened(
    undisturbed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, moments: Sequence[tuple[int, bool]]
) -> None:
    """Each moment: so many writes go well, then the process dies before, or in the middle of or after, the next."""
    world = World(tmp_path_factory.mktemp("dying"))
    job = world.begin(SECOND)

    def deaths() -> Iterator[tuple[bool, bool]]:
        for well, before in moments:
            yield from [(False, False)] * well
            yield (before, not before)

    run_to_death(world, job, deaths())
    outcome = world.outcome(job)
    world.close()
    assert outcome == undisturbed


def test_a_real_process_killed_at_any_moment_leaves_nothing_half_done(
    undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """kill -9, at moments spread over the run, until the import is done."""
    world = World(tmp_path)
    job = world.begin(SECOND)
    world.close()
    script = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from dataclasses import replace\n"
        "from services.kit.clock import ManualClock\n"
        "from services.kit.files import FolderFiles\n"
        "from services.kit.store.opening import open_store\n"
        "from services.members.use_cases.running_imports import ImportWorker\n"
        "from services.members.wiring import DOCUMENTS, imports_of, room_of\n"
        "folder = Path(sys.argv[1])\n"
        f"clock = ManualClock({NOW})\n"
        "store = open_store(folder / 'members.sqlite', DOCUMENTS)\n"
        "room = room_of(store, clock, b'k' * 32, lambda: None)\n"
        "print('ready', flush=True)\n"
        "ImportWorker(imports_of(store, room, FolderFiles(folder / 'files'))).work(threading.Event())\n"
        "print('done', flush=True)\n"
    )
    kills = 0
    for attempt in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        killer = threading.Timer(0.004 + 0.006 * (attempt % 8), lambda p=process: os.kill(p.pid, signal.SIGKILL))
        killer.start()
        finished = process.stdout.readline() == "done\n"
        killer.cancel()
        process.wait(10)
        process.stdout.close()
        if finished:
            break
        kills += 1
        time.sleep(0)
    store = open_store(tmp_path / "members.sqlite", DOCUMENTS)
    world.store = store
    world.imports = imports_of(store, room_of(store, world.clock, b"k" * 32, lambda: None), FolderFiles(tmp_path / "f"))
    outcome = world.outcome(job)
    store.close()
    assert kills > 0
    assert outcome == undisturbed


def test_a_paused_import_goes_on_where_it_stood_and_a_cancelled_one_does_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    job = world.begin(SECOND)
    chunks = iter(range(2))
    advance(world.imports, SCOPE, job, lambda: next(chunks, None) is not None)
    importing.pause_import(world.imports, SCOPE, job)
    work(world.imports)
    paused = world.imports.load(SCOPE, job)
    assert paused.state == "paused" and paused.record["progress"].get("rows", 0) < 33
    importing.resume_import(world.imports, SCOPE, job)
    work(world.imports)
    assert world.imports.load(SCOPE, job).state == "finished"
    other = world.begin(SECOND)
    importing.cancel_import(world.imports, SCOPE, other)
    work(world.imports)
    assert counts(world.imports.load(SCOPE, other)) == {}
    world.close()
