"""What a server's reply means (RFC 5321 §4.2, RFC 3463): the one place where codes become words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from services.channels.domain.handing_off import ACCEPTED, Answer, Cause, Outcome

LONGEST_REPLY_KEPT = 300


class Phase(IntEnum):
    """Which command a reply answers."""

    GREETING = 0
    HELLO = 1
    STARTTLS = 2
    AUTH = 3
    MAIL = 4
    RCPT = 5
    DATA = 6
    END_OF_DATA = 7
    RESET = 8
    EMPTY_MESSAGE = 9  # the end of a DATA that no recipient was left for (RFC 2920 §3.1)
    QUIT = 10


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


class Garbled(Exception):
    """The server does not speak SMTP."""


_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_ADDRESS = re.compile(r"<?[^\s<>]+@[^\s<>]+>?")
_SOUNDS_LIKE_POLICY = re.compile(
    r"spam|polic|block|blacklist|denylist|reputation|spf|dkim|dmarc|denied|relay|authenticat|rejected for",
    re.IGNORECASE,
)
# Postfix keeps what it has against us until RCPT (smtpd_delay_reject): the member has no part in it.
_ABOUT_US = re.compile(r"\b(?:client host|helo command|sender address) rejected\b", re.IGNORECASE)

# Enhanced codes by subject.detail; the class (4 or 5) decides between retry and refusal.
_CAUSES: dict[str, Cause] = {
    "1.0": Cause.BAD_ADDRESS,
    "1.1": Cause.BAD_ADDRESS,
    "1.2": Cause.BAD_ADDRESS,
    "1.3": Cause.BAD_ADDRESS,
    "1.4": Cause.BAD_ADDRESS,
    "1.6": Cause.BAD_ADDRESS,
    "1.7": Cause.ACCOUNT,  # the sender's address
    "1.8": Cause.ACCOUNT,
    "1.9": Cause.OTHER,
    "1.10": Cause.BAD_ADDRESS,  # null MX, RFC 7505
    "2.0": Cause.BAD_ADDRESS,
    "2.1": Cause.BAD_ADDRESS,  # disabled
    "2.2": Cause.MAILBOX_FULL,
    "2.3": Cause.SIZE,
    "3.4": Cause.SIZE,
    "4.4": Cause.BAD_ADDRESS,  # no route: the domain takes no mail
}


def enhanced_status(text: str) -> str:
    found = _ENHANCED.search(text)
    return found[1] if found else ""


def without_addresses(text: str) -> str:
    """The server's words, fit for the ledger: no personal data in them."""
    return _ADDRESS.sub("<…>", text)[:LONGEST_REPLY_KEPT]


def answer_for(phase: Phase, reply: Reply) -> Answer:
    """What a final reply to a phase of a message makes of it."""
    if 200 <= reply.code < 300 and phase is Phase.END_OF_DATA:
        return ACCEPTED
    text = reply.text
    status = enhanced_status(text)
    words = without_addresses(f"{reply.code} {text}".strip())
    if 500 <= reply.code < 600:
        return Answer(Outcome.REFUSED, _cause(phase, reply.code, status, text), reply.code, status, words)
    if 400 <= reply.code < 500:
        return Answer(Outcome.RETRY, Cause.TEMPORARY, reply.code, status, words)
    if phase is Phase.END_OF_DATA:
        return Answer(Outcome.UNKNOWN, Cause.OTHER, reply.code, status, words)
    return Answer(Outcome.RETRY, Cause.OTHER, reply.code, status, words)


def _cause(phase: Phase, code: int, status: str, text: str) -> Cause:
    subject_detail = status.partition(".")[2]
    cause = _CAUSES.get(subject_detail)
    if subject_detail.startswith("7."):
        cause = Cause.POLICY
    if cause is None:
        cause = _cause_without_status(phase, code, text)
    if phase is Phase.RCPT and _ABOUT_US.search(text):
        return Cause.ACCOUNT
    if phase is Phase.MAIL and cause is not Cause.SIZE:
        return Cause.ACCOUNT
    return Cause.OTHER if phase is Phase.DATA and cause is Cause.BAD_ADDRESS else cause


def _cause_without_status(phase: Phase, code: int, text: str) -> Cause:
    if code == 552:
        return Cause.SIZE if phase is not Phase.RCPT else Cause.MAILBOX_FULL
    if _SOUNDS_LIKE_POLICY.search(text):
        return Cause.POLICY
    if phase is Phase.RCPT and code in (550, 551, 553):
        return Cause.BAD_ADDRESS
    return Cause.POLICY if phase is Phase.END_OF_DATA and code in (550, 554) else Cause.OTHER
