"""A patch changes what its reference changes, once, on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.errors import Invalid
from services.kit.store.port import Collection, Patch, Push, Store
from services.kit.store.rule import Equals, matches
from tests.contract.store_documents import CLASSES, Fan, fan
from tests.contract.store_engines import FESTIVAL, IN_CLUB, OTHER_AGENCY, engines, opened


@pytest.fixture(params=engines())
def fans(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Collection]:
    for store in opened(request.param, tmp_path, CLASSES):
        yield store.collection(Fan)


def _patched(document: dict[str, Any], patch: Patch) -> tuple[dict[str, Any], bool]:
    """The plain reference: the document after the patch, and whether it changed."""
    if patch.sequence and _at(document, patch.sequence[0], -1) >= patch.sequence[1]:
        return document, False
    document = _copy(document)
    for path, value in patch.set.items():
        _put(document, path, value)
    for path, amount in patch.inc.items():
        _put(document, path, _at(document, path, 0) + amount)
    for path, least in patch.max.items():
        _put(document, path, max(_at(document, path, least), least))
    for path in {**patch.pull, **patch.push}:
        found = list(_at(document, path, []))
        if path in patch.pull:
            found = [e for e in found if not (isinstance(e, dict) and e.get("_id") in patch.pull[path])]
        if path in patch.push:
            found = [*found, patch.push[path].value]
            found = found[-patch.push[path].keep :]
        _put(document, path, found)
    if patch.sequence:
        _put(document, *patch.sequence)
    return document, True


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _at(document: dict[str, Any], path: str, default: Any) -> Any:
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return default if found is None else found


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for part in way:
        if not isinstance(document.get(part), dict):
            document[part] = {}
        document = document[part]
    document[last] = value


_NUMBERS = st.integers(-(2**40), 2**40)
_LEAF = st.none() | st.booleans() | _NUMBERS | st.sampled_from(("", "é", '"\\', "😀")) | st.floats(-4, 4, width=16)
_VALUE = _LEAF | st.lists(_LEAF, max_size=2) | st.dictionaries(st.sampled_from(("x", "y")), _LEAF, max_size=2)
_ENTRY = st.fixed_dictionaries({}, optional={"_id": st.sampled_from(("e1", "e2", "e3")), "v": _VALUE}) | _LEAF
_TAGS = st.lists(st.sampled_from("abc"), max_size=3)
_ATTRIBUTES = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from(("k", "l")), "value": _LEAF | st.lists(_LEAF, max_size=2)}),
    max_size=3,
)
_ENGAGEMENT = st.fixed_dictionaries(
    {}, optional={"last_open": st.none() | _NUMBERS, "score": _NUMBERS, "recent": st.lists(_ENTRY, max_size=4)}
)
_BODY = st.fixed_dictionaries(
    {},
    optional={
        "joined_at": st.none() | _NUMBERS,
        "event_sequence": st.integers(0, 3),
        "tags": _TAGS,
        "attributes": _ATTRIBUTES,
        "engagement": st.none() | _ENGAGEMENT,
        "outbox": st.lists(_ENTRY, max_size=4),
        "counts": st.none() | st.dictionaries(st.sampled_from(("a", "b")), _NUMBERS, max_size=2),
    },
)
_CHANGES: tuple[st.SearchStrategy[tuple[str, str, Any]], ...] = (
    st.tuples(st.just("set"), st.just("joined_at"), st.none() | _NUMBERS),
    st.tuples(st.just("max"), st.just("joined_at"), _NUMBERS),
    st.tuples(st.just("inc"), st.just("joined_at"), _NUMBERS),
    st.tuples(st.just("set"), st.just("name"), st.none() | st.text(max_size=3).filter(lambda t: "\x00" not in t)),
    st.tuples(st.just("set"), st.just("tracked"), st.booleans()),
    st.tuples(st.just("set"), st.just("tags"), st.none() | _TAGS),
    st.tuples(st.just("push"), st.just("tags"), st.builds(Push, st.sampled_from("abc"), st.integers(1, 3))),
    st.tuples(st.just("set"), st.just("attributes"), _ATTRIBUTES),
    st.tuples(st.just("set"), st.just("anything"), _VALUE),
    st.tuples(st.just("set"), st.just("engagement"), st.none() | _ENGAGEMENT),
    st.tuples(st.just("max"), st.just("engagement.last_open"), _NUMBERS),
    st.tuples(st.just("inc"), st.just("engagement.score"), _NUMBERS),
    st.tuples(st.just("push"), st.just("engagement.recent"), st.builds(Push, _ENTRY, st.integers(1, 5))),
    st.tuples(st.just("inc"), st.sampled_from(("counts.a", "counts.b", "counts.é é.deep")), _NUMBERS),
    st.tuples(st.just("set"), st.sampled_from(("undeclared.a.b.c", "undeclared.a.d", "undeclared.x")), _VALUE),
    st.tuples(st.just("push"), st.just("outbox"), st.builds(Push, _ENTRY)),
    st.tuples(st.just("pull"), st.just("outbox"), st.lists(st.sampled_from(("e1", "e2", "e9")), max_size=2)),
)


@st.composite
def _patches(draw: st.DrawFn) -> Patch:
    changes: dict[str, dict[str, Any]] = {"set": {}, "inc": {}, "max": {}, "push": {}, "pull": {}}
    taken: set[str] = set()
    for kind, path, value in draw(st.lists(st.one_of(_CHANGES), max_size=5)):
        clash = any(p == path or p.startswith(path + ".") or path.startswith(p + ".") for p in taken)
        both = path == "outbox" and kind in ("push", "pull") and path in taken and path not in changes[kind]
        if not clash or (both and path not in changes["set"]):
            taken.add(path)
            changes[kind][path] = value
    sequence = draw(st.none() | st.tuples(st.just("event_sequence"), st.integers(0, 4)))
    return Patch("fan_1", **changes, sequence=sequence)


@pytest.fixture(scope="module", params=engines())
def kept_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    yield from opened(request.param, tmp_path_factory.mktemp("patches"), CLASSES)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_BODY, st.lists(_patches(), max_size=3))
def test_a_patch_does_what_the_reference_does(kept_store: Store, body: dict[str, Any], patches: list[Patch]) -> None:
    fans = kept_store.collection(Fan)
    fans.delete(IN_CLUB, ["fan_1"])
    expected = fan("fan_1", **body)
    fans.insert(IN_CLUB, [expected])
    for patch in patches:
        expected, changed = _patched(expected, patch)
        assert fans.patch(IN_CLUB, [patch]) == ({"fan_1"} if changed else set())
        stored = fans.get(IN_CLUB, ["fan_1"])["fan_1"]
        assert stored == expected
        for path in ("joined_at", "name", "tracked", "engagement.last_open", "tags", "attributes.value"):
            for value in ("a", "b", "c", True, None, _at(expected, path, "")):
                if not isinstance(value, list):
                    found = fans.count(IN_CLUB, Equals(path, value))
                    assert found == int(_matches(expected, path, value)), (path, value)


def _matches(document: dict[str, Any], path: str, value: Any) -> bool:
    return matches(Equals(path, value), document)


def test_the_same_patch_twice_changes_once(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1")])
    patch = Patch("fan_1", inc={"counts.opened": 1}, sequence=("counts.last", 7))
    assert fans.patch(IN_CLUB, [patch, patch]) == {"fan_1"}
    assert fans.patch(IN_CLUB, [patch]) == set()
    stored = fans.get(IN_CLUB, ["fan_1"])["fan_1"]
    assert (stored["counts"], stored["version"]) == ({"last": 7, "opened": 1}, 1)


def test_a_large_patch_is_one_patch(fans: Collection) -> None:
    fans.insert(IN_CLUB, [fan("fan_1")])
    states = {f"counts.{at}": at for at in range(300)}
    assert fans.patch(IN_CLUB, [Patch("fan_1", set=states)]) == {"fan_1"}
    assert fans.get(IN_CLUB, ["fan_1"])["fan_1"]["counts"] == {str(at): at for at in range(300)}


@pytest.mark.parametrize(
    "patch",
    [
        Patch("fan_1", set={"name": "a"}, inc={"name": 1}),
        Patch("fan_1", set={"counts": {}}, inc={"counts.a": 1}),
        Patch("fan_1", inc={"counts.a": 1}, set={"counts": {}}),
        Patch("fan_1", set={"version": 3}),
        Patch("fan_1", set={"_id": "fan_2"}),
        Patch("fan_1", set={"agency": OTHER_AGENCY}),
        Patch("fan_1", set={"community": FESTIVAL}),
        Patch("fan_1", set={"name": ["a"]}),
        Patch("fan_1", set={"name.first": "a"}),
        Patch("fan_1", push={"name": Push("a")}),
        Patch("fan_1", set={'a"b': 1}),
        Patch("fan_1", set={"": 1}),
    ],
)
def test_a_patch_that_contradicts_itself_or_its_document_is_refused(fans: Collection, patch: Patch) -> None:
    stored = fan("fan_1", name="mine")
    fans.insert(IN_CLUB, [stored])
    with pytest.raises(Invalid):
        fans.patch(IN_CLUB, [patch])
    assert fans.get(IN_CLUB, ["fan_1"])["fan_1"] == stored
