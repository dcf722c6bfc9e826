"""A process killed at any moment loses nothing that was acknowledged, and leaves a file that is sound."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services.kit.store.opening import open_store
from services.kit.store.port import Store
from services.kit.store.rule import Equals
from tests.contract.store_documents import CLASSES, Fan, fan
from tests.contract.store_engines import IN_CLUB
from tests.contract.writing_process import BATCH

_BOUND = 120


def _shared(path: Path) -> Store:
    store = open_store(path, CLASSES)
    store.collection(Fan).insert(IN_CLUB, [fan("fan_shared")])
    return store


def _writing(path: Path, name: str, calls: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contract.writing_process", str(path), name, str(calls)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _check_file(path: Path) -> None:
    """The file is sound, and its columns and side tables say what its bodies say."""
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stored = connection.execute('SELECT value, _n FROM "fans/tags"').fetchall()
        told = connection.execute("SELECT e.value, m._n FROM fans m, json_each(m._body, '$.tags') e").fetchall()
        assert sorted(stored) == sorted(told)
        wrong = "SELECT count(*) FROM fans WHERE joined_at IS NOT json_extract(_body, '$.joined_at')"
        assert connection.execute(wrong).fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_process_killed_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    path, dice = tmp_path / "store.db", random.Random(seed)
    _shared(path).close()
    writer = _writing(path, "a", 10_000)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline()]
    killer = threading.Timer(dice.uniform(0.01, 0.4), writer.send_signal, (signal.SIGKILL,))
    killer.start()
    acknowledged += writer.stdout.readlines()
    assert writer.wait(timeout=_BOUND) == -signal.SIGKILL
    writer.stdout.close()
    done = len(acknowledged)
    store = open_store(path, CLASSES)
    fans = store.collection(Fan)
    kept = sum(len(page) for page in fans.stream(IN_CLUB, Equals("tags", "a")))
    calls = fans.get(IN_CLUB, ["fan_shared"])["fan_shared"]["counts"]["calls"]
    assert done <= calls <= done + 1, f"seed {seed}"
    assert done * BATCH <= kept <= (done + 1) * BATCH, f"seed {seed}"
    assert kept % BATCH == 0, "a call is kept whole"
    assert fans.insert(IN_CLUB, [fan("fan_after")]) == {"fan_after"}
    store.close()
    _check_file(path)
