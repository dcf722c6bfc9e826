"""An SMTP server that misbehaves on request: what it answers, and when it hangs up, is decided per command."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

HANG_UP = "hang up"
STALL = "stall"
Say = Callable[[str, "Session"], str]


@dataclass
class Session:
    """One transaction under way."""

    number: int
    sender: str = ""
    recipient: str = ""
    messages: int = 0


@dataclass
class Took:
    sender: str
    recipient: str
    source: bytes  # dots taken out again

    @property
    def message_id(self) -> str:
        for line in self.source.split(b"\r\n"):
            if line.lower().startswith(b"message-id:"):
                return line.partition(b":")[2].strip().decode()
        return ""


@dataclass
class Script:
    """Answers by command; ``HANG_UP`` closes, ``STALL`` says nothing."""

    greeting: Say = lambda _line, _s: "220 test ESMTP"
    capabilities: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10000000")
    mail: Say = lambda _line, _s: "250 2.1.0 ok"
    rcpt: Say = lambda _line, _s: "250 2.1.5 ok"
    data: Say = lambda _line, _s: "354 go"
    chunk: str = ""  # what is said to every chunk, instead of what becomes of its message
    end: Say = lambda _line, _s: "250 2.0.0 queued"
    auth: Say = lambda _line, _s: "235 2.7.0 welcome"
    drop_in_data_after: int = -1  # octets of a message, then it hangs up
    tls: ssl.SSLContext | None = None
    commands: list[str] = field(default_factory=list)


class SmtpServer:
    """Listens on 127.0.0.1; ``took`` is every message it answered with 2xx, ``seen`` every one it read whole."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.took: list[Took] = []
        self.seen: list[Took] = []
        self.connections = 0
        self._lock = threading.Lock()
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with owner._lock:
                    owner.connections += 1
                    number = owner.connections
                try:
                    owner._serve(self, Session(number))
                except (OSError, ValueError):
                    return

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._stopping = threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> SmtpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def recipients(self) -> list[str]:
        return sorted(took.recipient for took in self.took)

    def _serve(self, handler: socketserver.StreamRequestHandler, session: Session) -> None:
        script = self.script
        read, write = handler.rfile, handler.wfile
        connection: socket.socket = handler.request

        def say(text: str) -> bool:
            if text == HANG_UP:
                connection.shutdown(socket.SHUT_RDWR)
                return False
            if text == STALL:
                self._stopping.wait(30)
                return False
            for line in text.split("\n"):
                write.write(line.encode() + b"\r\n")
            write.flush()
            return not text.startswith("421")

        if not say(script.greeting("", session)):
            return
        while raw := read.readline():
            line = raw.decode().rstrip("\r\n")
            script.commands.append(line)
            verb = line[:4].upper()
            if verb in ("EHLO", "HELO"):
                lines = ["test", *script.capabilities]
                ok = say("\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{word}" for n, word in enumerate(lines)))
            elif verb == "STAR" and script.tls is not None:
                say("220 go ahead")
                connection = script.tls.wrap_socket(connection, server_side=True)
                read, write = connection.makefile("rb"), connection.makefile("wb")
                ok = True
            elif verb == "AUTH":
                words = line.split()
                while len(words) < 3 and words[1] == "LOGIN":
                    say("334 VXNlcm5hbWU6")
                    words.append(read.readline().decode().strip())
                    say("334 UGFzc3dvcmQ6")
                    words.append(read.readline().decode().strip())
                ok = say(script.auth(" ".join(words), session))
            elif verb == "MAIL":
                if session.sender:
                    ok = say("503 5.5.1 nested MAIL command")
                    continue
                reply = script.mail(line, session)
                if reply.startswith("25"):
                    session.sender = line.partition("<")[2].partition(">")[0]
                    session.recipient = ""
                ok = say(reply)
            elif verb == "RCPT":
                recipient = line.partition("<")[2].partition(">")[0]
                reply = script.rcpt(recipient, session) if session.sender else "503 5.5.1 MAIL first"
                if reply.startswith("25"):
                    session.recipient = recipient
                ok = say(reply)
            elif verb == "DATA":
                reply = script.data(line, session) if session.recipient else "554 5.5.1 no valid recipients"
                ok = say(reply)
                if ok and reply.startswith("354"):
                    ok = self._read_message(read, session, say, connection)
            elif verb == "BDAT" and "CHUNKING" in script.capabilities:
                ok = self._read_chunk(read, int(line.split()[1]), session, say, connection)
            elif verb == "QUIT":
                say("221 bye")
                return
            elif verb == "RSET":
                session.sender = session.recipient = ""
                ok = say("250 flushed")
            else:
                ok = say("500 what")
            if not ok:
                return

    def _read_message(self, read, session, say, connection) -> bool:  # type: ignore[no-untyped-def]
        lines: list[bytes] = []
        size = 0
        while (line := read.readline()) != b".\r\n":
            if not line:
                return False
            size += len(line)
            if 0 <= self.script.drop_in_data_after < size:
                connection.shutdown(socket.SHUT_RDWR)
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        return self._end_message(session, b"".join(lines), say)

    def _read_chunk(self, read, octets, session, say, connection) -> bool:  # type: ignore[no-untyped-def]
        """BDAT octets LAST (RFC 3030)."""
        if 0 <= self.script.drop_in_data_after < octets:
            read.read(self.script.drop_in_data_after)
            connection.shutdown(socket.SHUT_RDWR)
            return False
        content = read.read(octets)
        if len(content) < octets:
            return False
        if self.script.chunk:
            return bool(say(self.script.chunk))
        if not session.recipient:
            return bool(say("554 5.5.1 no valid recipients"))
        return self._end_message(session, content, say)

    def _end_message(self, session: Session, content: bytes, say: Callable[[str], bool]) -> bool:
        took = Took(session.sender, session.recipient, content)
        session.sender = session.recipient = ""
        self.seen.append(took)
        session.messages += 1
        reply = self.script.end(took.recipient, session)
        if reply.startswith("2"):
            self.took.append(took)
        return say(reply)


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until it holds; fails after so long."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
