"""What the use cases of imports work with, beside the room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from services.kit.errors import NotFound
from services.kit.files import Files
from services.kit.scope import Scope
from services.kit.store.port import Collection
from services.members.domain.importing.job import CHUNK_ROWS, Import
from services.members.use_cases.room import Room, persistently


@dataclass(frozen=True, slots=True)
class Imports:
    """The room, and what imports keep beside it."""

    room: Room
    imports: Collection
    chunks: Collection
    mappings: Collection
    leases: Collection
    files: Files
    chunk_rows: int = CHUNK_ROWS
    wanted: threading.Event = field(default_factory=threading.Event)

    def change(self, scope: Scope, import_id: str, act: Callable[[Import], None]) -> Import:
        """Load the import, let ``act`` change it, save it; again if somebody was quicker."""

        def attempt() -> Import | None:
            job = self.load(scope, import_id)
            act(job)
            return job if self.imports.replace(scope, [job.record]) else None

        return persistently(attempt, "import")

    def open_file(self, scope: Scope, community: str, file: str) -> BinaryIO:
        """The uploaded list, to read and to close. Raises UnknownFile."""
        try:
            return self.files.open(scope, community, file_key(file))
        except NotFound:
            raise UnknownFile from None

    def delete_file(self, scope: Scope, community: str, file: str) -> None:
        self.files.delete(scope, community, file_key(file))

    def load(self, scope: Scope, import_id: str) -> Import:
        """Raises UnknownImport."""
        found = self.imports.get(scope, [import_id]).get(import_id)
        if found is None:
            raise UnknownImport
        return Import(found)


class UnknownImport(NotFound):
    """There is no such import in the scope."""

    reason = "unknown-import"

    def __init__(self) -> None:
        super().__init__("There is no such import.", field="import")


class UnknownFile(NotFound):
    """No such file was uploaded to this community, or it was removed when its import ended."""

    reason = "unknown-file"

    def __init__(self) -> None:
        super().__init__("There is no such file: upload it again.", field="file")


def file_key(file: str) -> str:
    return f"imports/{file}"
