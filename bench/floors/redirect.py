"""The floor of tracking: a bare Flask redirect, to be served by the same server with the same settings."""

from __future__ import annotations

from flask import Flask, redirect
from werkzeug.wrappers import Response

app = Flask(__name__)


@app.get("/l/<token>")
def follow(token: str) -> Response:  # noqa: ARG001 # the route's
    return redirect("https://festival.example/tickets", 302)
