"""Errors on the wire: ``google.rpc.Status`` with an ``ErrorInfo`` that carries reason, field and parameters."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.kit.errors import FanfareError, Kind, RemoteError, Unavailable

DOMAIN = "fanfare"

CODES: dict[Kind, int] = {
    Kind.INVALID: code_pb2.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Kind.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Kind.NOT_FOUND: code_pb2.NOT_FOUND,
    Kind.CONFLICT: code_pb2.FAILED_PRECONDITION,
    Kind.EXHAUSTED: code_pb2.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: code_pb2.UNAVAILABLE,
}
_KINDS = {code: kind for kind, code in CODES.items()}


def status_of(error: FanfareError) -> grpc.Status:
    """The status that tells a caller of this error."""
    detail = any_pb2.Any()
    detail.Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata={**error.params, "field": error.field})
    )
    return _grpc_status(status_pb2.Status(code=CODES[error.kind], message=error.message, details=[detail]))


def internal_status(trace: str) -> grpc.Status:
    """The status of what nobody expected: nothing but the trace id that the log line has too."""
    return _grpc_status(
        status_pb2.Status(code=code_pb2.INTERNAL, message=f"Something went wrong on our side (trace {trace}).")
    )


def error_of(failure: grpc.RpcError) -> FanfareError | grpc.RpcError:
    """The error of the field behind a failed call; calls that did not get through become Unavailable."""
    status = rpc_status.from_call(failure) if isinstance(failure, grpc.Call) else None
    if status is not None:
        for detail in status.details:
            found = error_details_pb2.ErrorInfo()
            if detail.Unpack(found) and found.domain == DOMAIN:
                params = dict(found.metadata)
                field = params.pop("field", "")
                return RemoteError(_KINDS[status.code], found.reason, status.message, field=field, **params)
    code = failure.code() if isinstance(failure, grpc.Call) else None
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return Unavailable("A service did not answer in time: try again in a moment.")
    return failure


def _grpc_status(status: status_pb2.Status) -> grpc.Status:
    converted: grpc.Status = rpc_status.to_status(status)
    return converted
