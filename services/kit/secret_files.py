"""Secrets that the first process to need them makes, and every other one finds, on this machine or another."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds; made where there is none, for its owner only. Who sees the file sees all of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # in containers every process is number 1
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            with suppress(FileExistsError):  # another process was quicker
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_bytes()
