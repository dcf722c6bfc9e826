"""Imports: lists guessed, rehearsed, brought in, and taken back. Files come through ``POST /v1/files``."""

from __future__ import annotations

from fanfare.members.v1 import import_pb2, import_service_pb2
from services.gateway.asking import BATCHES, one_by_one
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import answer_to, by_id, listing, one


class Import(Mirror):
    class Meta:
        message = import_pb2.Import
        hide = ("agency",)
        interfaces = (Node,)

    community = one("community", "Community")
    rows = listing("ImportService.ListImportRows", "ImportRow", parent="import")
    undo_left = listing("ImportService.ListUndoLeft", "UndoLeft", parent="import")


class ImportRow(Mirror):
    class Meta:
        message = import_pb2.ImportRow

    member = one("member", "Member", "Null where the row was refused, and in a dry run for who would be created.")


class UndoLeft(Mirror):
    class Meta:
        message = import_pb2.UndoLeft

    member = one("member", "Member")


class SavedMapping(Mirror):
    class Meta:
        message = import_pb2.SavedMapping


class GuessedMapping(Mirror):
    """How a file is written, what its columns most likely mean, and its first rows."""

    class Meta:
        message = import_service_pb2.GuessMappingResponse


KINDS["imp"] = "Import"
BATCHES["Import"] = one_by_one("ImportService.GetImport")

QUERIES = {
    "imports": listing("ImportService.ListImports", "Import", required=("community",)),
    "import": by_id("Import", "One import; ask again to see it proceed."),
    "mappings": listing(
        "ImportService.ListMappings", "SavedMapping", "Mappings saved for the next list.", required=("community",)
    ),
    "guessMapping": answer_to("ImportService.GuessMapping", required=("community", "file")),
}

MUTATIONS = {
    "saveMapping": act("ImportService.SaveMapping", required=("community", "name", "mapping")),
    "dryRunImport": act("ImportService.DryRunImport", required=("community", "file")),
    "startImport": act("ImportService.StartImport", required=("community", "file")),
    "pauseImport": act("ImportService.PauseImport", required=("import",)),
    "resumeImport": act("ImportService.ResumeImport", required=("import",)),
    "cancelImport": act("ImportService.CancelImport", required=("import",)),
    "undoImport": act("ImportService.UndoImport", required=("import",)),
}
