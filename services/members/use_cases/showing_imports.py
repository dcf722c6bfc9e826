"""What became, or would become, of each row: in pages, from the marks of the chunks.

Of rows that simply make somebody nothing is stored twice: their members are read from the store, or, in a dry run,
from the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.kit.errors import Invalid, NotFound
from services.kit.scope import Scope
from services.members.domain import permission
from services.members.domain.importing import reading
from services.members.domain.importing.draft import Draft
from services.members.domain.importing.job import OUTCOMES, Import, chunk_id
from services.members.domain.importing.plan import CREATED, REFUSED, entry_id
from services.members.domain.permission import Evidence, Grade, Record
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.reading import get_members
from services.members.use_cases.running_imports import interpreter_of

NOTED = "noted"
_CHUNKS_AT_ONCE = 10


@dataclass(slots=True)
class ShownRow:
    """One row: its outcome, whom it tells of, what was found, what changed, what it says of permission."""

    row: int
    outcome: str
    member: str = ""
    display_name: str = ""
    addresses: list[str] = field(default_factory=list)
    findings: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)
    permissions: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LeftMember:
    """Somebody whom undoing left, or left in part."""

    member: str
    code: str
    fields: list[str]


def list_import_rows(
    imports: Imports, scope: Scope, import_id: str, outcomes: Sequence[str], size: int, after: str | None
) -> tuple[list[ShownRow], str | None]:
    """A page of rows in the order of the file, and the cursor of the next. Raises Invalid for an unknown outcome."""
    unknown = [one for one in outcomes if one not in (*OUTCOMES.values(), NOTED)]
    if unknown:
        raise Invalid(f"An outcome is one of {', '.join(OUTCOMES.values())}, {NOTED}.", field="outcomes")
    job = imports.load(scope, import_id)
    wanted = frozenset(outcomes)
    found: list[ShownRow] = []
    for shown in _rows(imports, scope, job, wanted, _row_of(after)):
        if len(found) == size:
            _fill(imports, scope, job, found)
            return found, str(found[-1].row)
        found.append(shown)
    _fill(imports, scope, job, found)
    return found, None


def _row_of(after: str | None) -> int:
    if not after:
        return 0
    if not after.isdecimal():
        raise Invalid("This cursor is of another list.", field="after")
    return int(after)


def _rows(imports: Imports, scope: Scope, job: Import, wanted: frozenset[str], after: int) -> Iterator[ShownRow]:
    origin = job.origin
    for chunk in _chunks(imports, scope, job, after):
        details = {detail["row"]: detail for detail in chunk["details"]}
        for row, mark in enumerate(chunk["marks"], chunk["first_row"]):
            detail = details.get(row)
            noted = detail is not None and bool(detail.get("findings"))
            if row <= after or (wanted and OUTCOMES[mark] not in wanted and not (noted and NOTED in wanted)):
                continue
            shown = ShownRow(row, OUTCOMES[mark])
            if mark == CREATED and not job.dry_run:
                shown.member = origin.member(row)
            if detail is not None:
                shown.member = shown.member or detail.get("member", "")
                shown.findings = [(name, code, params) for name, code, params in detail.get("findings", ())]
                shown.changes = [(name, was, now) for name, was, now in detail.get("changes", ())]
            yield shown


def _chunks(imports: Imports, scope: Scope, job: Import, after: int) -> Iterator[Record]:
    """The chunks that hold rows behind ``after``, as far as they are decided."""
    count = int(job.record["chunks"] or 0)
    first = max(0, (after - int(job.record["header_row"])) // int(job.record["chunk_rows"]))
    for start in range(first, count, _CHUNKS_AT_ONCE):
        keys = [chunk_id(job.id, number) for number in range(start, min(start + _CHUNKS_AT_ONCE, count))]
        found = imports.chunks.get(scope, keys)
        yield from (found[key] for key in keys if key in found and found[key]["marks"])


def _fill(imports: Imports, scope: Scope, job: Import, rows: Sequence[ShownRow]) -> None:
    """Add who the rows tell of, and what they say of permission."""
    known = {shown.member: shown for shown in rows if shown.member}
    records = {record["_id"]: record for record in get_members(imports.room, scope, list(known))} if known else {}
    for shown in rows:
        record = records.get(shown.member)
        if record is not None:
            shown.display_name = record["display_name"]
            shown.addresses = [point["address"] for point in record["contact_points"]]
            shown.permissions = [_said(entry) for entry in record["ledger"] if _is_of(entry, job, shown.row)]
    if job.dry_run and job.record["file"]:
        _fill_from_file(imports, scope, job, {shown.row: shown for shown in rows if shown.outcome != OUTCOMES[REFUSED]})


def _is_of(entry: Record, job: Import, row: int) -> bool:
    own = job.origin.member(row)
    return any(entry["_id"] == entry_id(own, number) for number in range(16))


def _said(entry: Record) -> Record:
    objection = entry["act"] == permission.OBJECTION
    effect = "objection" if objection else ("declared" if entry.get("source") == "operator" else "consent")
    return {
        "purposes": entry["purposes"],
        "channel": next(iter(entry["channels"]), ""),
        "effect": effect,
        "evidence": Grade(entry["grade"]).word,
        "at": entry["at"] or 0,
    }


def _fill_from_file(imports: Imports, scope: Scope, job: Import, wanted: dict[int, ShownRow]) -> None:
    if not wanted:
        return
    interpreter = interpreter_of(imports, scope, job)
    last = max(wanted)
    try:
        stream = imports.open_file(scope, job.record["community"], job.record["file"])
    except NotFound:  # swept
        return
    with stream:
        for number, cells in reading.rows(stream, job.format, after=min(wanted) - 1):
            if number in wanted:
                _draw(wanted[number], interpreter.read(number, cells), job)
            if number >= last:
                break


def _draw(shown: ShownRow, draft: Draft, job: Import) -> None:
    shown.display_name = shown.display_name or draft.name()
    shown.addresses = shown.addresses or [*draft.emails, *draft.phones]
    now = job.origin.at
    shown.permissions = [
        {
            "purposes": list(act.purposes),
            "channel": act.channel,
            "effect": act.effect,
            "evidence": Evidence(act.wording, "import", act.at or None, permission.THE_MEMBER, act.detail)
            .grade(now)
            .word,
            "at": act.at,
        }
        for act in draft.acts
    ]
    declared = job.mapping.declaration
    if declared:
        shown.permissions += [
            {
                "purposes": list(declared.purposes),
                "channel": channel,
                "effect": "declared",
                "evidence": Grade.WEAK.word,
                "at": declared.at,
            }
            for channel in declared.channels
        ]


def list_undo_left(
    imports: Imports, scope: Scope, import_id: str, size: int, after: str | None
) -> tuple[list[LeftMember], str | None]:
    """Whom undoing left, or left in part, and why."""
    job = imports.load(scope, import_id)
    position = _row_of(after)
    found: list[LeftMember] = []
    seen = 0
    for chunk in _chunks(imports, scope, job, 0):
        for member, code, fields in (chunk["undo"] or {}).get("members", ()):
            seen += 1
            if seen > position:
                if len(found) == size:
                    return found, str(position + size)
                found.append(LeftMember(member, code, list(fields)))
    return found, None
