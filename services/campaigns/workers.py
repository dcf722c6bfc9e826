"""What campaigns does by itself: opening and planning runs, firing schedules, asking again, recounting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from services.campaigns.use_cases.controlling import confirm_controls
from services.campaigns.use_cases.desk import Desk
from services.campaigns.use_cases.launching import fire_due
from services.campaigns.use_cases.opening import open_runs
from services.campaigns.use_cases.planning import plan_runs
from services.campaigns.use_cases.pursuing import recount_objectives
from services.kit.clock import SECOND, Clock
from services.kit.errors import FanfareError
from services.kit.lease import Lease
from services.kit.store.port import Collection

PLANNER_SECONDS = 0.05
SCHEDULER_SECONDS = 0.5
_RECOUNT_SECONDS = 1.0
_RESTS_FOR = 20  # times what counting took: it never takes more than a twentieth of a core
_LONGEST_BACKOFF = 5.0

logger = structlog.get_logger(__name__)


class Leased:
    """Work that one process does at a time, again and again. ``step`` is told how to ask whether the lease holds."""

    def __init__(
        self,
        name: str,
        leases: Collection,
        clock: Clock,
        step: Callable[[Callable[[], bool]], object],
        *,
        pause: float,
        lease: int = 15 * SECOND,
    ) -> None:
        self.name = name
        self._lease = Lease(leases, name, clock, lease)
        self._step = step
        self._pause = pause

    def run(self, stop: threading.Event) -> None:
        def may_go_on() -> bool:
            return not stop.is_set() and self._lease.hold()

        wait = self._pause
        while not stop.is_set():
            try:
                if self._lease.hold():
                    self._step(may_go_on)
                wait = self._pause
            except FanfareError as error:  # what it needs is away, or somebody was quicker
                logger.warning("worker_waits", worker=self.name, reason=error.reason, message=error.message)
                wait = min(max(wait * 2, 0.1), _LONGEST_BACKOFF)
            stop.wait(wait)
        self._lease.release()


def planner(desk: Desk, leases: Collection, lease: int) -> Leased:
    def step(may_go_on: Callable[[], bool]) -> None:
        plan_runs(desk, may_go_on)

    return Leased("campaigns-planner", leases, desk.clock, step, pause=PLANNER_SECONDS, lease=lease)


def scheduler(desk: Desk, leases: Collection, lease: int) -> Leased:
    def step(_may_go_on: Callable[[], bool]) -> None:
        confirm_controls(desk)
        open_runs(desk)
        fire_due(desk)

    return Leased("campaigns-scheduler", leases, desk.clock, step, pause=SCHEDULER_SECONDS, lease=lease)


class Recounter:
    """Counts objectives anew when something may have changed them; at the start all that are open, since a crash
    forgets what was marked."""

    name = "campaigns-recounter"

    def __init__(self) -> None:
        self._marked: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._desk: Desk | None = None

    def serve(self, desk: Desk) -> None:
        self._desk = desk

    def mark(self, agency: str, community: str) -> None:
        with self._lock:
            self._marked.add((agency, community))

    def run(self, stop: threading.Event) -> None:
        desk = self._desk
        assert desk is not None, "the wiring gives the recounter its desk"
        for agency, community in desk.objectives.communities_with_open(desk.clock.now()):
            self.mark(agency, community)
        while not stop.is_set():
            began = time.monotonic()
            self.recount_marked(desk)
            stop.wait(max(_RECOUNT_SECONDS, (time.monotonic() - began) * _RESTS_FOR))

    def recount_marked(self, desk: Desk) -> None:
        with self._lock:
            marked, self._marked = self._marked, set()
        for agency, community in marked:
            try:
                recount_objectives(desk, agency, community)
            except FanfareError as error:
                logger.warning("recount_waits", community=community, reason=error.reason)
                self.mark(agency, community)
