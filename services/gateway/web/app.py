"""The Flask application: the graph, its explorer, the public pages, and how the gateway is."""

from __future__ import annotations

from flask import Flask, Response, redirect

from services.gateway.asking import Desk
from services.gateway.engine.answering import Graph
from services.gateway.public.links import sooner
from services.gateway.public.pages import PublicDesk, public_pages
from services.gateway.web.events import event_door
from services.gateway.web.explorer_pages import explorer_pages
from services.gateway.web.files import file_doors
from services.gateway.web.graph import graph_pages
from services.gateway.web.health_pages import health_pages
from services.kit.health import Health


def make_app(graph: Graph, desk: Desk, public: PublicDesk, health: Health, most_upload_bytes: int) -> Flask:
    """The application over its parts; opens nothing itself."""
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(graph_pages(graph, desk))
    app.register_blueprint(explorer_pages())
    app.register_blueprint(event_door(desk))
    app.register_blueprint(file_doors(desk, most_upload_bytes))
    app.register_blueprint(public_pages(public))
    app.register_blueprint(health_pages(health))
    app.wsgi_app = sooner(app.wsgi_app, public.links)  # type: ignore[method-assign,assignment] # how Flask takes middleware

    @app.get("/")
    def home() -> Response:
        return redirect("/graphql")  # type: ignore[return-value] # werkzeug's response, which Flask takes as well

    @app.get("/robots.txt")
    def robots() -> Response:
        return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")

    return app
