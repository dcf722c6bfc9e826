"""The work of imports: survey the file, save its chunks, then do one after the other, so that a crash costs nothing.

Of a chunk, claims come first, then members, both skipping what is there; then changes, each at the version it was
planned on; "done" and the chunk's event are one write. Ids follow from import and row: a chunk done again after a crash
does nothing twice. What is to change somebody is saved with the chunk before it is written, so that the crash
cannot hide it either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog

from services.kit.errors import FanfareError, Kind, VersionConflict
from services.kit.ids import derived_id
from services.kit.lease import Lease
from services.kit.outbox import append_event
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Document, Order, Patch
from services.kit.store.rule import Range
from services.members.domain.community import Community
from services.members.domain.events import standing_change_alike
from services.members.domain.importing import reading
from services.members.domain.importing.draft import Link
from services.members.domain.importing.households import Families, Survey
from services.members.domain.importing.interpreting import Interpreter
from services.members.domain.importing.job import (
    FINISHED,
    OUTCOMES,
    RUNNING,
    UNDOING,
    WAITING,
    Import,
    chunk_bounds,
    chunk_id,
    new_chunk,
)
from services.members.domain.importing.plan import Origin, Plan
from services.members.domain.importing.planning import Planner
from services.members.domain.permission import Record
from services.members.domain.standing import held_before
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.undoing_imports import undo_chunks
from services.members.use_cases.writing_imports import Meeting, write_claims

_TRIES = 8
_IDLE_SECONDS = 0.2
_CHUNKS_AT_ONCE = 50

log = structlog.get_logger(__name__)


class ImportWorker:
    """Does the imports that are wanted, one at a time; others may run elsewhere. A worker, in its own thread."""

    name = "imports"

    def __init__(self, imports: Imports) -> None:
        self._imports = imports
        self._scope = everywhere("service:members")

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._imports.wanted.clear()
            try:
                idle = not self.work(stop)
            except FanfareError as error:
                log.warning("imports_wait", reason=error.reason, message=error.message)
                idle = True
            if idle:
                self._imports.wanted.wait(_IDLE_SECONDS)

    def work(self, stop: threading.Event) -> int:
        """Advance every import that wants it, as far as it goes; how many there were."""
        wanted = self._imports.imports.find(
            self._scope, Range("work", gt=0), order=Order("work"), limit=20, fields=("agency", "community", "by")
        )
        return sum(self._advance(found, stop) for found in wanted.documents)

    def _advance(self, found: Document, stop: threading.Event) -> bool:
        imports = self._imports
        lease = Lease(imports.leases, f"import-{found['_id']}", imports.room.clock)
        if not lease.hold():
            return False
        scope = stored_scope(found["agency"], found["community"], found["by"])
        try:
            advance(imports, scope, found["_id"], lambda: lease.hold() and not stop.is_set())
        finally:
            lease.release()
        return True


def advance(imports: Imports, scope: Scope, import_id: str, going: Callable[[], bool]) -> None:
    """Do what is left of an import, while ``going``. An error of the file, or of ours, ends it with an explanation."""
    steps = {WAITING: survey, RUNNING: run_chunks, UNDOING: undo_chunks}
    try:
        while going() and (step := steps.get(imports.load(scope, import_id).state)):
            step(imports, scope, imports.load(scope, import_id), going)
    except FanfareError as error:
        if error.kind is Kind.UNAVAILABLE:
            raise
        _fail(imports, scope, import_id, error.reason, error.message)
    except Exception:
        log.exception("import_failed", imported=import_id)
        _fail(
            imports, scope, import_id, "internal", "Something of ours failed; what was done stays, and can be undone."
        )


def _fail(imports: Imports, scope: Scope, import_id: str, reason: str, message: str) -> None:
    imports.change(scope, import_id, lambda job: job.fail(reason, message, imports.room.clock.now()))


# Survey


def survey(imports: Imports, scope: Scope, job: Import, going: Callable[[], bool]) -> None:
    """Read the whole file once for its errors and its families, and save every chunk."""
    interpreter = interpreter_of(imports, scope, job)
    seen = Survey()
    last = job.format.header_row
    with imports.open_file(scope, job.record["community"], job.record["file"]) as stream:
        for last, cells in reading.rows(stream, job.format):  # noqa: B007 # the last row's number is wanted
            seen.add(interpreter.keys(cells))
    links = _links(imports, scope, job, interpreter, seen.repeated())
    planned = dict(job.record) | {"rows": last - job.format.header_row}
    numbers = range(-(-planned["rows"] // planned["chunk_rows"]))
    for start in range(0, len(numbers), _CHUNKS_AT_ONCE):
        if not going():
            return
        documents = []
        for number in numbers[start : start + _CHUNKS_AT_ONCE]:
            first, end = chunk_bounds(planned, number)
            inside = [[row, *links[row]] for row in range(first, end + 1) if row in links] if links else []
            documents.append(new_chunk(planned, number, inside))
        imports.chunks.insert(scope, documents)
    imports.change(scope, job.id, lambda j: _begin(j, planned["rows"], imports.room.clock.now()))


def _begin(job: Import, rows: int, now: int) -> None:
    if job.state == WAITING:  # it may have been paused or cancelled meanwhile
        job.begin(rows, now)


def _links(
    imports: Imports, scope: Scope, job: Import, interpreter: Interpreter, repeated: frozenset[int]
) -> dict[int, Link]:
    if not repeated:
        return {}
    families = Families(repeated, interpreter)
    with imports.open_file(scope, job.record["community"], job.record["file"]) as stream:
        for row, cells in reading.rows(stream, job.format):
            families.add(row, cells)
    return families.links()


def interpreter_of(imports: Imports, scope: Scope, job: Import) -> Interpreter:
    community = imports.room.community(scope, job.record["community"])
    return Interpreter(job.mapping, community, job.format.headings, job.origin.at)


# Chunks


def run_chunks(imports: Imports, scope: Scope, job: Import, going: Callable[[], bool]) -> None:
    """Do the chunks that are not done, in order, for as long as the import is to run."""
    record = job.record
    run = _Run(imports, scope, job)
    number = int(record["progress"].get("chunk", -1)) + 1
    if number < record["chunks"]:
        with imports.open_file(scope, record["community"], record["file"]) as stream:
            batches = _batches(reading.rows(stream, job.format, after=chunk_bounds(record, number)[0] - 1), record)
            for number in range(number, record["chunks"]):  # noqa: B020 # it goes on from where it stands
                run.do(number, next(batches))
                if not going() or imports.load(scope, job.id).state != RUNNING:
                    return
    imports.change(scope, job.id, lambda j: _finish(j, imports.room.clock.now()))
    if not job.dry_run:
        imports.delete_file(scope, record["community"], record["file"])
    imports.room.nudge()


def _finish(job: Import, now: int) -> None:
    if job.state != RUNNING:
        return
    job.finish(now)
    if not job.dry_run:
        counted = {name: int(job.record["progress"].get(name, 0)) for name in ("created", "changed", "refused")}
        event_id = derived_id("evt", job.origin.at, 0, job.id, FINISHED)
        append_event(job.record, event_id, "ImportFinished", now, {"import": job.id, **counted})


def _batches(rows: Iterator[reading.Row], record: Record) -> Iterator[list[reading.Row]]:
    while batch := list(islice(rows, record["chunk_rows"])):
        yield batch


class _Run:
    """One stretch of work on an import's chunks."""

    def __init__(self, imports: Imports, scope: Scope, job: Import) -> None:
        self._imports = imports
        self._room = imports.room
        self._scope = scope
        self._job = job
        self._mapping = job.mapping
        self._interpreter = interpreter_of(imports, scope, job)
        self._origin = job.origin
        self._all_new = False  # the last chunk met nobody known: expect the same of the next, and be told if not

    def do(self, number: int, rows: Sequence[reading.Row]) -> None:
        """One chunk, from saved to done; of one that is done only the progress may be missing."""
        chunk = self._imports.chunks.get(self._scope, [chunk_id(self._job.id, number)])[chunk_id(self._job.id, number)]
        if chunk["state"] != "done":
            community = self._room.community(self._scope, self._job.record["community"])
            if self._job.dry_run:
                plan = self._plan(community, self._meet(chunk, rows, community, thorough=True))
                _note_outcome(chunk, plan)
            else:
                plan = self._carry_out(chunk, rows, community)
            self._done(chunk, plan)
        self._progress(chunk, len(rows))

    def _meet(self, chunk: Record, rows: Sequence[reading.Row], community: Community, *, thorough: bool) -> Meeting:
        """The drafts of the rows, and whom they may tell of."""
        links = {link[0]: Link(*link[1:]) for link in chunk["links"]}
        drafts = [self._interpreter.read(number, cells) for number, cells in rows]
        meeting = Meeting(drafts, links, thorough=thorough)
        wanted = drafts if thorough else [d for d in drafts if d.row in links or not (d.emails or d.phones)]
        meeting.look_up(self._room, self._scope, community, self._origin, wanted)
        return meeting

    def _plan(self, community: Community, meeting: Meeting) -> Plan:
        planner = Planner(
            community,
            self._mapping,
            self._interpreter,
            self._origin,
            meeting.known,
            meeting.links,
            strangers=not meeting.thorough,
        )
        planner.add_all(meeting.drafts)
        return planner.plan

    def _carry_out(self, chunk: Record, rows: Sequence[reading.Row], community: Community) -> Plan:
        thorough = not self._all_new or chunk["state"] != "saved"
        for _ in range(_TRIES):
            meeting = self._meet(chunk, rows, community, thorough=thorough)
            plan = self._plan(community, meeting)
            if chunk["state"] == "saved" or plan.changed:
                _note_outcome(chunk, plan)
            if plan.changed:
                chunk["state"] = "planned"
                self._save(chunk)
            if self._write(plan, community, meeting):
                self._all_new = plan.matched == 0
                return plan
            thorough = True
        raise VersionConflict("Others keep changing the members of this list: resume the import later.", field="import")

    def _write(self, plan: Plan, community: Community, meeting: Meeting) -> bool:
        """Claims, new members, changed members; False where somebody was quicker, and it is to be planned anew."""
        if not write_claims(self._room, self._scope, community, plan, meeting, self._origin.at):
            return False
        if plan.created:
            self._room.members.insert(self._scope, list(plan.created.values()))
        changed = [change.member.record for change in plan.changed.values()]
        return not changed or len(self._room.members.replace(self._scope, changed)) == len(changed)

    def _done(self, chunk: Record, plan: Plan) -> None:
        """The chunk is done, and says so in the same write."""
        chunk["state"] = "done"
        chunk["links"] = []
        now = self._room.clock.now()
        if not self._job.dry_run and (plan.created or chunk["changed"]):
            append_event(
                chunk,
                derived_id("evt", self._origin.at, chunk["number"], self._job.id, "chunk"),
                "MembersImported",
                now,
                {
                    "import": self._job.id,
                    "chunk": chunk["number"],
                    "created": list(plan.created),
                    "changed": [each["member"] for each in chunk["changed"]],
                    "standing_changes": _standing_changes(plan, chunk, self._origin),
                },
            )
        self._save(chunk)
        self._room.nudge()

    def _save(self, chunk: Record) -> None:
        if not self._imports.chunks.replace(self._scope, [chunk]):
            raise VersionConflict("Another worker has this import.", field="import")

    def _progress(self, chunk: Record, rows: int) -> None:
        """Raise the import's counts, once for each chunk."""
        counts = {f"progress.{name}": int(count) for name, count in chunk["counts"].items() if count}
        self._imports.imports.patch(
            self._scope,
            [
                Patch(
                    self._job.id,
                    inc={"progress.rows": rows, **counts},
                    set={"progress.at": self._room.clock.now()},
                    sequence=("progress.chunk", chunk["number"]),
                )
            ],
        )


def _note_outcome(chunk: Record, plan: Plan) -> None:
    """What a plan does, kept with the chunk; of members planned before, what was noted then stays."""
    if chunk["state"] != "planned":
        counts = {OUTCOMES[mark]: plan.marks.count(mark) for mark in OUTCOMES}
        chunk |= {
            "marks": "".join(plan.marks),
            "details": plan.details,
            "counts": {name: count for name, count in {**plan.counts, **counts}.items() if count},
            "guardians": [one for one in plan.created if one in plan.guardians],
        }
    noted = {each["member"]: each for each in chunk["changed"]}
    for member, change in plan.changed.items():
        noted[member] = {
            "member": member,
            "version": change.version + 1,
            "fields": [[name, *values] for name, values in change.fields().items()],
            "standing": [
                change.before["standing"],
                change.member.record["standing"],
                sorted(held_before(change.before)),
            ],
        }
    chunk["changed"] = list(noted.values())
    told = [detail["member"] for detail in chunk["details"] if detail.get("changes")]
    chunk["touched"] = list(dict.fromkeys((*noted, *told)))


def _standing_changes(plan: Plan, chunk: Mapping[str, Any], origin: Origin) -> list[dict[str, Any]]:
    """One for all who begin alike, one for each who was known before."""
    cause = f"import:{origin.id}"
    alike: dict[tuple[str, ...], list[str]] = {}
    for member, record in plan.created.items():
        alike.setdefault(tuple(record["standing"]), []).append(member)
    changes = [standing_change_alike(new, [], standing, (), cause, origin.at) for standing, new in alike.items()]
    for each in chunk["changed"]:
        was, now, held = each["standing"]
        if was != now:
            changes.append(standing_change_alike([each["member"]], was, now, held, cause, origin.at))
    return changes
