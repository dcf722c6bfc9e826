"""What every engine of the store promises: documents kept, versions guarded, pages complete, tenants walled off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.kit.errors import Forbidden, Invalid
from services.kit.scope import EVERY_AGENCY, Scope, everywhere
from services.kit.store.port import Collection, Order, Patch, Store
from services.kit.store.rule import EVERYTHING, And, Equals, Exists, In, Not, Range
from tests.contract.store_documents import CLASSES, Counter, Fan, Key, fan
from tests.contract.store_engines import (
    AGENCY,
    CLUB,
    ELSEWHERE,
    FESTIVAL,
    IN_AGENCY,
    IN_CLUB,
    OTHER_AGENCY,
    engines,
    opened,
)

EVERYWHERE = everywhere("service:test")


@pytest.fixture(params=engines())
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Store]:
    yield from opened(request.param, tmp_path, CLASSES)


@pytest.fixture
def fans(store: Store) -> Collection:
    return store.collection(Fan)


def _all(fans: Collection, scope: Scope, **asked: Any) -> list[dict[str, Any]]:
    """Every page, one after the other."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = fans.find(scope, after=after, **asked)
        found += page.documents
        if page.next is None:
            return found
        after = page.next


def test_what_was_inserted_is_got_as_it_was(fans: Collection) -> None:
    whole = fan("fan_1", name="Zoë 😀", anything={"a": [1, 2.5, True, None, {"b": "\"quoted\\'"}]}, height=2**53 + 1)
    assert fans.insert(IN_CLUB, [whole]) == {"fan_1"}
    assert whole["version"] == 1
    assert fans.get(IN_CLUB, ["fan_1", "fan_2"]) == {"fan_1": whole}
    assert fans.get(IN_CLUB, []) == {}


def test_an_insert_skips_what_exists_and_keeps_the_rest(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1", name="first", tags=["a"])])
    again = [fan("fan_1", name="second", tags=["b"]), fan("fan_2", tags=["c"])]
    assert fans.insert(IN_CLUB, [*again, fan("fan_2", tags=["d"])]) == {"fan_2"}
    assert fans.get(IN_CLUB, ["fan_1"])["fan_1"]["name"] == "first"
    counts = {tag: fans.count(IN_CLUB, Equals("tags", tag)) for tag in "abcd"}
    assert counts == {"a": 1, "b": 0, "c": 1, "d": 0}
    assert fans.count(IN_CLUB) == 2


def test_a_replacement_counts_only_at_the_version_it_was_read_at(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1", tags=["a", "b"], attributes=[{"key": "city", "value": "Gent"}])])
    mine, theirs = fans.get(IN_CLUB, ["fan_1"])["fan_1"], fans.get(IN_CLUB, ["fan_1"])["fan_1"]
    mine |= {"tags": ["b", "c"], "attributes": [{"key": "city", "value": ["Brugge", "Gent"]}]}
    assert fans.replace(IN_CLUB, [mine, {**fan("fan_2"), "version": 1}]) == {"fan_1"}
    assert mine["version"] == 2
    assert fans.replace(IN_CLUB, [theirs]) == set()
    assert theirs["version"] == 1
    assert fans.get(IN_CLUB, ["fan_1"])["fan_1"] == mine
    assert [fans.count(IN_CLUB, Equals("tags", tag)) for tag in "abc"] == [0, 1, 1]
    assert fans.count(IN_CLUB, Equals("attributes.value", "Brugge")) == 1


def test_a_replacement_leaves_alone_what_belongs_to_patches(store: Store) -> None:
    counters = store.collection(Counter)
    counters.insert(IN_CLUB, [fan("ctr_1", name="a", seen={"score": 1, "last_open": 5})])
    read = counters.get(IN_CLUB, ["ctr_1"])["ctr_1"]
    counters.patch(IN_CLUB, [Patch("ctr_1", inc={"seen.score": 1}, max={"seen.last_open": 9})])
    assert counters.replace(IN_CLUB, [read | {"name": "b"}]) == {"ctr_1"}
    stored = counters.get(IN_CLUB, ["ctr_1"])["ctr_1"]
    assert (stored["name"], stored["seen"], stored["version"]) == ("b", {"score": 2, "last_open": 9}, 2)
    assert counters.count(IN_CLUB, Equals("seen.last_open", 9)) == 1


def test_what_was_deleted_is_gone_from_everywhere(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan(f"fan_{at}", tags=["a"], joined_at=at) for at in range(3)])
    assert fans.delete(IN_CLUB, ["fan_0", "fan_2", "fan_9"]) == {"fan_0", "fan_2"}
    assert fans.count(IN_CLUB, Equals("tags", "a")) == fans.count(IN_CLUB) == 1
    assert fans.insert(IN_CLUB, [fan("fan_0")]) == {"fan_0"}
    assert fans.count(IN_CLUB, Equals("tags", "a")) == 1


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("field", ["_id", "joined_at", "name", "tracked", "engagement.last_open"])
def test_pages_follow_their_order_with_nulls_first(fans: Collection, field: str, descending: bool) -> None:
    values: list[Any] = [None, 3, 1, 2, 1, None, 3, 0]
    stored = [
        fan(
            f"fan_{at:02}",
            joined_at=value,
            name=None if value is None else "é" * value,
            tracked=None if value is None else value > 1,
            engagement={"last_open": value},
        )
        for at, value in enumerate(values * 3)
    ]
    fans.insert(IN_CLUB, stored)

    def key(document: dict[str, Any]) -> tuple[Any, ...]:
        value = document["engagement"]["last_open"] if field == "engagement.last_open" else document[field]
        return (value is not None, value if value is not None else 0, document["_id"])

    expected = [each["_id"] for each in sorted(stored, key=key, reverse=descending)]
    for limit in (1, 5, 24, 200):
        for scope in (IN_CLUB, IN_AGENCY, EVERYWHERE):
            found = _all(fans, scope, order=Order(field, descending), limit=limit)
            assert [each["_id"] for each in found] == expected, (limit, scope)


def test_pages_over_several_communities_are_one_order(fans: Collection) -> None:
    homes = [(AGENCY, CLUB), (AGENCY, FESTIVAL), (AGENCY, None), (OTHER_AGENCY, CLUB)]
    for agency, community in homes:
        own = [
            {**fan(f"fan_{at:02}"), "joined_at": at // 3, "agency": agency, "community": community}
            for at in range(40)
            if homes[at % 4] == (agency, community)
        ]
        fans.insert(EVERYWHERE, own)
    mine = [f"fan_{at:02}" for at in range(40) if at % 4 < 3]
    for order in (Order(), Order("joined_at")):
        assert [each["_id"] for each in _all(fans, IN_AGENCY, order=order, limit=7)] == mine
    two = Scope(AGENCY, frozenset((CLUB, FESTIVAL)), "operator:ann")
    assert [each["_id"] for each in _all(fans, two, limit=7)] == [f"fan_{at:02}" for at in range(40) if at % 4 < 2]
    assert [each["_id"] for page in fans.stream(EVERYWHERE, page=7) for each in page] == [
        f"fan_{at:02}" for at in range(40)
    ]
    assert [each["_id"] for page in fans.stream(IN_AGENCY, page=7, after="fan_10") for each in page] == mine[9:]


@pytest.mark.parametrize("descending", [False, True])
def test_pages_over_very_many_communities_are_one_order(fans: Collection, descending: bool) -> None:
    own = [{**fan(f"fan_{at:03}"), "joined_at": at % 7 or None, "community": f"com_{at % 130}"} for at in range(260)]
    agency_wide = fan("fan_wide", joined_at=3)
    del agency_wide["community"]
    fans.insert(IN_AGENCY, [*own, agency_wide])
    everyone = [*own, agency_wide]
    for field in ("_id", "joined_at"):
        by_id = sorted(everyone, key=lambda each: each["_id"], reverse=descending)
        expected = by_id if field == "_id" else sorted(by_id, key=lambda e: e[field] or 0, reverse=descending)
        found = _all(fans, IN_AGENCY, order=Order(field, descending), limit=60)
        assert [each["_id"] for each in found] == [each["_id"] for each in expected]


def test_what_waits_in_any_agency_is_found_in_its_order(fans: Collection) -> None:
    fans.insert(EVERYWHERE, [fan("fan_1", pending=9, due=1), {**fan("fan_2", pending=5), "agency": OTHER_AGENCY}])
    fans.insert(EVERYWHERE, [fan("fan_3"), fan("fan_4", pending=0)])
    page = fans.find(EVERYWHERE, Range("pending", gt=0, lte=9), order=Order("pending"))
    assert [each["_id"] for each in page.documents] == ["fan_2", "fan_1"]
    assert [each["_id"] for each in fans.find(IN_AGENCY, Exists("due"), order=Order("due")).documents] == ["fan_1"]


def test_paging_visits_each_exactly_once_while_others_write(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan(f"fan_{at:04}0", joined_at=at % 7) for at in range(500)])
    stop = threading.Event()

    def write() -> None:
        at = 0
        while not stop.is_set():
            fans.insert(IN_CLUB, [fan(f"fan_{at % 500:04}1{at}", joined_at=at % 7)])
            fans.patch(IN_CLUB, [Patch(f"fan_{at % 500:04}0", inc={"counts.seen": 1})])
            at += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for order in (Order(), Order("joined_at", descending=True)):
            seen = [each["_id"] for each in _all(fans, IN_CLUB, order=order, limit=23)]
            assert len(seen) == len(set(seen))
            assert len([an_id for an_id in seen if len(an_id) == 9]) == 500
        seen = [each["_id"] for page in fans.stream(IN_CLUB, page=50) for each in page]
        assert len(seen) == len(set(seen))
        assert len([an_id for an_id in seen if len(an_id) == 9]) == 500
    finally:
        stop.set()
        writer.join()


def test_light_documents_hold_what_was_asked(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1", name="Zoë", tracked=True, tags=["a"], nickname="z")])
    base = {"_id": "fan_1", "version": 1}
    for fields, more in (
        ((), {}),
        (("name", "tracked", "joined_at"), {"name": "Zoë", "tracked": True, "joined_at": None}),
        (("tags", "agency"), {"tags": ["a"], "agency": AGENCY}),
    ):
        assert fans.find(IN_CLUB, fields=fields).documents == [base | more]
        assert next(iter(fans.stream(IN_CLUB, Equals("tags", "a"), fields=fields))) == [base | more]


def test_a_cursor_of_another_question_is_refused(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan(f"fan_{at}", joined_at=at) for at in range(4)])
    after = fans.find(IN_CLUB, Exists("joined_at"), limit=2).next
    asked: list[dict[str, Any]] = [
        {"rule": Exists("name")},
        {"rule": Exists("joined_at"), "order": Order("joined_at")},
        {"rule": Exists("joined_at"), "order": Order("_id", descending=True)},
    ]
    for each in asked:
        with pytest.raises(Invalid) as refused:
            fans.find(IN_CLUB, after=after, **each)
        assert refused.value.field == "after"
    for wrong in ("", "AAAA", "%", "é", str(after)[:-3]):
        with pytest.raises(Invalid) as refused:
            fans.find(IN_CLUB, after=wrong)
        assert refused.value.field == "after"


def test_an_order_or_a_page_that_cannot_be_kept_is_refused(fans: Collection) -> None:
    for asked, field in (({"order": Order("nickname")}, "order"), ({"limit": 201}, "limit"), ({"limit": 0}, "limit")):
        with pytest.raises(Invalid) as refused:
            fans.find(IN_CLUB, **asked)
        assert refused.value.field == field


@pytest.mark.parametrize(
    "wrong",
    [
        {"_id": None},
        {"agency": None},
        {"name": ["a"]},
        {"engagement": {"last_open": {}}},
        {"anything": object()},
        {"anything": 2**64},
        {"joined_at": 2**63},
        {"anything": "\x00"},
        {"anything": {"a\x00": 1}},
        {"name": "\ud800"},
    ],
)
def test_what_is_no_document_is_refused_before_anything_is_written(fans: Collection, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        fans.insert(IN_CLUB, [fan("fan_1"), {**fan("fan_2"), **wrong}])
    assert fans.count(IN_AGENCY) == 0


def test_a_document_outside_the_scope_is_not_written(fans: Collection) -> None:
    foreign: list[dict[str, Any]] = [{"agency": OTHER_AGENCY}, {"community": FESTIVAL}, {"community": None}]
    for each in (*foreign, {"agency": EVERY_AGENCY}):
        for write in (fans.insert, fans.replace):
            with pytest.raises(Forbidden):
                write(IN_CLUB, [fan("fan_1", version=1), {**fan("fan_2", version=1), **each}])
    assert fans.count(EVERYWHERE) == 0


def _operations(scope: Scope) -> dict[str, Callable[[Collection], Any]]:
    """Every way to reach a document of the club from a scope."""
    stored = fan("fan_1", name="theirs", version=1)
    return {
        "get": lambda fans: fans.get(scope, ["fan_1"]),
        "insert": lambda fans: fans.insert(scope, [{**stored, "agency": scope.agency, "community": FESTIVAL}]),
        "replace": lambda fans: fans.replace(scope, [{**stored, "agency": scope.agency, "community": FESTIVAL}]),
        "patch": lambda fans: fans.patch(scope, [Patch("fan_1", set={"name": "theirs", "tags": []})]),
        "delete": lambda fans: fans.delete(scope, ["fan_1"]),
        "find": lambda fans: fans.find(scope).documents + fans.find(scope, order=Order("name")).documents,
        "find_by_rule": lambda fans: (
            fans.find(scope, Equals("tags", "a")).documents
            + fans.find(scope, Not(Equals("tags", "b"))).documents
            + fans.find(scope, Equals("agency", AGENCY)).documents
            + fans.find(scope, Exists("due"), order=Order("due")).documents
            + fans.find(scope, In("_id", ("fan_1",))).documents
        ),
        "stream": lambda fans: list(fans.stream(scope)),
        "count": lambda fans: fans.count(scope) + fans.count(scope, And((Equals("tags", "a"), Exists("name")))),
    }


NOWHERE = Scope(AGENCY, frozenset(), "o")


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (scope, name)
        for scope in (ELSEWHERE, Scope(AGENCY, frozenset((FESTIVAL,)), "o"), NOWHERE)
        for name in sorted(_operations(ELSEWHERE))
        if scope is not NOWHERE or name not in ("insert", "replace")  # nowhere to write to
    ],
)
def test_another_scope_sees_nothing_and_changes_nothing(fans: Collection, scope: Scope, name: str) -> None:
    mine = fan("fan_1", name="mine", tags=["a"], due=1)
    fans.insert(IN_CLUB, [mine])
    fans.insert(EVERYWHERE, [{**fan("fan_2", name="x"), "agency": scope.agency, "community": "com_x"}])
    fans.delete(EVERYWHERE, ["fan_2"])  # the other scope is known, and empty
    assert not _operations(scope)[name](fans)
    assert fans.get(IN_CLUB, ["fan_1"]) == {"fan_1": mine}
    assert fans.count(EVERYWHERE) == fans.count(IN_CLUB, Equals("tags", "a")) == 1


def test_keys_that_are_only_looked_up_can_still_be_walked(store: Store) -> None:
    keys = store.collection(Key)
    keys.insert(IN_CLUB, [fan(f"key_{at}", owner="fan_1") for at in range(5)])
    assert keys.insert(IN_CLUB, [fan("key_3", owner="fan_2"), fan("key_5", owner="fan_2")]) == {"key_5"}
    assert [each["_id"] for each in _all(keys, IN_CLUB, limit=2)] == [f"key_{at}" for at in range(6)]
    assert keys.count(IN_AGENCY, Equals("owner", "fan_1")) == 5


def test_writers_at_the_same_time_lose_nothing(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1")])
    inserted: list[str] = []

    def write(name: int) -> None:
        for at in range(40):
            fans.patch(IN_CLUB, [Patch("fan_1", inc={"counts.all": 1})])
            inserted.extend(fans.insert(IN_CLUB, [fan(f"fan_{name}_{at}"), fan(f"fan_shared_{at}")]))

    writers = [threading.Thread(target=write, args=(name,)) for name in range(6)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert fans.get(IN_CLUB, ["fan_1"])["fan_1"]["counts"]["all"] == 240
    assert len(inserted) == len(set(inserted)) == 280
    assert fans.count(IN_CLUB, EVERYTHING) == 281


def test_a_call_that_fails_takes_no_other_with_it(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1")])
    done: list[str] = []
    refused: list[Exception] = []

    def write(at: int) -> None:
        try:
            if at % 2:
                fans.patch(
                    IN_CLUB, [Patch("fan_1", inc={"counts.wrong": 1}), Patch("fan_1", inc={"counts.large": 2**63})]
                )
            else:
                done.extend(fans.insert(IN_CLUB, [fan(f"fan_new_{at}")]))
        except Invalid as error:
            refused.append(error)

    writers = [threading.Thread(target=write, args=(at,)) for at in range(40)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert (len(done), len(refused)) == (20, 20)
    assert fans.get(IN_CLUB, ["fan_1"])["fan_1"].get("counts") is None
