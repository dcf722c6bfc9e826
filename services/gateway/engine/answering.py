"""One request to the graph, from its JSON to its answer's."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute

from services.gateway.engine.documents import Documents, QueryRefused
from services.gateway.engine.limits import Limits
from services.gateway.engine.short import ShortExecution
from services.kit.errors import FanfareError, Invalid

Say = Callable[[FanfareError], str]

log = structlog.get_logger(__name__)


class Malformed(Invalid):
    reason = "malformed-request"


class Graph:
    """Answers requests. Safe to share between threads, each of which gets an event loop of its own."""

    def __init__(self, schema: GraphQLSchema, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.schema = schema
        self._documents = Documents(schema, self.limits)
        self._threads = threading.local()

    def loop(self) -> asyncio.AbstractEventLoop:
        """This thread's event loop."""
        loop: asyncio.AbstractEventLoop | None = getattr(self._threads, "loop", None)
        if loop is None:
            loop = self._threads.loop = asyncio.new_event_loop()
        return loop

    def answer(self, payload: Any, context: Any, say: Say, trace: str) -> tuple[dict[str, Any], bool]:
        """The answer to ``{query, variables, operationName, extensions}``, and whether the request itself was sound.

        ``say`` tells an expected error in the language asked for; unexpected ones are logged once with the trace, which
        is all that the answer says of them.
        """
        try:
            result = self._result(payload, context)
        except QueryRefused as refused:
            return {"errors": [_located(error) for error in refused.errors]}, False
        except FanfareError as error:
            return {"errors": [_expected(error, say)]}, False
        told: set[int] = set()
        answer: dict[str, Any] = {}
        if result.errors:
            answer["errors"] = [_error(error, say, trace, told) for error in result.errors]
        answer["data"] = result.data
        return answer, True

    def _result(self, payload: Any, context: Any) -> ExecutionResult:
        query, variables, name, sha256 = _taken_apart(payload)
        prepared = self._documents.prepare(query, sha256)
        self._documents.check(prepared.cost_of(name), variables)
        result = execute(
            self.schema,
            prepared.document,
            context_value=context,
            variable_values=dict(variables),
            operation_name=name,
            execution_context_class=ShortExecution,
        )
        if isinstance(result, ExecutionResult):
            return result
        assert inspect.isawaitable(result)
        return self.loop().run_until_complete(result)


def _taken_apart(payload: Any) -> tuple[str, Mapping[str, Any], str | None, str]:
    if not isinstance(payload, dict):
        raise Malformed("Send one JSON object with `query` and, where it has them, `variables`.", field="query")
    query, variables, name = payload.get("query") or "", payload.get("variables") or {}, payload.get("operationName")
    extensions = payload.get("extensions") or {}
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    sha256 = persisted.get("sha256Hash") if isinstance(persisted, dict) else ""
    if not isinstance(query, str) or not isinstance(sha256, str) or not (query or sha256):
        raise Malformed("`query` is the text of a GraphQL document.", field="query")
    if not isinstance(variables, dict):
        raise Malformed("`variables` is a JSON object.", field="variables")
    if name is not None and not isinstance(name, str):
        raise Malformed("`operationName` is text.", field="operationName")
    return query, variables, name or None, sha256


def _located(error: GraphQLError) -> dict[str, Any]:
    told: dict[str, Any] = dict(error.formatted)
    told["extensions"] = {"code": "invalid-query", **(error.extensions or {})}
    return told


def _expected(error: FanfareError, say: Say) -> dict[str, Any]:
    extensions = {"code": error.reason}
    if error.field:
        extensions["field"] = error.field
    return {"message": say(error), "extensions": extensions}


def _error(error: GraphQLError, say: Say, trace: str, told: set[int]) -> dict[str, Any]:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return _located(error)
    place = {key: value for key, value in error.formatted.items() if key in ("path", "locations")}
    if isinstance(cause, FanfareError):
        return {**_expected(cause, say), **place}
    if id(cause) not in told:
        told.add(id(cause))
        log.error("graph_failed", trace=trace, field=".".join(map(str, error.path or ())), exc_info=cause)
    return {
        "message": f"Something went wrong on our side ({trace}).",
        "extensions": {"code": "internal", "trace": trace},
        **place,
    }
