"""A small room to try the kit's machinery in: its documents, and a store of its own on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mongoengine

from services.kit.scope import everywhere
from services.kit.store.documents import AggregateDocument
from services.kit.store.machinery import DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Collection, Store

SCOPE = everywhere("service:test")


class NoteDocument(AggregateDocument):
    SCHEMA_VERSION = 1
    text = mongoengine.StringField()

    meta = {"collection": "notes"}  # noqa: RUF012 # mongoengine's own form


class Room:
    """The collections of one test."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'room.sqlite'}"
        self.store: Store = open_store(self.url, [NoteDocument, LeaseDocument, DeadLetterDocument])
        self.notes: Collection = self.store.collection(NoteDocument)
        self.leases: Collection = self.store.collection(LeaseDocument)
        self.dead_letters: Collection = self.store.collection(DeadLetterDocument)

    def note(self, name: str) -> dict[str, Any]:
        return self.notes.get(SCOPE, [name])[name]


def new_note(name: str, community: str | None = "com_a") -> dict[str, Any]:
    return {"_id": name, "agency": "agy_a", "community": community, "version": 1, "schema_version": 1, "text": ""}
