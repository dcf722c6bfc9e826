"""Whichever index a statement begins with, it says the same; and it begins with the rarest condition."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.store.compare import ALWAYS
from services.kit.store.compile import Reach, conjuncts
from services.kit.store.connection import connect
from services.kit.store.opening import open_store
from services.kit.store.pages import Pages
from services.kit.store.plan import Choice, Planner, candidates, counting, selecting
from services.kit.store.port import Collection, Order
from services.kit.store.rule import And, Contains, Equals, In, Not, Or, Range, Rule, matches
from services.kit.store.schema import table_of
from tests.contract.store_documents import CLASSES, Fan, fan
from tests.contract.store_engines import FESTIVAL, IN_AGENCY, IN_CLUB

TABLE = table_of(Fan)
CITIES = ("Gent", "Brugge", "Liège")


def _stored(at: int) -> dict[str, Any]:
    body = fan(
        f"fan_{at:05}",
        tags=[tag for tag, every in (("all", 1), ("half", 2), ("rare", 500)) if at % every == 0],
        permissions=["news"] * (at % 3 > 0) + ["sms"] * (at % 7 == 0),
        attributes=[{"key": "city", "value": CITIES[at % 3]}, {"key": "belt", "value": ["a", "b"][: at % 3]}],
        relations=[{"kind": "member", "state": "active" if at % 5 else "ended", "since": at}],
        engagement={"last_open": at if at % 4 else None},
        lifecycle=("new", "active")[at % 2],
        joined_at=at % 100,
    )
    return body if at % 10 else {**body, "community": FESTIVAL}


FANS = [_stored(at) for at in range(4_000)]
CONDITIONS: tuple[Rule, ...] = (
    Equals("tags", "all"),
    Equals("tags", "half"),
    Equals("tags", "rare"),
    In("tags", ("half", "rare")),
    Range("tags", gte="h"),
    Not(Equals("tags", "half")),
    Equals("permissions", "news"),
    Contains("attributes", And((Equals("key", "city"), Equals("value", "Gent")))),
    Contains("attributes", And((Equals("key", "city"), In("value", ("Gent", "Liège"))))),
    Contains("attributes", And((Equals("key", "belt"), Equals("value", "a"), Equals("value", "b")))),
    Contains("attributes", Equals("key", "city")),
    Equals("attributes.value", "Brugge"),
    Contains("relations", And((Equals("kind", "member"), Equals("state", "ended"), Range("since", lt=2_000)))),
    Range("engagement.last_open", gte=3_900),
    Range("engagement.last_open", gte=100),
    Equals("engagement.last_open", None),
    Equals("lifecycle", "active"),
    Range("joined_at", gt=10, lte=90),
    Or((Equals("tags", "rare"), Equals("lifecycle", "new"))),
    Equals("community", FESTIVAL),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("plan") / "store.db"
    store = open_store(path, CLASSES)
    store.collection(Fan).insert(IN_AGENCY, FANS)
    yield path
    store.close()


@pytest.fixture(scope="module")
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(path, reads_only=True)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def fans(path: Path) -> Collection:
    return open_store(path, CLASSES).collection(Fan)


_RULES = st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=5, unique=True).map(lambda each: And(tuple(each)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_RULES)
def test_every_way_to_begin_gives_the_same_answer(connection: sqlite3.Connection, rule: Rule) -> None:
    club = [each["_id"] for each in FANS if matches(rule, each) and each["community"] != FESTIVAL]
    both = [each["_id"] for each in FANS if matches(rule, each)]
    (number,) = connection.execute("SELECT n FROM _scopes WHERE community = 'com_club'").fetchone()
    for reach, expected in ((Reach((number,)), club), (Reach(None), both)):
        for driver in (None, *candidates(TABLE, rule)):
            statement = counting(TABLE, rule, reach, Choice(driver, 0, {}))
            assert connection.execute(statement.text, statement.params).fetchone() == (len(expected),)
            statement = selecting(TABLE, rule, reach, driver, {}, "m._id", ALWAYS, "m._id", 10_000)
            assert [row[0] for row in connection.execute(statement.text, statement.params)] == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_RULES, st.sampled_from((Order(), Order("joined_at"), Order("engagement.last_open", True))))
def test_pages_of_a_rule_are_complete_and_in_order(fans: Collection, rule: Rule, order: Order) -> None:
    def key(each: dict[str, Any]) -> tuple[Any, ...]:
        value = {"_id": 0, "joined_at": each["joined_at"]}.get(order.field, each["engagement"]["last_open"])
        return (value is not None, value or 0, each["_id"])

    for scope, expected in (
        (IN_AGENCY, [each for each in FANS if matches(rule, each)]),
        (IN_CLUB, [each for each in FANS if matches(rule, each) and each["community"] != FESTIVAL]),
    ):
        wanted = [each["_id"] for each in sorted(expected, key=key, reverse=order.descending)]
        found: list[str] = []
        after = None
        while len(found) < 450:
            page = fans.find(scope, rule, order=order, limit=150, after=after, fields=())
            found += [each["_id"] for each in page.documents]
            after = page.next
            if after is None:
                break
        assert found == wanted[: max(len(found), 450 if after else len(wanted))]
        assert fans.count(scope, rule) == len(wanted)


def test_a_statement_begins_with_the_rarest_condition(connection: sqlite3.Connection) -> None:
    (number,) = connection.execute("SELECT n FROM _scopes WHERE community = 'com_club'").fetchone()
    planner = Planner(TABLE)

    def first(*conditions: Rule) -> Rule | str:
        rule = And(conditions)
        driver = planner.choose(connection, rule, repr(rule), Reach((number,))).driver
        assert driver is not None
        return driver.index if driver.side is None else list(conjuncts(rule))[driver.condition]

    rare, recent = Equals("tags", "rare"), Range("engagement.last_open", gte=3_990)
    for others in ((Equals("tags", "all"),), (Equals("permissions", "news"), Equals("lifecycle", "active"))):
        assert first(*others, rare) == rare
        assert first(*others, recent) == '"fans:engagement.last_open"'


@pytest.mark.parametrize(
    ("rule", "order", "index"),
    [
        (And(()), Order(), "fans:_scope"),
        (And(()), Order("joined_at", True), "fans:joined_at"),
        (Equals("lifecycle", "active"), Order("joined_at"), "fans:lifecycle,joined_at"),
        (And((Equals("lifecycle", "active"), Equals("tags", "all"))), Order("joined_at"), "fans:lifecycle,joined_at"),
        (Equals("tags", "all"), Order("engagement.last_open"), "fans:engagement.last_open"),
    ],
)
def test_a_page_is_read_along_an_index_without_sorting(path: Path, rule: Rule, order: Order, index: str) -> None:
    plans: list[str] = []
    spied = sqlite3.connect(path)

    def explain(statement: str, params: Any = ()) -> sqlite3.Cursor:
        if "LIMIT" in statement and "m._body" in statement:
            plans.extend(row[3] for row in spied.execute("EXPLAIN QUERY PLAN " + statement, params))
        return spied.execute(statement, params)

    class Spy:
        execute = staticmethod(explain)

    (number,) = spied.execute("SELECT n FROM _scopes WHERE community = 'com_club'").fetchone()
    reading = Pages(TABLE, Planner(TABLE)).reading(rule, order, None)
    rows = reading.rows(Spy(), Reach((number,)), None, 50)  # type: ignore[arg-type]
    assert len(rows) == 50
    spied.close()
    assert any(f"m USING INDEX {index} " in plan for plan in plans), plans
    assert not any("TEMP B-TREE" in plan for plan in plans), plans


def test_rules_that_differ_in_the_last_digits_of_a_bound_are_told_apart(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db", CLASSES)
    fans = store.collection(Fan)
    first = 1_700_000_000_000
    fans.insert(IN_CLUB, [fan(f"fan_{at:03}", tags=["a"], joined_at=first + at) for at in range(100)])
    for at in (50, 10, 90, 10):
        rule = And((Equals("tags", "a"), Range("joined_at", gte=first + at)))
        assert fans.count(IN_CLUB, rule) == 100 - at
        assert len(fans.find(IN_CLUB, rule, limit=100).documents) == 100 - at
    store.close()
