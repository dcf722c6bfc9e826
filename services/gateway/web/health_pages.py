"""``/livez`` and ``/readyz``: how the gateway is, for whoever runs it and sends it requests."""

from __future__ import annotations

from flask import Blueprint, Response, abort

from services.kit.health import Health


def health_pages(health: Health) -> Blueprint:
    """Status 200 where it is, 503 where it is not; ``/readyz/store`` asks of one need alone."""
    pages = Blueprint("health", __name__)

    @pages.get("/livez")
    def live() -> Response:
        return _told("live", [] if health.live else ["itself"])

    @pages.get("/readyz")
    @pages.get("/readyz/<need>")
    def ready(need: str = "") -> Response:
        if need and need not in health.needs:
            abort(404)
        return _told("ready", health.away(need))

    return pages


def _told(question: str, away: list[str]) -> Response:
    said = f"not {question}, waits for: {', '.join(away)}" if away else question
    response = Response(f"{said}\n", 503 if away else 200, mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    return response
