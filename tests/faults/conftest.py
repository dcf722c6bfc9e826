"""One platform for the room, on short leases; each test has communities and a relay of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.doors import Doors
from tests.faults.relay import Relay
from tests.faults.services import HASTY, Services


@pytest.fixture(scope="package")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    data = tmp_path_factory.mktemp("faults")
    with Services(data, HASTY) as running:
        yield running


@pytest.fixture
def doors(services: Services) -> Iterator[Doors]:
    client = Doors(services.address)
    client.sign_in(services.operator())
    yield client
    client.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
