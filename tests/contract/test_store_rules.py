"""A rule means the same on every engine as in the plain reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.errors import Invalid
from services.kit.store.port import Patch, Push, Store
from services.kit.store.rule import (
    And,
    Contains,
    Equals,
    Exists,
    In,
    Not,
    Or,
    Range,
    Rule,
    matches,
)
from tests.contract.store_documents import CLASSES, Fan, fan
from tests.contract.store_engines import IN_AGENCY, IN_CLUB, engines, opened, real_or_embedded

_NUMBERS = st.integers(-3, 3) | st.sampled_from((0.5, -1.5, 2.0, 2**62, -(2**63)))
_TEXTS = st.sampled_from(
    ("", "a", "b", "Zoë", "zoe", "1", "true", "null", "😀", "[1]", '{"a":1}', "a'b", 'a"b', "é", "é")
)
_SCALARS = st.none() | st.booleans() | _NUMBERS | _TEXTS
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("a", "b", "é")), inner, max_size=2),
    max_leaves=5,
)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_TEXT = st.none() | _TEXTS
_KEYS = st.sampled_from(("a", "é", None))
_FANS = _some(
    name=_TEXT,
    nickname=_TEXT,
    joined_at=st.none() | _NUMBERS,
    height=st.none() | _NUMBERS,
    tracked=st.none() | st.booleans(),
    lifecycle=_TEXT,
    due=st.none() | _NUMBERS,
    tags=st.none() | st.lists(_TEXT, max_size=3),
    permissions=st.lists(_SCALARS, max_size=3),
    attributes=st.lists(_some(key=_KEYS, value=_VALUES), max_size=3),
    relations=st.lists(_some(kind=_KEYS, state=_TEXT, since=st.none() | _NUMBERS, notes=_VALUES), max_size=3),
    engagement=st.none() | _some(score=_NUMBERS, last_open=st.none() | _NUMBERS, recent=st.lists(_VALUES, max_size=2)),
    anything=_VALUES,
    counts=st.dictionaries(st.sampled_from(("a", "b")), _VALUES, max_size=2),
)

_PATHS = st.sampled_from(
    [
        "_id",
        "name",
        "nickname",
        "joined_at",
        "height",
        "tracked",
        "lifecycle",
        "due",
        "tags",
        "permissions",
        "attributes",
        "attributes.key",
        "attributes.value",
        "relations.kind",
        "relations.state",
        "relations.since",
        "relations.notes.a",
        "engagement",
        "engagement.last_open",
        "engagement.score",
        "engagement.recent",
        "engagement.recent.a",
        "anything",
        "anything.a",
        "anything.a.b",
        "counts.a",
        "counts.b.a",
        "community",
        "agency",
        "version",
        "undeclared",
        "undeclared.deep",
    ]
)
_INNER_PATHS = st.sampled_from(("key", "value", "kind", "state", "since", "notes", "notes.a", "a", "b", "a.b", "é"))
_LISTS = st.sampled_from(
    ("attributes", "relations", "anything", "engagement.recent", "tags", "counts.a", "relations.notes", "anything.a")
)


def _leaves(paths: st.SearchStrategy[str]) -> st.SearchStrategy[Rule]:
    bounds = st.fixed_dictionaries({}, optional=dict.fromkeys(("gt", "gte", "lt", "lte"), _SCALARS))
    many = st.lists(_SCALARS, max_size=4) | st.just(["a", "b", "1", 1, True, None, *range(30)])
    return (
        st.builds(Equals, paths, _SCALARS)
        | st.builds(lambda path, values: In(path, tuple(values)), paths, many)
        | st.builds(lambda path, limits: Range(path, **limits), paths, bounds)
        | st.builds(Exists, paths)
    )


def _combined(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    several = st.lists(inner, max_size=3).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, inner)


_INNER = st.recursive(
    _leaves(_INNER_PATHS),
    lambda inner: _combined(inner) | st.builds(Contains, st.sampled_from(("value", "notes", "a")), inner),
    max_leaves=4,
)
_VALUE_RULES = st.recursive(
    _leaves(st.sampled_from(("value", "value", "key", "state", "since"))), _combined, max_leaves=3
)
_NARROWED = st.builds(
    lambda path, key, also: Contains(path, And((Equals("key" if path == "attributes" else "kind", key), *also))),
    st.sampled_from(("attributes", "relations")),
    _KEYS,
    st.lists(_VALUE_RULES, max_size=2),
)
_RULES = st.recursive(
    _leaves(_PATHS) | st.builds(Contains, _LISTS, _INNER) | _NARROWED,
    _combined,
    max_leaves=5,
)


@pytest.fixture(scope="module", params=engines())
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from opened(request.param, tmp_path_factory.mktemp("rules"), CLASSES)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(_FANS, min_size=1, max_size=6), st.lists(_RULES, min_size=1, max_size=12))
def test_a_rule_finds_and_counts_what_the_reference_says(
    store: Store, bodies: list[dict[str, Any]], rules: list[Rule]
) -> None:
    fans = store.collection(Fan)
    stored = [fan(f"fan_{at}", **body) for at, body in enumerate(bodies)]
    fans.delete(IN_AGENCY, [f"fan_{at}" for at in range(6)])
    assert len(fans.insert(IN_CLUB, stored)) == len(stored)
    proven = real_or_embedded(store)
    for rule in rules:
        if not proven and any(_beyond_the_stand_in(rule, each) for each in stored):
            continue
        expected = [each["_id"] for each in stored if matches(rule, each)]
        assert [each["_id"] for each in fans.find(IN_CLUB, rule).documents] == expected, rule
        assert fans.count(IN_CLUB, rule) == len(expected), rule
        assert fans.count(IN_AGENCY, rule) == len(expected), rule
    fans.delete(IN_AGENCY, [each["_id"] for each in stored])


def _beyond_the_stand_in(rule: Rule, document: Mapping[str, Any]) -> bool:
    """Whether a list that is searched by document holds something else: there mongo-java-server takes any element for a
    document, or fails."""
    match rule:
        case And(rules) | Or(rules):
            return any(_beyond_the_stand_in(each, document) for each in rules)
        case Not(inner):
            return _beyond_the_stand_in(inner, document)
        case Contains(path, inner):
            met, elements = _met(path.split("."), document)
            return _mixed([*met, *elements]) or any(
                _beyond_the_stand_in(inner, each) for each in elements if isinstance(each, Mapping)
            )
        case Range(path):
            return _mixed(_met(path.split("."), document)[0])
        case _:
            return False


def _mixed(elements: list[Any]) -> bool:
    return any(not isinstance(each, (Mapping, list)) for each in elements)


def _met(parts: list[str], document: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The elements of the lists on the way, and of those at the end."""
    found: list[Any] = [document]
    met: list[Any] = []
    for part in parts:
        elements = [leaf for item in found if isinstance(item, list) for leaf in item]
        met += elements
        held = [item for item in (*found, *elements) if isinstance(item, Mapping)]
        found = [item[part] for item in held if part in item]
    last = [item for item in found if isinstance(item, Mapping)]
    return met, [leaf for item in found if isinstance(item, list) for leaf in item] + last


def test_a_list_may_hold_documents_and_other_things(store: Store) -> None:
    if not real_or_embedded(store):
        pytest.skip("unproven on mongo-java-server: it searches an element that is no document, or fails")
    fans = store.collection(Fan)
    lists: list[list[Any]] = [[None], ["a"], [1, True], [{}], [{"a": 1}], [[{"a": 1}]], [], [{"a": None}, 3]]
    stored = [fan(f"fan_mixed_{at}", anything=each) for at, each in enumerate(lists)]
    fans.insert(IN_CLUB, stored)
    mine = In("_id", tuple(each["_id"] for each in stored))
    for inner in (And(()), Or(()), Not(Equals("a", 1)), Equals("a", None), Equals("a", 1), Exists("a")):
        rule = And((mine, Contains("anything", inner)))
        expected = {each["_id"] for each in stored if matches(rule, each)}
        assert {each["_id"] for each in fans.find(IN_CLUB, rule).documents} == expected, rule
    fans.delete(IN_CLUB, [each["_id"] for each in stored])


_ODD_NAMES = {"a.b": 1, "$set": {"$in": [[1], []]}, "": 2, "50%": [[["x"]]], "%list": 3, "0": "zero", "é": None}


def test_names_and_lists_of_any_kind_are_kept(store: Store) -> None:
    fans = store.collection(Fan)
    whole = fan("fan_odd", anything=_ODD_NAMES, counts={"a": [[], [{}]], **_ODD_NAMES})
    fans.insert(IN_CLUB, [whole])
    assert fans.get(IN_CLUB, ["fan_odd"])["fan_odd"] == whole
    whole["anything"] = [_ODD_NAMES, [_ODD_NAMES]]
    assert fans.replace(IN_CLUB, [whole]) == {"fan_odd"}
    changes = {"set": {"counts.50%": _ODD_NAMES}, "push": {"outbox": Push([_ODD_NAMES])}}
    assert fans.patch(IN_CLUB, [Patch("fan_odd", **changes)]) == {"fan_odd"}
    whole["counts"]["50%"], whole["outbox"] = _ODD_NAMES, [[_ODD_NAMES]]
    assert fans.get(IN_CLUB, ["fan_odd"])["fan_odd"] == whole
    for path, value in (("counts.50%.%list", 3), ("counts.0", "zero"), ("anything.0", "zero"), ("counts.$set.$in", 1)):
        rule = And((Equals("_id", "fan_odd"), Equals(path, value)))
        assert fans.count(IN_CLUB, rule) == int(matches(rule, whole)), path
    fans.delete(IN_CLUB, ["fan_odd"])


def test_a_number_in_a_path_is_a_name_and_no_place_in_a_list(store: Store) -> None:
    fans = store.collection(Fan)
    bodies: list[Any] = [{"0": 1}, {"0": {"1": 1}}, [[1]], [{"0": 1}], [{"1": 1}, {"0": {"1": [1]}}]]
    if real_or_embedded(store):
        bodies += [[1], {"0": [0, 1]}]
    stored = [fan(f"fan_place_{at}", anything=each, relations=[{"notes": [each]}]) for at, each in enumerate(bodies)]
    fans.insert(IN_CLUB, stored)
    for path in ("anything.0", "anything.0.1", "anything.1", "relations.notes.0", "relations.0"):
        for asked in (Equals(path, 1), Exists(path), Range(path, gt=0, lt=2), Equals(path, None)):
            rule = And((In("_id", tuple(each["_id"] for each in stored)), asked))
            expected = {each["_id"] for each in stored if matches(rule, each)}
            assert {each["_id"] for each in fans.find(IN_CLUB, rule).documents} == expected, rule
    fans.delete(IN_CLUB, [each["_id"] for each in stored])


def test_a_path_that_no_engine_can_tell_is_refused(store: Store) -> None:
    with pytest.raises(Invalid) as refused:
        store.collection(Fan).count(IN_CLUB, Equals('say "hello"', 1))
    assert refused.value.field == "path"
