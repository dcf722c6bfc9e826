"""The services as the supervisor runs them, each process in our hand: killed, frozen and started again at will.

The supervisor waits longer and longer between the deaths of one service; two hundred deaths would take it an hour.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from demo.house import Operator, answers, first_operator, free_port
from services.__main__ import commands
from services.kit.supervised import PROGRAM, READY_FILE

_PROJECT = Path(__file__).resolve().parents[2]
_READY_WITHIN_SECONDS = 60.0

COMMANDS = commands(senders=2)
SENDERS = tuple(name for name, (module, _) in COMMANDS.items() if module == "services.channels")
LEASE_SECONDS = 3
HANDFUL = 20
HASTY = {
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "HANDFUL": str(HANDFUL),
    "RETRY_DELAYS": "[1, 2, 4]",
    "AGAIN_DELAY": "1",
}
"""Settings under which what takes hours in life takes seconds."""


class Services:
    """A platform on a folder; use as a context manager. ``settings`` are FANFARE_* variables without the prefix,
    ``beside`` further processes of its services, by name."""

    def __init__(
        self,
        data: Path,
        settings: Mapping[str, str] | None = None,
        beside: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.data = data
        self._commands = {**COMMANDS, **(beside or {})}
        self.http = f"127.0.0.1:{free_port()}"
        self.address = f"http://{self.http}"
        chosen = {"DATA": str(data), "HTTP": self.http, "LOG_LEVEL": "warning", **(settings or {})}
        self._environment = {**os.environ, **{f"FANFARE_{name}": value for name, value in chosen.items()}}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Services:
        self.data.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "services.gateway", "init"],
            cwd=_PROJECT,
            env=self._environment,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=_READY_WITHIN_SECONDS,
        )
        for name in self._commands:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def operator(self) -> Operator:
        return first_operator(self.data)

    def start(self, name: str) -> None:
        """Start a service, and return when it answers."""
        ready = self.data / f"{name}.ready"
        ready.unlink(missing_ok=True)
        self._running[name] = self._spawn(name, ready)
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while not (ready.exists() and (name != "gateway" or answers(self.address))):
            if self._running[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: see {self.log_of(name)}\n{self.last_lines(name)}")
            time.sleep(0.02)

    def kill(self, name: str) -> None:
        """kill -9."""
        self._running[name].kill()
        self._running[name].wait()

    def freeze(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def alive(self, name: str) -> bool:
        return self._running[name].poll() is None

    def pid_of(self, name: str) -> int:
        return self._running[name].pid

    def log_of(self, name: str) -> Path:
        return self.data / f"{name}.out"

    def last_lines(self, name: str) -> str:
        return "\n".join(self.log_of(name).read_text(errors="replace").splitlines()[-25:])

    def _spawn(self, name: str, ready: Path) -> subprocess.Popen[bytes]:
        with self.log_of(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._commands[name]],
                cwd=_PROJECT,
                env={**self._environment, PROGRAM: name, READY_FILE: str(ready)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
