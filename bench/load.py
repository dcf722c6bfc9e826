"""A load client for HTTP/1.1: raw sockets, kept connections, one request in flight on each (a closed loop).

Its own ceiling is measured against a server that answers the same octets without thinking: a figure counts only where
the client can do at least twice as much.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.figure import percentile


@dataclass(slots=True)
class Load:
    """What came of a run: ``latencies`` in milliseconds, ``statuses`` counted, the last answer whole."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    last_head: bytes = b""
    last_body: bytes = b""

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def p(self, share: float) -> float:
        return percentile(self.latencies, share)


@dataclass(slots=True)
class _Line:
    socket: socket.socket
    sent_at: float = 0.0
    answer: bytearray = field(default_factory=bytearray)
    length: int = -1
    head: int = 0


def request(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """The octets of a request."""
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def press(address: tuple[str, int], requests: Sequence[bytes], clients: int, seconds: float, total: int = 0) -> Load:
    """Send the requests in turn over ``clients`` connections for so long, or until ``total`` were answered."""
    poll = select.epoll()
    lines: dict[int, _Line] = {}
    turn = 0

    def send(line: _Line) -> None:
        nonlocal turn
        line.sent_at = time.perf_counter()
        line.socket.sendall(requests[turn % len(requests)])
        turn += 1

    for _ in range(clients):
        line = _connect(address, poll, lines)
        send(line)
    started = time.perf_counter()
    load = Load(seconds=0.0)
    while (now := time.perf_counter()) - started < seconds and (not total or len(load.latencies) < total):
        for descriptor, _ in poll.poll(1.0):
            line = lines[descriptor]
            octets = line.socket.recv(262_144)
            if not octets:
                del lines[descriptor]
                line.socket.close()
                send(_connect(address, poll, lines))
                continue
            line.answer += octets
            if not _complete(line):
                continue
            now = time.perf_counter()
            load.latencies.append((now - line.sent_at) * 1_000)
            status = int(line.answer[9:12])
            load.statuses[status] = load.statuses.get(status, 0) + 1
            load.last_head, load.last_body = bytes(line.answer[: line.head]), bytes(line.answer[line.head :])
            line.answer.clear()
            line.length = -1
            send(line)
    load.seconds = time.perf_counter() - started
    for line in lines.values():
        line.socket.close()
    poll.close()
    return load


def ceiling(requests: Sequence[bytes], like: Load, clients: int, seconds: float = 2.0) -> float:
    """Requests a second that this client reaches where the server only repeats ``like``'s answer."""
    answer = like.last_head + like.last_body
    with subprocess.Popen(
        [sys.executable, "-m", "bench.floors.parrot"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parrot:
        assert parrot.stdin is not None
        assert parrot.stdout is not None
        parrot.stdin.write(answer)
        parrot.stdin.close()
        port = int(parrot.stdout.readline())
        reached = press(("127.0.0.1", port), requests, clients, seconds).per_second
        parrot.terminate()
    return reached


def _connect(address: tuple[str, int], poll: select.epoll, lines: dict[int, _Line]) -> _Line:
    connection = socket.create_connection(address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = lines[connection.fileno()] = _Line(connection)
    poll.register(connection.fileno(), select.EPOLLIN)
    return line


def _complete(line: _Line) -> bool:
    if line.length < 0:
        end = line.answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(line.answer[:end]).lower()
        line.head = end + 4
        at = head.find(b"content-length:")
        if at < 0:
            raise ValueError("The server answered without a content-length: " + head[:200].decode("latin-1"))
        line.length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    return len(line.answer) >= line.head + line.length
