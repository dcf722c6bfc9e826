"""A MongoDB that is away, and one that is back; what a class declares is what the database has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mongoengine
import pytest
from pymongo import MongoClient

from demo.house import free_port
from services.kit.errors import Invalid, Unavailable
from services.kit.scope import everywhere
from services.kit.store.documents import FanfareDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Patch
from tests.contract.store_documents import CLASSES, Fan, Key, fan
from tests.contract.store_engines import IN_CLUB
from tests.engines.at_hand import NotAtHand
from tests.engines.mongodb import JavaServer
from tests.engines.pairs import fresh_mongodb

_IMPATIENT = "?serverSelectionTimeoutMS=300&connectTimeoutMS=300"


@pytest.fixture
def own_server() -> Iterator[JavaServer]:
    """One that this test may stop."""
    try:
        server = JavaServer()
    except NotAtHand as reason:
        pytest.skip(f"not run on mongodb: {reason}")
    yield server
    server.stop()


def test_a_server_that_goes_away_refuses_and_is_used_again_when_it_is_back(own_server: JavaServer) -> None:
    store = open_store(f"{own_server.url}/fanfare_test{_IMPATIENT}", CLASSES)
    fans = store.collection(Fan)
    fans.insert(IN_CLUB, [fan("fan_1", name="Zoë")])
    own_server.stop()
    for call in (
        lambda: fans.get(IN_CLUB, ["fan_1"]),
        lambda: fans.insert(IN_CLUB, [fan("fan_2")]),
        lambda: fans.patch(IN_CLUB, [Patch("fan_1", inc={"counts.a": 1})]),
        lambda: fans.find(IN_CLUB),
        lambda: fans.count(IN_CLUB),
        lambda: fans.delete(IN_CLUB, ["fan_1"]),
    ):
        with pytest.raises(Unavailable) as refused:
            call()
        assert refused.value.field == "store"
        assert "Zoë" not in refused.value.message
    own_server.start()
    assert fans.get(IN_CLUB, ["fan_1"]) == {}, "it kept nothing"
    assert fans.insert(IN_CLUB, [fan("fan_1")]) == {"fan_1"}
    store.close()


def test_what_is_not_there_is_not_made_by_a_change_even_where_the_database_was_emptied(own_server: JavaServer) -> None:
    store = open_store(f"{own_server.url}/fanfare_test", CLASSES)
    fans = store.collection(Fan)
    own_server.stop()
    own_server.start()
    assert fans.patch(IN_CLUB, [Patch("fan_1", inc={"counts.a": 1})]) == set()
    assert fans.replace(IN_CLUB, [fan("fan_2", version=1), fan("fan_3", version=2)]) == set()
    everyone = everywhere("service:test")
    assert (fans.count(everyone), fans.find(everyone).documents, list(fans.stream(everyone))) == (0, [], [])
    assert fans.get(everyone, [""]) == {}
    store.close()


def test_where_no_server_answers_opening_says_so() -> None:
    with pytest.raises(Unavailable):
        open_store(f"mongodb://127.0.0.1:{free_port()}/fanfare_test{_IMPATIENT}", CLASSES)


@pytest.mark.parametrize(
    "address",
    ["mongodb://", "mongodb://localhost", "mongodb://ann:s3cret@:x/y", "mongodb://ann:s3cret@localhost:1/a b"],
)
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        open_store(address, CLASSES)
    assert refused.value.field == "FANFARE_STORE"
    assert "s3cret" not in refused.value.message


def test_a_closed_store_says_so() -> None:
    store = open_store(fresh_mongodb(), CLASSES)
    store.close()
    with pytest.raises(Unavailable):
        store.collection(Fan).count(IN_CLUB)


def test_a_document_larger_than_mongodb_takes_is_refused() -> None:
    store = open_store(fresh_mongodb(), CLASSES)
    fans = store.collection(Fan)
    fans.insert(IN_CLUB, [fan("fan_1")])
    large = "x" * (17 * 1024 * 1024)
    for write in (
        lambda: fans.insert(IN_CLUB, [fan("fan_2", anything=large)]),
        lambda: fans.replace(IN_CLUB, [fan("fan_1", anything=large, version=1)]),
        lambda: fans.patch(IN_CLUB, [Patch("fan_1", set={"anything": large})]),
    ):
        with pytest.raises(Invalid) as refused:
            write()
        assert refused.value.field == "document"
    assert fans.get(IN_CLUB, ["fan_1", "fan_2"]).keys() == {"fan_1"}
    store.close()


def _indexes(address: str) -> dict[str, list[list[str]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(address)
    try:
        database = client.get_default_database()
        return {
            name: [list(index["key"]) for index in database[name].list_indexes()]
            for name in database.list_collection_names()
        }
    finally:
        client.close()


def test_the_indexes_are_those_that_the_class_declares() -> None:
    address = fresh_mongodb()
    for _ in range(2):
        open_store(address, [Fan, Key]).close()
    found = _indexes(address)
    for expected in (
        ["agency", "community", "_id"],
        ["agency", "community", "lifecycle", "joined_at", "_id"],
        ["agency", "community", "tags", "_id"],
        ["agency", "community", "attributes.key", "attributes.value", "_id"],
        ["due", "_id"],
        ["pending", "_id"],
    ):
        assert expected in found["fans"]
    assert len(found["keys"]) == 2, "its id, and what blocks"


def test_an_index_that_is_no_longer_declared_goes() -> None:
    address = fresh_mongodb()
    for index in ("name", "place"):
        body: dict[str, Any] = {
            "SCHEMA_VERSION": 1,
            "name": mongoengine.StringField(),
            "place": mongoengine.StringField(),
            "meta": {"collection": "things", "indexes": [index]},
        }
        open_store(address, [type(f"Thing{index}", (FanfareDocument,), body)]).close()
    assert ["agency", "community", "place", "_id"] in _indexes(address)["things"]
    assert ["agency", "community", "name", "_id"] not in _indexes(address)["things"]
