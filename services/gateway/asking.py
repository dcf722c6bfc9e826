"""One request to the graph: who asks, in which language, and how its resolvers reach the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiodataloader import DataLoader
from google.protobuf.message import Message

from services.gateway.access.audit import AuditLog
from services.gateway.access.credentials import Credentials
from services.gateway.access.people import People
from services.gateway.access.viewer import Viewer
from services.gateway.contract import Rooms, request_class, rpc
from services.kit.clock import Clock
from services.kit.errors import NotFound, Unauthenticated
from services.kit.rpc.client import Metadata
from services.kit.rpc.trust import Signer

MOST_IDS = 200
Batch = Callable[["Asking", Sequence[str]], dict[str, Any]]


class SignInFirst(Unauthenticated):
    reason = "sign-in-first"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the gateway has of its own, shared by all requests."""

    rooms: Rooms
    signer: Signer
    people: People
    credentials: Credentials
    audit: AuditLog
    clock: Clock
    public_url: str


@dataclass(slots=True)
class Asking:
    """The context of one request; ``who`` is None before signing in. ``calls`` counts what it asked of the rooms."""

    desk: Desk
    who: Viewer | None
    locale: str
    trace: str
    loop: asyncio.AbstractEventLoop
    address: str = ""
    calls: int = 0
    signed_in: Any = None  # a new session, for the cookie
    signed_out: bool = False
    _metadata: Metadata = ()
    _loaders: dict[str, DataLoader[str, Any]] = field(default_factory=dict)

    @property
    def viewer(self) -> Viewer:
        """Who asks. Raises SignInFirst."""
        if self.who is None:
            raise SignInFirst("Sign in first, or send an API key.")
        return self.who

    def call(self, name: str, request: Message) -> Any:
        """Call an rpc of another room in the viewer's name; raises the errors that it answers with."""
        self.calls += 1
        return self.desk.rooms.call(name, request, self._in_whose_name())

    def answers(self, name: str, request: Message, timeout: float = 60) -> Any:
        """The same for an rpc that streams its answers."""
        self.calls += 1
        return self.desk.rooms.answers(name, request, self._in_whose_name(), timeout)

    def load(self, kind: str, an_id: str) -> Any:
        """The thing of this kind and id (None: there is none), fetched together with what else this request needs."""
        loader = self._loaders.get(kind)
        if loader is None:
            loader = self._loaders[kind] = _Batched(self, BATCHES[kind], self.loop)
        return loader.load(an_id)

    def forget_loaded(self) -> None:
        """After a change, what was loaded before it is stale."""
        self._loaders.clear()

    def _in_whose_name(self) -> Metadata:
        if not self._metadata:
            viewer = self.viewer
            token = self.desk.signer.token(viewer.actor, viewer.agency, viewer.grants)
            self._metadata = (
                ("authorization", f"Bearer {token}"),
                ("traceparent", self.trace),
                ("accept-language", self.locale),
            )
        return self._metadata


class _Batched(DataLoader[str, Any]):
    """Fetches all the ids that a step of the execution asks for in one call."""

    max_batch_size = MOST_IDS

    def __init__(self, asking: Asking, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._asking = asking
        self._batch = batch

    async def batch_load_fn(self, keys: list[str]) -> list[Any]:
        found = self._batch(self._asking, keys)
        return [found.get(key) for key in keys]


def by_rpc(name: str, argument: str = "ids") -> Batch:
    """A batch by an rpc that answers those found, in the order asked; a merged id answers with who goes on."""
    method = rpc(name)
    asks = request_class(method)
    (answered,) = (each.name for each in method.output_type.fields if each.is_repeated)
    key = "id" if argument == "ids" else argument.removesuffix("s")

    def batch(asking: Asking, ids: Sequence[str]) -> dict[str, Any]:
        messages = list(getattr(asking.call(name, asks(**{argument: ids})), answered))
        found = {getattr(message, key): message for message in messages}
        missing = [one for one in ids if one not in found]
        if not missing:
            return found
        if len(messages) == len(ids):
            return dict(zip(ids, messages, strict=True))
        asked = set(ids)
        if any(getattr(message, key) not in asked for message in messages):
            # Some were merged and some are not there: who is who is only known one by one.
            for one in missing:
                alone = list(getattr(asking.call(name, asks(**{argument: [one]})), answered))
                found |= {one: alone[0]} if alone else {}
        return found

    return batch


def one_by_one(name: str) -> Batch:
    """A batch by an rpc that answers one thing at a time: for what is looked at one at a time."""
    method = rpc(name)
    asks = request_class(method)
    (argument,) = (each.name for each in method.input_type.fields)
    (answered,) = (each.name for each in method.output_type.fields)

    def batch(asking: Asking, ids: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for an_id in ids:
            with suppress(NotFound):
                found[an_id] = getattr(asking.call(name, asks(**{argument: an_id})), answered)
        return found

    return batch


BATCHES: dict[str, Batch] = {}
"""How to fetch each kind of thing by its ids; filled by the rooms of the schema."""
