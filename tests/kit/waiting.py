"""Waiting for something to come true, with a bound; never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
