"""The engines that the suites share: ended with the session, and told in its summary."""

from __future__ import annotations

import pytest

from tests.engines import ENGINES

_SAID = pytest.StashKey[list[str]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[_SAID] = [f"{name} {engine.said()}" for name, engine in ENGINES.items()]
    for engine in ENGINES.values():
        engine.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("engines")
    for line in ["sqlite ran: always at hand", *config.stash.get(_SAID, [])]:
        terminalreporter.write_line(line)
