"""A receiving mail server (RFC 5321, PIPELINING, CHUNKING), whose conduct is an argument.

The demo's mail catcher keeps what it receives, the benchmarks' sink counts it, and the fault tests' relay refuses,
stalls and hangs up: they differ only in their `Conduct`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

ACCEPTED = b"250 2.0.0 OK\r\n"
_OFFERS = b"250-ready\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 52428800\r\n"
_END_OF_DATA = b"\r\n.\r\n"


@dataclass(slots=True)
class Envelope:
    """One transaction of a connection, as far as it has come."""

    connection: int
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do next: say ``reply`` after ``delay`` seconds, then hang up if asked to."""

    reply: bytes = ACCEPTED
    delay: float = 0.0
    hang_up: bool = False


OK = Answer()
HANG_UP = Answer(b"", hang_up=True)


class Conduct:
    """How the server takes what it is told. This one accepts everything and keeps nothing."""

    offers_chunking = True

    def on_connect(self, connection: int) -> Answer:  # noqa: ARG002 # part of the port
        return Answer(b"220 ready ESMTP\r\n")

    def on_recipient(self, envelope: Envelope, address: str) -> Answer:  # noqa: ARG002 # part of the port
        return OK

    def on_content(self, envelope: Envelope, received: int) -> Answer | None:  # noqa: ARG002 # part of the port
        """While the message is still coming, after so many octets; None: go on reading."""
        return None

    def on_message(self, envelope: Envelope) -> Answer:  # noqa: ARG002 # part of the port
        return OK


class Session(asyncio.Protocol):
    """One connection. Replies of pipelined commands travel together."""

    def __init__(self, conduct: Conduct, number: int) -> None:
        self._conduct = conduct
        self._number = number
        self._envelope = Envelope(number)
        self._unread = bytearray()
        self._searched = 0
        self._in_content = False
        self._chunk: int | None = None  # octets of the chunk that is coming
        self._is_last = False
        self._waiting = False
        self._replies: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._give(self._conduct.on_connect(self._number))
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's signature
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._read()

    def _read(self) -> None:
        while not self._waiting and self._transport is not None:
            if not self._read_some():
                break
        self._flush()

    def _read_some(self) -> bool:
        if self._in_content:
            return self._read_content()
        return self._read_command() if self._chunk is None else self._read_chunk(self._chunk)

    def _read_chunk(self, octets: int) -> bool:
        """BDAT (RFC 3030): what comes is read whole, whatever is answered."""
        if len(self._unread) < octets:
            disturbance = self._conduct.on_content(self._envelope, len(self._unread))
            if disturbance is not None:
                self._give(disturbance)
            return False
        self._envelope.content += bytes(self._unread[:octets])
        del self._unread[:octets]
        self._chunk = None
        if not self._envelope.recipients:
            self._say(b"554 5.5.1 no valid recipients\r\n")
        elif self._is_last:
            self._end_message()
        else:
            self._say(ACCEPTED)
        return True

    def _end_message(self) -> None:
        answer = self._conduct.on_message(self._envelope)
        self._envelope = Envelope(self._number)
        self._give(answer)

    def _read_content(self) -> bool:
        end = self._unread.find(_END_OF_DATA, max(0, self._searched - len(_END_OF_DATA)))
        if self._unread.startswith(b".\r\n"):
            end = -2
        elif end < 0:
            self._searched = len(self._unread)
            disturbance = self._conduct.on_content(self._envelope, self._searched)
            if disturbance is not None:
                self._give(disturbance)
            return False
        content = bytes(self._unread[: end + 2]) if end >= 0 else b""
        self._envelope.content = content.replace(b"\r\n..", b"\r\n.")
        del self._unread[: end + len(_END_OF_DATA)]
        self._in_content = False
        self._end_message()
        return True

    def _read_command(self) -> bool:
        end = self._unread.find(b"\n")
        if end < 0:
            return False
        line = bytes(self._unread[:end]).rstrip(b"\r")
        del self._unread[: end + 1]
        verb = line[:4].upper()
        if verb == b"MAIL":
            self._envelope = Envelope(self._number, sender=_path(line))
            self._say(ACCEPTED)
        elif verb == b"RCPT":
            self._recipient(_path(line))
        elif verb == b"DATA":
            self._begin_content()
        elif verb == b"EHLO":
            offers = _OFFERS if self._conduct.offers_chunking else _OFFERS.replace(b"250-CHUNKING\r\n", b"")
            self._say(offers)
        elif verb == b"BDAT" and self._conduct.offers_chunking:
            self._begin_chunk(*line.split()[1:])
        elif verb in (b"HELO", b"NOOP", b"RSET"):
            self._envelope = Envelope(self._number)
            self._say(ACCEPTED)
        elif verb == b"QUIT":
            self._give(Answer(b"221 2.0.0 bye\r\n", hang_up=True))
        else:
            self._say(b"500 5.5.2 what?\r\n")
        return True

    def _recipient(self, address: str) -> None:
        answer = self._conduct.on_recipient(self._envelope, address)
        if answer.reply.startswith(b"2"):
            self._envelope.recipients.append(address)
        self._give(answer)

    def _begin_chunk(self, size: bytes = b"", last: bytes = b"") -> None:
        if not size.isdigit():
            self._say(b"501 5.5.4 BDAT size [LAST]\r\n")
            return
        self._chunk, self._is_last = int(size), last.upper() == b"LAST"

    def _begin_content(self) -> None:
        if not self._envelope.recipients:
            self._say(b"554 5.5.1 no valid recipients\r\n")
            return
        self._in_content, self._searched = True, 0
        self._say(b"354 go ahead\r\n")

    def _give(self, answer: Answer) -> None:
        if answer.delay:
            self._flush()
            self._waiting = True
            asyncio.get_running_loop().call_later(answer.delay, self._resume, answer)
        else:
            self._say(answer.reply)
            if answer.hang_up:
                self._leave()

    def _resume(self, answer: Answer) -> None:
        self._waiting = False
        self._say(answer.reply)
        if answer.hang_up:
            self._leave()
        self._read()

    def _say(self, reply: bytes) -> None:
        if reply:
            self._replies.append(reply)

    def _flush(self) -> None:
        if self._replies and self._transport is not None:
            self._transport.write(b"".join(self._replies))
            self._replies.clear()

    def _leave(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def _path(line: bytes) -> str:
    return line[line.find(b"<") + 1 : line.rfind(b">")].decode("utf-8", "replace")


async def receive(conduct: Conduct, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
    """Serve until the server is closed; port 0 takes a free one."""
    numbers = iter(range(1, 1 << 62))
    return await asyncio.get_running_loop().create_server(lambda: Session(conduct, next(numbers)), host, port)
