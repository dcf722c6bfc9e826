"""The real rooms in one process, and a gateway over them, for the tests of the gateway."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from services.gateway.access.first_start import Founding, found, make_signing_keys
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import Gateway, access_of, open_own_store, wire_gateway
from services.kit.clock import SystemClock
from services.kit.ids import Ids
from services.kit.log import Log, open_log
from services.kit.process import Parts
from tests.kit.waiting import until

ROOMS = ("members", "campaigns", "channels")
Answer = dict[str, Any]


class Refused(AssertionError):
    """The graph answered with errors where a test expected none."""

    def __init__(self, errors: Any) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass
class Caller:
    """Somebody who asks the graph over HTTP."""

    client: FlaskClient
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, document: str, language: str = "en", /, **variables: Any) -> Answer:
        """The whole answer."""
        reply = self.client.post(
            "/graphql",
            json={"query": document, "variables": variables},
            headers={"Accept-Language": language, **self.headers},
        )
        answer: Answer = reply.get_json()
        return answer

    def ask(self, document: str, /, **variables: Any) -> Answer:
        """The data; raises Refused."""
        answer = self.post(document, **variables)
        if answer.get("errors"):
            raise Refused(answer["errors"])
        data: Answer = answer["data"]
        return data

    def do(self, name: str, gives: str = "", /, **given: Any) -> Answer:
        """Carry out one mutation; its payload. Raises Refused."""
        payload = self.attempt(name, gives, **given)
        if payload["errors"]:
            raise Refused(payload["errors"])
        return payload

    def attempt(self, name: str, gives: str = "", /, **given: Any) -> Answer:
        """The same, errors and all."""
        title = name[0].upper() + name[1:]
        document = (
            f"mutation($input: {title}Input!) {{ {name}(input: $input) {{ {gives} errors {{ field code message }} }} }}"
        )
        payload: Answer = self.ask(document, input=given)[name]
        return payload


@dataclass
class House:
    """Everything that runs."""

    data: Path
    gateway: Gateway
    founding: Founding
    running: tuple[str, ...]
    settings: GatewaySettings
    log: Log

    def caller(self, token: str = "") -> Caller:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Caller(self.gateway.app.test_client(use_cookies=not token), headers)

    def owner_of(self, founding: Founding) -> Caller:
        """An owner, signed in."""
        caller = self.caller()
        payload = caller.do("signIn", "token", email=founding.operator.email, password=founding.password)
        return self.caller(payload["token"])

    def found(self, name: str, email: str) -> Founding:
        """Another agency."""
        desk = self.gateway.desk
        return found(desk.people, desk.credentials, name, email)


@contextmanager
def open_house(data: Path, rooms: tuple[str, ...] = ROOMS) -> Iterator[House]:
    """Run the rooms that there are, and a gateway; everything stops at the end."""
    environment: dict[str, Any] = {"data": data, "http": "127.0.0.1:0"}
    settings = GatewaySettings(**environment)
    data.mkdir(parents=True, exist_ok=True)
    make_signing_keys(settings.keys_folder)
    (data / "run").mkdir(exist_ok=True)
    stop = threading.Event()
    opened: list[tuple[Parts, list[threading.Thread]]] = []
    try:
        for room in rooms:
            parts = importlib.import_module(f"services.{room}.wiring").wire(_settings_of(room, environment))
            assert parts.server is not None
            parts.server.start()
            opened.append((parts, _start(parts, stop)))
        store = open_own_store(settings)
        access = access_of(store, Ids(SystemClock()), SystemClock())
        founding = found(access.people, access.credentials, "First", "owner@first.example")
        store.close()
        gateway = wire_gateway(settings)
        opened.append((gateway.parts, _start(gateway.parts, stop)))
        log = open_log(settings.log_url, terms=settings.log_terms)
        until(lambda: not gateway.parts.health.away())
        yield House(data, gateway, founding, rooms, settings, log)
        log.close()
    finally:
        stop.set()
        for parts, threads in reversed(opened):
            for thread in threads:
                thread.join(10)
            if parts.server is not None and parts is not opened[-1][0]:
                parts.server.stop(0)
            parts.close()


def _settings_of(room: str, environment: Mapping[str, Any]) -> Any:
    module = importlib.import_module(f"services.{room}.settings")
    return getattr(module, f"{room.capitalize()}Settings")(**environment)


def _start(parts: Parts, stop: threading.Event) -> list[threading.Thread]:
    def keep_beating() -> None:
        while not stop.wait(1.0):
            parts.health.beat()

    threads = [threading.Thread(target=worker.run, args=(stop,), daemon=True) for worker in parts.workers]
    threads.append(threading.Thread(target=keep_beating, daemon=True))
    for thread in threads:
        thread.start()
    parts.health.start(stop)
    return threads
