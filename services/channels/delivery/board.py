"""What stands in the way of sending, as this process last read it; asked before each message."""

from __future__ import annotations

import time
from dataclasses import dataclass

from services.channels.domain.account import Account
from services.channels.use_cases.accounts import alarm_account, opened
from services.channels.use_cases.controlling import Control, control_of
from services.channels.use_cases.room import Room, UnknownRun
from services.kit.errors import Invalid
from services.kit.scope import Scope

_FIRST_REST = 1.0
_LONGEST_REST = 60.0


# For so long a reading serves all lanes of a run: far less than the second within which a pause must act.
_FRESH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in the way of a run, and its account; ``at`` is time.monotonic()."""

    control: Control
    account: Account | None
    at: float


class Board:
    """Obstacles of the runs at work, and accounts that rest after a trouble of their server."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._working: dict[str, tuple[Scope, int]] = {}
        self._halted: frozenset[str] = frozenset()
        self._readings: dict[str, Reading] = {}
        self._rests: dict[str, tuple[float, float]] = {}  # account → until (monotonic), and how long it was
        self._paced: dict[str, float] = {}
        self.stopping = False

    def enter(self, run: str, scope: Scope) -> None:
        _, lanes = self._working.get(run, (scope, 0))
        self._working[run] = (scope, lanes + 1)

    def leave(self, run: str) -> None:
        scope, lanes = self._working[run]
        if lanes == 1:
            del self._working[run]
            self._readings.pop(run, None)
        else:
            self._working[run] = (scope, lanes - 1)

    def is_halted(self, run: str) -> bool:
        return self.stopping or run in self._halted

    def read(self) -> None:
        """Read every run at work again. Raises Unavailable while the store is away."""
        halted = set()
        for run, (scope, _) in list(self._working.items()):
            try:
                if self.reading(run, scope).control.obstacle:
                    halted.add(run)
            except UnknownRun:
                halted.add(run)
        self._halted = frozenset(halted)

    def reading(self, run: str, scope: Scope) -> Reading:
        """How the run stands, read a moment ago at most. Raises UnknownRun, Unavailable."""
        now = time.monotonic()
        known = self._readings.get(run)
        if known is not None and now - known.at < _FRESH_SECONDS:
            return known
        control = control_of(self._room, scope, run)
        reading = Reading(control, self._account(scope, control, known), now)
        self._readings[run] = reading
        return reading

    def _account(self, scope: Scope, control: Control, known: Reading | None) -> Account | None:
        """The account with its secrets, which are opened once for each of its versions."""
        if control.account is None:
            return None
        if known is not None and known.account is not None:
            before = known.account
            if (before.id, before.version) == (control.account["_id"], control.account["version"]):
                return before
        try:
            return opened(self._room, control.account)
        except Invalid as error:  # a secret that no key opens: the other runs go on
            alarm_account(self._room, scope, control.account["_id"], error.message, stop=True)
            return None

    def wait_for_pace(self, account: str, seconds: float) -> None:
        """The account's rate is used up for so long: no batch of it need be claimed."""
        self._paced[account] = time.monotonic() + seconds

    def may_claim(self, account: str) -> bool:
        return not self.rests(account) and self._paced.get(account, 0.0) <= time.monotonic()

    def rests(self, account: str) -> bool:
        return self._rests.get(account, (0.0, 0.0))[0] > time.monotonic()

    def rest(self, account: str, longest: float = _LONGEST_REST) -> float:
        """Leave the account alone, for longer each time in a row; returns for how many seconds."""
        until, before = self._rests.get(account, (0.0, 0.0))
        if until > time.monotonic():
            return before
        seconds = min(max(before * 2, _FIRST_REST), longest)
        self._rests[account] = (time.monotonic() + seconds, seconds)
        return seconds

    def went_well(self, account: str) -> None:
        """Its server took a message, or told us that an address does not exist: it works, though it may hang up."""
        self._rests.pop(account, None)
