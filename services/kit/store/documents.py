"""What a room stores, declared once for every engine: schema and indexes, as mongoengine documents.

No connection is ever made through these classes: an engine reads ``_fields`` and ``meta``, and documents travel as
plain dicts. How to declare a kind of document::

    class AttributeDocument(mongoengine.EmbeddedDocument):
        key = mongoengine.StringField(required=True)
        value = mongoengine.DynamicField()

    class MemberDocument(AggregateDocument):
        SCHEMA_VERSION = 1
        tags = mongoengine.ListField(mongoengine.StringField())
        attributes = mongoengine.EmbeddedDocumentListField(AttributeDocument)
        external_id = mongoengine.StringField()
        engagement = mongoengine.EmbeddedDocumentField(EngagementDocument)

        meta: ClassVar = {
            "collection": "members",
            "indexes": [
                "engagement.last_open",                            # a scalar, dotted into embedded documents
                ("lifecycle", "joined_at"),                        # compound: equality first, then range or order
                "tags",                                            # a list of scalars, found by any element
                ("attributes.key", "attributes.value"),            # {key, value} documents, for Contains
            ],
            "everywhere": ["due"],                # across agencies, for schedulers; sparse
            "left_alone": ["engagement"],         # written by patches alone: replace keeps what is stored
        }

The convention:

- ``indexes`` holds paths and tuples of paths. Every index is prefixed by the community (for agency-wide documents: the
  agency) and ends with ``_id``, so that it serves rules and orders alike. ``_id`` alone needs no index.
- Only ``_id`` is unique: what else must be is the ``_id`` of a document of its own, a claim.
- All paths of one index lie in plain embedded documents, or all in the same list (of scalars, or of embedded
  documents). A list within an element is found by any of its elements.
- ``everywhere`` holds indexes of the same form without the prefix: what relays and schedulers look for in all
  agencies. They skip null.
- ``looked_up_only: True`` says that such documents are fetched by id alone (keys, claims); then no order by ``_id``
  within a community is kept, which nearly halves what an insert costs.
- ``left_alone`` names top-level fields that ``replace`` never overwrites: they belong to patches, which do not bump the
  version, so a replacement could otherwise undo one.
- A rule may name any path, indexed or not. A path declared as a scalar must hold one (or null); an indexed scalar is
  checked when it is written.
- What a document holds at its top level is declared: ``replace`` may keep what is not.
- ``mongoengine.fields`` of one name only: ``db_field`` is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import mongoengine
from mongoengine.base import BaseField
from mongoengine.errors import FieldDoesNotExist, ValidationError

from services.kit.errors import Invalid


class FanfareDocument(mongoengine.Document):
    """What every stored thing has: its key, its version, whose it is, and the schema it was written in."""

    SCHEMA_VERSION: ClassVar[int]

    _id = mongoengine.StringField(primary_key=True)
    version = mongoengine.IntField()
    agency = mongoengine.StringField(required=True)
    community = mongoengine.StringField()  # null: agency-wide
    schema_version = mongoengine.IntField()

    meta: ClassVar[dict[str, Any]] = {"abstract": True, "auto_create_index": False}


class AggregateDocument(FanfareDocument):
    """A document that events happen to; ``services.kit.outbox`` says what its three fields are for."""

    outbox = mongoengine.ListField(mongoengine.DictField())
    pending = mongoengine.IntField()  # UTC ms; null or 0: nothing waits
    event_sequence = mongoengine.IntField()

    meta: ClassVar[dict[str, Any]] = {"abstract": True}


@dataclass(frozen=True, slots=True)
class Index:
    """One declared index. ``through`` is the list its paths lie in (None: none), and ``paths`` then start at the
    element; the path ``""`` is the element itself."""

    paths: tuple[str, ...]
    through: str | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: ``through`` a list to ``rest`` (``""``: the element), or straight there.

    ``scalar``: what stands there is declared to be one value; ``elements``: it is a list of documents of ``kind``.
    """

    through: str | None
    rest: str
    scalar: bool


def collection_name(document_class: type) -> str:
    name: str = document_class._get_collection_name()  # type: ignore[attr-defined] # mongoengine's own word
    return name


def indexes_of(document_class: type) -> tuple[Index, ...]:
    """Every index the class declares. Raises Invalid."""
    meta: Mapping[str, Any] = document_class._meta  # type: ignore[attr-defined]
    fields: Mapping[str, BaseField] = document_class._fields  # type: ignore[attr-defined]
    if any(each.unique and not each.primary_key for each in fields.values()):
        raise Invalid(f"{collection_name(document_class)} declares a unique field; only _id is.", field="indexes")
    found = [_index(document_class, spec, everywhere=False) for spec in meta.get("indexes") or ()]
    found += [_index(document_class, spec, everywhere=True) for spec in meta.get("everywhere") or ()]
    if issubclass(document_class, AggregateDocument):
        found.append(Index(("pending",), everywhere=True))
    return tuple(dict.fromkeys(index for index in found if index.paths != ("_id",)))


def left_alone(document_class: type) -> tuple[str, ...]:
    return tuple(document_class._meta.get("left_alone") or ())  # type: ignore[attr-defined]


def looked_up_only(document_class: type) -> bool:
    return bool(document_class._meta.get("looked_up_only"))  # type: ignore[attr-defined]


def place_of(document_class: type, path: str) -> Place | None:
    """Where a path leads by the declared fields; None where they do not say (dynamic, dict, undeclared, two lists)."""
    through: str | None = None
    rest: list[str] = []
    kind: type | None = document_class
    scalar = False
    parts = path.split(".")
    for depth, part in enumerate(parts):
        each = kind._fields.get(part) if kind is not None else None  # type: ignore[attr-defined]
        if each is None:
            return None
        rest.append(part)
        if isinstance(each, mongoengine.ListField):
            if through is not None:
                return Place(through, ".".join(rest), scalar=False) if depth == len(parts) - 1 else None
            through, rest = ".".join(parts[: depth + 1]), []
            each = each.field
        kind = each.document_type if isinstance(each, mongoengine.EmbeddedDocumentField) else None
        scalar = each is not None and kind is None and not isinstance(each, _OPEN_KINDS)
    return Place(through, ".".join(rest), scalar)


def kind_of(document_class: type | None, path: str) -> type | None:
    """The embedded document class declared at a path, lists of it included; None where none is."""
    kind = document_class
    for part in path.split("."):
        each = kind._fields.get(part) if kind is not None else None  # type: ignore[attr-defined]
        if isinstance(each, mongoengine.ListField):
            each = each.field
        kind = each.document_type if isinstance(each, mongoengine.EmbeddedDocumentField) else None
    return kind


_OPEN_KINDS = (
    mongoengine.DynamicField,
    mongoengine.DictField,
    mongoengine.ListField,
    mongoengine.GenericEmbeddedDocumentField,
)


def validate(document_class: type, document: Mapping[str, Any]) -> None:
    """Check a plain dict against its class. Raises Invalid naming the first field that is wrong."""
    try:
        document_class._from_son(dict(document), created=True).validate()  # type: ignore[attr-defined]
    except ValidationError as error:
        path, why = next(_leaves(error.to_dict()), ("", "is not as declared"))
        raise Invalid(f"The field {path} of {collection_name(document_class)}: {why}", field=path) from error
    except FieldDoesNotExist as error:
        known: Mapping[str, BaseField] = document_class._fields  # type: ignore[attr-defined]
        path = next((name for name in document if name not in known), "")
        raise Invalid(
            f"{collection_name(document_class)} declares no field {path or 'of such a name'}.", field=path
        ) from error


def _leaves(errors: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(errors, Mapping):
        for key, value in errors.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(errors)


def _index(document_class: type, spec: Any, *, everywhere: bool) -> Index:
    if isinstance(spec, Mapping):
        raise Invalid(
            f"An index of {collection_name(document_class)} is no path nor a tuple of paths; only _id is unique.",
            field="indexes",
        )
    paths = (spec,) if isinstance(spec, str) else tuple(spec)
    places = [place_of(document_class, path) for path in paths]
    where = f"The index ({', '.join(paths)}) of {collection_name(document_class)}"
    if any(place is None for place in places):
        raise Invalid(f"{where} names a path that the class does not declare.", field="indexes")
    through = {place.through for place in places if place}
    if len(through) != 1:
        raise Invalid(f"{where} mixes a list with what lies outside it: declare two indexes.", field="indexes")
    only = through.pop()
    if only is not None and everywhere:
        raise Invalid(f"{where} lies in a list; only scalars can be indexed everywhere.", field="indexes")
    if not all(place and (place.scalar or (place.through and place.rest)) for place in places):
        raise Invalid(f"{where} names a path that holds no scalar.", field="indexes")
    return Index(
        tuple(place.rest if only else path for place, path in zip(places, paths, strict=True) if place),
        only,
        everywhere,
    )
