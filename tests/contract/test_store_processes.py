"""Several processes share a store: nothing is lost, and each is told exactly what it did itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.kit.store.opening import open_store
from services.kit.store.rule import Equals
from tests.contract.racing_process import KEYS, RACED
from tests.contract.store_documents import CLASSES, Counter, Fan, Key, fan
from tests.contract.store_engines import IN_CLUB, address, engines
from tests.contract.writing_process import BATCH

_BOUND = 120


@pytest.fixture(params=engines())
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return address(request.param, tmp_path)


def _started(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.contract.{module}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _told(processes: list[subprocess.Popen[str]]) -> list[str]:
    said = [each.communicate(timeout=_BOUND)[0] for each in processes]
    assert [each.returncode for each in processes] == [0] * len(processes)
    return said


def test_processes_that_write_at_the_same_time_lose_nothing(shared: str) -> None:
    calls, names = 25, ("a", "b", "c")
    store = open_store(shared, CLASSES)
    fans, keys = store.collection(Fan), store.collection(Key)
    fans.insert(IN_CLUB, [fan("fan_shared")])
    said = _told([_started("writing_process", shared, name, str(calls)) for name in names])
    claimed = sum(int(line.split()[1]) for out in said for line in out.splitlines())
    counts = fans.get(IN_CLUB, ["fan_shared"])["fan_shared"]["counts"]
    assert counts == {"calls": 3 * calls, **dict.fromkeys(names, calls)}
    assert claimed == keys.count(IN_CLUB) == calls * BATCH  # each key was free for one of them
    assert [fans.count(IN_CLUB, Equals("tags", name)) for name in names] == [calls * BATCH] * 3
    assert fans.count(IN_CLUB, Equals("tags", "replaced")) == 3 * calls
    store.close()


def test_processes_that_change_the_same_documents_are_told_which_they_changed(shared: str) -> None:
    rounds = 60
    store = open_store(shared, CLASSES)
    counters, keys = store.collection(Counter), store.collection(Key)
    counters.insert(IN_CLUB, [fan(an_id, name="0", seen=None) for an_id in RACED])
    keys.insert(IN_CLUB, [fan(f"key_{at}") for at in range(KEYS)])
    told = [json.loads(out) for out in _told([_started("racing_process", shared, str(rounds)) for _ in range(4)])]
    for an_id, stored in counters.get(IN_CLUB, RACED).items():
        replaced = sum(each["replaced"].get(an_id, 0) for each in told)
        assert (stored["name"], stored["version"]) == (str(replaced), replaced + 1)
        assert stored["seen"] == {"score": rounds, "last_open": rounds - 1}, "a guarded change is made once"
        assert sum(each["guarded"].get(an_id, 0) for each in told) == rounds
    taken = [key for each in told for key in each["taken"]]
    assert len(taken) == len(set(taken)) == KEYS
    store.close()
