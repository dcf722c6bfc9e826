"""A lane carries one claimed batch: gate, mark handed off, send, mark the results, handful by handful.

The gate is asked for all that is due of the batch, and asked again for what is not handed off within five seconds.
The mark that ends a handful and the one that begins the next are one write.
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
from services.channels.use_cases.gating import Gated, Letter, gate_members
from services.channels.use_cases.pacing import reserve
from services.channels.use_cases.room import Room
from services.kit.clock import SECOND
from services.kit.errors import FanfareError, Unavailable

T = TypeVar("T")
_GATED_AT_ONCE = 200
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
class Marked:
    """A handful marked as handed off: it is sent now, or it is unknown."""

    letters: list[Letter]
    account: Account
    message: Any


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
        self._gated: Gated | None = None
        self._not_before = 0

    async def carry(self) -> None:
        """Send what is due of the batch, then give it back."""
        board = self._tools.board
        board.enter(self._run, self._claim.scope)
        try:
            sent: Sent | None = None
            while (marked := await self._in_thread(self._mark, sent)) is not None:
                sent = Sent(marked.letters, await self._send(marked))
        except ClaimLost:
            logger.warning("claim_lost", run=self._run, batch=self._claim.ledger.document["_id"])
        except Unavailable as error:
            # What was handed off and could not be marked is unknown once the lease ends.
            logger.error("ledger_not_written", run=self._run, message=error.message)
        finally:
            board.leave(self._run)

    # -- in threads

    def _mark(self, sent: Sent | None) -> Marked | None:
        """Durably: what became of the last handful, and the next one handed off. None: the batch is given back."""
        room, claim, terms, board = self._room, self._claim, self._tools.terms, self._tools.board
        if sent is not None:
            bounced = claiming.apply_answers(room, claim, sent.letters, sent.answers, terms)
            self._patiently(lambda: claiming.suppress_bounced(room, claim, bounced))
            self._patiently(lambda: self._watch_account(sent.answers))
        reading = self._patiently(lambda: board.reading(self._run, claim.scope))
        if reading.control.ended:
            claiming.close_ended(room, claim, reading.control.obstacle)
            self._written()
            return None
        if reading.account is None or board.is_halted(self._run) or board.rests(claim.order.account):
            claiming.give_back(room, claim, self._not_before)
            self._written()
            return None
        revision = reading.control.revision
        if sent is not None and self._must_ask(revision):
            claiming.keep(room, claim, terms)  # what is known is not kept waiting for others to answer
            self._written()
        try:
            message = self._compiled(reading.account, revision)
            letters = self._next_letters(reading.account, revision)
        except FanfareError as error:
            # Members or campaigns is away, or the content cannot be compiled: nothing is sent, and nothing is lost.
            logger.warning("sending_waits", run=self._run, reason=error.reason, message=error.message)
            seconds = board.rest(claim.order.account, _REST_WHILE_OTHERS_ARE_AWAY)
            claiming.give_back(room, claim, room.clock.now() + round(seconds * SECOND))
            self._written()
            return None
        if not letters:
            claiming.give_back(room, claim, self._not_before)
            self._written()
            return None
        claiming.hand_off(room, claim, letters, revision)
        claiming.keep(room, claim, terms)
        self._written()
        return Marked(self._still_allowed(letters), reading.account, message)

    def _still_allowed(self, letters: list[Letter]) -> list[Letter]:
        """Mark, look, then send: what other runs marked since the gate was asked counts too, and a mark that waited for
        the store for longer than the gate's answer is good is put back."""
        room, claim, terms = self._room, self._claim, self._tools.terms
        if self._gated is not None and self._gated.is_stale(room.clock.now()):
            claiming.apply_answers(room, claim, letters, [UNSENT] * len(letters), terms)
            allowed: list[Letter] = []
        else:
            allowed = self._patiently(lambda: claiming.give_way(room, claim, letters))
        if len(allowed) < len(letters):
            claiming.keep(room, claim, terms)
            self._written()
        return allowed

    def _written(self) -> None:
        self._patiently(lambda: claiming.write(self._room, self._claim))
        self._held_until = self._claim.until

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do it, again and again while the store is away and the lease lasts. Raises Unavailable after that."""
        while True:
            try:
                return do()
            except Unavailable:
                if self._room.clock.now() >= self._held_until - SECOND:
                    raise
                time.sleep(_WRITE_AGAIN_SECONDS)

    def _must_ask(self, revision: int) -> bool:
        gated = self._gated
        if gated is None or not gated.letters or gated.revision != revision:
            return True
        return gated.is_stale(self._room.clock.now())

    def _next_letters(self, account: Account, revision: int) -> list[Letter]:
        """The next handful that the gate lets through and the account's rate allows; empty: nothing for now."""
        room, claim = self._room, self._claim
        if self._must_ask(revision):
            groups = claim.ledger.due(room.clock.now(), _GATED_AT_ONCE)
            if not groups:
                return []
            self._gated = gate_members(room, claim.scope, claim.order, revision, groups, claim.ledger.members)
            claiming.keep_verdicts(room, claim, self._gated)
        assert self._gated is not None
        waiting = self._gated.letters
        allowed, again_at = reserve(room, claim.scope, account, min(len(waiting), self._tools.handful))
        if waiting and not allowed:
            self._not_before = again_at
            self._tools.board.wait_for_pace(account.id, (again_at - room.clock.now()) / SECOND)
        self._gated.letters = waiting[allowed:]
        return waiting[:allowed]

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

    async def _send(self, marked: Marked) -> list[Answer]:
        if not marked.letters:
            return []
        account, board = marked.account, self._tools.board
        connector = self._tools.connectors[account.channel]
        try:
            answers = await connector.deliver(account, marked.message, self._handful(marked.letters))
        except AccountUnusable as trouble:
            logger.warning("account_unusable", account=account.id, permanent=trouble.permanent, code=trouble.code)
            if trouble.permanent:
                await self._in_thread(self._alarm, account, trouble.reply)
            board.rest(account.id)
            return [UNSENT] * len(marked.letters)
        if any(answer.outcome is Outcome.ACCEPTED or answer.cause is Cause.BAD_ADDRESS for answer in answers):
            board.went_well(account.id)
        elif any(answer.cause is Cause.CONNECTION for answer in answers):
            board.rest(account.id)
        return answers

    def _alarm(self, account: Account, reply: str) -> None:
        self._patiently(lambda: alarm_account(self._room, self._claim.scope, account.id, reply, stop=True))

    def _handful(self, letters: list[Letter]) -> Handful:
        claim, board, run = self._claim, self._tools.board, self._run
        now, at = self._room.clock.now(), time.monotonic()
        ends_by = at + (claim.until - now) / SECOND
        handful = Handful(
            batch=claim.ledger.document["_id"],
            fresh_until=at + (self._gated.fresh_until - now) / SECOND if self._gated else at,
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
