"""Anything with a global id: our ids are global as they are, and their prefix names the type."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import graphene

from services.gateway.engine.short import Read
from services.gateway.schema.mirror import TYPES

KINDS: dict[str, str] = {}
"""Type names by the prefix of their ids; filled by the rooms of the schema."""

OWN: dict[type, Any] = {}
"""Graph types of the gateway's own values."""


class Node(graphene.Interface):
    """Something with a global id."""

    id = graphene.ID(required=True, resolver=Read(attrgetter("id")))

    @classmethod
    def resolve_type(cls, instance: Any, _info: Any) -> Any:
        descriptor = getattr(instance, "DESCRIPTOR", None)
        return TYPES[descriptor.full_name] if descriptor is not None else OWN[type(instance)]


def _resolve_node(_source: Any, info: Any, id: str) -> Any:  # the argument's name
    info.context.viewer  # noqa: B018 # raises before anything is asked
    kind = KINDS.get(id.partition("_")[0])
    return info.context.load(kind, id) if kind else None


async def _resolve_nodes(_source: Any, info: Any, ids: Sequence[str]) -> list[Any]:
    waiting = [_resolve_node(None, info, one) for one in ids]
    return [None if one is None else await one for one in waiting]


QUERIES = {
    "node": graphene.Field(
        Node,
        id=graphene.Argument(graphene.ID, required=True),
        description="The thing of this global id; null where there is none, or none of yours.",
        resolver=_resolve_node,
    ),
    "nodes": graphene.List(
        Node,
        required=True,
        ids=graphene.Argument(graphene.List(graphene.NonNull(graphene.ID)), required=True),
        description="The things of these ids, in their order.",
        resolver=_resolve_nodes,
    ),
}
