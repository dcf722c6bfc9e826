"""A server that answers every request with the octets it was given on standard input; it shows what a client can do.

It prints its port and runs until it is told to end. A request is taken to be over where the client pauses, which a
closed loop does after each.
"""

from __future__ import annotations

import select
import socket
import sys


def parrot(answer: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    print(listener.getsockname()[1], flush=True)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poll.register(connection.fileno(), select.EPOLLIN)
            elif not _repeated(connections[descriptor], answer):
                connections.pop(descriptor).close()


def _repeated(connection: socket.socket, answer: bytes) -> bool:
    """Whether there was a request, and its answer went out."""
    try:
        if not connection.recv(65_536):
            return False
        connection.sendall(answer)
    except OSError:  # whoever asked is gone
        return False
    return True


if __name__ == "__main__":
    parrot(sys.stdin.buffer.read())
