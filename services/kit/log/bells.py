"""Bells: how a publisher wakes the readers of other processes at once, without a server.

Every reader binds a datagram socket in a folder beside the log; a publisher sends the names of the topics it wrote
to. A lost ring costs the reader's fallback wait and nothing else. A socket that nobody holds any more also tells
that its reader is dead, long before its lease ends.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from services.kit.sockets import make_private, socket_folder

_NAME_LENGTH = 24
_GONE = (ConnectionRefusedError, FileNotFoundError)


class Belfry:
    """The folder of bells of one log, as one process sees it."""

    def __init__(self, wanted: Path) -> None:
        self.folder = make_private(socket_folder(wanted, _NAME_LENGTH))
        self._lock = threading.Lock()
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)

    def hang(self, name: str) -> Bell:
        return Bell(self.folder / name)

    def ring(self, words: Iterable[str]) -> None:
        """Wake every reader that listens to one of the words."""
        said = "\n".join(words).encode()
        for path in self._bells():
            if not self._send(path, said):
                path.unlink(missing_ok=True)

    def holds(self, name: str) -> bool:
        """Whether a living process holds the bell of that name."""
        return self._send(self.folder / name, b"")

    def close(self) -> None:
        self._sender.close()

    def _bells(self) -> list[Path]:
        try:
            return list(self.folder.iterdir())
        except FileNotFoundError:  # somebody tidied the temporary folder: readers fall back to looking
            return []

    def _send(self, path: Path, said: bytes) -> bool:
        with self._lock:
            try:
                self._sender.sendto(said, str(path))
            except _GONE:
                return False
            except OSError:  # its queue is full: it is about to wake anyway
                return True
        return True


class Bell:
    """One reader's socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        path.unlink(missing_ok=True)
        self._socket.bind(str(path))

    def wait(self, seconds: float, words: Collection[str]) -> set[str]:
        """Wait up to so long for a ring; the words heard that were listened for."""
        select.select([self._socket], [], [], max(seconds, 0))
        heard: set[str] = set()
        with suppress(BlockingIOError):
            while True:
                heard.update(self._socket.recv(4096).decode().split("\n"))
        return heard.intersection(words)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
