"""The graph: one room for each noun, composed here."""

from __future__ import annotations

from functools import cache
from typing import Any

import graphene
from graphql import GraphQLSchema

from services.gateway.schema import (
    agency,
    campaigns,
    channels,
    communities,
    identity,
    imports,
    members,
    node,
    objectives,
    privacy,
    segments,
    templates,
)
from services.gateway.schema.mirror import NAMED, attribute
from services.gateway.schema.node import KINDS

ROOMS = (
    agency,
    communities,
    members,
    segments,
    imports,
    identity,
    privacy,
    objectives,
    campaigns,
    templates,
    channels,
)


@cache
def schema() -> graphene.Schema:
    """The whole graph."""
    queries = {attribute(name): _called(name, field) for room in (node, *ROOMS) for name, field in room.QUERIES.items()}
    mutations = {name: made(name) for room in ROOMS for name, made in room.MUTATIONS.items()}
    query: Any = type("Query", (graphene.ObjectType,), {"__doc__": "What can be read.", **queries})
    mutation: Any = type("Mutation", (graphene.ObjectType,), {"__doc__": "What can be done.", **mutations})
    return graphene.Schema(
        query=query, mutation=mutation, types=[NAMED[kind] for kind in sorted(set(KINDS.values()))], auto_camelcase=True
    )


def _called(name: str, field: Any) -> Any:
    field.name = name
    return field


def core() -> GraphQLSchema:
    """The same for graphql-core, which executes it."""
    made: GraphQLSchema = schema().graphql_schema
    return made


def printed() -> str:
    """The graph in its own language, as committed in ``schema.graphql``."""
    return f"# Made by `python -m services.gateway schema`; `--check` says whether it is fresh.\n\n{schema()}\n"
