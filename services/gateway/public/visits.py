"""Clicks and opens: gathered in memory, marked, and told to the log at least each second.

A process that is killed may lose the last second of them; an orderly stop loses none.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

import structlog

from fanfare.gateway.v1 import public_events_pb2 as pb
from services.gateway.public.acceptances import Acceptances
from services.gateway.public.machines import SOON, TOO_SOON, Behaviour, Followed
from services.kit.clock import Clock
from services.kit.errors import FanfareError
from services.kit.ids import Ids
from services.kit.log.port import Event, Log

TOPIC = "gateway"
TICK_SECONDS = 0.4
SETTLES = 450  # ms: long enough to see a scanner follow every link, short enough to be told within a second
MOST_WAITING = 500_000
_PER_EVENT = 1_000

log = structlog.get_logger(__name__)


class Visits:
    """A worker that tells what was followed. ``follow`` is called by the threads that answer requests."""

    name = "visits"

    def __init__(self, log_of_events: Log, acceptances: Acceptances, ids: Ids, clock: Clock) -> None:
        self._log = log_of_events
        self._acceptances = acceptances
        self._ids = ids
        self._clock = clock
        self._waiting: deque[Followed] = deque(maxlen=MOST_WAITING)
        self._unsent: list[Event] = []
        self._behaviour = Behaviour()
        self._telling = threading.Lock()
        self.follow = self._waiting.append

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(TICK_SECONDS):
            self.tell(self._clock.now() - SETTLES)
        self.tell(None)

    def tell(self, up_to: int | None) -> int:
        """Publish what was followed up to then (None: everything); how many."""
        with self._telling:
            ready = self._ready(up_to)
            if ready:
                self._mark_who_had_no_time_to_read(ready)
                self._behaviour.mark(ready)
                self._unsent += self._events(ready)
            if not self._unsent:
                return 0
            try:
                self._log.publish(TOPIC, self._unsent)
            except FanfareError as error:
                log.warning("visits_wait", reason=error.reason, events=len(self._unsent))
                return 0
            self._unsent = []
            return len(ready)

    def _mark_who_had_no_time_to_read(self, visits: Sequence[Followed]) -> None:
        self._acceptances.another_round()
        for visit in visits:
            if not visit.machine and visit.at < self._acceptances.at(visit.facts, visit.member) + SOON:
                visit.machine = TOO_SOON

    def _ready(self, up_to: int | None) -> list[Followed]:
        ready: list[Followed] = []
        while self._waiting and (up_to is None or self._waiting[0].at <= up_to):
            ready.append(self._waiting.popleft())
        return ready

    def _events(self, visits: Sequence[Followed]) -> list[Event]:
        by_run: dict[str, list[Followed]] = {}
        for visit in visits:
            by_run.setdefault(visit.run, []).append(visit)
        return [
            self._event(of_run[start : start + _PER_EVENT])
            for of_run in by_run.values()
            for start in range(0, len(of_run), _PER_EVENT)
        ]

    def _event(self, visits: Sequence[Followed]) -> Event:
        facts = visits[0].facts
        now = self._clock.now()
        data = pb.LinksFollowed(visits=self._messages(visits))
        return Event(
            id=self._ids.new("evt"),
            type=pb.LinksFollowed.DESCRIPTOR.full_name,
            source=TOPIC,
            subject=facts.run,
            sequence=now,
            at=now,
            agency=facts.agency,
            community=facts.community,
            data=data.SerializeToString(),
        )

    def _messages(self, visits: Sequence[Followed]) -> Iterable[pb.Visit]:
        for visit_id, visit in zip(self._ids.many("vis", len(visits)), visits, strict=True):
            yield pb.Visit(
                id=visit_id,
                run=visit.run,
                campaign=visit.facts.campaign,
                member=visit.member,
                at=visit.at,
                link=visit.number,
                machine=visit.machine,
            )
