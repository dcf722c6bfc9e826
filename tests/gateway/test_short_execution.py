"""The short way answers exactly what the plain one does, errors and their places included."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from graphql import (
    ExecutionResult,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    execute,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.engine.short import Read, ShortExecution

LEAVES: dict[str, Any] = {
    "text": GraphQLString,
    "number": GraphQLInt,
    "share": GraphQLFloat,
    "id": GraphQLID,
    "word": GraphQLEnumType("Word", {"ONE": "one", "TWO": "two"}),
}


class Thing(dict[str, Any]):
    """A dict that reads like a message; a value may be an error to raise."""

    def read(self, name: str) -> Any:
        value = self.get(name)
        if isinstance(value, ZeroDivisionError):
            raise value
        return value


def _read(name: str) -> Read:
    return Read(lambda source: source.read(name))


def _first(source: Thing, first: int) -> Any:
    things = source.read("things")
    return things[:first] if isinstance(things, list) else things


async def _later(source: Thing) -> Any:
    await asyncio.sleep(0)
    return source.read("one")


def _schema() -> GraphQLSchema:
    thing: GraphQLObjectType

    def fields() -> dict[str, GraphQLField]:
        found = {name: GraphQLField(kind, resolve=_read(name)) for name, kind in LEAVES.items()}
        found |= {
            f"sure_{name}": GraphQLField(GraphQLNonNull(kind), resolve=_read(name)) for name, kind in LEAVES.items()
        }
        found["texts"] = GraphQLField(GraphQLList(GraphQLNonNull(GraphQLString)), resolve=_read("texts"))
        found["one"] = GraphQLField(thing, resolve=_read("one"))
        found["sure_one"] = GraphQLField(GraphQLNonNull(thing), resolve=_read("one"))
        found["things"] = GraphQLField(GraphQLList(thing), resolve=_read("things"))
        found["sure_things"] = GraphQLField(GraphQLList(GraphQLNonNull(thing)), resolve=_read("things"))
        found["first"] = GraphQLField(
            GraphQLList(thing), args={"first": GraphQLArgument(GraphQLInt, default_value=1)}, resolve=Read(_first)
        )
        found["plain"] = GraphQLField(GraphQLString, resolve=lambda source, _info: source.read("text"))
        found["later"] = GraphQLField(thing, resolve=lambda source, _info: _later(source))
        return found

    thing = GraphQLObjectType("Thing", fields)
    return GraphQLSchema(thing)


SCHEMA = _schema()
values = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.integers(-(2**33), 2**33),
    st.floats(),
    st.booleans(),
    st.sampled_from(["one", "two"]),
    st.just(ZeroDivisionError("broken")),
)
things = st.recursive(
    st.fixed_dictionaries(dict.fromkeys(LEAVES, values)).map(Thing),
    lambda inner: st.builds(
        lambda leaves, one, many, texts: Thing({**leaves, "one": one, "things": many, "texts": texts}),
        st.fixed_dictionaries(dict.fromkeys(LEAVES, values)),
        st.none() | inner,
        st.none() | st.lists(st.none() | inner, max_size=3),
        st.none() | st.lists(values, max_size=3),
    ),
    max_leaves=6,
)
names = sorted([*LEAVES, *(f"sure_{name}" for name in LEAVES), "texts", "plain"])
nested = ["one", "sure_one", "things", "sure_things", "first(first: 2)", "first", "later"]


@st.composite
def selections(draw: st.DrawFn, depth: int = 2) -> str:
    chosen = [
        f"x{place}: {name}" for place, name in enumerate(draw(st.lists(st.sampled_from(names), min_size=1, max_size=4)))
    ]
    if depth:
        for place, name in enumerate(draw(st.lists(st.sampled_from(nested), max_size=2))):
            chosen.append(f"y{depth}{place}: {name} {draw(selections(depth=depth - 1))}")
    return "{ " + " ".join(draw(st.permutations(chosen))) + " }"


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")  # graphql-core drops those beside an error, either way
@settings(max_examples=200, deadline=None)
@given(things, selections())
def test_the_short_way_answers_what_the_plain_one_does(root: Thing, query: str) -> None:
    document = parse(query)

    async def answer(**how: Any) -> Any:
        result = execute(SCHEMA, document, root, **how)
        result = result if isinstance(result, ExecutionResult) else await result
        return repr(result.data), sorted(repr(error.formatted) for error in result.errors or ())

    async def both() -> tuple[Any, Any]:
        return await answer(), await answer(execution_context_class=ShortExecution)

    try:
        plain, short = asyncio.run(both())
    finally:
        gc.collect()  # here, and not in another test, which would be blamed
    assert short == plain


def test_the_order_of_the_answer_is_that_of_the_question() -> None:
    result = execute(
        SCHEMA, parse("{ b: text plain a: text }"), Thing(text="x"), execution_context_class=ShortExecution
    )
    assert isinstance(result, ExecutionResult)
    assert list(result.data or {}) == ["b", "plain", "a"]
