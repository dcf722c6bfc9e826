"""Postfix, Dovecot and OpenDKIM for the room, started once; where they are not installed, the tests say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.servers import MailServers, what_is_missing


@pytest.fixture(scope="session")
def servers() -> Iterator[MailServers]:
    missing = what_is_missing()
    if missing:
        pytest.skip(f"The real mail servers cannot be used: {missing}.")
    with MailServers() as running:
        yield running
