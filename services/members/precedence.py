"""Sending comes first: what can wait lets it pass."""

from __future__ import annotations

import time

from services.kit.clock import SECOND, Clock

BUSY_FOR = SECOND // 4  # after a handful was resolved
_LOOKS, _LOOK_SECONDS = 20, 0.05  # whatever waits goes on after a second


class SendingFirst:
    """Senders ask who their recipients are; receipts, which cost as much, wait until they pause, a second at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at = 0

    def asked(self) -> None:
        """A sender has just asked."""
        self._asked_at = self._clock.now()

    def let_pass(self) -> None:
        """Wait while senders ask, a second at most."""
        for _ in range(_LOOKS):
            if self._clock.now() >= self._asked_at + BUSY_FOR:
                return
            time.sleep(_LOOK_SECONDS)
