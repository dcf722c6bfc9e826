"""Imports over gRPC: the contract's words and the domain's, one line each way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fanfare.access.v1 import page_pb2
from fanfare.members.v1 import import_pb2 as messages
from fanfare.members.v1 import import_service_pb2 as calls
from services.kit.clock import SECOND
from services.kit.errors import Invalid
from services.kit.rpc.server import Caller
from services.kit.store.port import PAGE_LIMIT
from services.members.domain.importing import mapping as m
from services.members.domain.importing.job import COUNTS, Import
from services.members.domain.importing.reading import Format
from services.members.domain.importing.refusals import explain, refuses
from services.members.domain.importing.undoing import LEFT_BECAUSE
from services.members.use_cases import importing, showing_imports
from services.members.use_cases.imports_room import Imports


class ImportApi:
    """`ImportService`."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    def UploadFile(self, request: Iterator[calls.UploadFileRequest], caller: Caller) -> calls.UploadFileResponse:
        first = next(request, None)
        if first is None:
            raise Invalid("Send the file.", field="data")
        scope = caller.in_community(first.community)
        pieces = (piece.data for piece in _begun(first, request))
        file, size = importing.upload_file(self._imports, scope, first.community, pieces)
        return calls.UploadFileResponse(file=file, size=size)

    def GuessMapping(self, request: calls.GuessMappingRequest, caller: Caller) -> calls.GuessMappingResponse:
        scope = caller.in_community(request.community)
        found = importing.guess(
            self._imports, scope, request.community, request.file, request.encoding, request.delimiter
        )
        return calls.GuessMappingResponse(
            format=_said_format(found.format),
            mapping=said_mapping(found.mapping),
            sample=[calls.SampleRow(cells=cells) for cells in found.sample],
        )

    def SaveMapping(self, request: calls.SaveMappingRequest, caller: Caller) -> calls.SaveMappingResponse:
        scope = caller.in_community(request.community)
        saved = importing.save_mapping(
            self._imports, scope, request.community, request.name, heard_mapping(request.mapping)
        )
        return calls.SaveMappingResponse(saved=_said_saved(saved))

    def ListMappings(self, request: calls.ListMappingsRequest, caller: Caller) -> calls.ListMappingsResponse:
        scope = caller.in_community(request.community)
        page = importing.list_mappings(self._imports, scope, request.community, *_page(request.page))
        return calls.ListMappingsResponse(mappings=map(_said_saved, page.documents), next=page.next or "")

    def DryRunImport(self, request: calls.DryRunImportRequest, caller: Caller) -> calls.DryRunImportResponse:
        return calls.DryRunImportResponse(**{"import": self._start(request, caller, dry_run=True)})

    def StartImport(self, request: calls.StartImportRequest, caller: Caller) -> calls.StartImportResponse:
        return calls.StartImportResponse(**{"import": self._start(request, caller, dry_run=False)})

    def _start(
        self, request: calls.DryRunImportRequest | calls.StartImportRequest, caller: Caller, *, dry_run: bool
    ) -> messages.Import:
        order = importing.ImportOrder(
            file=request.file,
            file_name=request.file_name,
            encoding=request.encoding,
            delimiter=request.delimiter,
            mapping=heard_mapping(request.mapping) if request.HasField("mapping") else None,
            mapping_name=request.mapping_name,
        )
        scope = caller.in_community(request.community)
        return said_import(importing.start_import(self._imports, scope, request.community, order, dry_run=dry_run))

    def GetImport(self, request: calls.GetImportRequest, caller: Caller) -> calls.GetImportResponse:
        job = importing.get_import(self._imports, caller.scope, _import(request))
        return calls.GetImportResponse(**{"import": said_import(job)})

    def ListImports(self, request: calls.ListImportsRequest, caller: Caller) -> calls.ListImportsResponse:
        scope = caller.in_community(request.community)
        page = importing.list_imports(self._imports, scope, request.community, *_page(request.page))
        return calls.ListImportsResponse(
            imports=[said_import(Import(document)) for document in page.documents], next=page.next or ""
        )

    def ListImportRows(self, request: calls.ListImportRowsRequest, caller: Caller) -> calls.ListImportRowsResponse:
        rows, following = showing_imports.list_import_rows(
            self._imports, caller.scope, _import(request), request.outcomes, *_page(request.page)
        )
        return calls.ListImportRowsResponse(rows=map(_said_row, rows), next=following or "")

    def PauseImport(self, request: calls.PauseImportRequest, caller: Caller) -> calls.PauseImportResponse:
        job = importing.pause_import(self._imports, caller.scope, _import(request))
        return calls.PauseImportResponse(**{"import": said_import(job)})

    def ResumeImport(self, request: calls.ResumeImportRequest, caller: Caller) -> calls.ResumeImportResponse:
        job = importing.resume_import(self._imports, caller.scope, _import(request))
        return calls.ResumeImportResponse(**{"import": said_import(job)})

    def CancelImport(self, request: calls.CancelImportRequest, caller: Caller) -> calls.CancelImportResponse:
        job = importing.cancel_import(self._imports, caller.scope, _import(request))
        return calls.CancelImportResponse(**{"import": said_import(job)})

    def UndoImport(self, request: calls.UndoImportRequest, caller: Caller) -> calls.UndoImportResponse:
        job = importing.undo_import(
            self._imports, caller.scope, _import(request), objections_too=request.objections_too
        )
        return calls.UndoImportResponse(**{"import": said_import(job)})

    def ListUndoLeft(self, request: calls.ListUndoLeftRequest, caller: Caller) -> calls.ListUndoLeftResponse:
        left, following = showing_imports.list_undo_left(
            self._imports, caller.scope, _import(request), *_page(request.page)
        )
        return calls.ListUndoLeftResponse(
            left=[
                messages.UndoLeft(
                    member=one.member,
                    code=one.code,
                    message=messages.LocalText(**LEFT_BECAUSE[one.code]),
                    fields=one.fields,
                )
                for one in left
            ],
            next=following or "",
        )


def _import(request: Any) -> str:
    """The contract's field is a word that Python keeps for itself."""
    return str(getattr(request, "import"))


def _begun(
    first: calls.UploadFileRequest, others: Iterable[calls.UploadFileRequest]
) -> Iterator[calls.UploadFileRequest]:
    yield first
    yield from others


def _page(page: page_pb2.PageRequest) -> tuple[int, str | None]:
    if not 0 <= page.size <= PAGE_LIMIT:
        raise Invalid(f"A page has at most {PAGE_LIMIT} entries.", field="page.size")
    return page.size or 50, page.after or None


# Imports


def said_import(job: Import) -> messages.Import:
    record, progress, undo = job.record, job.record["progress"], job.record["undo_progress"]
    problem = record["problem"] or {}
    return messages.Import(
        id=job.id,
        agency=record["agency"],
        community=record["community"],
        version=record["version"],
        dry_run=job.dry_run,
        state=job.state,
        file=record["file"],
        file_name=record["file_name"],
        format=_said_format(job.format),
        mapping=said_mapping(job.mapping),
        by=record["by"],
        asked_at=record["asked_at"],
        began_at=record["began_at"] or 0,
        ended_at=record["ended_at"] or 0,
        progress=messages.ImportProgress(
            rows_total=record["rows"] or 0,
            rows_done=progress.get("rows", 0),
            rows_per_second=_rate(record, progress),
            **{name: progress.get(name, 0) for name in COUNTS},
        ),
        problem_reason=problem.get("reason", ""),
        problem=problem.get("message", ""),
        undo=messages.UndoProgress(**{name: undo.get(name, 0) for name in ("removed", "restored", "left")}),
    )


def _rate(record: Mapping[str, Any], progress: Mapping[str, Any]) -> float:
    """Rows a second since it began; pauses count."""
    if not record["began_at"] or not progress.get("rows"):
        return 0.0
    took = max(int(progress["at"]) - int(record["began_at"]), 1)
    return round(int(progress["rows"]) * SECOND / took, 1)


def _said_format(file_format: Format) -> messages.FileFormat:
    return messages.FileFormat(
        encoding=file_format.encoding,
        delimiter=file_format.delimiter,
        header_row=file_format.header_row,
        headings=file_format.headings,
    )


def _said_saved(document: Mapping[str, Any]) -> messages.SavedMapping:
    return messages.SavedMapping(
        id=document["_id"],
        name=document["name"],
        mapping=said_mapping(m.mapping_from(document["mapping"])),
        saved_at=document["saved_at"],
        saved_by=document["saved_by"],
    )


def _said_row(row: showing_imports.ShownRow) -> messages.ImportRow:
    return messages.ImportRow(
        row=row.row,
        outcome=row.outcome,
        member=row.member,
        display_name=row.display_name,
        addresses=row.addresses,
        findings=[_said_finding(*finding) for finding in row.findings],
        changes=[
            messages.FieldChange(field=name, before=_text(before), after=_text(after))
            for name, before, after in row.changes
        ],
        permissions=[messages.RowPermission(**said) for said in row.permissions],
    )


def _said_finding(field: str, code: str, params: Mapping[str, str]) -> messages.RowFinding:
    in_french, in_english = explain(code, "fr", params), explain(code, "en", params)
    return messages.RowFinding(
        field=field,
        code=code,
        refused=refuses(code),
        message=messages.LocalText(fr=in_french[0], en=in_english[0]),
        remedy=messages.LocalText(fr=in_french[1], en=in_english[1]),
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# Mappings


def said_mapping(mapping: m.Mapping) -> messages.ImportMapping:
    declared = mapping.declaration
    return messages.ImportMapping(
        columns=[
            messages.MappingColumn(
                heading=column.heading,
                target=column.target,
                key=column.key,
                name=column.name,
                words=_said_words(column.words),
                separators=column.separators,
                date_order=column.date_order,
                decimal=column.decimal,
            )
            for column in mapping.columns
        ],
        permissions=[
            messages.PermissionColumns(
                purposes=columns.purposes,
                channel=columns.channel,
                heading=columns.heading,
                words=_said_words(columns.words),
                at_heading=columns.at_heading,
                date_order=columns.date_order,
                detail_heading=columns.detail_heading,
                wording=columns.wording,
                refuses=columns.refuses,
                effect=columns.effect,
            )
            for columns in mapping.permissions
        ],
        identity=mapping.identity,
        households=mapping.households,
        tool=mapping.tool,
        declaration=_said_declaration(declared) if declared else None,
        relation=mapping.relation,
        tags=mapping.tags,
        source=mapping.source,
        presence=mapping.presence,
    )


def _said_declaration(declared: m.Declaration) -> messages.Declaration:
    return messages.Declaration(
        purposes=declared.purposes,
        channels=declared.channels,
        basis=declared.basis,
        evidence=declared.evidence,
        at=declared.at,
    )


def heard_mapping(said: messages.ImportMapping) -> m.Mapping:
    """The mapping as the domain has it; ``check_mapping`` judges it."""
    declared = said.declaration
    document = {
        "columns": [
            {
                "heading": column.heading,
                "target": column.target or "ignore",
                "key": column.key,
                "name": column.name,
                "words": _heard_words(column.words),
                "separators": column.separators or ",;|",
                "date_order": column.date_order or "dmy",
                "decimal": column.decimal or ",",
            }
            for column in said.columns
        ],
        "permissions": [
            {
                "purposes": list(columns.purposes),
                "channel": columns.channel or "email",
                "heading": columns.heading,
                "words": _heard_words(columns.words),
                "at_heading": columns.at_heading,
                "date_order": columns.date_order or "dmy",
                "detail_heading": columns.detail_heading,
                "wording": columns.wording,
                "refuses": list(columns.refuses),
                "effect": columns.effect or "consent",
            }
            for columns in said.permissions
        ],
        "identity": said.identity or "email",
        "households": said.households,
        "tool": said.tool,
        "declaration": {
            "purposes": list(declared.purposes),
            "channels": list(declared.channels),
            "basis": declared.basis,
            "evidence": declared.evidence,
            "at": declared.at,
        }
        if said.HasField("declaration")
        else None,
        "relation": said.relation,
        "tags": list(said.tags),
        "source": said.source,
        "presence": said.presence or "voluntary",
    }
    return m.mapping_from(document)


def _said_words(words: Mapping[str, str]) -> list[messages.WordMeaning]:
    return [messages.WordMeaning(word=word, meaning=meaning) for word, meaning in words.items()]


def _heard_words(words: Sequence[messages.WordMeaning]) -> list[list[str]]:
    return [[each.word, each.meaning] for each in words]
