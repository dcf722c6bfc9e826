"""A secret is made by whoever comes first, and is the same for everybody from then on."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.kit.secret_files import made_once


def test_all_who_come_at_once_find_the_same_whole_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "one.secret"
    with ThreadPoolExecutor(16) as together:  # one process number for all, as containers have
        found = set(together.map(lambda _: made_once(path, lambda: secrets.token_bytes(4_096)), range(64)))
    assert len(found) == 1
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "one.secret"
    path.write_bytes(b"kept")
    assert made_once(path, lambda: b"new") == b"kept"
