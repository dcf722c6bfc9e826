"""Whoever sends requests to the gateway can ask first whether it is well."""

from __future__ import annotations

import threading

from flask import Flask

from services.gateway.web.health_pages import health_pages
from services.kit.errors import Unavailable
from services.kit.health import Health
from tests.gateway.house import House
from tests.kit.waiting import until


def test_a_gateway_that_has_what_it_needs_is_live_and_ready(house: House) -> None:
    client = house.caller().client
    for path, says in (("/livez", "live"), ("/readyz", "ready"), ("/readyz/store", "ready"), ("/readyz/log", "ready")):
        reply = client.get(path)
        assert (reply.status_code, reply.text.strip()) == (200, says)
        assert reply.headers["Cache-Control"] == "no-store"


def test_a_need_that_nobody_has_is_not_found(house: House) -> None:
    assert house.caller().client.get("/readyz/weather").status_code == 404


def test_what_lacks_its_log_is_not_ready_and_still_says_so_of_its_store() -> None:
    def away() -> None:
        raise Unavailable("The log is away.")

    stop = threading.Event()
    health = Health({"store": lambda: None, "log": away})
    health.start(stop)
    until(lambda: health.away() == ["log"])
    app = Flask(__name__)
    app.register_blueprint(health_pages(health))
    client = app.test_client()
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (503, "not ready, waits for: log\n")
    assert [client.get(path).status_code for path in ("/readyz/store", "/readyz/log", "/livez")] == [200, 503, 200]
    stop.set()
