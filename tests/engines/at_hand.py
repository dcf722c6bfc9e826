"""An engine for one test session: started when a test first asks for it, or the reason why it is not here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class NotAtHand(Exception):
    """Why an engine cannot be had here, in words that a suite prints when it skips."""


class Running(Protocol):
    """A server that answers."""

    @property
    def url(self) -> str:
        """Where it answers, as FANFARE_STORE or FANFARE_LOG would name it."""

    @property
    def what(self) -> str:
        """What it is and where it came from, for people."""

    def stop(self) -> None:
        """End it, if it is ours; what it kept is gone then."""


R = TypeVar("R", bound=Running)


class Engine(Generic[R]):
    """How to come by a server, and what came of it in this session."""

    def __init__(self, start: Callable[[], R]) -> None:
        """``start`` finds a server or makes one. It raises NotAtHand, and is not asked twice."""
        self._start = start
        self._running: R | None = None
        self._reason = ""

    def running(self) -> R:
        """The server, started where it was not yet. Raises NotAtHand."""
        if self._reason:
            raise NotAtHand(self._reason)
        if self._running is None:
            try:
                self._running = self._start()
            except NotAtHand as reason:
                self._reason = str(reason)
                raise
        return self._running

    def said(self) -> str:
        """What became of it, in one line."""
        if self._running is not None:
            return f"ran: {self._running.what}"
        return f"not run: {self._reason}" if self._reason else "not asked for"

    def stop(self) -> None:
        running, self._running, self._reason = self._running, None, "the session is over"
        if running is not None:
            running.stop()
