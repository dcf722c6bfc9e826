"""Errors are words of the field.

A room raises a subclass that names what happened (``AlreadyLaunched``); its ``kind`` decides the gRPC status
and the payload error, its ``reason`` is the stable kebab-case code that callers may rely on, ``field`` points
at what to correct, and the message says what is wrong and how to put it right.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """How a caller should take an error. One table in ``kit.rpc`` maps kinds to gRPC status codes."""

    INVALID = "invalid"  # the request is wrong: correct the named field
    UNAUTHENTICATED = "unauthenticated"  # say who you are
    FORBIDDEN = "forbidden"  # known, but not allowed
    NOT_FOUND = "not-found"  # does not exist, or belongs to another agency
    CONFLICT = "conflict"  # the state does not allow it, or somebody was quicker
    EXHAUSTED = "exhausted"  # a limit was reached: try later
    UNAVAILABLE = "unavailable"  # something we depend on is away: try again


class FanfareError(Exception):
    """An expected error. ``params`` are strings for messages in other languages; never personal data."""

    kind: ClassVar[Kind] = Kind.INVALID
    reason: ClassVar[str] = "invalid"

    def __init__(self, message: str, *, field: str = "", **params: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.params = params


class Invalid(FanfareError):
    """The request is wrong in the named field."""


class Unauthenticated(FanfareError):
    kind = Kind.UNAUTHENTICATED
    reason = "unauthenticated"


class Forbidden(FanfareError):
    kind = Kind.FORBIDDEN
    reason = "forbidden"


class NotFound(FanfareError):
    kind = Kind.NOT_FOUND
    reason = "not-found"


class Conflict(FanfareError):
    kind = Kind.CONFLICT
    reason = "conflict"


class VersionConflict(Conflict):
    """Somebody else changed the document since it was read; read it again."""

    reason = "version-conflict"


class Exhausted(FanfareError):
    kind = Kind.EXHAUSTED
    reason = "limit-reached"


class Unavailable(FanfareError):
    kind = Kind.UNAVAILABLE
    reason = "unavailable"


class RemoteError(FanfareError):
    """An expected error that another service answered with; keeps its kind, reason and field."""

    def __init__(self, kind: Kind, reason: str, message: str, *, field: str = "", **params: str) -> None:
        super().__init__(message, field=field, **params)
        self.kind = kind  # type: ignore[misc] # the remote decides, per instance
        self.reason = reason  # type: ignore[misc] # the remote decides, per instance
