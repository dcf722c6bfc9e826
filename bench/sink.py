"""A fast SMTP sink that accepts everything and keeps recipient, Message-ID, size and time of each message.

The Go one in ``bench/smtp-sink`` where Go is installed; else the same in Python. The result names which.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from demo.house import free_port
from demo.receiving import OK, Answer, Conduct, Envelope, receive

_SOURCES = Path(__file__).parent / "smtp-sink"


@dataclass(frozen=True, slots=True)
class Received:
    """What the sink's own record says. ``lost`` and ``doubled`` count recipients against those expected."""

    messages: int
    lost: int
    doubled: int
    same_message_id: int
    first_ns: int
    last_ns: int
    mean_octets: int


class Sink:
    """A running sink; use as a context manager."""

    def __init__(self, folder: Path, samples: int = 3, *, chunking: bool = True) -> None:
        self.port, self._control = free_port(), free_port()
        program = build(folder)
        self.name = "go" if program else "python"
        command = [str(program)] if program else [sys.executable, "-m", "bench.sink"]
        self._folder = folder.absolute()
        self._process = subprocess.Popen(
            [
                *command,
                "-smtp",
                f"127.0.0.1:{self.port}",
                "-http",
                f"127.0.0.1:{self._control}",
                "-samples",
                str(samples),
                f"-chunking={str(chunking).lower()}",
            ],
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Sink:
        for _ in range(200):
            try:
                self._ask("stats")
                return self
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("The sink did not start within ten seconds.")

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(10)

    def count(self) -> int:
        return int(json.loads(self._ask("stats"))["count"])

    def reset(self) -> None:
        self._ask("reset")

    def sample(self) -> bytes:
        """One whole message as it came (dots still stuffed)."""
        return self.samples()[0]

    def samples(self) -> list[bytes]:
        """The first messages, as many as were asked for."""
        path = self._folder / "samples"
        self._ask("samples", path)
        return path.read_bytes().split(b"\r\n=====SINK-SEP=====\r\n")[:-1]

    def received(self, expected: set[str]) -> Received:
        """The record held against the recipients expected."""
        path = self._folder / "record"
        self._ask("dump", path)
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        by_recipient = Counter(row[0] for row in rows)
        by_pair = Counter((row[0], row[1]) for row in rows)
        times = sorted(int(row[3]) for row in rows)
        return Received(
            messages=len(rows),
            lost=len(expected - by_recipient.keys()),
            doubled=sum(count - 1 for count in by_recipient.values()),
            same_message_id=sum(count - 1 for count in by_pair.values()),
            first_ns=times[0] if times else 0,
            last_ns=times[-1] if times else 0,
            mean_octets=sum(int(row[2]) for row in rows) // max(1, len(rows)),
        )

    def wait_for(self, messages: int, timeout_seconds: float) -> bool:
        """Until so many were accepted, or nothing came for fifteen seconds, or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        last, moved = -1, time.monotonic()
        while time.monotonic() < deadline:
            count = self.count()
            if count >= messages:
                return True
            if count != last:
                last, moved = count, time.monotonic()
            if time.monotonic() - moved > max(15.0, timeout_seconds / 10):
                return False
            time.sleep(0.05)
        return False

    def _ask(self, what: str, path: Path | None = None) -> str:
        query = f"?path={urllib.parse.quote(str(path))}" if path else ""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._control}/{what}{query}", timeout=60) as answer:
            return str(answer.read().decode())


def build(folder: Path) -> Path | None:
    """The Go sink, built; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        return None
    program = folder.absolute() / "smtp-sink"
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    built = subprocess.run(
        [go, "build", "-o", str(program), "./cmd/sink"], cwd=_SOURCES, env=environment, capture_output=True, check=False
    )
    return program if built.returncode == 0 else None


class _Record(Conduct):
    """Keeps one row for each recipient of each message."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.rows: list[tuple[str, str, int, int]] = []
        self.samples: list[bytes] = []
        self.messages = 0

    def on_message(self, envelope: Envelope) -> Answer:
        head = envelope.content.partition(b"\r\n\r\n")[0].split(b"\r\n")
        message_id = next((line[11:].strip() for line in head if line[:11].lower() == b"message-id:"), b"").decode()
        now = time.time_ns()
        self.rows += [(recipient, message_id, len(envelope.content), now) for recipient in envelope.recipients]
        self.messages += 1
        if len(self.samples) < self._keep:
            self.samples.append(envelope.content)
        return OK

    def control(self, path: str) -> bytes:
        parsed = urllib.parse.urlsplit(path)
        target = urllib.parse.parse_qs(parsed.query).get("path", [""])[0]
        if parsed.path == "/stats":
            return json.dumps({"count": self.messages}).encode()
        if parsed.path == "/reset":
            self.rows, self.samples, self.messages = [], [], 0
        elif parsed.path == "/dump":
            Path(target).write_text("".join("\t".join(map(str, row)) + "\n" for row in self.rows), encoding="utf-8")
        elif parsed.path == "/samples":
            Path(target).write_bytes(b"".join(sample + b"\r\n=====SINK-SEP=====\r\n" for sample in self.samples))
        return b"ok"


def _serve() -> None:
    options = argparse.ArgumentParser(description="An SMTP sink in Python.")
    options.add_argument("-smtp", default="127.0.0.1:2525")
    options.add_argument("-http", default="127.0.0.1:2526")
    options.add_argument("-samples", type=int, default=3)
    options.add_argument("-chunking", choices=("true", "false"), default="true")
    chosen = options.parse_args()
    record = _Record(chosen.samples)
    record.offers_chunking = chosen.chunking == "true"

    class Control(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = record.control(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    host, _, port = chosen.http.rpartition(":")
    threading.Thread(target=ThreadingHTTPServer((host, int(port)), Control).serve_forever, daemon=True).start()

    async def forever() -> None:
        host, _, port = chosen.smtp.rpartition(":")
        server = await receive(record, host, int(port))
        await server.serve_forever()

    asyncio.run(forever())


if __name__ == "__main__":
    _serve()
