"""The HTTP server: granian, in threads of this very process.

granian starts worker processes of its own, or threads where Python has no global lock. The gateway is one process like
every other service (it is stopped, drained and logged by ``services.kit.process``), so it runs one of granian's thread
workers itself.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from granian._granian import ListenerSpec
from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.server.mt import MTServer, WorkerThread

from services.kit.errors import Unavailable

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class _OneWorker(MTServer):
    """granian's thread worker on a socket that is ours, without its signals, its supervision and its process file."""

    def worker(self, app: WsgiApp, held: Any) -> WorkerThread:
        self._ssp, self._shd = None, held
        return self._spawn_worker(0, self._spawn_wsgi_worker, app)


class HttpServer:
    """Serves a WSGI application; ``address`` is where it listens once started."""

    def __init__(self, app: WsgiApp, address: str, *, threads: int) -> None:
        self._app = app
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._threads = threads
        self._worker: Any = None
        self._busy = _Busy(app)
        self.address = address

    def start(self) -> None:
        """Listen and answer. Raises Unavailable where the address is taken."""
        try:
            with socket.create_server(
                (self._host, self._port), family=socket.AF_INET6 if ":" in self._host else socket.AF_INET
            ) as probe:
                self._port = probe.getsockname()[1]
        except OSError as error:
            raise Unavailable(
                f"{self.address} cannot be listened on ({error.strerror}): set FANFARE_HTTP to another address.",
                field="FANFARE_HTTP",
            ) from error
        self.address = f"{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"
        server = _OneWorker(
            "gateway",
            address=self._host,
            port=self._port,
            interface=Interfaces.WSGI,
            blocking_threads=self._threads,
            runtime_mode=RuntimeModes.st,
            http=HTTPModes.http1,
            websockets=False,
            backlog=1_024,
            log_enabled=False,
        )
        self._worker = server.worker(self._busy, ListenerSpec(self._host, self._port, 1_024).build())
        self._worker.inner.daemon = True
        self._worker.inner.start()
        self._await_answer()

    def stop(self, grace_seconds: float) -> None:
        """Take no new requests, and let those under way end within the grace."""
        deadline = time.monotonic() + grace_seconds
        self._worker.terminate()
        self._busy.idle(max(deadline - time.monotonic(), 0.1))
        self._worker.inner.join(max(deadline - time.monotonic(), 0.1))

    def _await_answer(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((self._host, self._port), timeout=1).close()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unavailable(f"The server at {self.address} does not answer.") from error
                time.sleep(0.01)


class _Busy:
    """Counts the requests under way."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        self._changed = threading.Condition()
        self._count = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._changed:
            self._count += 1
        try:
            return self._app(environ, start_response)
        finally:
            with self._changed:
                self._count -= 1
                if not self._count:
                    self._changed.notify_all()

    def idle(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, timeout)


__all__ = ["HttpServer", "WsgiApp"]
