"""Imports, their chunks, and saved mappings: documents and their indexes."""

from __future__ import annotations

from mongoengine import BooleanField, DictField, DynamicField, IntField, ListField, StringField

from services.kit.store.documents import AggregateDocument, FanfareDocument


class ImportDocument(AggregateDocument):
    """One import or dry run: file, format, mapping, state and progress. ``work``: since when a worker is wanted."""

    SCHEMA_VERSION = 1

    state = StringField()
    dry_run = BooleanField()
    file = StringField()
    asked = StringField()  # recognises the order that is given again
    file_name = StringField()
    encoding = StringField()
    delimiter = StringField()
    header_row = IntField()
    headings = ListField(StringField())
    mapping = DictField()
    by = StringField()
    asked_at = IntField()
    began_at = IntField()
    ended_at = IntField()
    chunk_rows = IntField()
    rows = IntField()
    chunks = IntField()
    problem = DictField()
    undo_by = StringField()
    undo_objections = BooleanField()
    progress = DictField()
    undo_progress = DictField()
    work = IntField()

    meta = {
        "collection": "imports",
        "indexes": ["asked_at", "file"],
        "everywhere": ["work", "asked_at"],
        "left_alone": ["progress", "undo_progress"],
    }


class ImportChunkDocument(AggregateDocument):
    """A stretch of rows: saved before anything is done, then what became of each row, one letter each."""

    SCHEMA_VERSION = 1

    import_id = StringField()
    number = IntField()
    first_row = IntField()
    last_row = IntField()
    links = ListField(DynamicField())
    state = StringField()
    marks = StringField()
    details = ListField(DictField())
    guardians = ListField(StringField())
    changed = ListField(DictField())
    touched = ListField(StringField())
    counts = DictField()
    undo = DictField()

    meta = {"collection": "import_chunks", "indexes": ["import_id", "touched"]}


class ImportMappingDocument(FanfareDocument):
    """A mapping saved under a name, for the next list of the same kind."""

    SCHEMA_VERSION = 1

    name = StringField()
    mapping = DictField()
    saved_at = IntField()
    saved_by = StringField()

    meta = {"collection": "import_mappings", "indexes": ["name"]}


DOCUMENTS = (ImportDocument, ImportChunkDocument, ImportMappingDocument)
