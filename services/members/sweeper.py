"""The room's housekeeping: every minute what crashes left unfinished, every day what time changes."""

from __future__ import annotations

import threading

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

    def __init__(self, room: Room, leases: Collection, hour: int) -> None:
        """``hour``: that of the daily sweep, UTC."""
        self._room = room
        self._lease = Lease(leases, self.name, room.clock)
        self._hour = hour
        self._swept = self._day()

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_EVERY_SECONDS):
            try:
                if self._lease.hold():
                    self._tidy()
            except FanfareError as error:
                log.warning("sweeper_waits", reason=error.reason, message=error.message)
        self._lease.release()

    def _tidy(self) -> None:
        take_up_waiting(self._room)
        finish_merges(self._room)
        finish_erasures(self._room)
        if self._day() > self._swept:
            log.info("swept", changed=sweep(self._room))
            self._swept = self._day()

    def _day(self) -> int:
        """The number of the day, as one that begins at the sweep's hour."""
        return (self._room.clock.now() - self._hour * HOUR) // DAY
