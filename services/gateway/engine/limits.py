"""What one request may ask: how deep, how wide and how much, and no query per row.

These rules run after standard validation, on documents known to be sound. Introspection is free of them: its size is
bounded by the schema and by the token limit.

Cost counts the objects that an answer may hold: a field of objects costs one, a connection costs its ``first`` times
what it selects. A field whose resolver says ``once`` asks another service for each parent, and so may stand
under one object, never under a list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
)
from graphql.language import (
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)
from graphql.pyutils import Undefined

from services.kit.errors import FanfareError

Variables = Mapping[str, Any]
Cost = Callable[[Variables], int]

PAGE = 50
A_FEW = 4  # what a plain list of a row usually holds: its permits, its guardians


class TooMuchAsked(FanfareError):
    reason = "query-too-large"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one request."""

    bytes: int = 256 * 1024
    tokens: int = 4_000
    depth: int = 12
    fields: int = 1_000
    mutations: int = 20
    cost: int = 20_000


def cost_of(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, limits: Limits) -> Cost:
    """The cost of the operation as a function of its variables; raises TooMuchAsked for what is too much with any."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return lambda _variables: 0
    walk = _Walk(schema, document, limits)
    if operation.operation is OperationType.MUTATION:
        chosen = sum(1 for _ in walk.chosen(root, operation.selection_set))
        if chosen > limits.mutations:
            raise TooMuchAsked(
                f"A request may carry {limits.mutations} mutations; this one has {chosen}: send several requests.",
                most=str(limits.mutations),
                asked=str(chosen),
            )
    return walk.cost(root, operation.selection_set, depth=1, within_list="")


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._fields = 0
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }

    def chosen(
        self, parent: GraphQLObjectType | GraphQLInterfaceType, selection: SelectionSetNode
    ) -> list[tuple[FieldNode, GraphQLField]]:
        """The fields selected, fragments opened, introspection left out."""
        found: list[tuple[FieldNode, GraphQLField]] = []
        for node in selection.selections:
            found += self._opened(parent, node)
        return found

    def _opened(
        self, parent: GraphQLObjectType | GraphQLInterfaceType, node: SelectionNode
    ) -> list[tuple[FieldNode, GraphQLField]]:
        if isinstance(node, FieldNode):
            self._fields += 1
            if self._fields > self._limits.fields:
                raise TooMuchAsked(
                    f"A request may select {self._limits.fields} fields, fragments opened: ask for less.",
                    most=str(self._limits.fields),
                )
            field = parent.fields.get(node.name.value)
            return [] if field is None else [(node, field)]
        if isinstance(node, FragmentSpreadNode):
            fragment = self._fragments[node.name.value]
            return self._inside(parent, fragment.type_condition.name.value, fragment.selection_set)
        assert isinstance(node, InlineFragmentNode)
        condition = node.type_condition.name.value if node.type_condition else parent.name
        return self._inside(parent, condition, node.selection_set)

    def _inside(
        self, parent: GraphQLObjectType | GraphQLInterfaceType, condition: str, selection: SelectionSetNode
    ) -> list[tuple[FieldNode, GraphQLField]]:
        narrowed = self._schema.get_type(condition)
        if not isinstance(narrowed, (GraphQLObjectType, GraphQLInterfaceType)):
            narrowed = parent
        return self.chosen(narrowed, selection)

    def cost(
        self,
        parent: GraphQLObjectType | GraphQLInterfaceType,
        selection: SelectionSetNode,
        *,
        depth: int,
        within_list: str,
    ) -> Cost:
        if depth > self._limits.depth:
            raise TooMuchAsked(
                f"A query may be {self._limits.depth} levels deep: ask for the inner part in a query of its own.",
                most=str(self._limits.depth),
            )
        parts: list[Cost] = []
        for node, field in self.chosen(parent, selection):
            if within_list and getattr(field.resolve, "once", False):
                raise TooMuchAsked(
                    f"{parent.name}.{node.name.value} is asked for each row of {within_list}: "
                    "ask for it on one object, through node(id:) or its own field.",
                    field=node.name.value,
                    list=within_list,
                )
            inner_type = get_named_type(field.type)
            if node.selection_set is None or not isinstance(inner_type, (GraphQLObjectType, GraphQLInterfaceType)):
                continue
            rows = _rows(parent, node, field)
            is_list = rows is not None or _is_list(field)
            inner = self.cost(
                inner_type,
                node.selection_set,
                depth=depth + 1,
                within_list=within_list or (node.name.value if is_list else ""),
            )
            parts.append(_one(inner) if rows is None else _many(rows, inner))
        return _sum(parts)


def _rows(parent: GraphQLObjectType | GraphQLInterfaceType, node: FieldNode, field: GraphQLField) -> Cost | None:
    """How many rows a field may bring; None for one object, and for the edges that their connection counts."""
    argument = field.args.get("first")
    if argument is None:
        is_list = _is_list(field)
        return _a_few if is_list and not parent.name.endswith("Connection") else None
    default = PAGE if argument.default_value in (Undefined, None) else int(argument.default_value)
    for given in node.arguments:
        if given.name.value != "first":
            continue
        if isinstance(given.value, IntValueNode):
            number = max(0, int(given.value.value))
            return lambda _variables: number
        if isinstance(given.value, VariableNode):
            name = given.value.name.value
            return lambda variables: _number(variables.get(name), default)
    return lambda _variables: default


def _is_list(field: GraphQLField) -> bool:
    of_type = field.type
    return isinstance(of_type.of_type if isinstance(of_type, GraphQLNonNull) else of_type, GraphQLList)


def _a_few(_variables: Variables) -> int:
    return A_FEW


def _number(value: Any, default: int) -> int:
    return max(0, value) if isinstance(value, int) else default


def _one(inner: Cost) -> Cost:
    return lambda variables: 1 + inner(variables)


def _many(rows: Cost, inner: Cost) -> Cost:
    return lambda variables: 1 + rows(variables) * max(1, inner(variables))


def _sum(parts: list[Cost]) -> Cost:
    if not parts:
        return lambda _variables: 0
    if len(parts) == 1:
        return parts[0]
    return lambda variables: sum(part(variables) for part in parts)
