"""Containers without Docker: the services of compose.yaml as processes that may write what a container may write.

Each sees a read-only root, the data folder that all share and a /tmp of its own, by a mount namespace where this
machine lets us have one (``CONFINED`` says why not); and of the project only what the image has. Addresses are moved
to free ports of this machine, and the engines are the embedded ones.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from demo.house import free_port
from tests.deploy.written import DEPLOY, DOCKERFILE, IMAGE_ENVIRONMENT, OURS

PROJECT = DEPLOY.parent
_CONFINE = """
for place in "$DATA" "$OWN" "$TREE"; do mount --bind "$place" "$place" || exit 90; done
mount -o remount,bind,ro / && mount -o remount,bind,ro "$TREE" || exit 90
cd "$TREE" && exec "$@"
"""


def _why_not() -> str:
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "needs Linux with unshare"
    tried = subprocess.run(("unshare", "-rm", "true"), capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else ""


CONFINED = _why_not()


class Containers:
    """All that run on one data folder."""

    def __init__(self, folder: Path) -> None:
        self.data, self.tree, self._folder = folder / "data", folder / "tree", folder
        self.data.mkdir()
        for part in re.findall(r"^COPY --from=build \S+ /opt/fanfare/(\w+)$", DOCKERFILE, re.MULTILINE):
            if part != "venv":
                shutil.copytree(PROJECT / part, self.tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        self.http = f"127.0.0.1:{free_port()}"
        self._ports = {port: free_port() for port in ("7001", "7002", "7003")}
        self._running: dict[str, subprocess.Popen[str]] = {}

    def environment(self, name: str) -> dict[str, str]:
        """What compose and the image say, here."""
        said = {**IMAGE_ENVIRONMENT, **OURS[name]["environment"]}
        here = {variable: self._here(value) for variable, value in said.items()}
        del here["FANFARE_STORE"], here["FANFARE_LOG"]
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{self.tree}:{self.tree}/gen:{sysconfig.get_path('purelib')}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **here,
            "TMPDIR": str(self.own(name)),
            "FANFARE_DATA": str(self.data),
            "FANFARE_HEALTH_FILE": str(self.own(name) / "fanfare.health"),
        }

    def own(self, name: str) -> Path:
        """The /tmp of a container."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """A command in the container of that name, to its end."""
        return subprocess.run(self._command(name, command), **self._how(name), timeout=60, capture_output=True)

    def start(self, name: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command(name, OURS[name]["command"]),
            **self._how(name),
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / f"{name}.err").open("w"),
        )
        self._running[name] = process
        return process

    def said(self, name: str) -> str:
        return (self._folder / f"{name}.err").read_text()

    def address(self, name: str) -> str:
        return self.environment(name)[f"FANFARE_{name.upper()}_ADDRESS"]

    def end(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def _command(self, name: str, arguments: list[str]) -> list[str]:
        python = [sys.executable, "-S", *arguments]  # without site: nothing of the project but what the image has
        return python if CONFINED else ["unshare", "-rm", "sh", "-c", _CONFINE, "sh", *python]

    def _how(self, name: str) -> Mapping[str, object]:
        places = {"DATA": str(self.data), "TREE": str(self.tree), "OWN": str(self.own(name))}
        return {"env": {**self.environment(name), **places}, "cwd": self.tree, "text": True}

    def _here(self, value: str) -> str:
        address = re.fullmatch(r"[a-z0-9.]+:(\d{4})", value)
        if not address:
            return value
        port = address[1]
        return self.http if port == "8080" else f"127.0.0.1:{self._ports[port]}"
