"""Scalars: instants, amounts, and JSON that is text on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import graphene
import orjson
from graphql import GraphQLError, StringValueNode, ValueNode, value_from_ast_untyped

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at: int) -> str:
    """An instant (UTC milliseconds) as ISO 8601, always in UTC and to the millisecond."""
    days, rest = divmod(at, 86_400_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{_day(days)}T{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1_000:02d}.{rest % 1_000:03d}Z"


@lru_cache(maxsize=4_096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).date().isoformat()


def milliseconds(text: str) -> int:
    """UTC milliseconds of an ISO 8601 instant; raises ValueError for one that names no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no zone")
    return round((at - _EPOCH).total_seconds() * 1_000)


class Instant(graphene.Scalar):
    """An instant, ISO 8601 with its zone: `2026-11-23T20:30:00.000Z`. Answers are in UTC."""

    @staticmethod
    def serialize(value: int) -> str:
        return iso(value)

    @staticmethod
    def parse_value(value: Any) -> int:
        try:
            return milliseconds(value)
        except (TypeError, ValueError):
            raise GraphQLError("An instant is ISO 8601 with its zone: 2026-11-23T20:30:00Z.") from None

    @classmethod
    def parse_literal(cls, node: ValueNode, _variables: Any = None) -> int:
        return cls.parse_value(node.value if isinstance(node, StringValueNode) else None)


class Json(graphene.Scalar):
    """Any JSON value, written as such: `{"all": [{"standing": "fan"}]}`; the text of one is understood too."""

    @staticmethod
    def serialize(value: str) -> Any:
        return orjson.loads(value)

    @staticmethod
    def parse_value(value: Any) -> str:
        if isinstance(value, str):
            try:
                orjson.loads(value)
            except orjson.JSONDecodeError:
                raise GraphQLError("This text is not JSON.") from None
            return value
        return orjson.dumps(value).decode()

    @classmethod
    def parse_literal(cls, node: ValueNode, variables: Any = None) -> str:
        return cls.parse_value(value_from_ast_untyped(node, variables))
