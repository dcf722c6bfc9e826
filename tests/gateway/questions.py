"""Questions to the graph made from its own description: every operation, with whatever arguments it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)

Given = Mapping[str, Any]


def queries(schema: GraphQLSchema) -> dict[str, GraphQLField]:
    assert schema.query_type is not None
    fields: dict[str, GraphQLField] = schema.query_type.fields
    return fields


def mutations(schema: GraphQLSchema) -> dict[str, GraphQLField]:
    assert schema.mutation_type is not None
    fields: dict[str, GraphQLField] = schema.mutation_type.fields
    return fields


def question(kind: str, name: str, field: GraphQLField, given: Given) -> str:
    """The document that asks one operation for all that it can tell of this, two objects deep."""
    declared = [f"${each}: {field.args[each].type}" for each in given]
    passed = [f"{each}: ${each}" for each in given]
    selected = selection(field.type, 3)
    arguments = f"({', '.join(passed)})" if passed else ""
    variables = f"({', '.join(declared)})" if declared else ""
    return f"{kind}{variables} {{ {name}{arguments} {selected} }}"


def selection(shown: GraphQLOutputType, depth: int) -> str:
    """Every leaf within so many objects, of fields that need no argument."""
    kind = get_named_type(shown)
    if is_leaf_type(kind):
        return ""
    assert isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType))
    parts = ["__typename"]
    for name, field in kind.fields.items():
        if any(_required(argument.type) and argument.default_value is None for argument in field.args.values()):
            continue
        if getattr(field.resolve, "once", False):
            continue
        if is_leaf_type(get_named_type(field.type)):
            parts.append(name)
        elif depth > 1:
            parts.append(f"{name} {selection(field.type, depth - 1)}")
    return "{ " + " ".join(parts) + " }"


def _required(kind: GraphQLInputType) -> bool:
    return isinstance(kind, GraphQLNonNull)
