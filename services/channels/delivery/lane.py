"""A lane carries one claimed batch: gate, mark handed off, send, mark the results; the next handful is gated meanwhile.

The marks that end a handful and begin the next are one write.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from services.channels.delivery.board import Board
from services.channels.domain import reasons
from services.channels.domain.account import Account
from services.channels.domain.handing_off import (
    UNSENT,
    AccountUnusable,
    Answer,
    Cause,
    Connector,
    Handful,
    Outcome,
)
from services.channels.use_cases import claiming
from services.channels.use_cases.accounts import alarm_account
from services.channels.use_cases.claiming import Claim, ClaimLost, Terms
from services.channels.use_cases.controlling import Control
from services.channels.use_cases.gating import Gated, Letter, gate_handful
from services.channels.use_cases.pacing import reserve
from services.channels.use_cases.room import Room
from services.kit.clock import SECOND
from services.kit.errors import FanfareError, Unavailable

T = TypeVar("T")
_COMPILED = 32
_REST_WHILE_OTHERS_ARE_AWAY = 2.0
_WRITE_AGAIN_SECONDS = 0.2
_POLICY_REFUSALS_IN_A_ROW = 20
_BEGIN_NOTHING_IN_THE_LAST = 10.0  # seconds of a lease, or a third of a short one

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tools:
    """What the lanes of a sender share."""

    room: Room
    connectors: Mapping[str, Connector]
    board: Board
    terms: Terms
    handful: int
    threads: ThreadPoolExecutor
    compiled: dict[tuple[str, int, int], Any] = field(default_factory=dict)
    refused_in_a_row: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A handful gated and ready, or why there is none; ``not_before`` (UTC ms) is when to look again."""

    control: Control
    gated: Gated | None = None
    account: Account | None = None
    message: Any = None
    not_before: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    letters: list[Letter]
    answers: list[Answer]


class Lane:
    """One claim on its way."""

    def __init__(self, tools: Tools, claim: Claim) -> None:
        self._tools = tools
        self._room = tools.room
        self._claim = claim
        self._run = claim.order.run
        self._held_until = claim.until  # by the last write that went through

    async def carry(self) -> None:
        """Send what is due of the batch, then give it back."""
        board = self._tools.board
        board.enter(self._run, self._claim.scope)
        try:
            await self._carry()
        except ClaimLost:
            logger.warning("claim_lost", run=self._run, batch=self._claim.ledger.document["_id"])
        except Unavailable as error:
            # What was handed off and could not be marked is unknown once the lease ends.
            logger.error("ledger_not_written", run=self._run, message=error.message)
        finally:
            board.leave(self._run)

    async def _carry(self) -> None:
        sent: Sent | None = None
        upcoming = self._prepare_next()
        while True:
            prepared = await self._fresh(await upcoming)
            if not await self._in_thread(self._mark, sent, prepared):
                return
            assert prepared.gated is not None
            upcoming = self._prepare_next()
            letters = prepared.gated.letters
            sent = Sent(letters, await self._send(prepared, letters)) if letters else None

    def _prepare_next(self) -> asyncio.Future[Prepared]:
        groups = self._claim.ledger.due(self._room.clock.now(), self._tools.handful)
        return self._in_thread(self._prepare, groups)

    async def _fresh(self, prepared: Prepared) -> Prepared:
        """What was asked too long ago, because the handful before took its time, is asked again."""
        while prepared.gated is not None and prepared.gated.is_stale(self._room.clock.now()):
            prepared = await self._prepare_next()
        return prepared

    # -- in threads

    def _prepare(self, groups: list[list[int]]) -> Prepared:
        room, claim = self._room, self._claim
        order = claim.order
        control = Control(reasons.PAUSED, 0)
        try:
            reading = self._tools.board.reading(order.run, claim.scope)
            control, account = reading.control, reading.account
            if account is None or self._tools.board.stopping or not groups:
                return Prepared(control)
            message = self._compiled(account, control.revision)
            allowed, again_at = reserve(room, claim.scope, account, len(groups))
            if not allowed:
                self._tools.board.wait_for_pace(account.id, (again_at - room.clock.now()) / SECOND)
                return Prepared(control, not_before=again_at)
            gated = gate_handful(room, claim.scope, order, control.revision, groups[:allowed], claim.ledger.members)
        except FanfareError as error:
            # Members or campaigns is away, or the content cannot be compiled: nothing is sent, and nothing is lost.
            logger.warning("sending_waits", run=order.run, reason=error.reason, message=error.message)
            seconds = self._tools.board.rest(order.account, _REST_WHILE_OTHERS_ARE_AWAY)
            return Prepared(control, not_before=room.clock.now() + round(seconds * SECOND))
        return Prepared(control, gated, account, message)

    def _compiled(self, account: Account, revision: int) -> Any:
        tools, order = self._tools, self._claim.order
        key = (order.run, revision, account.version)
        message = tools.compiled.get(key)
        if message is None:
            content = self._room.campaigns.revision(order, revision)
            message = tools.connectors[account.channel].compile(order, account, content)
            while len(tools.compiled) >= _COMPILED:
                tools.compiled.pop(next(iter(tools.compiled)), None)
            tools.compiled[key] = message
        return message

    def _mark(self, sent: Sent | None, prepared: Prepared) -> bool:
        """One durable write: what became of the last handful, and the next one handed off. False: the batch is given
        back."""
        room, claim, terms = self._room, self._claim, self._tools.terms
        if sent is not None:
            bounced = claiming.apply_answers(room, claim, sent.letters, sent.answers, terms)
            self._patiently(lambda: claiming.suppress_bounced(room, claim, bounced))
            self._patiently(lambda: self._watch_account(sent.answers))
        board, goes_on = self._tools.board, False
        if prepared.control.cancelled:
            claiming.close_cancelled(room, claim)
        elif prepared.gated is None or board.is_halted(self._run) or board.rests(claim.order.account):
            claiming.give_back(room, claim, prepared.not_before)
        else:
            claiming.apply_gated(room, claim, prepared.gated)
            claiming.keep(room, claim, terms)
            goes_on = True
        self._patiently(lambda: claiming.write(room, claim))
        self._held_until = claim.until
        return goes_on

    def _patiently(self, do: Callable[[], None]) -> None:
        """Do it, again and again while the store is away and the lease lasts. Raises Unavailable after that."""
        while True:
            try:
                do()
                return
            except Unavailable:
                if self._room.clock.now() >= self._held_until - SECOND:
                    raise
                time.sleep(_WRITE_AGAIN_SECONDS)

    def _watch_account(self, answers: list[Answer]) -> None:
        """Refusals by policy tell of the account, not of the members."""
        room, claim, tools = self._room, self._claim, self._tools
        account = claim.order.account
        for answer in answers:
            if answer.outcome is Outcome.ACCEPTED:
                tools.refused_in_a_row[account] = 0
            elif answer.cause is Cause.ACCOUNT:
                alarm_account(room, claim.scope, account, answer.reply, stop=True)
            elif answer.outcome is Outcome.REFUSED and answer.cause is Cause.POLICY:
                row = tools.refused_in_a_row[account] = tools.refused_in_a_row.get(account, 0) + 1
                alarm_account(room, claim.scope, account, answer.reply, stop=row >= _POLICY_REFUSALS_IN_A_ROW)

    # -- on the loop

    async def _send(self, prepared: Prepared, letters: list[Letter]) -> list[Answer]:
        assert prepared.account is not None
        account, board = prepared.account, self._tools.board
        connector = self._tools.connectors[account.channel]
        try:
            answers = await connector.deliver(account, prepared.message, self._handful(letters))
        except AccountUnusable as trouble:
            logger.warning("account_unusable", account=account.id, permanent=trouble.permanent, code=trouble.code)
            if trouble.permanent:
                await self._in_thread(self._alarm, account, trouble.reply)
            board.rest(account.id)
            return [UNSENT] * len(letters)
        if any(answer.outcome is Outcome.ACCEPTED for answer in answers):
            board.went_well(account.id)
        elif any(answer.cause is Cause.CONNECTION for answer in answers):
            board.rest(account.id)
        return answers

    def _alarm(self, account: Account, reply: str) -> None:
        alarm_account(self._room, self._claim.scope, account.id, reply, stop=True)

    def _handful(self, letters: list[Letter]) -> Handful:
        claim, board, run = self._claim, self._tools.board, self._run
        left = (claim.until - self._room.clock.now()) / SECOND
        ends_by = time.monotonic() + left
        handful = Handful(
            batch=claim.ledger.document["_id"],
            deadline=ends_by - min(_BEGIN_NOTHING_IN_THE_LAST, self._tools.terms.lease / SECOND / 3),
            ends_by=ends_by,
            halted=lambda: board.is_halted(run),
        )
        for letter in letters:
            recipient = letter.recipient
            handful.places.append(letter.places[0])
            handful.members.append(recipient.member)
            handful.addresses.append(recipient.address)
            handful.locales.append(recipient.locale)
            handful.tracked.append(letter.tracked)
            handful.values.append(recipient.values)
            handful.concerned.append(names_of(letter))
        return handful

    def _in_thread(self, do: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._tools.threads, do, *arguments)


def names_of(letter: Letter) -> tuple[str, ...]:
    """Whom a household message concerns; empty for a member alone."""
    if not letter.others:
        return ()
    return tuple(recipient.display_name for recipient in (letter.recipient, *letter.others))
