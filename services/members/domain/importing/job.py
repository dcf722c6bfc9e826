"""One import, or its rehearsal: what it reads, how far it is, and what may be done with it.

An import waits, is surveyed, runs chunk by chunk, may be paused, and ends finished, cancelled or failed; a finished or
cancelled one can be undone. A dry run goes the same way and writes no member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.kit.errors import Conflict
from services.members.domain.importing.mapping import Mapping as ListMapping
from services.members.domain.importing.mapping import mapping_document, mapping_from
from services.members.domain.importing.plan import Origin
from services.members.domain.importing.reading import Format

Record = dict[str, Any]

WAITING = "waiting"
RUNNING = "running"
PAUSED = "paused"
FINISHED = "finished"
CANCELLED = "cancelled"
FAILED = "failed"
UNDOING = "undoing"
UNDONE = "undone"

_STANDING = (WAITING, RUNNING, PAUSED, FINISHED)
_AT_WORK = (WAITING, RUNNING, UNDOING)
CHUNK_ROWS = 2_000

OUTCOMES: Mapping[str, str] = {"c": "created", "u": "changed", "l": "left", "r": "refused", "m": "merged"}
COUNTS = (
    "created",
    "changed",
    "left",
    "refused",
    "merged",
    "guardians",
    "fields_refused",
    "consents",
    "objections",
    "declared",
    "objections_standing",
)


class ImportNotThere(Conflict):
    """The import's state does not allow it."""

    reason = "import-state"


def new_import(
    *,
    import_id: str,
    agency: str,
    community: str,
    actor: str,
    file: str,
    asked: str,
    file_name: str,
    file_format: Format,
    mapping: ListMapping,
    dry_run: bool,
    now: int,
    chunk_rows: int,
) -> Record:
    """The record of an import that waits for a worker."""
    return {
        "_id": import_id,
        "agency": agency,
        "community": community,
        "schema_version": 1,
        "state": WAITING,
        "dry_run": dry_run,
        "file": file,
        "asked": asked,
        "file_name": file_name,
        "encoding": file_format.encoding,
        "delimiter": file_format.delimiter,
        "header_row": file_format.header_row,
        "headings": list(file_format.headings),
        "mapping": mapping_document(mapping),
        "by": actor,
        "asked_at": now,
        "began_at": None,
        "ended_at": None,
        "chunk_rows": chunk_rows,
        "rows": None,
        "chunks": None,
        "problem": None,
        "undo_by": "",
        "undo_objections": False,
        "progress": {},
        "undo_progress": {},
        "work": now,
        "outbox": [],
    }


class Import:
    """An import's record, and what may be done with it; whoever changes it saves it."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        self.record = record

    @property
    def id(self) -> str:
        return str(self.record["_id"])

    @property
    def state(self) -> str:
        return str(self.record["state"])

    @property
    def stands(self) -> bool:
        """It is being done, or is done; not ended before, nor taken back."""
        return self.state in _STANDING

    @property
    def dry_run(self) -> bool:
        return bool(self.record["dry_run"])

    @property
    def origin(self) -> Origin:
        return Origin(self.id, int(self.record["asked_at"]), str(self.record["by"]))

    @property
    def mapping(self) -> ListMapping:
        return mapping_from(self.record["mapping"])

    @property
    def format(self) -> Format:
        record = self.record
        return Format(record["encoding"], record["delimiter"], record["header_row"], tuple(record["headings"]))

    def begin(self, rows: int, now: int) -> None:
        """The file was surveyed, its chunks are saved."""
        self._expect(WAITING)
        size = int(self.record["chunk_rows"])
        self._go(RUNNING)
        self.record |= {"rows": rows, "chunks": -(-rows // size), "began_at": now}

    def pause(self) -> None:
        self._expect(WAITING, RUNNING)
        self._go(PAUSED)

    def resume(self, now: int) -> None:
        self._expect(PAUSED)
        self._go(WAITING if self.record["rows"] is None else RUNNING, now)

    def cancel(self, now: int) -> None:
        """What is done stays, and can be undone."""
        self._expect(WAITING, RUNNING, PAUSED)
        self._end(CANCELLED, now)

    def finish(self, now: int) -> None:
        self._expect(RUNNING)
        self._end(FINISHED, now)

    def fail(self, reason: str, message: str, now: int) -> None:
        self.record["problem"] = {"reason": reason, "message": message}
        self._end(FAILED, now)

    def undo(self, actor: str, *, objections_too: bool, now: int) -> None:
        """Take back what nothing later touched. Objections stay unless their operator says otherwise."""
        if self.dry_run:
            raise ImportNotThere("A dry run wrote nothing: there is nothing to undo.", field="import")
        self._expect(FINISHED, CANCELLED, FAILED)
        self._go(UNDOING, now)
        self.record |= {"undo_by": actor, "undo_objections": objections_too}

    def undone(self, now: int) -> None:
        self._expect(UNDOING)
        self._end(UNDONE, now)

    def _expect(self, *states: str) -> None:
        if self.state not in states:
            raise ImportNotThere(
                f"The import is {self.state}: this needs one that is {' or '.join(states)}.", field="import"
            )

    def _go(self, state: str, now: int = 0) -> None:
        self.record["state"] = state
        self.record["work"] = (now or self.record["work"] or self.record["asked_at"]) if state in _AT_WORK else None

    def _end(self, state: str, now: int) -> None:
        self._go(state)
        self.record["ended_at"] = now


def chunk_id(import_id: str, number: int) -> str:
    return f"{import_id}:{number:06d}"


def chunk_bounds(job: Record, number: int) -> tuple[int, int]:
    """The first and last row of a chunk, as a spreadsheet numbers them."""
    first = int(job["header_row"]) + 1 + number * int(job["chunk_rows"])
    last = min(first + int(job["chunk_rows"]) - 1, int(job["header_row"]) + int(job["rows"]))
    return first, last


def new_chunk(job: Record, number: int, links: list[list[Any]]) -> Record:
    """A chunk as it is saved before anything of it is done."""
    first, last = chunk_bounds(job, number)
    return {
        "_id": chunk_id(job["_id"], number),
        "agency": job["agency"],
        "community": job["community"],
        "schema_version": 1,
        "import_id": job["_id"],
        "number": number,
        "first_row": first,
        "last_row": last,
        "links": links,
        "state": "saved",
        "marks": "",
        "details": [],
        "guardians": [],
        "changed": [],
        "touched": [],
        "counts": {},
        "undo": None,
        "outbox": [],
    }
