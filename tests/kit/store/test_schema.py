"""What a class declares is what the file has: derived once, grown with it, refused when it cannot be."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any, ClassVar

import mongoengine
import pytest

from services.kit.errors import Invalid
from services.kit.store.documents import FanfareDocument, Index, indexes_of, place_of, validate
from services.kit.store.opening import open_store
from services.kit.store.port import Order
from services.kit.store.rule import And, Contains, Equals
from services.kit.store.schema import table_of
from tests.contract.store_documents import Attribute, Counter, Engagement, Fan, fan
from tests.contract.store_engines import IN_CLUB


class Small(FanfareDocument):
    """A class as it was first."""

    SCHEMA_VERSION = 1

    name = mongoengine.StringField()
    old = mongoengine.StringField()
    tags = mongoengine.ListField(mongoengine.StringField())
    attributes = mongoengine.EmbeddedDocumentListField(Attribute)
    engagement = mongoengine.EmbeddedDocumentField(Engagement)

    meta: ClassVar = {"collection": "growing", "indexes": ["old", "tags"]}


class Grown(FanfareDocument):
    """The same class later: more indexes, and one less of each kind."""

    SCHEMA_VERSION = 2

    name = mongoengine.StringField()
    old = mongoengine.StringField()
    tags = mongoengine.ListField(mongoengine.StringField())
    attributes = mongoengine.EmbeddedDocumentListField(Attribute)
    engagement = mongoengine.EmbeddedDocumentField(Engagement)

    meta: ClassVar = {
        "collection": "growing",
        "indexes": ["name", ("attributes.key", "attributes.value"), "engagement.last_open"],
        "everywhere": ["engagement.score"],
    }


def test_a_new_index_is_filled_from_the_documents_that_exist(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path, [Small])
    stored = [
        fan(
            f"fan_{at:04}",
            name=f"n{at % 7}",
            old="x",
            tags=["a"],
            attributes=[{"key": "city", "value": at % 3}],
            engagement={"last_open": at, "score": at % 2 == 0 or None},
        )
        for at in range(4_500)
    ]
    store.collection(Small).insert(IN_CLUB, stored)
    store.close()
    rule = Contains("attributes", And((Equals("key", "city"), Equals("value", 1))))
    for _ in range(2):
        store = open_store(path, [Grown])
        grown = store.collection(Grown)
        assert grown.count(IN_CLUB, rule) == 1_500
        assert grown.count(IN_CLUB, Equals("name", "n3")) == sum(each["name"] == "n3" for each in stored)
        assert grown.count(IN_CLUB, Equals("engagement.score", True)) == 2_250
        assert grown.count(IN_CLUB, Equals("tags", "a")) == 4_500  # without its index now
        newest = grown.find(IN_CLUB, order=Order("engagement.last_open", descending=True), limit=1)
        assert newest.documents[0]["_id"] == "fan_4499"
        store.close()
    with sqlite3.connect(path) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
        columns = {row[1] for row in connection.execute("PRAGMA table_info(growing)")}
    connection.close()
    assert "growing/tags" not in names
    assert "growing:old" not in names
    assert columns == {
        "_n", "_scope", "_id", "version", "name", "engagement.last_open", "engagement.score", "_body",
    }  # fmt: skip


def test_what_was_dropped_and_declared_again_is_filled_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for at, each in enumerate((Small, Grown, Small)):
        store = open_store(path, [each])
        store.collection(each).insert(IN_CLUB, [fan(f"fan_{at}", old="x", tags=["a"])])
        if each is Small:
            assert store.collection(each).count(IN_CLUB, Equals("old", "x")) == at + 1
            assert store.collection(each).count(IN_CLUB, Equals("tags", "a")) == at + 1
        store.close()


def test_processes_that_open_a_new_file_together_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    failed: list[BaseException] = []

    def start() -> None:
        try:
            store = open_store(path, [Fan, Small])
            store.collection(Fan).insert(IN_CLUB, [fan("fan_1")])
            store.close()
        except BaseException as error:
            failed.append(error)

    starters = [threading.Thread(target=start) for _ in range(8)]
    for each in starters:
        each.start()
    for each in starters:
        each.join()
    assert not failed


def test_indexes_are_read_from_the_class() -> None:
    assert set(indexes_of(Counter)) == {Index(("pending",), everywhere=True), Index(("seen.last_open",))}
    found = indexes_of(Fan)
    assert Index(("",), through="tags") in found
    assert Index(("key", "value"), through="attributes") in found
    assert Index(("due",), everywhere=True) in found
    place = place_of(Fan, "attributes.value")
    assert place is not None
    assert (place.through, place.rest, place.scalar) == ("attributes", "value", False)
    assert place_of(Fan, "anything.deep") is None


def _declaring(**meta: Any) -> type:
    body: dict[str, Any] = {
        "SCHEMA_VERSION": 1,
        "name": mongoengine.StringField(),
        "tags": mongoengine.ListField(mongoengine.StringField()),
        "attributes": mongoengine.EmbeddedDocumentListField(Attribute),
        "anything": mongoengine.DictField(),
        "meta": {"collection": "wrong", **meta},
    }
    return type("Wrong", (FanfareDocument,), body)


@pytest.mark.parametrize(
    "meta",
    [
        {"indexes": ["anything"]},
        {"indexes": ["attributes"]},
        {"indexes": [("name", "tags")]},
        {"indexes": [{"fields": ["name"], "unique": True}]},
        {"everywhere": ["tags"]},
        {"everywhere": ["nowhere"]},
    ],
)
def test_an_index_that_cannot_be_kept_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        table_of(_declaring(**meta))
    assert refused.value.field == "indexes"


def test_a_class_states_its_schema_version() -> None:
    unstated = type("Unstated", (FanfareDocument,), {"meta": {"collection": "unstated"}})
    with pytest.raises(Invalid) as refused:
        table_of(unstated)
    assert refused.value.field == "SCHEMA_VERSION"


def test_a_document_can_be_checked_against_its_class() -> None:
    validate(Fan, fan("fan_1", tags=["a"], attributes=[{"key": "k", "value": 1}], version=1))
    for wrong, field in (
        ({"name": 1}, "name"),
        ({"attributes": [{"key": 1}]}, "attributes.0.key"),
        ({"nowhere": 1}, "nowhere"),
        ({"agency": None}, "agency"),
    ):
        with pytest.raises(Invalid) as refused:
            validate(Fan, fan("fan_1") | wrong)
        assert refused.value.field == field
