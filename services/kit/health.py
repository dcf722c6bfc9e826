"""How a process is, for whoever runs it: *live* while it is not stuck, *ready* while what it needs answers.

Three doors tell the same: gRPC's health service, the gateway's ``/livez`` and ``/readyz``, and the file
``FANFARE_HEALTH_FILE``, which ``services.kit.probe`` reads in the name of a process that answers nobody.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.kit.log.port import Log
from services.kit.scope import everywhere
from services.kit.store.port import Collection
from services.kit.supervised import STOPPING, STUCK_AFTER

Need = Callable[[], object]
"""Asks something that a process cannot do without; raises where it is away."""

STORE, LOG = "store", "log"
_NOBODY = "lease_nobody"

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often needs are asked, how long an answer may take before it counts as none, and after how long without a
    beat a process counts as stuck; seconds."""

    every: float = 5.0
    patience: float = 10.0
    stuck: float = STUCK_AFTER


class Health:
    """What a process knows of itself. Nothing is ready before it has answered once."""

    def __init__(self, needs: Mapping[str, Need] | None = None, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._needs = {name: _Needed(name, ask) for name, ask in (needs or {}).items()}
        self._beat = time.monotonic()
        self._stopping = False

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self._needs)

    @property
    def live(self) -> bool:
        """Whether the process goes round: stuck, it is better ended and started again."""
        return self._stopping or time.monotonic() - self._beat < self._pace.stuck

    def away(self, need: str = "") -> list[str]:
        """Which needs do not answer, of all or of one; empty: it is ready."""
        asked = [self._needs[need]] if need else self._needs.values()
        away = [each.name for each in asked if not each.answers(self._pace.patience)]
        return [STOPPING, *away] if self._stopping else away

    def beat(self) -> None:
        """The process goes round."""
        self._beat = time.monotonic()

    def start(self, stop: threading.Event) -> None:
        """Ask every need again and again, each in a thread of its own: one that hangs delays no other."""
        for need in self._needs.values():
            threading.Thread(
                target=need.keep_asking, args=(stop, self._pace.every), name=f"health-{need.name}", daemon=True
            ).start()

    def end(self) -> None:
        """The process takes nothing new any more, and finishes what is in hand."""
        self._stopping = True

    def write(self, path: Path) -> None:
        """Tell it in a file, whose age is the age of the last beat."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text("\n".join(self.away()))
        draft.replace(path)


def needs_of(leases: Collection, log: Log, topic: str, group: str) -> Mapping[str, Need]:
    """The store and the log, asked something small that every engine answers."""
    scope = everywhere(f"service:{group}")
    return {STORE: lambda: leases.get(scope, [_NOBODY]), LOG: lambda: log.lag((topic,), group)}


@dataclass(slots=True)
class _Needed:
    name: str
    ask: Need
    answered: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    asking: bool = False

    def answers(self, patience: float) -> bool:
        return self.answered and not (self.asking and time.monotonic() - self.asked_at > patience)

    def keep_asking(self, stop: threading.Event, every: float) -> None:
        while not stop.is_set():
            self.asked_at, self.asking = time.monotonic(), True
            reason = self._trouble()
            if reason and self.answered and not stop.is_set():
                logger.warning("need_away", need=self.name, reason=reason)
            self.answered, self.asking = not reason, False
            stop.wait(every)

    def _trouble(self) -> str:
        try:
            self.ask()
        except Exception as error:
            return type(error).__name__
        return ""
