"""Answering calls: a service's rpcs are the methods of a plain object, found by the descriptor's names.

``GetMembers(self, request, caller)`` takes the request message and the caller, returns the response message (or an
iterator of them). The contract says in each rpc's ``grant`` option who may call; an rpc without one is not served.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kit.errors import FanfareError, Forbidden, Unauthenticated, Unavailable
from services.kit.health import Health
from services.kit.rpc.status import internal_status, status_of
from services.kit.rpc.trust import Identity, Verifier
from services.kit.rpc.walls import Walls
from services.kit.scope import Scope

LARGEST_MESSAGE = 16 * 1024 * 1024
LIVE = "live"
_CONNECTION_AGE_MS = 300_000  # then callers look the name up again, and find processes that came since
GRANT_OPTION = 51_000  # fanfare.access.v1.grant

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how far the rpc's grant reaches for them."""

    scope: Scope
    identity: Identity
    locale: str
    trace: str
    walls: Walls | None = None

    @property
    def actor(self) -> str:
        return self.identity.actor

    def in_community(self, community: str) -> Scope:
        """The scope of the community that the request names; NotFound where it is not the caller's."""
        return self.walls.enter(self.scope, community) if self.walls else self.scope.within(community)


class AnsweredBefore(Protocol):
    """Remembers answers by ``request_id``, so that a call made again is answered, not done again."""

    def answer(self, scope: Scope, method: str, request_id: str, payload: bytes, do: Callable[[], bytes]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the contract and the object that answers its rpcs by name."""

    descriptor: ServiceDescriptor
    api: object


class _HealthDoor(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # the library ships no types
    """``grpc.health.v1.Health/Check``: of the whole process under "", of ``live`` or one of its needs alone."""

    def __init__(self, known: Health) -> None:
        self._known = known

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 # the contract's name
        asked, known = request.service, self._known
        if asked not in ("", LIVE, *known.needs):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Ask of nothing, which is all of it, of {LIVE}, or of a need.")
        serves = known.live and (asked == LIVE or not known.away(asked))
        statuses = health_pb2.HealthCheckResponse
        return statuses(status=statuses.SERVING if serves else statuses.NOT_SERVING)


class RpcServer:
    """A gRPC server with authentication, grants, errors of the field, health and reflection.

    ``walls`` are for a room that must ask another whose a community is.
    """

    def __init__(
        self,
        address: str,
        services: Sequence[Service],
        verifier: Verifier,
        *,
        answered: AnsweredBefore | None = None,
        walls: Walls | None = None,
        health: Health | None = None,
        threads: int = 16,
    ) -> None:
        self._verifier = verifier
        self._answered = answered
        self._walls = walls
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="rpc"),
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ],
        )
        self._health = health or Health()
        health_pb2_grpc.add_HealthServicer_to_server(_HealthDoor(self._health), self._server)
        names = [service.descriptor.full_name for service in services]
        for service in services:
            handlers = {method.name: self._handler(method, service.api) for method in service.descriptor.methods}
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service.descriptor.full_name, handlers),)
            )
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME, grpc_health.SERVICE_NAME], self._server)
        self.address = address

    def start(self) -> None:
        """Take the address, and answer there: a process that only works beside this one leaves it alone.

        Raises Unavailable where the address cannot be had.
        """
        if self.address.startswith("unix:"):
            Path(self.address.removeprefix("unix:")).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            port = self._server.add_insecure_port(self.address)
        except RuntimeError as error:
            raise Unavailable(f"{self.address} is taken by another program, or cannot be had.") from error
        if self.address.endswith(":0"):
            self.address = f"{self.address.rpartition(':')[0]}:{port}"
        self._server.start()

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Refuse new calls, let those under way end within the grace."""
        self._health.end()
        self._server.stop(grace_seconds).wait()

    def _handler(self, method: MethodDescriptor, api: object) -> grpc.RpcMethodHandler[Any, Any]:
        answer: Callable[[Any, Caller], Any] = getattr(api, method.name)
        grant = grant_of(method)
        path = f"/{method.containing_service.full_name}/{method.name}"
        remembers = "request_id" in method.input_type.fields_by_name

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            caller: Caller | None = None
            try:
                caller = self._caller(context, grant)
                if remembers and self._answered is not None and request.request_id:
                    return self._once(answer, request, caller, path, method)
                return answer(request, caller)
            except Exception as error:
                return _abort(context, error, path, caller)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            caller: Caller | None = None
            try:
                caller = self._caller(context, grant)
                for response in answer(request, caller):
                    self._caller(context, grant)  # a page is only sent to who may still read it
                    yield response
            except Exception as error:
                _abort(context, error, path, caller)

        deserialize = GetMessageClass(method.input_type).FromString
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, deserialize, _serialize)
        if method.client_streaming:
            return grpc.stream_unary_rpc_method_handler(call, deserialize, _serialize)
        return grpc.unary_unary_rpc_method_handler(call, deserialize, _serialize)

    def _caller(self, context: grpc.ServicerContext, grant: str) -> Caller:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        token = metadata.get("authorization", "").removeprefix("Bearer ")
        if not token:
            raise Unauthenticated("The call carries no token.")
        identity = self._verifier.identity(token)
        trace = metadata.get("traceparent") or new_trace()
        return Caller(identity.scope_for(grant), identity, metadata.get("accept-language", "en"), trace, self._walls)

    def _once(
        self,
        answer: Callable[[Any, Caller], Message],
        request: Any,
        caller: Caller,
        path: str,
        method: MethodDescriptor,
    ) -> Message:
        assert self._answered is not None
        raw = self._answered.answer(
            caller.scope,
            path,
            request.request_id,
            request.SerializeToString(deterministic=True),
            lambda: answer(request, caller).SerializeToString(),
        )
        return GetMessageClass(method.output_type).FromString(raw)


def new_trace() -> str:
    """A W3C traceparent for work that nobody traced before."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def grant_of(method: MethodDescriptor) -> str:
    """The grant that the contract asks for. Raises Forbidden for an rpc that names none: it is not served."""
    for field, value in method.GetOptions().ListFields():
        if field.number == GRANT_OPTION:
            return str(value)
    raise Forbidden(f"{method.full_name} names no grant: add the option to its contract.")


def grants_of(services: Iterable[ServiceDescriptor]) -> Mapping[str, str]:
    """Every rpc's full name with the grant it asks for."""
    return {method.full_name: grant_of(method) for service in services for method in service.methods}


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _abort(context: grpc.ServicerContext, error: Exception, path: str, caller: Caller | None) -> Any:
    if isinstance(error, FanfareError):
        context.abort_with_status(status_of(error))
    trace = caller.trace if caller else new_trace()
    log.error("rpc failed", rpc=path, trace=trace, exc_info=error)
    context.abort_with_status(internal_status(trace))
