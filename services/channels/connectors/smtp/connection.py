"""One kept SMTP connection that delivers a handful at a time.

With PIPELINING (RFC 2920) the envelope of the next message travels with the end of the previous one, so that a message
costs one round trip; with CHUNKING too, several are under way at once (``flight.py``). What is sent and what was
answered is tracked to the phase: that decides, when the connection ends, between a retry and *unknown*.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from services.channels.connectors.smtp.flight import Flight
from services.channels.connectors.smtp.replies import Garbled, Phase, Reply, answer_for, without_addresses
from services.channels.connectors.smtp.voyage import Voyage
from services.channels.domain.handing_off import ACCEPTED, UNSENT, AccountUnusable, Answer, Cause, Outcome

_LONGEST_LINE = 4_096
_MOST_LINES = 200
# A message that fits the socket's buffer is gone once written; of a longer one we can tell whether its end was.
_SENT_WITH_NEXT_ENVELOPE = 48 * 1024
_TICK_SECONDS = 0.5
_ALL_WELL = [b"250 ", b"250 ", b"250 ", b"354 ", b""]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for the server, by phase (RFC 5321 §4.5.3.2 asks for more than a lease has)."""

    connect: float = 10.0
    hello: float = 15.0
    envelope: float = 15.0
    end_of_data: float = 30.0


class ConnectionLost(Exception):
    """The connection ended while we waited for a reply."""


class Connection(asyncio.Protocol):
    """Opened by ``session.open_connection``; then ``deliver`` may be called again and again, one at a time."""

    def __init__(self, patience: Patience) -> None:
        self.capabilities: dict[str, str] = {}
        self.usable = True
        self.may_chunk = True  # until the server offers CHUNKING and then refuses it
        self.kept_since = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._transport: asyncio.Transport | None = None
        self._tail = b""
        self._lines: list[bytes] = []
        self._expected: deque[Phase] = deque((Phase.GREETING,))
        self._unsent: deque[bytes] = deque()  # commands that wait their turn where there is no PIPELINING
        self._pipelining = False
        self._asked: asyncio.Future[Reply] | None = self._loop.create_future()  # the greeting may come at once
        self._voyage: Voyage | None = None
        self._flight: Flight | None = None  # the voyage's course where the server takes chunks
        self._done: asyncio.Future[None] | None = None
        self._current = 0  # whose message is between DATA and the reply to its end
        self._next = 0  # whose envelope is sent or next to send
        self._envelope_failed: Answer | None = None
        self._message_under_way = False
        self._write_paused = False
        self._large_under_way = False
        self._envelope_withheld = False
        self._waiting_since = 0.0
        self._waiting_at_most = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass of it
        self._transport.set_write_buffer_limits(high=1, low=0)  # with 0, uvloop's TLS pauses with nothing to write

    def data_received(self, data: bytes) -> None:
        flight = self._flight
        if flight is not None and not self._tail and not self._lines and flight.all_well(data):
            self._waiting_since = time.monotonic()
            self._fly_on(flight)
            return
        if self._message_under_way and not self._tail and not self._lines and len(self._expected) == 4:
            # Nearly always: a message accepted, and the envelope that travelled with it.
            replies = data.split(b"\r\n")
            if len(replies) == 5 and [reply[:4] for reply in replies] == _ALL_WELL:
                self._all_well()
                return
        lines = (self._tail + data if self._tail else data).split(b"\n")
        self._tail = lines.pop()
        try:
            for line in lines:
                self._line_received(line)
            if len(self._tail) > _LONGEST_LINE:
                raise Garbled
        except Garbled:
            self.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self.usable = False
        self._stop_waiting()
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(ConnectionLost("The server closed the connection."))
        self._end_voyage("the connection ended")

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._flight is not None:
            self._fly_on(self._flight)
        elif self._envelope_withheld and self._pipelining:
            self._envelope_withheld = False
            self._begin_next(b"")

    # -- one command at a time, before there are messages

    async def greeting(self) -> Reply:
        return await self._answered(self._patience.hello)

    async def ask(self, command: bytes, phase: Phase, seconds: float) -> Reply:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost("The server closed the connection.")
        self._expected.append(phase)
        self._asked = self._loop.create_future()
        self._transport.write(command + b"\r\n")
        return await self._answered(seconds)

    async def _answered(self, seconds: float) -> Reply:
        assert self._asked is not None
        try:
            return await asyncio.wait_for(self._asked, seconds)
        except TimeoutError as error:
            self.close()
            raise ConnectionLost("The server did not answer in time.") from error
        finally:
            self._asked = None

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Put TLS on it; what came in plain before is forgotten (RFC 3207 §6)."""
        assert self._transport is not None
        if self._tail or self._lines or self._transport.is_closing():
            self.close()
            raise ConnectionLost("The server spoke, or left, before TLS began.")
        secured = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        assert secured is not None
        self._transport = secured
        secured.set_write_buffer_limits(high=1, low=0)

    def greet(self, capabilities: dict[str, str]) -> None:
        self.capabilities = capabilities
        self._pipelining = "PIPELINING" in capabilities

    # -- a handful

    async def deliver(self, voyage: Voyage) -> None:
        """Send every message of the voyage; every place has its answer when this returns."""
        self._voyage = voyage
        self._done = self._loop.create_future()
        self._current = self._next = 0
        self._message_under_way = self._envelope_withheld = False
        self._envelope_failed = None
        self._waiting_at_most = self._patience.envelope
        chunks = self.may_chunk and self._pipelining and "CHUNKING" in self.capabilities
        self._flight = Flight(voyage, self._write_all) if chunks else None
        self._watch()
        if not self.usable:
            self._end_voyage("the connection ended")
        elif self._flight is not None:
            self._waiting_at_most = self._patience.end_of_data
            self._fly_on(self._flight)
        else:
            self._begin_next(b"")
        await self._done

    def close(self) -> None:
        """End the connection now; what is under way gets its answer."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    async def quit(self) -> None:
        """Take leave."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            await self.ask(b"QUIT", Phase.QUIT, 1.0)
        except ConnectionLost:
            return
        finally:
            self.close()

    def _fly_on(self, flight: Flight) -> None:
        if not self._write_paused:
            flight.go_on()
        if flight.is_over:
            self._end_voyage("")

    def _reply_in_flight(self, flight: Flight, code: int, lines: list[bytes]) -> None:
        self._waiting_since = time.monotonic()
        flight.replied(code, lambda: _reply(code, lines))
        if code == 421:
            flight.left()
        if flight.refuses_chunks:
            self.may_chunk = False  # and what followed was taken for commands
        if code == 421 or flight.refuses_chunks:
            self.close()
        else:
            self._fly_on(flight)

    def _all_well(self) -> None:
        """The four replies of a handful in full swing, taken together."""
        voyage = self._voyage
        assert voyage is not None
        self._expected.clear()
        self._message_under_way = self._large_under_way = False
        voyage.answers[self._current] = ACCEPTED
        self._go_ahead(voyage)
        if not self._expected and not self._envelope_withheld:
            self._end_voyage("")

    def _line_received(self, line: bytes) -> None:
        lines = self._lines
        if line[3:4] == b"-":
            lines.append(line)
            if len(lines) > _MOST_LINES:
                raise Garbled
            return
        if line[:3].isdigit() and len(line) >= 4:
            code = int(line[:3])
        elif line.rstrip().isdigit() and len(line.rstrip()) == 3:
            code = int(line)
        else:
            raise Garbled
        if lines:
            lines.append(line)
            self._lines = []
            self._reply_received(code, lines)
        else:
            self._reply_received(code, [line])

    def _reply_received(self, code: int, lines: list[bytes]) -> None:
        if self._voyage is None:
            if self._asked is not None and not self._asked.done() and self._expected:
                self._expected.popleft()
                self._asked.set_result(_reply(code, lines))
                return
            self.close()  # nobody asked: a 421 before it closes, or nonsense
            return
        if self._flight is not None:
            self._reply_in_flight(self._flight, code, lines)
            return
        if not self._expected:
            if code == 421:
                self.close()
                return
            raise Garbled
        phase = self._expected.popleft()
        self._waiting_since = time.monotonic()
        if self._unsent:
            self._write(self._unsent.popleft())
        if phase is Phase.END_OF_DATA:
            self._message_answered(code, lines)
        elif phase is Phase.MAIL or phase is Phase.RCPT:
            if (code < 200 or code >= 300) and self._envelope_failed is None:
                self._envelope_failed = answer_for(phase, _reply(code, lines))
        elif phase is Phase.DATA:
            self._envelope_answered(code, lines)
        if code == 421:
            self.close()
        elif not self._expected and not self._envelope_withheld:
            self._end_voyage("")

    def _message_answered(self, code: int, lines: list[bytes]) -> None:
        voyage = self._voyage
        assert voyage is not None
        self._message_under_way = self._large_under_way = False
        self._waiting_at_most = self._patience.envelope
        voyage.answers[self._current] = ACCEPTED if code == 250 else answer_for(Phase.END_OF_DATA, _reply(code, lines))
        if self._envelope_withheld:
            self._envelope_withheld = False
            self._begin_next(b"")

    def _envelope_answered(self, code: int, lines: list[bytes]) -> None:
        """The reply to DATA, and with it all of the envelope's."""
        voyage = self._voyage
        assert voyage is not None
        place = self._next
        failed = self._envelope_failed
        self._envelope_failed = None
        if failed is None and code == 354:
            self._go_ahead(voyage)
            return
        voyage.answers[place] = failed or answer_for(Phase.DATA, _reply(code, lines))
        self._next += 1
        if code == 354:
            self._send((b".\r\n",), (Phase.EMPTY_MESSAGE,))
        elif code != 421:
            self._send((b"RSET\r\n",), (Phase.RESET,))
        self._begin_next(b"")

    def _go_ahead(self, voyage: Voyage) -> None:
        """The server waits for the message."""
        refusal = voyage.may_go_on()
        if refusal is None:
            self._send_message(voyage, self._next)
            return
        # We no longer want to send it: leaving is the only way out.
        self._begin_none(voyage, refusal)
        self.close()

    def _send_message(self, voyage: Voyage, place: int) -> None:
        message = voyage.message(place)
        self._current = place
        self._next = place + 1
        self._message_under_way = True
        self._waiting_at_most = self._patience.end_of_data
        self._expected.append(Phase.END_OF_DATA)
        self._large_under_way = len(message) > _SENT_WITH_NEXT_ENVELOPE
        if not self._pipelining:
            self._write(message, b".\r\n")
            self._envelope_withheld = True
        elif not self._large_under_way:
            self._begin_next(message)
        else:
            self._write(message, b".\r\n")
            self._envelope_withheld = True
            if not self._write_paused:
                self._envelope_withheld = False
                self._begin_next(b"")

    def _begin_next(self, message: bytes) -> None:
        """Write the message, where there is one, and where one more may be begun, its envelope with it."""
        voyage = self._voyage
        assert voyage is not None
        refusal = voyage.may_begin() if self._next < voyage.count else None
        if refusal is not None:
            self._begin_none(voyage, refusal)
        if self._next < voyage.count:
            envelope = voyage.envelope(self._next)
            if self._pipelining:
                self._expected.extend((Phase.MAIL, Phase.RCPT, Phase.DATA))
                self._write(message, b".\r\n" + envelope) if message else self._write(envelope)
            else:
                commands = tuple(line + b"\r\n" for line in envelope.split(b"\r\n")[:-1])
                self._send(commands, (Phase.MAIL, Phase.RCPT, Phase.DATA))
        elif message:
            self._write(message, b".\r\n")
        elif not self._expected:
            self._end_voyage("")

    def _begin_none(self, voyage: Voyage, refusal: Answer) -> None:
        voyage.give_up_from(self._next, refusal)
        self._next = voyage.count

    def _send(self, commands: tuple[bytes, ...], phases: tuple[Phase, ...]) -> None:
        alone = not self._expected and not self._unsent
        self._expected.extend(phases)
        if self._pipelining:
            self._write(b"".join(commands))
            return
        self._unsent.extend(commands)
        if alone:
            self._write(self._unsent.popleft())

    def _write_all(self, parts: Sequence[bytes]) -> None:
        self._write(*parts)

    def _write(self, *parts: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._waiting_since = time.monotonic()
        if len(parts) == 1:
            self._transport.write(parts[0])
        else:
            self._transport.writelines(parts)

    def _end_voyage(self, why: str) -> None:
        """Answer what has none yet: by what was sent, and what was not read."""
        voyage, done = self._voyage, self._done
        if voyage is None or done is None:
            return
        flight, self._flight = self._flight, None
        self._voyage = None
        self._stop_waiting()
        if why:
            if flight is not None:
                flight.lost(why, cut_short=self._write_paused)
            self._expected.clear()
            self._unsent.clear()
            self._answer_what_was_lost(voyage, why)
        if not done.done():
            done.set_result(None)

    def _answer_what_was_lost(self, voyage: Voyage, why: str) -> None:
        if self._message_under_way:
            ended = not (self._large_under_way and self._write_paused)
            outcome = Outcome.UNKNOWN if ended else Outcome.RETRY
            voyage.answers[self._current] = Answer(outcome, Cause.CONNECTION, reply=why)
        missing = [place for place, answer in enumerate(voyage.answers) if answer is None]
        if missing and missing[0] == 0:
            # Nothing came of this connection: its first message counts as tried, so that a server that always hangs
            # up ends somewhere.
            failed = self._envelope_failed or Answer(Outcome.RETRY, Cause.CONNECTION, reply=why)
            voyage.answers[missing.pop(0)] = failed
        for place in missing:
            voyage.answers[place] = UNSENT

    def _watch(self) -> None:
        now = time.monotonic()
        voyage = self._voyage
        if voyage is None:
            return
        if (now - self._waiting_since > self._waiting_at_most > 0 and self._is_waiting()) or now > voyage.deadline:
            self.close()
            self._end_voyage("the server did not answer in time")
            return
        self._timer = self._loop.call_later(_TICK_SECONDS, self._watch)

    def _is_waiting(self) -> bool:
        return bool(self._expected) if self._flight is None else self._flight.is_waiting

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _reply(code: int, lines: list[bytes]) -> Reply:
    return Reply(code, tuple(line[4:].decode("utf-8", "replace").strip() for line in lines))


def unusable(reply: Reply, what: str) -> AccountUnusable:
    words = without_addresses(f"{reply.code} {reply.text}")
    return AccountUnusable(f"{what}: {words}", permanent=reply.code >= 500, code=reply.code)
