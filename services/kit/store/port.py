"""The store port: what a room may ask of its documents, the same on every engine.

A document is a plain dict of JSON values (text without U+0000, integers within 64 bits, floats, booleans, null, lists,
dicts with text keys). Its key is ``_id``; ``version`` counts replacements from 1; ``agency`` and ``community`` (None:
agency-wide) say whose it is. Single documents are written atomically; several in one call are not one transaction.
Writes are durable when the call returns. Raises Unavailable when the engine is away, full or locked for too long, and
Invalid for what is no document, path or number. Paths are dotted; their parts hold no quotes, backslashes or control
characters. Only ``_id`` is unique. ``documents`` says how a kind of document and its indexes are declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.kit.scope import Scope
from services.kit.store.rule import EVERYTHING, Rule

Document = dict[str, Any]
PAGE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Order:
    """An order by one indexed field, then by ``_id`` the same way; nulls come first when ascending."""

    field: str = "_id"
    descending: bool = False


BY_ID = Order()


@dataclass(frozen=True, slots=True)
class Page:
    """Documents, and the cursor of the next page (None: this was the last). A cursor binds its rule and order."""

    documents: list[Document]
    next: str | None


@dataclass(frozen=True, slots=True)
class Push:
    """Append ``value`` to a list, which keeps its ``keep`` last elements."""

    value: Any
    keep: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Patch:
    """A change of some fields in place, which does not bump the version.

    Paths are dotted and lead through documents, not lists; what is missing or null on the way is made. ``set`` writes,
    ``inc`` adds to a number (missing: 0), ``max`` keeps the greater, ``pull`` takes out of a list of documents those
    whose ``_id`` is among the given, then ``push`` appends. No two changes may concern the same path, nor one below the
    other, except a pull and a push. With ``sequence`` = (path, number) the whole patch applies only
    where the number at the path is lower (missing: -1), and writes the number there: the same patch twice changes once.
    """

    id: str
    set: Mapping[str, Any] = field(default_factory=dict)
    inc: Mapping[str, int] = field(default_factory=dict)
    max: Mapping[str, int] = field(default_factory=dict)
    push: Mapping[str, Push] = field(default_factory=dict)
    pull: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sequence: tuple[str, int] | None = None


class Collection(Protocol):
    """One kind of document. What lies outside the scope is neither seen nor touched, as if it did not exist."""

    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Document]:
        """The documents of these ids that exist, by id."""

    def insert(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        """Insert those whose ``_id`` is free; returns the ids inserted, skipping the others.

        Sets ``version`` to 1. A document outside the scope raises Forbidden before anything is written.
        """

    def replace(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        """Replace each where the stored version is still the document's ``version``; returns the ids replaced.

        The version is raised by one, in the store and in the given dict. ``agency`` and ``community`` never change: a
        document that names others is not replaced. Fields that its class leaves alone (``left_alone``) stay as stored.
        """

    def patch(self, scope: Scope, patches: Sequence[Patch]) -> set[str]:
        """Apply each in turn where its guard allows; returns the ids changed."""

    def delete(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        """Remove for good; returns the ids removed. Of several ids, one that another removes at the same moment may be
        named to both; a single one is named to one."""

    def find(
        self,
        scope: Scope,
        rule: Rule = EVERYTHING,
        *,
        order: Order = BY_ID,
        limit: int = 50,
        after: str | None = None,
        fields: Sequence[str] | None = None,
    ) -> Page:
        """One page, of at most 200. ``fields`` (top level) makes light documents of those (null where missing) and
        ``_id``, ``version``. An order that no index of the class serves raises Invalid naming ``order``.

        A cursor of another rule or order raises Invalid naming ``after``.
        """

    def stream(
        self,
        scope: Scope,
        rule: Rule = EVERYTHING,
        *,
        page: int = 1_000,
        after: str = "",
        fields: Sequence[str] | None = None,
    ) -> Iterator[list[Document]]:
        """Every match in ``_id`` order from behind ``after`` (an id), a page of them at a time; no read transaction
        outlives a page."""

    def count(self, scope: Scope, rule: Rule = EVERYTHING) -> int: ...


class Store(Protocol):
    """The documents of one service. Collections are named by their mongoengine document class."""

    def collection(self, document_class: type) -> Collection: ...

    def close(self) -> None: ...
