"""The short way through an answer: what is merely read off a message is read without ceremony.

graphql-core builds a path and a resolve-info for every leaf. Most of our fields need neither: their resolver is a
``Read``, a function of the source (and of arguments that are the same for every row). ``ShortExecution`` compiles the
selections made of such fields once for a request, and goes the plain way for all others. Whatever goes wrong on the
short way is done again on the plain one, which places the error.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from graphql import (
    ExecutionContext,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    Undefined,
)
from graphql.execution.execute import get_field_def
from graphql.execution.values import get_argument_values
from graphql.language import FieldNode
from graphql.pyutils import AwaitableOrValue, Path

Value = Callable[[Any], Any]
Fields = dict[str, list[FieldNode]]


class Read:
    """A resolver that needs nothing but the source: ``of(source, **arguments)``."""

    __slots__ = ("of",)

    def __init__(self, of: Callable[..., Any]) -> None:
        self.of = of

    def __call__(self, source: Any, _info: Any, **arguments: Any) -> Any:
        return self.of(source, **arguments)


class _NotShort(Exception):
    """The short way ends here; the plain one goes on."""


class ShortExecution(ExecutionContext):
    """Executes as graphql-core does, only sooner done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[int, tuple[Fields, list[tuple[str, list[FieldNode], Value | None]]]] = {}

    def execute_fields(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Path | None, fields: Fields
    ) -> AwaitableOrValue[dict[str, Any]]:
        results: dict[str, Any] = {}
        waiting: list[str] = []
        for name, nodes, short in self._plan(parent_type, fields):
            if short is not None:
                try:
                    results[name] = short(source_value)
                    continue
                except Exception:  # the plain way tells the same error with its place
                    pass
            try:
                result = self.execute_field(parent_type, source_value, nodes, Path(path, name, parent_type.name))
            except Exception:
                _drop(results, waiting)
                raise
            if result is not Undefined:
                results[name] = result
                if self.is_awaitable(result):
                    waiting.append(name)
        return _awaited(results, waiting) if waiting else results

    def _plan(self, parent_type: GraphQLObjectType, fields: Fields) -> list[tuple[str, list[FieldNode], Value | None]]:
        known = self._plans.get(id(fields))
        if known is None:
            plan = [(name, nodes, self._short_field(parent_type, nodes)) for name, nodes in fields.items()]
            known = self._plans[id(fields)] = (fields, plan)  # held, so that its id stays its own
        return known[1]

    def _short_field(self, parent_type: GraphQLObjectType, nodes: list[FieldNode]) -> Value | None:
        field = get_field_def(self.schema, parent_type, nodes[0])
        if field is None or not isinstance(field.resolve, Read) or self.middleware_manager:
            return None
        complete = self._completer(field.type, nodes)
        if complete is None:
            return None
        try:
            arguments = self._arguments(field, nodes[0])
        except Exception:
            return None
        read = field.resolve.of
        if arguments:
            return lambda source: complete(read(source, **arguments))
        return lambda source: complete(read(source))

    def _arguments(self, field: GraphQLField, node: FieldNode) -> dict[str, Any]:
        return get_argument_values(field, node, self.variable_values) if field.args else {}

    def _completer(self, of_type: GraphQLOutputType, nodes: list[FieldNode]) -> Value | None:
        """What turns a value read into a value answered; None where only the plain way can."""
        if isinstance(of_type, GraphQLNonNull):
            inner = self._completer(of_type.of_type, nodes)
            return None if inner is None else _never_null(inner)
        if isinstance(of_type, GraphQLList):
            item = self._completer(of_type.of_type, nodes)
            return None if item is None else _each(item)
        if isinstance(of_type, GraphQLEnumType):
            return _named(of_type)
        if isinstance(of_type, GraphQLScalarType):
            return _serialized(of_type)
        if isinstance(of_type, GraphQLObjectType) and of_type.is_type_of is None:
            return self._object(of_type, nodes)
        return None

    def _object(self, of_type: GraphQLObjectType, nodes: list[FieldNode]) -> Value | None:
        plan = self._plan(of_type, self.collect_subfields(of_type, nodes))
        values = [(name, short) for name, _, short in plan if short is not None]
        if len(values) != len(plan):
            return None
        return lambda source: None if source is None else {name: short(source) for name, short in values}


def _drop(results: dict[str, Any], waiting: list[str]) -> None:
    """Nobody will await these any more: their parent is null."""
    for name in waiting:
        if isinstance(results[name], Coroutine):
            results[name].close()


async def _awaited(results: dict[str, Any], waiting: list[str]) -> dict[str, Any]:
    coming: list[Awaitable[Any]] = [results[name] for name in waiting]
    results.update(zip(waiting, await gather(*coming), strict=True))
    return results


def _never_null(inner: Value) -> Value:
    def complete(value: Any) -> Any:
        completed = inner(value)
        if completed is None:
            raise _NotShort
        return completed

    return complete


def _each(item: Value) -> Value:
    def complete(value: Any) -> Any:
        return None if value is None else [item(one) for one in value]

    return complete


def _serialized(of_type: GraphQLScalarType) -> Value:
    serialize = of_type.serialize
    own = {"String": str, "ID": str, "Boolean": bool}.get(of_type.name)

    def complete(value: Any) -> Any:
        if value is None or type(value) is own:
            return value
        return _leaf(serialize(value))

    def complete_int(value: Any) -> Any:
        if value is None or (type(value) is int and -0x80000000 <= value <= 0x7FFFFFFF):
            return value
        return _leaf(serialize(value))

    return complete_int if of_type is GraphQLInt else complete


def _named(of_type: GraphQLEnumType) -> Value:
    names: dict[Any, Any] = {None: None}

    def complete(value: Any) -> Any:
        try:
            return names[value]
        except KeyError:
            name = names[value] = _leaf(of_type.serialize(value))
            return name

    return complete


def _leaf(value: Any) -> Any:
    if value is None or value is Undefined:
        raise _NotShort
    return value
