"""One house for the whole room's tests: every service, a gateway, a mail server that keeps what it gets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from demo.catcher import Mailbox
from demo.receiving import receive
from services.kit.clock import SystemClock
from tests.gateway.house import Caller, House, open_house
from tests.gateway.story import Mail, Story, tell_story


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("gateway") / "var") as house:
        yield house


@pytest.fixture(scope="session")
def mail() -> Iterator[Mail]:
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


@pytest.fixture(scope="session")
def owner(house: House) -> Caller:
    """The first agency's owner, signed in."""
    return house.owner_of(house.founding)


@pytest.fixture(scope="session")
def story(house: House, owner: Caller, mail: Mail) -> Story:
    """An agency with one of everything, its campaign sent."""
    return tell_story(owner, house.caller(), mail, "zebrawood")
