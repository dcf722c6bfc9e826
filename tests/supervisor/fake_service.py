"""A service for the supervisor to run: ``fake_service.py <name> <folder> <manner>`` notes its life in the folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from services.kit.logs import start_logging
from services.kit.process import announce_ready, live
from services.kit.settings import Settings


class Clockwork:
    """Works until it is told to stop, and notes that it was."""

    name = "clockwork"

    def __init__(self, service: str, folder: Path) -> None:
        self._service = service
        self._folder = folder

    def run(self, stop: threading.Event) -> None:
        sys.stdout.write(f"{self._service} works\n")  # one write: other threads write lines too
        sys.stdout.flush()
        stop.wait()
        with (self._folder / "stopped").open("a") as stopped:
            stopped.write(f"{self._service}\n")


def main(name: str, folder: Path, manner: str) -> None:
    with (folder / f"{name}.pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    if manner == "wrong":
        sys.exit(2)
    if manner == "dies" and len((folder / f"{name}.pids").read_text().split()) < 3:
        announce_ready()
        sys.exit(7)
    if manner == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        announce_ready()
        time.sleep(600)
    if manner == "parent":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with (folder / f"{name}.pids").open("a") as pids:
            pids.write(f"{child.pid}\n")
    start_logging(name, Settings(data=folder))
    sys.exit(live(name, server=None, workers=[Clockwork(name, folder)]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
