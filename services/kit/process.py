"""How a service lives: it starts, says that it is ready, works until it is asked to stop, and finishes what is in hand.

``python -m services.<room> serve | work | both``: answer calls, do background work, or both in one process;
``parked | replay``: list the events that could not be handled, or try them again (``services.kit.parked``).
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import structlog

from services.kit.errors import FanfareError, Invalid
from services.kit.health import Health
from services.kit.logs import start_logging
from services.kit.parked import COMMANDS
from services.kit.settings import Settings, load
from services.kit.supervised import HEALTH_FILE, PROGRAM, READY_FILE, SUPERVISOR, WRONG_SETTING

MODES = ("serve", "work", "both")

_BACKOFF = (0.2, 30.0)
_NEW_OBJECTS_PER_LOOK = 200_000  # a chunk of an import makes half as many, and all go with their last reference
_HEALTHY_AFTER = 60.0

logger = structlog.get_logger(__name__)


class Worker(Protocol):
    """Something that runs in its own thread until told to stop, soon after which it returns."""

    @property
    def name(self) -> str: ...

    def run(self, stop: threading.Event) -> None: ...


class Server(Protocol):
    """Something that answers in threads of its own."""

    def start(self) -> None: ...

    def stop(self, grace_seconds: float, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a service's wiring hands to its process; ``close`` gives stores, logs and channels back, at the end."""

    server: Server | None
    workers: Sequence[Worker]
    close: Callable[[], None]
    health: Health = field(default_factory=Health)


S = TypeVar("S", bound=Settings)


def main(
    service: str, settings_class: type[S], wire: Callable[[S], Parts], argv: Sequence[str] | None = None
) -> NoReturn:
    """The ``__main__`` of a service: read the settings, wire the parts, live, and exit."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1 or arguments[0] not in (*MODES, *COMMANDS):
        sys.exit(f"Say what to do: python -m services.{service} {' | '.join((*MODES, *COMMANDS))}")
    mode = arguments[0]
    try:
        settings = load(settings_class)
        start_logging(os.environ.get(PROGRAM, service), settings)
        parts = wire(settings)
        if mode in COMMANDS:
            sys.exit(carry_out(mode, service, parts))
        sys.exit(
            live(
                service,
                server=parts.server if mode != "work" else None,
                workers=parts.workers if mode != "serve" else (),
                close=parts.close,
                health=parts.health,
                drain_seconds=settings.drain_seconds,
            )
        )
    except FanfareError as error:
        print(f"{service}: {error.message}", file=sys.stderr)
        sys.exit(WRONG_SETTING if isinstance(error, Invalid) else 1)


def carry_out(command: str, service: str, parts: Parts) -> int:
    """One of ``COMMANDS``, beside the service that lives; the exit status."""
    try:
        return COMMANDS[command](service, parts.workers)
    finally:
        parts.close()


def live(
    service: str,
    *,
    server: Server | None,
    workers: Sequence[Worker],
    close: Callable[[], None] = lambda: None,
    health: Health | None = None,
    drain_seconds: float = 10.0,
) -> int:
    """Serve and work until SIGTERM, SIGINT or the supervisor's end; the exit status. Called by the main thread."""
    asked = threading.Event()
    stop = threading.Event()
    health = health or Health()
    _stop_on_signals(asked)
    tell_health(health)
    die_with_parent()
    if server is not None:
        server.start()
    threads = [threading.Thread(target=_keep_working, args=(worker, stop), name=worker.name) for worker in workers]
    for thread in threads:
        thread.daemon = True  # one that hangs must not keep the process
        thread.start()
    settle_memory()
    health.start(stop)
    announce_ready()
    logger.info("ready", service=service, workers=[worker.name for worker in workers])
    while not asked.wait(1.0):
        if all(thread.is_alive() for thread in threads):
            health.beat()
        tell_health(health)
        if _orphaned():
            logger.warning("supervisor_gone", service=service)
            break
    health.end()
    tell_health(health)
    return _wind_down(service, server, threads, stop, close, drain_seconds)


def settle_memory() -> None:
    """What was made at start stays for good, what comes later is seldom cyclic: look for cycles seldom, and not there.

    A page of documents is thousands of containers that their last reference frees. With the interpreter's own
    thresholds, looking through them for cycles takes twice as long as reading them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS_PER_LOOK, 20, 10)


def announce_ready() -> None:
    """Tell the supervisor that this service answers."""
    if path := os.environ.get(READY_FILE):
        Path(path).write_text(f"{os.getpid()}\n")


def tell_health(health: Health) -> None:
    """Tell whoever probes this container by its file; a process that is stuck lets it grow old."""
    if (path := os.environ.get(HEALTH_FILE)) and health.live:
        health.write(Path(path))


def die_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the supervisor dies, where it can (Linux); elsewhere we look now and then."""
    if os.environ.get(SUPERVISOR) and sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _orphaned() -> bool:
    supervisor = os.environ.get(SUPERVISOR)
    return bool(supervisor) and str(os.getppid()) != supervisor


def _stop_on_signals(asked: threading.Event) -> None:
    def on_signal(number: int, _frame: Any) -> None:
        if asked.is_set() and number == signal.SIGINT:  # asked twice by hand: at once, then
            os._exit(128 + number)
        asked.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)


def _wind_down(
    service: str,
    server: Server | None,
    threads: Sequence[threading.Thread],
    stop: threading.Event,
    close: Callable[[], None],
    drain_seconds: float,
) -> int:
    deadline = time.monotonic() + drain_seconds
    logger.info("stopping", service=service)
    if server is not None:
        server.stop(drain_seconds / 2)
    stop.set()  # after the server: what its last calls wrote is still worked on
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.1))
    still = [thread.name for thread in threads if thread.is_alive()]
    if still:
        logger.error("stopped_in_the_middle", service=service, workers=still)
        sys.stderr.flush()
        os._exit(1)  # their work is leased, and is taken up again
    close()
    logger.info("stopped", service=service)
    return 0


def _keep_working(worker: Worker, stop: threading.Event) -> None:
    """Run a worker; start it again when it crashes, less and less eagerly, and say so once per kind of crash."""
    backoff, longest = _BACKOFF
    said = ""
    while not stop.is_set():
        began = time.monotonic()
        crash = "returned before it was asked to"
        try:
            worker.run(stop)
        except Exception as error:
            crash = type(error).__name__
            if crash != said and not stop.is_set():
                logger.exception("worker_crashed", worker=worker.name)
        if stop.is_set():
            return
        if time.monotonic() - began > _HEALTHY_AFTER:
            backoff, said = _BACKOFF[0], ""
        if crash != said:
            said = crash
            logger.warning("worker_starts_again", worker=worker.name, after=crash)
        stop.wait(backoff)
        backoff = min(backoff * 2, longest)
