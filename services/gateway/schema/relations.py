"""Fields that lead from one thing to others: relations by id, pages of a list, and answers to a question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import graphene
from graphene.utils.str_converters import to_camel_case

from services.gateway.asking import Asking
from services.gateway.contract import request_class, rpc
from services.gateway.engine.limits import PAGE
from services.gateway.engine.short import Read
from services.gateway.schema.comments import comments
from services.gateway.schema.mirror import NAMED, PAGE_REQUEST, fill, input_fields, type_for
from services.kit.errors import Invalid
from services.kit.store.port import PAGE_LIMIT

Asked = Callable[[Asking, Any, int, str, Mapping[str, Any]], tuple[Sequence[Any], str]]
"""(asking, parent, size, after, arguments) → the things of one page, and the cursor of the next ("": the last)."""


class PageSizeInvalid(Invalid):
    reason = "page-size-invalid"


class CursorInvalid(Invalid):
    reason = "cursor-invalid"


class Once:
    """A resolver that asks another service for each parent: never under a list (``engine.limits``)."""

    once = True

    def __init__(self, resolve: Callable[..., Any]) -> None:
        self._resolve = resolve

    def __call__(self, source: Any, info: Any, **arguments: Any) -> Any:
        return self._resolve(source, info, **arguments)


def named(kind: str) -> Callable[[], Any]:
    """The type of this name, once all are known."""
    return lambda: NAMED[kind]


# Relations


def one(path: str, kind: str, description: str = "") -> graphene.Field:
    """The thing whose id stands at ``path`` of the parent."""
    get = attrgetter(path)

    def resolve(source: Any, info: Any) -> Any:
        an_id = get(source)
        return info.context.load(kind, an_id) if an_id else None

    return graphene.Field(named(kind), description=description or None, resolver=resolve)


def many(path: str, kind: str, description: str = "") -> graphene.Field:
    """The things whose ids stand at ``path``; those that are gone are left out."""
    get = attrgetter(path)

    def resolve(source: Any, info: Any) -> Any:
        ids = list(get(source))
        return _all_of(info.context, kind, ids) if ids else []

    return graphene.List(
        graphene.NonNull(named(kind)), required=True, description=description or None, resolver=resolve
    )


async def _all_of(asking: Asking, kind: str, ids: Sequence[str]) -> list[Any]:
    loading: list[Awaitable[Any]] = [asking.load(kind, an_id) for an_id in ids]
    return [found for found in await asyncio.gather(*loading) if found is not None]


def by_id(kind: str, description: str) -> graphene.Field:
    """The thing of the id given."""

    def resolve(_source: Any, info: Any, id: str) -> Any:  # the argument's name
        info.context.viewer  # noqa: B018 # raises before anything is asked
        return info.context.load(kind, id)

    return graphene.Field(
        named(kind), id=graphene.Argument(graphene.ID, required=True), description=description, resolver=resolve
    )


# Pages


@dataclass(frozen=True, slots=True)
class Edge:
    node: Any
    cursor: str


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page as Relay wants it. A cursor says how many to skip behind a cursor of the room (``3.<cursor>``)."""

    edges: list[Edge]
    has_next: bool
    has_previous: bool

    @property
    def nodes(self) -> list[Any]:
        return [edge.node for edge in self.edges]

    @property
    def end(self) -> str | None:
        return self.edges[-1].cursor if self.edges else None

    @property
    def start(self) -> str | None:
        return self.edges[0].cursor if self.edges else None


class PageInfo(graphene.ObjectType):
    """Where a page stands in its list."""

    has_next_page = graphene.Boolean(required=True, resolver=Read(attrgetter("has_next")))
    has_previous_page = graphene.Boolean(required=True, resolver=Read(attrgetter("has_previous")))
    start_cursor = graphene.String(resolver=Read(attrgetter("start")))
    end_cursor = graphene.String(resolver=Read(attrgetter("end")))


_CONNECTIONS: dict[str, Any] = {}


def connection_of(kind: Any) -> Any:
    """The connection type of a type: edges, nodes and pageInfo."""
    name = kind.__name__
    known = _CONNECTIONS.get(name)
    if known is None:
        edge = type(
            f"{name}Edge",
            (graphene.ObjectType,),
            {
                "__doc__": f"A place in a list of {name}.",
                "node": graphene.Field(kind, required=True, resolver=Read(attrgetter("node"))),
                "cursor": graphene.String(required=True, resolver=Read(attrgetter("cursor"))),
            },
        )
        known = _CONNECTIONS[name] = type(
            f"{name}Connection",
            (graphene.ObjectType,),
            {
                "__doc__": f"A page of {name}.",
                "edges": graphene.List(graphene.NonNull(edge), required=True, resolver=Read(attrgetter("edges"))),
                "nodes": graphene.List(graphene.NonNull(kind), required=True, resolver=Read(attrgetter("nodes"))),
                "page_info": graphene.Field(PageInfo, required=True, resolver=Read(lambda page: page)),
            },
        )
    return known


def paged(
    kind: str,
    ask: Asked,
    description: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    of_parent: bool = False,
) -> graphene.Field:
    """A connection; ``of_parent``: one for each parent, so never under a list."""

    def resolve(source: Any, info: Any, first: int = PAGE, after: str | None = None, **given: Any) -> PageRead:
        return read_page(first, after, lambda size, cursor: ask(info.context, source, size, cursor, given))

    return graphene.Field(
        lambda: connection_of(NAMED[kind]),
        required=not of_parent,
        description=description,
        first=graphene.Argument(graphene.Int, default_value=PAGE, description=f"At most {PAGE_LIMIT}."),
        after=graphene.Argument(graphene.String, description="The cursor to go on behind."),
        resolver=Once(resolve) if of_parent else resolve,
        **(arguments or {}),
    )


def read_page(first: int, after: str | None, ask: Callable[[int, str], tuple[Sequence[Any], str]]) -> PageRead:
    """Read ``first`` things behind a cursor. Raises PageSizeInvalid, CursorInvalid."""
    if not 1 <= first <= PAGE_LIMIT:
        raise PageSizeInvalid(f"A page holds 1 to {PAGE_LIMIT}.", field="first", most=str(PAGE_LIMIT))
    skip, start = _cursor(after)
    size = min(PAGE_LIMIT, skip + first)
    found, following = ask(size, start)
    edges = [Edge(node, f"{place}.{start}") for place, node in enumerate(found[skip:], skip + 1)]
    if edges and following:
        edges[-1] = Edge(edges[-1].node, f"0.{following}")
    return PageRead(edges, bool(following), bool(after))


def _cursor(after: str | None) -> tuple[int, str]:
    if not after:
        return 0, ""
    skip, dot, start = after.partition(".")
    if not dot or not skip.isdecimal() or int(skip) >= PAGE_LIMIT:
        raise CursorInvalid("This cursor is not one of ours: take it from an edge or from pageInfo.", field="after")
    return int(skip), start


def listing(
    rpc_name: str,
    kind: str,
    description: str = "",
    *,
    parent: str = "",
    by: str = "id",
    required: Iterable[str] = (),
    hide: Iterable[str] = (),
) -> graphene.Field:
    """A connection over an rpc with a page.

    ``parent``: the request's field that takes the parent's id, or what the parent has under ``by``; nothing there is an
    empty list.
    """
    method = rpc(rpc_name)
    asks = request_class(method)
    page_field = next(
        each.name
        for each in method.input_type.fields
        if each.message_type is not None and each.message_type.full_name == PAGE_REQUEST
    )
    answered = next(each.name for each in method.output_type.fields if each.is_repeated)
    hidden = {parent, *hide} if parent else set(hide)
    arguments = input_fields(method.input_type, hide=hidden, required=required, as_arguments=True)

    def ask(asking: Asking, source: Any, size: int, after: str, given: Mapping[str, Any]) -> tuple[Sequence[Any], str]:
        request = asks()
        fill(request, given)
        if parent:
            whose = getattr(source, by)
            if not whose:
                return [], ""
            setattr(request, parent, whose)
        page = getattr(request, page_field)
        page.size, page.after = size, after
        answer = asking.call(rpc_name, request)
        return list(getattr(answer, answered)), answer.next

    said = description or comments().get(f"{method.containing_service.full_name}.{method.name}") or ""
    return paged(kind, ask, said, arguments, of_parent=bool(parent))


# Questions


def answer_to(
    rpc_name: str,
    *,
    kind: Any = None,
    part: str = "",
    parent: str = "",
    required: Iterable[str] = (),
    description: str = "",
) -> graphene.Field:
    """What an rpc answers to a question: the whole answer, or a ``part`` of it; ``parent`` as in ``listing``."""
    method = rpc(rpc_name)
    asks = request_class(method)
    shown, is_list = _shown(method.output_type, part, kind)
    arguments = input_fields(method.input_type, hide={parent} if parent else (), required=required, as_arguments=True)

    def resolve(source: Any, info: Any, **given: Any) -> Any:
        request = asks()
        fill(request, given)
        if parent:
            setattr(request, parent, source.id)
        answer = info.context.call(rpc_name, request)
        if not part:
            return answer
        return list(getattr(answer, part)) if is_list else getattr(answer, part)

    said = description or comments().get(f"{method.containing_service.full_name}.{method.name}")
    return graphene.Field(
        graphene.List(graphene.NonNull(shown)) if is_list else shown,
        description=said,
        resolver=Once(resolve) if parent else resolve,
        **arguments,
    )


def _shown(answer: Any, part: str, kind: Any) -> tuple[Any, bool]:
    if not part:
        return kind or (lambda: type_for(answer)), False
    field = answer.fields_by_name[part]
    return kind or (lambda: type_for(field.message_type)), field.is_repeated


def camel(name: str) -> str:
    """The graph's name of a field: `contact_points` → `contactPoints`; dotted paths part by part."""
    field, slash, place = name.partition("/")
    return ".".join(to_camel_case(part) for part in field.split(".")) + slash + place
