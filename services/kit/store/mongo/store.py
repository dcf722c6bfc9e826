"""The distributed engine of the store: one MongoDB database per service, for as many processes as are wanted.

``indexes`` derives what a collection has, ``rules`` turns rules into filters, ``patching`` patches into updates,
``writing`` tells which writes took place; here they meet the port.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pymongo.errors import BulkWriteError

from services.kit.errors import Invalid
from services.kit.scope import EVERY_AGENCY, Scope
from services.kit.store.checks import check_scope, key_of, version_of
from services.kit.store.documents import collection_name, left_alone
from services.kit.store.encoding import column_value, found_at
from services.kit.store.mongo.connection import connect, troubles
from services.kit.store.mongo.indexes import bring_up_to_date, orders_of, scalars_of
from services.kit.store.mongo.pages import Pages
from services.kit.store.mongo.patching import Patching
from services.kit.store.mongo.rules import Compiler, Filter, all_of
from services.kit.store.mongo.values import ESCAPED, loaded, stored_document
from services.kit.store.mongo.writing import BLOCKER, DUPLICATE, Raw, failures, prepare, update
from services.kit.store.port import BY_ID, PAGE_LIMIT, Document, Order, Page, Patch
from services.kit.store.rule import EVERYTHING, Rule

_ASKED_AT_ONCE = 10_000  # ids in one filter
_KEPT = ("_id", "agency", "community", "version")


class MongoStore:
    """The documents of one service in one database."""

    def __init__(self, address: str, document_classes: Sequence[type]) -> None:
        """Raises Invalid for an address that is none, Unavailable where MongoDB does not answer."""
        self._database = connect(address)
        self._collections = {
            each: MongoCollection(self._database[collection_name(each)], each) for each in document_classes
        }
        with troubles(self._database.name):
            for each in self._collections.values():
                each.prepare()

    def collection(self, document_class: type) -> MongoCollection:
        """Raises Invalid for a class that was not named when the store was opened."""
        try:
            return self._collections[document_class]
        except KeyError:
            raise Invalid(
                f"The store was opened without {document_class.__name__}: name it there.", field="document_class"
            ) from None

    def close(self) -> None:
        self._database.client.close()


class MongoCollection:
    """The documents of one class; ``port.Collection`` says what each call promises."""

    def __init__(self, collection: Raw, document_class: type) -> None:
        self._collection = collection
        self._class = document_class
        self._scalars = [(path, tuple(path.split("."))) for path in scalars_of(document_class)]
        self._left_alone = frozenset(left_alone(document_class))
        declared = frozenset(document_class._fields) - self._left_alone  # type: ignore[attr-defined] # mongoengine's own word
        self._replaceable = (declared | {ESCAPED}) - {*_KEPT}
        self._compiler = Compiler(document_class)
        self._patching = Patching(collection, scalars_of(document_class))
        self._pages = Pages(collection, self._compiler, orders_of(document_class))

    def prepare(self) -> None:
        """Make what is missing in the database."""
        prepare(self._collection)
        bring_up_to_date(self._collection, self._class)

    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Document]:
        within = _within(scope)
        if within is None:
            return {}
        found: dict[str, Document] = {}
        with self._troubles():
            for at in range(0, len(ids), _ASKED_AT_ONCE):
                asked = [an_id for an_id in ids[at : at + _ASKED_AT_ONCE] if an_id != BLOCKER]
                rows = self._collection.find({**within, "_id": {"$in": asked}})
                found |= {row["_id"]: loaded(row) for row in rows}
        return found

    def insert(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        if not documents:
            return set()
        check_scope(scope, documents)
        rows = []
        for document in documents:
            document["version"] = 1
            # the version comes first: a server that sent half of a change would send an old version, which is refused
            rows.append(self._stored({"_id": key_of(document), "version": 1, **document}))
        taken: set[int] = set()
        with self._troubles():
            try:
                self._collection.insert_many(rows, ordered=False)
            except BulkWriteError as error:
                if error.details.get("writeConcernErrors") or any(
                    each["code"] != DUPLICATE for each in error.details["writeErrors"]
                ):
                    raise
                taken = {each["index"] for each in error.details["writeErrors"]}
        return {row["_id"] for at, row in enumerate(rows) if at not in taken}

    def replace(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        if not documents:
            return set()
        check_scope(scope, documents)
        writes = [self._replacement(document) for document in documents]
        with self._troubles():
            failed = failures(self._collection, writes)
        done = {document["_id"] for at, document in enumerate(documents) if at not in failed}
        for document in documents:
            if document["_id"] in done:
                document["version"] += 1
        return done

    def _replacement(self, document: Document) -> Any:
        version, key = version_of(document), key_of(document)
        kept = self._stored({name: each for name, each in document.items() if name not in self._left_alone})
        found = {"_id": key, "version": version, "agency": kept["agency"], "community": kept.get("community")}
        setting = {name: value for name, value in kept.items() if name not in _KEPT} | {"version": version + 1}
        gone = dict.fromkeys(self._replaceable - kept.keys(), "")
        return update(found, {"$set": setting, "$unset": gone} if gone else {"$set": setting})

    def patch(self, scope: Scope, patches: Sequence[Patch]) -> set[str]:
        within = _within(scope)
        for each in patches:
            self._patching.check(each)
        if within is None or not patches:
            return set()
        with self._troubles():
            return self._patching.apply(within, patches)

    def delete(self, scope: Scope, ids: Sequence[str]) -> set[str]:
        within = _within(scope)
        asked = [an_id for an_id in dict.fromkeys(ids) if an_id != BLOCKER]
        if within is None or not asked:
            return set()
        with self._troubles():
            if len(asked) == 1:
                return set(asked) if self._collection.delete_one({**within, "_id": asked[0]}).deleted_count else set()
            there = [row["_id"] for row in self._collection.find({**within, "_id": {"$in": asked}}, ["_id"])]
            self._collection.delete_many({**within, "_id": {"$in": there}})
        return set(there)

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
        if not 0 < limit <= PAGE_LIMIT:
            raise Invalid(f"A page holds 1 to {PAGE_LIMIT} documents.", field="limit")
        reading = self._pages.reading(rule, order, fields)
        place = reading.place(after)
        within = _within(scope)
        if within is None:
            return Page([], None)
        with self._troubles():
            rows = reading.rows(within, place, limit + 1)
        following = reading.cursor(rows[limit - 1]) if len(rows) > limit else None
        return Page(reading.documents(rows[:limit]), following)

    def stream(
        self,
        scope: Scope,
        rule: Rule = EVERYTHING,
        *,
        page: int = 1_000,
        after: str = "",
        fields: Sequence[str] | None = None,
    ) -> Iterator[list[Document]]:
        reading = self._pages.reading(rule, BY_ID, fields)
        within = _within(scope)
        behind = after
        while within is not None:
            with self._troubles():
                rows = reading.rows(within, (None, behind) if behind else None, page)
            if rows:
                behind = rows[-1]["_id"]
                yield reading.documents(rows)
            if len(rows) < page:
                return

    def count(self, scope: Scope, rule: Rule = EVERYTHING) -> int:
        within = _within(scope)
        if within is None:
            return 0
        everywhere: Filter = {} if "agency" in within else {"_id": {"$gt": BLOCKER}}
        with self._troubles():
            return self._collection.count_documents(all_of([within, everywhere, self._compiler.filter(rule)]))

    def _stored(self, document: Document) -> Document:
        kept = stored_document(document)
        for path, parts in self._scalars:
            column_value(found_at(kept, parts), path)
        return kept

    def _troubles(self) -> AbstractContextManager[None]:
        return troubles(self._collection.database.name)


def _within(scope: Scope) -> Filter | None:
    """What the scope may see, as a filter; None for nothing."""
    within: Filter = {} if scope.agency == EVERY_AGENCY else {"agency": scope.agency}
    if scope.communities is None:
        return within
    communities = sorted(each for each in scope.communities if each)
    if not communities:
        return None
    return within | {"community": communities[0] if len(communities) == 1 else {"$in": communities}}
