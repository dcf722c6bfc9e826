"""The floor of tracking: a bare Flask redirect, on the same server with the same number of threads.

``python -m bench.floors.redirect <threads>`` prints its address and runs until it is told to end.
"""

from __future__ import annotations

import signal
import sys

from flask import Flask, redirect
from werkzeug.wrappers import Response

from services.gateway.web.serving import HttpServer


def bare_redirect() -> Flask:
    app = Flask(__name__)

    @app.get("/l/<token>")
    def follow(token: str) -> Response:  # noqa: ARG001 # the route's
        return redirect("https://festival.example/pass", 302)

    return app


if __name__ == "__main__":
    server = HttpServer(bare_redirect(), "127.0.0.1:0", threads=int(sys.argv[1]))
    server.start()
    print(server.address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop(1.0)
