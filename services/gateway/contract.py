"""The contract of the other rooms, as the gateway uses it: every rpc by name, and a way to call it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.kit.rpc.client import Metadata, Peer

ROOMS = ("members", "campaigns", "channels")

Call = Callable[..., Any]


@cache
def service_descriptors() -> dict[str, ServiceDescriptor]:
    """Every service of the rooms behind the gateway, by its short name."""
    return {service.name: service for room in ROOMS for service in _services_of(room)}


def _services_of(room: str) -> Iterator[ServiceDescriptor]:
    package = importlib.import_module(f"fanfare.{room}.v1")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.endswith("_service_pb2"):
            yield from importlib.import_module(f"{package.__name__}.{module.name}").DESCRIPTOR.services_by_name.values()


def rpc(name: str) -> MethodDescriptor:
    """The rpc called ``<Service>.<Method>``. Raises KeyError for one that the contract does not have."""
    service, _, method = name.partition(".")
    found: MethodDescriptor = service_descriptors()[service].methods_by_name[method]
    return found


def request_class(method: MethodDescriptor) -> type[Message]:
    return GetMessageClass(method.input_type)


class Rooms:
    """The services of the other rooms, at their addresses. Safe to share between threads."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self.peers = peers
        self._calls: dict[str, Call] = {}

    def call(self, name: str, request: Message, metadata: Metadata, timeout: float | None = None) -> Any:
        """Make the call; raises errors of the field (``services.kit.errors``)."""
        call = self._calls.get(name) or self._prepared(name)
        return (
            call(request, metadata=metadata) if timeout is None else call(request, metadata=metadata, timeout=timeout)
        )

    def stream(self, name: str, requests: Iterator[Message], metadata: Metadata, timeout: float) -> Any:
        """Make a call whose requests are streamed."""
        method = rpc(name)
        return self._peer(method).stub(
            lambda channel: channel.stream_unary(
                _path(method),
                request_serializer=request_class(method).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
        )(requests, metadata=metadata, timeout=timeout)

    def answers(self, name: str, request: Message, metadata: Metadata, timeout: float) -> Iterator[Any]:
        """Make a call whose answers are streamed."""
        method = rpc(name)
        call: Callable[..., Iterator[Any]] = self._peer(method).stub(
            lambda channel: channel.unary_stream(
                _path(method),
                request_serializer=request_class(method).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
        )
        return call(request, metadata=metadata, timeout=timeout)

    def close(self) -> None:
        for peer in self.peers.values():
            peer.close()

    def _prepared(self, name: str) -> Call:
        method = rpc(name)
        call: Call = self._peer(method).stub(
            lambda channel: channel.unary_unary(
                _path(method),
                request_serializer=request_class(method).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
        )
        self._calls[name] = call
        return call

    def _peer(self, method: MethodDescriptor) -> Peer:
        return self.peers[method.containing_service.file.package.split(".")[1]]


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"
