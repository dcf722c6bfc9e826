"""The explorer of the graph: a page of our own that needs nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

FOLDER = Path(__file__).with_name("explorer")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


def explorer_pages() -> Blueprint:
    """The page at GET ``/graphql``, and what it is made of."""
    pages = Blueprint("explorer", __name__)

    @pages.get("/graphql")
    def explorer() -> Response:
        return _guarded(send_from_directory(FOLDER, "index.html"))

    @pages.get("/explorer/<path:name>")
    def part(name: str) -> Response:
        return _guarded(send_from_directory(FOLDER, name))

    return pages


def _guarded(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response
