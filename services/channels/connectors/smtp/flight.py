"""Several messages of a handful under way at once, where the server takes them in chunks.

With CHUNKING (RFC 3030) and PIPELINING (RFC 2920) a message says how long it is, so that nothing waits for the server
to say *go ahead*: RSET, MAIL, RCPT, BDAT and the message travel together, message behind message. A relay far away
takes in a round trip as many as are under way, where DATA takes one.

The window is one message at first, doubles with each that is accepted, and falls back to one at a refusal. A message
alone is sent once its envelope was taken: a server that hangs up, or refuses one address after another, has no message
that it might have kept. Each message begins with RSET (RFC 3030 §4.2): what became of the one before it never leaks
into its envelope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.channels.connectors.smtp.replies import Garbled, Phase, Reply, answer_for
from services.channels.connectors.smtp.voyage import Voyage
from services.channels.domain.handing_off import ACCEPTED, Answer, Cause, Outcome

WINDOW = 4
_WINDOW_OCTETS = 256 * 1024
_PHASES = (Phase.RESET, Phase.MAIL, Phase.RCPT, Phase.END_OF_DATA)
_WELL = {b"250 "}
_ENVELOPE_END = b"DATA\r\n"
_NO_SUCH_COMMAND = (500, 502)


@dataclass(slots=True)
class _Message:
    """One under way; its envelope alone as long as no octet of it was sent."""

    place: int
    octets: int = 0


class Flight:
    """The course of one voyage over one connection; ``write`` takes what goes out together."""

    def __init__(self, voyage: Voyage, write: Callable[[Sequence[bytes]], None]) -> None:
        self._voyage = voyage
        self._write = write
        self._window = 1
        self._next = 0  # whose envelope is written next
        self._under_way: list[_Message] = []  # in order; replies speak of the first
        self._octets = 0
        self._replies = 0  # how many the first has had
        self._failed: Answer | None = None  # what became of the first, told before its last reply
        self.refuses_chunks = False

    @property
    def is_over(self) -> bool:
        return not self._under_way and self._next >= self._voyage.count

    @property
    def is_waiting(self) -> bool:
        return bool(self._under_way)

    def go_on(self) -> None:
        """Write what the window has room for, once half of it is free."""
        under_way, window = self._under_way, self._window
        if len(under_way) > window // 2 or (window == 1 and under_way):
            return
        parts: list[bytes] = []
        while self._may_begin_another():
            message = _Message(self._next)
            parts += (b"RSET\r\n", self._voyage.envelope(message.place).removesuffix(_ENVELOPE_END))
            if window > 1:
                parts += self._chunk(message)
            under_way.append(message)
            self._next += 1
        if parts:
            self._write(parts)

    def _may_begin_another(self) -> bool:
        if self._next >= self._voyage.count or len(self._under_way) >= self._window or self._octets >= _WINDOW_OCTETS:
            return False
        refusal = self._voyage.may_begin()
        if refusal is not None:
            self._give_up_from(self._next, refusal)
        return refusal is None

    def _give_up_from(self, place: int, refusal: Answer) -> None:
        self._voyage.give_up_from(place, refusal)
        self._next = self._voyage.count

    def _chunk(self, message: _Message) -> tuple[bytes, bytes]:
        content = self._voyage.message(message.place)
        message.octets = len(content)
        self._octets += message.octets
        return b"BDAT %d LAST\r\n" % message.octets, content

    def all_well(self, data: bytes) -> bool:
        """Take these replies together where every one of them says 250 and is whole; False: none was taken."""
        lines = data.split(b"\r\n")
        if lines.pop() or self._failed is not None or not self._under_way or not self._under_way[0].octets:
            return False
        replies = self._replies + len(lines)
        if replies > len(_PHASES) * len(self._under_way) or {line[:4] for line in lines} != _WELL:
            return False
        accepted, self._replies = divmod(replies, len(_PHASES))
        for message in self._under_way[:accepted]:
            self._voyage.answers[message.place] = ACCEPTED
            self._octets -= message.octets
        del self._under_way[:accepted]
        self._window = min(self._window << accepted, WINDOW)
        return True

    def replied(self, code: int, reply: Callable[[], Reply]) -> None:
        """One reply. Raises Garbled for what no server should say."""
        if not self._under_way:
            raise Garbled
        first, phase = self._under_way[0], _PHASES[self._replies]
        self._replies += 1
        if phase is Phase.END_OF_DATA:
            if code in _NO_SUCH_COMMAND and self._failed is None:
                self.refuses_chunks = True
                self._failed = Answer(Outcome.RETRY, Cause.OTHER, code, reply=reply().text)
            self._answered(first, self._failed or answer_for(phase, reply()))
            return
        leaves_before = phase is Phase.RESET and code == 421  # of this message it said nothing
        if not 200 <= code < 300 and self._failed is None and not leaves_before:
            self._failed = answer_for(Phase.RCPT if phase is Phase.RCPT else Phase.MAIL, reply())
        if phase is Phase.RCPT and not first.octets:
            self._envelope_answered(first)

    def _envelope_answered(self, alone: _Message) -> None:
        """Its message was held back so far."""
        if self._failed is not None:
            self._answered(alone, self._failed)
            return
        refusal = self._voyage.may_begin()
        if refusal is not None:
            self._under_way.clear()
            self._give_up_from(alone.place, refusal)
            return
        self._write(self._chunk(alone))

    def _answered(self, first: _Message, answer: Answer) -> None:
        self._voyage.answers[first.place] = answer
        self._octets -= first.octets
        del self._under_way[0]
        self._replies, self._failed = 0, None
        self._window = min(self._window * 2, WINDOW) if answer.outcome is Outcome.ACCEPTED else 1

    def left(self) -> None:
        """The server said that it leaves (421): what it spoke of has its answer, and nothing behind that was read."""
        self._answer_first()
        self._under_way.clear()

    def lost(self, why: str, *, cut_short: bool) -> None:
        """The connection ended: what was sent whole may have been taken. ``cut_short``: the last one was not."""
        self._answer_first()
        for message in self._under_way:
            if message.octets:
                self._voyage.answers[message.place] = Answer(Outcome.UNKNOWN, Cause.CONNECTION, reply=why)
        if cut_short and self._under_way and self._under_way[-1].octets:
            self._voyage.answers[self._under_way[-1].place] = Answer(Outcome.RETRY, Cause.CONNECTION, reply=why)
        self._under_way.clear()

    def _answer_first(self) -> None:
        if self._failed is not None and self._under_way:
            self._voyage.answers[self._under_way.pop(0).place] = self._failed
