"""Bringing a list into a community: upload, map, rehearse, start, follow, stop, undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from services.kit.clock import DAY
from services.kit.errors import Conflict, Invalid, NotFound
from services.kit.scope import Scope, everywhere, stored_scope
from services.kit.store.port import Document, Order, Page
from services.kit.store.rule import And, Equals, In
from services.members.domain.importing import reading
from services.members.domain.importing.folding import fold
from services.members.domain.importing.guessing import guess_mapping
from services.members.domain.importing.job import PAUSED, Import, new_import
from services.members.domain.importing.mapping import Mapping as ListMapping
from services.members.domain.importing.mapping import MappingWrong, check_mapping, mapping_document, mapping_from
from services.members.domain.importing.plan import fingerprint
from services.members.domain.importing.reading import Format
from services.members.domain.limits import LONGEST, within
from services.members.domain.values import tidy
from services.members.use_cases.imports_room import Imports, UnknownFile, file_key
from services.members.use_cases.room import persistently

LARGEST_FILE = 1 << 30
PIECE_LIMIT = 1 << 20
KEPT = 7 * DAY  # of dry runs, and of files that nobody imported


class FileUsed(Conflict):
    """The file was used by an import: each upload is imported once."""

    reason = "file-used"

    def __init__(self, used_by: str) -> None:
        super().__init__(
            f"The import {used_by} used this file: look at that one, or upload the file again to import it anew.",
            field="file",
            used_by=used_by,
        )


class UnknownMapping(NotFound):
    """No mapping was saved under this name."""

    reason = "unknown-mapping"


@dataclass(frozen=True, slots=True)
class Guess:
    """How a file is written, what it most likely means, and its first rows."""

    format: Format
    mapping: ListMapping
    sample: list[list[str]]


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What an operator asks for: a file, and how to read it. Empty: found out, guessed."""

    file: str
    file_name: str = ""
    encoding: str = ""
    delimiter: str = ""
    mapping: ListMapping | None = None
    mapping_name: str = ""


# Files and mappings


def upload_file(imports: Imports, scope: Scope, community_id: str, pieces: Iterable[bytes]) -> tuple[str, int]:
    """Keep a file; its id and size. Raises Invalid for a piece, Exhausted for a file, that is too large."""
    imports.room.community(scope, community_id)
    file = imports.room.ids.new("fil")
    stored = imports.files.write(scope, community_id, file_key(file), _bounded(pieces), most=LARGEST_FILE)
    return file, stored.size


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) > PIECE_LIMIT:
            raise Invalid("Send the file in pieces of at most 1 MB.", field="data")
        yield piece


def guess(
    imports: Imports, scope: Scope, community_id: str, file: str, encoding: str = "", delimiter: str = ""
) -> Guess:
    """Raises FileUnreadable where the file as a whole cannot be read."""
    community = imports.room.community(scope, community_id)
    opened = _opener(imports, scope, community_id, file)
    _check_format(encoding, delimiter)
    found = reading.examine(opened, encoding=encoding, delimiter=delimiter)
    sample = reading.sample_rows(opened, found)
    return Guess(found, guess_mapping(community, found.headings, sample), sample[:20])


def save_mapping(imports: Imports, scope: Scope, community_id: str, name: str, mapping: ListMapping) -> Document:
    """Keep a mapping under a name; one of the same name is replaced. Raises MappingWrong."""
    community = imports.room.community(scope, community_id)
    name = within(tidy(name), "label", "name")
    if not fold(name):
        raise Invalid("Give the mapping a name.", field="name")
    check_mapping(mapping, community, [column.heading for column in mapping.columns])
    made: Document = {
        "_id": f"{community_id}:{fold(name)}",
        "agency": community.agency,
        "community": community_id,
        "schema_version": 1,
        "name": name,
        "mapping": mapping_document(mapping),
        "saved_at": imports.room.clock.now(),
        "saved_by": scope.actor,
    }

    def attempt() -> Document | None:
        known = imports.mappings.get(scope, [made["_id"]]).get(made["_id"])
        if known is None:
            return made if imports.mappings.insert(scope, [made]) else None
        saved = known | made
        return saved if imports.mappings.replace(scope, [saved]) else None

    return persistently(attempt, "mapping")


def list_mappings(imports: Imports, scope: Scope, community_id: str, size: int, after: str | None) -> Page:
    imports.room.community(scope, community_id)
    return imports.mappings.find(scope.within(community_id), order=Order("name"), limit=size, after=after)


# Imports


def start_import(imports: Imports, scope: Scope, community_id: str, order: ImportOrder, *, dry_run: bool) -> Import:
    """Check file and mapping, and have a worker do the rest; the same order for a file that is being or was imported
    answers with that import. Raises FileUnreadable, FileUsed, MappingWrong, UnknownMapping."""
    room = imports.room
    community = room.community(scope, community_id)
    used = None if dry_run else _import_of(imports, scope, community_id, order.file)
    if used is not None and used.stands:
        return _the_same(used, order)
    guessed = guess(imports, scope, community_id, order.file, order.encoding, order.delimiter)
    mapping = order.mapping or _saved(imports, scope, community_id, order.mapping_name) or guessed.mapping
    if mapping.declaration and not mapping.declaration.at:
        mapping = replace(mapping, declaration=replace(mapping.declaration, at=room.clock.now()))
    mapping = _of_this_file(mapping, guessed.format)
    check_mapping(mapping, community, guessed.format.headings)
    if mapping.declaration and mapping.declaration.at > room.clock.now():
        raise MappingWrong("This instant has not come: correct it.", field="mapping.declaration.at")
    record = new_import(
        import_id=room.ids.new("imp") if dry_run or used else f"imp{order.file.removeprefix('fil')}",
        agency=community.agency,
        community=community_id,
        actor=scope.actor,
        file=order.file,
        asked=_asked(order),
        file_name=tidy(order.file_name)[: LONGEST["label"]],
        file_format=guessed.format,
        mapping=mapping,
        dry_run=dry_run,
        now=room.clock.now(),
        chunk_rows=imports.chunk_rows,
    )
    if not imports.imports.insert(scope, [record]):  # somebody was quicker
        return _the_same(imports.load(scope, record["_id"]), order)
    imports.wanted.set()
    return Import(record)


def _import_of(imports: Imports, scope: Scope, community_id: str, file: str) -> Import | None:
    """The latest import that used a file; rehearsals use none up."""
    rule = And((Equals("file", file), Equals("dry_run", False)))
    latest = Order("asked_at", descending=True)
    found = imports.imports.find(scope.within(community_id), rule, order=latest, limit=1).documents
    return Import(found[0]) if found else None


def _the_same(used: Import, order: ImportOrder) -> Import:
    """The import of a file, where it was ordered just so. Raises FileUsed."""
    if used.record["asked"] != _asked(order):
        raise FileUsed(used.id)
    return used


def _asked(order: ImportOrder) -> str:
    """Recognises an order that is given again; what a file is called changes nothing."""
    mapping = order.mapping and mapping_document(order.mapping)
    return fingerprint([order.file, order.encoding, order.delimiter, mapping, order.mapping_name])


def _saved(imports: Imports, scope: Scope, community_id: str, name: str) -> ListMapping | None:
    if not name:
        return None
    key = f"{community_id}:{fold(name)}"
    found = imports.mappings.get(scope, [key]).get(key)
    if found is None:
        raise UnknownMapping("No mapping was saved under this name.", field="mapping_name")
    return mapping_from(found["mapping"])


def _of_this_file(mapping: ListMapping, file_format: Format) -> ListMapping:
    """A saved mapping may ignore columns that this file does not have."""
    known = frozenset(file_format.headings)
    return replace(mapping, columns=tuple(c for c in mapping.columns if c.target != "ignore" or c.heading in known))


def get_import(imports: Imports, scope: Scope, import_id: str) -> Import:
    """Raises UnknownImport."""
    return imports.load(scope, import_id)


def list_imports(imports: Imports, scope: Scope, community_id: str, size: int, after: str | None) -> Page:
    imports.room.community(scope, community_id)
    newest = Order("asked_at", descending=True)
    return imports.imports.find(scope.within(community_id), order=newest, limit=size, after=after)


def pause_import(imports: Imports, scope: Scope, import_id: str) -> Import:
    """Stop behind the chunk under way."""
    return imports.change(scope, import_id, Import.pause)


def resume_import(imports: Imports, scope: Scope, import_id: str) -> Import:
    return _wanted(imports, scope, import_id, lambda job: job.resume(imports.room.clock.now()))


def cancel_import(imports: Imports, scope: Scope, import_id: str) -> Import:
    """Stop for good behind the chunk under way; what is done stays, and can be undone."""
    return imports.change(scope, import_id, lambda job: job.cancel(imports.room.clock.now()))


def undo_import(imports: Imports, scope: Scope, import_id: str, *, objections_too: bool) -> Import:
    """Take back what nothing later touched. Objections stay, unless the operator says otherwise."""
    now = imports.room.clock.now()
    return _wanted(imports, scope, import_id, lambda job: job.undo(scope.actor, objections_too=objections_too, now=now))


def _wanted(imports: Imports, scope: Scope, import_id: str, act: Callable[[Import], None]) -> Import:
    job = imports.change(scope, import_id, act)
    imports.wanted.set()
    return job


# Forgetting


def forget_in_imports(imports: Imports, scope: Scope, community_id: str, members: Sequence[str]) -> int:
    """Empty what chunks keep of erased members (values before and after); how many chunks held something."""
    rule = In("touched", tuple(members))
    gone = frozenset(members)
    emptied = 0
    for page in imports.chunks.stream(scope.within(community_id), rule):
        for chunk in page:
            persistently(lambda c=chunk: _emptied(imports, scope, c["_id"], gone), "import")  # type: ignore[misc] # bound now
            emptied += 1
    return emptied


def _emptied(imports: Imports, scope: Scope, key: str, gone: frozenset[str]) -> bool | None:
    chunk = imports.chunks.get(scope, [key]).get(key)
    if chunk is None:
        return True
    chunk["changed"] = [each for each in chunk["changed"] if each["member"] not in gone]
    chunk["touched"] = [member for member in chunk["touched"] if member not in gone]
    chunk["details"] = [
        {name: value for name, value in detail.items() if name != "changes"} if detail.get("member") in gone else detail
        for detail in chunk["details"]
    ]
    return bool(imports.chunks.replace(scope, [chunk])) or None


def sweep_imports(imports: Imports) -> int:
    """Remove dry runs of more than seven days, and files as old that no import still needs; how many."""
    everything = everywhere("service:members")
    before = imports.room.clock.now() - KEPT
    needed: set[str] = set()
    swept = 0
    for page in imports.imports.stream(everything):
        needed |= {file_key(job["file"]) for job in page if job["work"] or job["state"] == PAUSED}
        for job in page:
            if job["dry_run"] and job["asked_at"] < before and not job["work"]:
                _remove(imports, job)
                swept += 1
    for page in imports.room.communities.stream(everything, fields=("agency",)):
        for community in page:
            scope = stored_scope(community["agency"], community["_id"], "service:members")
            for stored in list(imports.files.list(scope, community["_id"], "imports/")):
                if stored.modified_at < before and stored.key not in needed:
                    imports.files.delete(scope, community["_id"], stored.key)
                    swept += 1
    return swept


def _remove(imports: Imports, job: Document) -> None:
    scope = stored_scope(job["agency"], job["community"], "service:members")
    for chunks in imports.chunks.stream(scope, Equals("import_id", job["_id"]), fields=()):
        imports.chunks.delete(scope, [chunk["_id"] for chunk in chunks])
    imports.imports.delete(scope, [job["_id"]])


def _opener(imports: Imports, scope: Scope, community_id: str, file: str) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        try:
            return imports.open_file(scope, community_id, file)
        except UnknownFile:
            used = _import_of(imports, scope, community_id, file)
            if used is not None:
                raise FileUsed(used.id) from None
            raise

    return opened


def _check_format(encoding: str, delimiter: str) -> None:
    if encoding and encoding not in reading.ENCODINGS:
        raise Invalid(f"An encoding is one of {', '.join(reading.ENCODINGS)}.", field="encoding")
    if delimiter and delimiter not in reading.DELIMITERS:
        raise Invalid("A delimiter is a comma, a semicolon, a tab or a bar.", field="delimiter")
