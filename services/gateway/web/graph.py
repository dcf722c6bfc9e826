"""``/graphql`` over HTTP: who asks, what they ask, and the cookie of whoever signs in."""

from __future__ import annotations

import re
from typing import Any

import orjson
from flask import Blueprint, Request, Response, request

from services.gateway.asking import Asking, Desk
from services.gateway.engine.answering import Graph, Malformed
from services.gateway.saying import language_of, said
from services.kit.errors import FanfareError, Forbidden, Unauthenticated
from services.kit.rpc.server import new_trace

COOKIE = "fanfare_session"
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


class CrossSite(Forbidden):
    reason = "cross-site"


class TooLarge(Malformed):
    reason = "request-too-large"


def graph_pages(graph: Graph, desk: Desk) -> Blueprint:
    """The endpoint."""
    pages = Blueprint("graph", __name__)

    @pages.post("/graphql")
    def answer() -> Response:
        locale = language_of(request.headers.get("Accept-Language", ""))
        trace = trace_of(request)
        try:
            payload = body_of(request, graph.limits.bytes)
            viewer, stale = who_asks(request, desk)
        except FanfareError as error:
            return _json(
                {"errors": [{"message": said(error, locale), "extensions": {"code": error.reason}}]}, _status(error)
            )
        asking = Asking(desk, viewer, locale, trace, graph.loop(), request.remote_addr or "")
        told, sound = graph.answer(payload, asking, lambda error: said(error, locale), trace)
        response = _json(told, 200 if sound else 400)
        _keep_cookie(response, asking, stale)
        return response

    return pages


def body_of(asked: Request, most: int) -> Any:
    """The JSON of the body. Raises TooLarge, Malformed."""
    if asked.mimetype != "application/json":
        raise Malformed("Send JSON: Content-Type: application/json.")
    if (asked.content_length or 0) > most:
        raise TooLarge(f"A request has at most {most} bytes.")
    raw = asked.stream.read(most + 1)
    if len(raw) > most:
        raise TooLarge(f"A request has at most {most} bytes.")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Malformed("The body is not JSON.") from None


def who_asks(asked: Request, desk: Desk) -> tuple[Any, bool]:
    """Who is behind the bearer token or the cookie (None: nobody), and whether the cookie is of no use any more.

    Raises Unauthenticated for a token that is not good, and CrossSite for a cookie sent from another site's page.
    """
    scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
    if token:
        if scheme.lower() != "bearer":
            raise Unauthenticated("Send the token as Authorization: Bearer …")
        return desk.credentials.viewer(token.strip()), False
    cookie = asked.cookies.get(COOKIE)
    if not cookie:
        return None, False
    origin = asked.headers.get("Origin")
    if asked.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none") or (
        origin is not None and origin.partition("://")[2] != asked.host
    ):
        raise CrossSite("A session is only good on our own pages: use an API key elsewhere.")
    try:
        return desk.credentials.viewer(cookie, by_cookie=True), False
    except Unauthenticated:
        return None, True


def trace_of(asked: Request) -> str:
    given = asked.headers.get("traceparent", "")
    return given if _TRACEPARENT.fullmatch(given) else new_trace()


def _keep_cookie(response: Response, asking: Asking, stale: bool) -> None:
    if asking.signed_in is not None:
        session = asking.signed_in
        response.set_cookie(
            COOKIE,
            session.token,
            max_age=(session.expires_at - asking.desk.clock.now()) // 1_000,
            httponly=True,
            secure=asking.desk.public_url.startswith("https:"),
            samesite="Strict",
        )
    elif asking.signed_out or stale:
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict")


def _status(error: FanfareError) -> int:
    return {"unauthenticated": 401, "forbidden": 403, "unavailable": 503}.get(
        error.kind.value, 413 if isinstance(error, TooLarge) else 400
    )


def _json(told: Any, status: int) -> Response:
    response = Response(orjson.dumps(told), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
