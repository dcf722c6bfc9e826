"""What the receiving house decides for itself: a policy service that Postfix asks at RCPT, with greylisting.

The protocol is Postfix's own: lines of ``name=value`` until an empty one, answered by ``action=…``.
"""

from __future__ import annotations

import socketserver
import threading

GREYLISTED = "greta"  # who is told to come back when written to for the first time


class HouseRules:
    """Runs in threads until closed."""

    def __init__(self) -> None:
        self._met: set[str] = set()
        self._server = _Server(("127.0.0.1", 0), _Asked)
        self._server.rules = self
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Everybody is new again."""
        self._met.clear()

    def decide(self, recipient: str) -> str:
        if recipient.partition("@")[0].partition("+")[0] != GREYLISTED or recipient in self._met:
            return "DUNNO"
        self._met.add(recipient)
        return "451 4.7.1 Greylisted, come back in a moment"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    rules: HouseRules


class _Asked(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        asked: dict[str, str] = {}
        for raw in self.rfile:
            name, _, value = raw.decode("utf-8", "replace").strip().partition("=")
            if name:
                asked[name] = value
                continue
            self.wfile.write(f"action={self.server.rules.decide(asked.get('recipient', ''))}\n\n".encode())
            asked = {}
