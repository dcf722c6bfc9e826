"""What the plain HTTP doors (events, files, exports) share: who asks, and how one is told no."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, request

from services.gateway.access.viewer import Viewer
from services.gateway.asking import Desk, SignInFirst
from services.gateway.saying import language_of, said
from services.gateway.web.graph import trace_of, who_asks
from services.kit.errors import FanfareError, Kind
from services.kit.rpc.client import Metadata
from services.kit.rpc.trust import Grants

STATUS = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.EXHAUSTED: 429,
    Kind.UNAVAILABLE: 503,
}


def asked_by(desk: Desk) -> Viewer:
    """Who is at the door. Raises SignInFirst and what ``who_asks`` raises."""
    viewer, _ = who_asks(request, desk)
    if viewer is None:
        raise SignInFirst("Send an API key: Authorization: Bearer ffk_…")
    found: Viewer = viewer
    return found


def metadata_for(desk: Desk, viewer: Viewer, grants: Grants) -> Metadata:
    """Metadata of a call in the viewer's name, with no more than these grants."""
    return (
        ("authorization", f"Bearer {desk.signer.token(viewer.actor, viewer.agency, grants)}"),
        ("traceparent", trace_of(request)),
        ("accept-language", language_of(request.headers.get("Accept-Language", ""))),
    )


def told(answer: Any, status: int = 200) -> Response:
    response = Response(orjson.dumps(answer), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def refused(error: FanfareError) -> Response:
    """`{"error": {"code", "field", "message"}}`, in the language asked for."""
    locale = language_of(request.headers.get("Accept-Language", ""))
    answer = {"error": {"code": error.reason, "field": error.field or None, "message": said(error, locale)}}
    response = told(answer, STATUS[error.kind])
    if error.kind is Kind.UNAVAILABLE:
        response.headers["Retry-After"] = "5"
    return response
