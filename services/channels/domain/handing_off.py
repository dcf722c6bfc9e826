"""What is handed to a connector, and what a connector may answer: the port every channel's connector keeps.

A connector gets a handful of messages, already permitted and marked handed off, and returns one answer for each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from services.channels.domain.account import Account
from services.channels.domain.content import Revision
from services.channels.domain.run import RunOrder


class Outcome(Enum):
    """What became of a message. Exactly one of these, decided by what was sent and what was read."""

    ACCEPTED = "accepted"  # the receiving server took responsibility
    REFUSED = "refused"  # for good
    RETRY = "retry"  # a temporary refusal, or the connection ended before the message did
    UNKNOWN = "unknown"  # the end of the message may have been sent, and no reply was read
    UNSENT = "unsent"  # never begun: halted, out of time, or the connection ended on an earlier message


class Cause(Enum):
    """Why a message was not accepted."""

    BAD_ADDRESS = "bad-address"  # the contact point bounces
    MAILBOX_FULL = "mailbox-full"
    POLICY = "policy"  # the account should be looked at
    SIZE = "size"
    TEMPORARY = "temporary"
    CONNECTION = "connection"
    ACCOUNT = "account"  # the server refuses the sender itself: nothing more goes through this account
    HALTED = "halted"
    DEADLINE = "deadline"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome; ``status`` is the enhanced code (RFC 3463) and ``reply`` the server's words, without addresses."""

    outcome: Outcome
    cause: Cause | None = None
    code: int = 0
    status: str = ""
    reply: str = ""


ACCEPTED = Answer(Outcome.ACCEPTED)
HALTED = Answer(Outcome.UNSENT, Cause.HALTED)
OUT_OF_TIME = Answer(Outcome.UNSENT, Cause.DEADLINE)
UNSENT = Answer(Outcome.UNSENT, Cause.CONNECTION)


@dataclass(slots=True)
class Handful:
    """Messages for one connector, as parallel lists: nothing is made per message that need not be."""

    batch: str
    places: list[int] = field(default_factory=list)  # of the message in its batch
    members: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    locales: list[str] = field(default_factory=list)
    tracked: list[bool] = field(default_factory=list)
    values: list[Sequence[str]] = field(default_factory=list)  # merge fields, in the revision's order
    concerned: list[Sequence[str]] = field(default_factory=list)  # names, where several share the address
    fresh_until: float = float("inf")  # time.monotonic(): the gate's answer is too old to begin a message after it;
    deadline: float = float("inf")  # nothing goes out after this,
    ends_by: float = float("inf")  # and nothing is waited for after that
    halted: Callable[[], bool] = bool  # asked before each message

    def __len__(self) -> int:
        return len(self.places)

    def may_begin(self) -> Answer | None:
        """None where one more message may be begun; otherwise why not."""
        return OUT_OF_TIME if time.monotonic() >= self.fresh_until else self.may_go_on()

    def may_go_on(self) -> Answer | None:
        """None where a message whose envelope was sent may follow it."""
        if self.halted():
            return HALTED
        return OUT_OF_TIME if time.monotonic() >= self.deadline else None


class AccountUnusable(Exception):
    """The account's server cannot be used: for good (``permanent``: alarm) or for now."""

    def __init__(self, reply: str, *, permanent: bool, code: int = 0) -> None:
        super().__init__(reply)
        self.reply = reply
        self.permanent = permanent
        self.code = code


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as a person and as a server see it."""

    subject: str
    html: str
    text: str
    locale: str
    source: bytes


class Connector(Protocol):
    """Drives one kind of channel. ``message`` is what ``compile`` made, and nobody else looks into it."""

    def check_settings(self, account: Account) -> None:
        """Raises Invalid naming the field that could never work."""

    def compile(self, order: RunOrder, account: Account, revision: Revision) -> Any:
        """A revision made ready to be sent."""

    def render(self, message: Any, handful: Handful) -> Rendered:
        """The first message of the handful, exactly as it would be sent."""

    async def check(self, account: Account) -> None:
        """Connect, sign in and leave. Raises AccountUnusable."""

    async def deliver(self, account: Account, message: Any, handful: Handful) -> list[Answer]:
        """One answer for each message of the handful, in order. Raises AccountUnusable before anything is begun."""

    async def close(self) -> None:
        """Leave every server."""
