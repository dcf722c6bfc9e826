"""Somebody on the line between a sender and a mail server, who hears every byte, and may change the server's words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable


def _as_it_is(data: bytes) -> bytes:
    return data


class Eavesdropper:
    """Listens on ``port`` and passes everything on; use as a context manager."""

    def __init__(self, server_port: int, rewrite: Callable[[bytes], bytes] = _as_it_is) -> None:
        self._server_port = server_port
        self._rewrite = rewrite
        self.from_sender = b""
        self.from_server = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listening]
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Eavesdropper:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                sender, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port), 10)
            except OSError:
                return
            self._open += [sender, server]
            threading.Thread(target=self._pass_on, args=(sender, server, self._heard_sender), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, sender, self._heard_server), daemon=True).start()

    def _heard_sender(self, data: bytes) -> bytes:
        self.from_sender += data
        return data

    def _heard_server(self, data: bytes) -> bytes:
        self.from_server += data
        return self._rewrite(data)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, hear: Callable[[bytes], bytes]) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(hear(data))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return
