"""The room's housekeeping: every minute what crashes left unfinished, every day what time changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from services.kit.clock import DAY, HOUR
from services.kit.errors import FanfareError
from services.kit.lease import Lease
from services.kit.store.port import Collection
from services.members.use_cases.erasing import finish_erasures
from services.members.use_cases.merging import finish_merges
from services.members.use_cases.recording import take_up_waiting
from services.members.use_cases.room import Room
from services.members.use_cases.sweeping import sweep

_LOOK_EVERY_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Sweeper:
    """A worker; one of them works at a time."""

    name = "members-sweeper"

    def __init__(self, room: Room, leases: Collection, hour: int, chores: Sequence[Callable[[], object]] = ()) -> None:
        """``hour``: that of the daily sweep, UTC, which ends with the chores."""
        self._room = room
        self._lease = Lease(leases, self.name, room.clock)
        self._hour = hour
        self._chores = chores
        self._swept = 0

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_EVERY_SECONDS):
            try:
                if self._lease.hold():
                    self.tidy()
            except FanfareError as error:
                log.warning("sweeper_waits", reason=error.reason, message=error.message)
        self._lease.release()

    def tidy(self) -> None:
        """One round of it."""
        take_up_waiting(self._room)
        finish_merges(self._room)
        finish_erasures(self._room)
        today = self._day()
        if today > self._swept:
            changed = sweep(self._room, today)
            for chore in self._chores:
                chore()
            log.info("swept", changed=changed)
            self._swept = today

    def _day(self) -> int:
        """The number of the day, as one that begins at the sweep's hour."""
        return (self._room.clock.now() - self._hour * HOUR) // DAY
