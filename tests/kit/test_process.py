"""A service says when it answers, survives the crashes of its workers, and finishes what is in hand when it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.kit.owners import is_gone, new_owner
from services.kit.probe import trouble
from tests.kit.waiting import until

PATIENCE = 30

PRELUDE = """
import sys, threading, time
from pathlib import Path
from services.kit.health import Health, Pace
from services.kit.process import Parts, live, main
from services.kit.settings import Settings

def say(*words): print(*words, flush=True)

class Server:
    def start(self): say("serves")
    def stop(self, grace_seconds): say("server stopped")

class Worker:
    name = "worker"
    def run(self, stop):
        say("works")
        stop.wait()
        say("finished what was in hand")

class Crasher:
    name = "crasher"
    runs = 0
    def run(self, stop):
        Crasher.runs += 1
        if Crasher.runs < 4:
            raise RuntimeError("of ada@example.org")
        say("works at last")
        stop.wait()
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(body: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        line = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(body), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FANFARE_DATA": str(tmp_path), **environment},
        )
        started.append(line)
        return line

    yield start
    for each in started:
        each.kill()
        each.communicate(timeout=PATIENCE)


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    assert process.stdout is not None
    read: list[str] = []
    for line in process.stdout:
        read.append(line.strip())
        if words in line:
            return read
    raise AssertionError(f"it never said {words!r}: {read}")


ROOM = "main('members', Settings, lambda settings: Parts(Server(), [Worker()], lambda: say('closed')))"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_stops_serving_then_finishes_then_closes(
    process: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    service = process(ROOM, "both")
    assert read_until(service, "works") == ["serves", "works"]
    service.send_signal(number)
    rest, _ = service.communicate(timeout=PATIENCE)
    assert rest.split("\n")[:-1] == ["server stopped", "finished what was in hand", "closed"]
    assert service.returncode == 0


@pytest.mark.parametrize(("mode", "says"), [("serve", "serves"), ("work", "works")])
def test_a_mode_does_its_part_only(process: Callable[..., subprocess.Popen[str]], mode: str, says: str) -> None:
    service = process(ROOM, mode)
    read = read_until(service, says)
    service.terminate()
    rest, _ = service.communicate(timeout=PATIENCE)
    said = [*read, *rest.split("\n")]
    assert ("serves" in said, "works" in said) == (mode == "serve", mode == "work")
    assert service.returncode == 0


def test_an_unknown_mode_is_answered_with_the_known_ones(process: Callable[..., subprocess.Popen[str]]) -> None:
    service = process(ROOM, "dance")
    _, said = service.communicate(timeout=PATIENCE)
    assert "python -m services.members serve | work | both" in said
    assert service.returncode == 1


def test_a_wrong_setting_ends_it_with_status_2_and_the_remedy(process: Callable[..., subprocess.Popen[str]]) -> None:
    service = process(ROOM, "both", FANFARE_HTTP="nowhere")
    _, said = service.communicate(timeout=PATIENCE)
    assert "FANFARE_HTTP" in said
    assert "Traceback" not in said
    assert service.returncode == 2


def test_readiness_is_told_once_the_server_answers(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    ready = tmp_path / "members.ready"
    body = """
    class Slow(Server):
        def start(self):
            say("ready" if Path(sys.argv[1]).exists() else "not yet")
            super().start()
    main('members', Settings, lambda settings: Parts(Slow(), [Worker()], lambda: None), ["both"])
    """
    service = process(body, str(ready), FANFARE_READY_FILE=str(ready))
    assert read_until(service, "works")[0] == "not yet"
    until(lambda: ready.exists() and ready.read_text().strip() == str(service.pid))
    service.terminate()


def test_health_is_told_in_a_file_from_the_start_to_the_end(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    told, here = tmp_path / "health", tmp_path / "here"
    body = """
    def ask():
        if not Path(sys.argv[1]).exists(): raise OSError("away")
    health = Health({"store": ask}, Pace(every=0.01))
    sys.exit(live("members", server=None, workers=[Worker()], health=health))
    """
    service = process(body, str(here), FANFARE_HEALTH_FILE=str(told))
    read_until(service, "works")
    assert trouble("live", told) == ""
    assert trouble("ready", told) == "waits for: store"
    here.touch()
    until(lambda: trouble("ready", told) == "")
    here.unlink()
    until(lambda: trouble("ready", told) == "waits for: store")
    assert trouble("live", told) == ""
    service.terminate()
    service.communicate(timeout=PATIENCE)
    assert "stopping" in trouble("ready", told)


def test_a_process_whose_worker_is_gone_is_stuck(process: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    told = tmp_path / "health"
    body = """
    class Gone(Worker):
        def run(self, stop):
            say("works")
            raise SystemExit
    sys.exit(live("members", server=None, workers=[Gone()], health=Health(pace=Pace(stuck=0.5))))
    """
    service = process(body, FANFARE_HEALTH_FILE=str(told))
    read_until(service, "works")
    until(lambda: told.exists() and time.time() - told.stat().st_mtime > 3)  # nobody writes it any more
    assert service.poll() is None
    service.terminate()


def test_a_worker_that_crashes_is_started_again_and_said_once(
    process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    service = process("main('members', Settings, lambda settings: Parts(None, [Crasher()], lambda: None))", "work")
    read_until(service, "works at last")
    service.terminate()
    service.communicate(timeout=PATIENCE)
    assert service.returncode == 0
    logged = (tmp_path / "logs" / "members.log").read_text()
    assert logged.count("worker_crashed") == 1
    assert "ada@example.org" not in logged


def test_a_worker_that_hangs_does_not_keep_the_process(process: Callable[..., subprocess.Popen[str]]) -> None:
    body = """
    class Hanging(Worker):
        def run(self, stop):
            say("works")
            time.sleep(600)
    sys.exit(live("members", server=None, workers=[Hanging()], drain_seconds=0.3))
    """
    service = process(body)
    read_until(service, "works")
    service.terminate()
    service.communicate(timeout=PATIENCE)
    assert service.returncode == 1


def test_an_owner_is_gone_when_its_process_is(process: Callable[..., subprocess.Popen[str]]) -> None:
    service = process("from services.kit.owners import new_owner; say(new_owner('relay')); time.sleep(600)")
    owner = read_until(service, "relay")[0]
    assert not is_gone(owner)
    service.kill()
    service.wait(PATIENCE)
    assert is_gone(owner)


def test_an_owner_elsewhere_is_never_thought_gone() -> None:
    ours = new_owner("relay")
    what, _, *rest = ours.split(".")
    assert not is_gone(ours)
    assert not is_gone(".".join((what, "another-machine", *rest)))
    assert not is_gone("")
    assert not is_gone("somebody")
    assert new_owner("relay") != ours


def test_a_process_number_used_again_is_another_owner() -> None:
    what, machine, pid, _, nonce = new_owner("relay").split(".")
    assert is_gone(".".join((what, machine, pid, "1", nonce)))
