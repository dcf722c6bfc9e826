"""The floor of sending: one ready-made message, blasted by one Python process.

Raw non-blocking sockets, sixteen connections; the next envelope is sent with the previous end-of-data, so that a
message costs one write and one read.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

CONNECTIONS = 16


@dataclass(slots=True)
class _Line:
    socket: socket.socket
    expected: int
    pending: bytes = b""
    waiting: bool = False
    replies: int = 0
    done: bool = False


def blast(
    port: int,
    messages: int,
    message: bytes,
    address: Callable[[int], str],
    sign: Callable[[bytes], bytes] | None = None,
) -> float:
    """Messages a second, from the first envelope to the last acceptance.

    ``message`` is ready for the wire (dots stuffed, CRLF); with ``sign`` each is signed anew as it would have to be.
    """
    body = (message if message.endswith(b"\r\n") else message + b"\r\n") + b".\r\n"
    lines = [_open(port) for _ in range(CONNECTIONS)]
    poll = select.epoll()
    by_descriptor = {}
    for line in lines:
        line.socket.setblocking(False)
        by_descriptor[line.socket.fileno()] = line
        poll.register(line.socket.fileno(), select.EPOLLIN)
    numbers = iter(range(messages))
    started = time.perf_counter()
    running = 0
    for line in lines:
        number = next(numbers, None)
        if number is not None:
            line.expected = 3  # MAIL, RCPT, DATA
            _write(line, poll, _envelope(address(number)))
            running += 1
    while running:
        for descriptor, events in poll.poll(10):
            line = by_descriptor[descriptor]
            if events & select.EPOLLOUT:
                _write(line, poll, b"")
            if not events & select.EPOLLIN:
                continue
            line.replies += line.socket.recv(65_536).count(b"\n")
            if line.replies < line.expected:
                continue
            line.replies -= line.expected
            if line.done:
                running -= 1
                continue
            content = body if sign is None else sign(body)
            number = next(numbers, None)
            if number is None:
                line.done, line.expected = True, 1
                _write(line, poll, content)
            else:
                line.expected = 4  # the end of data, and the next envelope's three
                _write(line, poll, content + _envelope(address(number)))
    elapsed = time.perf_counter() - started
    for line in lines:
        line.socket.close()
    poll.close()
    return messages / elapsed


def _envelope(address: str) -> bytes:
    return b"MAIL FROM:<bounce@bench.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % address.encode()


def _open(port: int) -> _Line:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.recv(1_024)
    connection.sendall(b"EHLO bench.example\r\n")
    answer = b""
    while b"250 " not in answer:
        answer += connection.recv(1_024)
    return _Line(connection, expected=0)


def _write(line: _Line, poll: select.epoll, octets: bytes) -> None:
    octets = line.pending + octets
    try:
        sent = line.socket.send(octets)
    except BlockingIOError:
        sent = 0
    line.pending = octets[sent:]
    if bool(line.pending) != line.waiting:
        line.waiting = bool(line.pending)
        poll.modify(line.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if line.waiting else 0))
