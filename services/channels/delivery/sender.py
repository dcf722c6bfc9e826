"""The sender: claims batches for its lanes, fairly between agencies and accounts.

One event loop drives the connections; what waits (the store, other services) waits in threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
import uvloop

from services.channels.delivery.board import Board
from services.channels.delivery.lane import Lane, Tools
from services.channels.domain.handing_off import Connector
from services.channels.domain.ledger import Patience
from services.channels.use_cases import claiming
from services.channels.use_cases.claiming import Claim, Terms
from services.channels.use_cases.controlling import control_of
from services.channels.use_cases.room import Room, scope_of
from services.kit.clock import SECOND
from services.kit.errors import FanfareError
from services.kit.owners import new_owner
from services.kit.store.port import Document

T = TypeVar("T")
_POLL_SECONDS = 0.2
_ORPHANS_EVERY = 1.0
_AWAY_SECONDS = 1.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ways:
    """How a sender works: handfuls of so many, in so many lanes, under leases of so many milliseconds."""

    handful: int = 100
    lanes: int = 8
    lease: int = 60 * SECOND
    patience: Patience = field(default_factory=Patience)


class Sender:
    """A worker, to run in its own thread. Several, in several processes, share the work."""

    name = "sender"

    def __init__(self, room: Room, connectors: Mapping[str, Callable[[], Connector]], ways: Ways) -> None:
        self._room = room
        self._make_connectors = connectors
        self._ways = ways
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

    def nudge(self) -> None:
        """There may be work: look now rather than in a moment."""
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None:
            with suppress(RuntimeError):  # it just closed
                loop.call_soon_threadsafe(wake.set)

    def run(self, stop: threading.Event) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._work(stop))

    async def _work(self, stop: threading.Event) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        board = Board(self._room)
        terms = Terms(new_owner(self.name), self._ways.lease, self._ways.patience)
        connectors = {channel: make() for channel, make in self._make_connectors.items()}
        lanes: set[asyncio.Task[None]] = set()
        with ThreadPoolExecutor(self._ways.lanes + 2, thread_name_prefix="sender") as threads:
            tools = Tools(self._room, connectors, board, terms, self._ways.handful, threads)
            desk = Desk(self._room, board, terms)
            reading = asyncio.create_task(self._keep_reading(board, threads))
            try:
                while not stop.is_set():
                    free = self._ways.lanes - len(lanes)
                    taken = await self._take(desk, free, threads) if free else []
                    for claim in taken:
                        lane = asyncio.create_task(Lane(tools, claim).carry())
                        lanes.add(lane)
                        lane.add_done_callback(lambda done: self._lane_ended(lanes, done))
                    if not taken or free == len(taken):
                        await self._pause()
            finally:
                board.stopping = True
                reading.cancel()
                if lanes:
                    await asyncio.wait(lanes)
                for connector in connectors.values():
                    await connector.close()
                self._loop = self._wake = None

    def _lane_ended(self, lanes: set[asyncio.Task[None]], lane: asyncio.Task[None]) -> None:
        lanes.discard(lane)
        if self._wake is not None:
            self._wake.set()
        if not lane.cancelled() and (error := lane.exception()) is not None:
            # Its lease ends, and somebody takes the batch up again.
            logger.error("lane_crashed", error=type(error).__name__, exc_info=error)

    async def _take(self, desk: Desk, free: int, threads: ThreadPoolExecutor) -> list[Claim]:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, desk.take, free)
        except FanfareError as error:
            logger.warning("sender_waits", reason=error.reason, message=error.message)
            await asyncio.sleep(_AWAY_SECONDS)
            return []

    async def _pause(self) -> None:
        assert self._wake is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), _POLL_SECONDS)
        self._wake.clear()

    async def _keep_reading(self, board: Board, threads: ThreadPoolExecutor) -> None:
        """Pause, cancel and *stop everything* reach a message within a moment, whatever a server takes its time for."""
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(threads, board.read)
            except FanfareError as error:
                logger.debug("board_waits", reason=error.reason)
            except Exception as error:  # whatever it is, the next look must come
                logger.error("board_not_read", error=type(error).__name__, exc_info=error)
            await asyncio.sleep(_POLL_SECONDS)


class Desk:
    """Finds work: each agency's account in turn, each of its runs in turn."""

    def __init__(self, room: Room, board: Board, terms: Terms) -> None:
        self._room = room
        self._board = board
        self._terms = terms
        self._turn = 0
        self._looked_for_orphans = 0.0

    def take(self, free: int) -> list[Claim]:
        """Claim at most so many batches. Raises Unavailable while the store is away."""
        runs = claiming.active_runs(self._room)
        taken = self._take_orphans({run["_id"]: run for run in runs}, free)
        queues = self._queues(runs)
        self._turn += 1
        share = max(1, (free - len(taken)) // max(1, len(queues)))
        while queues and len(taken) < free:
            waiting = []
            for queue in queues:
                wanted = min(share, free - len(taken))
                got = self._take_from(queue, wanted) if wanted else []
                taken += got
                if len(got) == wanted and wanted:
                    waiting.append(queue)
            queues = waiting
        return taken

    def _queues(self, runs: list[Document]) -> list[list[Document]]:
        """Runs by agency and account; whose turn it is comes first."""
        by_account: dict[tuple[str, str], list[Document]] = {}
        for run in runs:
            by_account.setdefault((run["agency"], run["account"]), []).append(run)
        queues = [by_account[key] for key in sorted(by_account)]
        at = self._turn % len(queues) if queues else 0
        return queues[at:] + queues[:at]

    def _take_from(self, runs: list[Document], wanted: int) -> list[Claim]:
        at = self._turn % len(runs)
        taken: list[Claim] = []
        for run in runs[at:] + runs[:at]:
            control = control_of(self._room, scope_of(run), run["_id"])
            if control.obstacle and not control.ended:
                continue
            if not self._board.may_claim(run["account"]) and not control.ended:
                continue
            due = claiming.due_ledgers(self._room, run, wanted - len(taken))
            if due:
                taken += self._claim(run, due)
            else:
                claiming.retire_if_done(self._room, run)
            if len(taken) == wanted:
                break
        return taken

    def _take_orphans(self, runs: dict[str, Document], free: int) -> list[Claim]:
        """What a sender that was killed held: at once, without waiting for its lease."""
        if time.monotonic() - self._looked_for_orphans < _ORPHANS_EVERY:
            return []
        self._looked_for_orphans = time.monotonic()
        taken: list[Claim] = []
        for ledger in claiming.orphaned_ledgers(self._room):
            if len(taken) == free:
                self._looked_for_orphans = 0.0
                break
            if ledger["run"] in runs:
                taken += self._claim(runs[ledger["run"]], [ledger])
        return taken

    def _claim(self, run: Document, due: list[Document]) -> list[Claim]:
        claims = claiming.claim(self._room, run, due, self._terms)
        lost = sum(claim.lost for claim in claims)
        if lost:
            logger.warning("handed_off_unknown", run=run["_id"], members=lost, policy=run["order"]["unknown_policy"])
        return claims
