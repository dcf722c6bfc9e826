"""The platform as `make run` starts it, and a receiving mail server beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from demo.catcher import Caught, Mailbox
from demo.doors import Doors, wait_until
from demo.house import House
from demo.receiving import receive
from services.kit.clock import SystemClock
from tests.engines.pairs import settings_of


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail server that keeps what it gets."""

    port: int
    mailbox: Mailbox

    def wait_for(self, recipient: str, count: int = 1, within_seconds: float = 30.0) -> list[Caught]:
        """The messages to an address, oldest first, once there are so many."""

        def found() -> list[Caught]:
            return [one for one in reversed(self.mailbox.newest("", 0, 1_000)) if one.recipient == recipient]

        wait_until(lambda: len(found()) >= count, f"{count} messages to {recipient}", within_seconds)
        return found()


@pytest.fixture(scope="module", params=product(("sqlite", "mongodb"), ("sqlite", "kafka")), ids="-".join)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The story is told on each pair of engines, store and log."""
    with House(tmp_path_factory.mktemp("house") / "var", settings=settings_of(*request.param)) as house:
        yield house
        assert house.stop() == 0, "the supervisor ends with status 0"


@pytest.fixture(scope="module")
def mail(house: House) -> Iterator[Mail]:
    """Of its own for each house."""
    mailbox = Mailbox(SystemClock())
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(receive(mailbox))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Mail(server.sockets[0].getsockname()[1], mailbox)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


@pytest.fixture(scope="module")
def doors(house: House) -> Iterator[Doors]:
    doors = Doors(house.address)
    doors.sign_in(house.operator())
    yield doors
    doors.close()


@pytest.fixture(scope="module")
def data(house: House) -> Path:
    return house.data
