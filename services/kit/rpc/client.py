"""Asking another service: its generated stub on a kept connection, with a deadline on every call, a retry of what did
not get through, and errors of the field instead of gRPC's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from services.kit.rpc.server import LARGEST_MESSAGE
from services.kit.rpc.status import error_of
from services.kit.rpc.trust import Grants, Signer
from services.kit.scope import Scope

Stub = TypeVar("Stub")
Metadata = tuple[tuple[str, str], ...]
DEADLINE_SECONDS = 10.0

_HOW_TO_CALL = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],  # every process that a name leads to gets its share
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)


class Peer:
    """Another service at an address. ``metadata`` for calls comes from ``on_behalf_of`` or ``as_service``."""

    def __init__(self, address: str, signer: Signer) -> None:
        self._signer = signer
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.service_config", _HOW_TO_CALL),
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
                ("grpc.max_reconnect_backoff_ms", 1_000),
            ],
        )

    def stub(self, stub_class: Callable[[Any], Stub]) -> Stub:
        """The generated stub; its calls raise the field's errors (``services.kit.errors``)."""
        return stub_class(_Translating(self._channel))

    def as_service(self, scope: Scope, *, trace: str = "", locale: str = "") -> Metadata:
        """Metadata of a call that this service makes itself, within a scope it found stored."""
        return _metadata(self._signer.service_token(scope), trace, locale)

    def on_behalf_of(self, actor: str, agency: str, grants: Grants, *, trace: str = "", locale: str = "") -> Metadata:
        """Metadata of a call made for an operator, a key or a member."""
        return _metadata(self._signer.token(actor, agency, grants), trace, locale)

    def close(self) -> None:
        self._channel.close()


def _metadata(token: str, trace: str, locale: str) -> Metadata:
    pairs = (("authorization", f"Bearer {token}"), ("traceparent", trace), ("accept-language", locale))
    return tuple((key, value) for key, value in pairs if value)


class _Translating:
    """A channel whose calls have a deadline and raise errors of the field."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def unary_unary(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return _answered(self._channel.unary_unary(*args, **kwargs), DEADLINE_SECONDS)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return _answered(self._channel.stream_unary(*args, **kwargs), None)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Callable[..., Iterator[Any]]:
        ask = self._channel.unary_stream(*args, **kwargs)

        def call(*call_args: Any, **call_kwargs: Any) -> Iterator[Any]:
            try:
                yield from ask(*call_args, **call_kwargs)
            except grpc.RpcError as failure:
                raise error_of(failure) from failure

        return call


def _answered(ask: Callable[..., Any], deadline: float | None) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("timeout", deadline)
        try:
            return ask(*args, **kwargs)
        except grpc.RpcError as failure:
            raise error_of(failure) from failure

    return call
