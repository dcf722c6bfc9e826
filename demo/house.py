"""A platform of one's own: started on a folder and a free port, waited for, and ended cleanly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_STARTS_WITHIN_SECONDS = 60.0
_ENDS_WITHIN_SECONDS = 20.0
_PROJECT = Path(__file__).resolve().parent.parent


class HouseDown(Exception):
    """The platform did not start, or has ended; the message says where its log is."""


@dataclass(frozen=True, slots=True)
class Operator:
    """How the first operator signs in."""

    email: str
    password: str


class House:
    """``python -m services run`` on ``data``; use as a context manager. Its lines go to ``<data>/house.log``.

    ``settings`` are FANFARE_* variables without the prefix, and win over those of this process.
    """

    def __init__(self, data: Path, http: str = "", settings: Mapping[str, str] | None = None) -> None:
        self.data = data.absolute()
        self.http = http or f"127.0.0.1:{free_port()}"
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.data / "house.log"

    def __enter__(self) -> House:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> str:
        return f"http://{self.http}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this platform is started with."""
        chosen = {"DATA": str(self.data), "HTTP": self.http, **self._settings}
        return {**os.environ, **{f"FANFARE_{name}": value for name, value in chosen.items()}}

    def start(self) -> None:
        """Start, and return when the gateway answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services", "run"],
                cwd=_PROJECT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C reaches it through us, once
            )
        deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
        while not (operator_file(self.data).exists() and answers(self.address)):
            if self._process.poll() is not None:
                raise HouseDown(f"The platform ended while it started. See {self._log}:\n{self._last_lines()}")
            if time.monotonic() > deadline:
                self.stop()
                raise HouseDown(f"The platform did not answer at {self.address} in time. See {self._log}.")
            time.sleep(0.1)

    def stop(self) -> int:
        """End it as Ctrl-C does; the supervisor's exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_ENDS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        return self._process.returncode

    def operator(self) -> Operator:
        return first_operator(self.data)

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def operator_file(data: Path) -> Path:
    return data / "first-operator.json"


def first_operator(data: Path) -> Operator:
    """The credentials that the platform wrote at its first start."""
    written = json.loads(operator_file(data).read_text())
    return Operator(written["email"], written["password"])


def answers(address: str) -> bool:
    """Whether a gateway answers there."""
    ask = urllib.request.Request(
        f"{address}/graphql", b'{"query":"{__typename}"}', {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(ask, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refusal:
        return refusal.code < 500
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
