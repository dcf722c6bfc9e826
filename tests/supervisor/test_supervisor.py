"""The supervisor keeps its services running, and leaves nothing behind; seen with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.kit.errors import Unavailable
from services.supervisor import (
    AddressTaken,
    AlreadyRuns,
    Patience,
    Program,
    Screen,
    Supervisor,
    check_free,
    only_one,
)
from services.supervisor_texts import ENGLISH, FRENCH, texts_for
from tests.kit.waiting import PATIENCE, until

FAKE = Path(__file__).with_name("fake_service.py")


def supervise(folder: Path, manners: dict[str, str]) -> int:
    """What the child process of these tests does: one supervisor over fake services."""
    programs = [Program(name, (sys.executable, str(FAKE), name, str(folder), how)) for name, how in manners.items()]
    screen = Screen(sys.stdout, list(manners), coloured=False, plain=False)
    (folder / "run").mkdir(exist_ok=True)

    async def run() -> int:
        patience = Patience(ready=15, stop=4)
        supervisor = Supervisor(programs, folder / "run", screen, ENGLISH, patience=patience, greeting="All up")
        return await supervisor.run()

    return asyncio.run(run())


@dataclass
class House:
    """A supervisor in a process of its own, and what it said."""

    folder: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def read_until(self, words: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}: {''.join(self.said)}")

    def pids(self, name: str) -> list[int]:
        return [int(line) for line in (self.folder / f"{name}.pids").read_text().split()]

    def end(self) -> int:
        """Read the rest, and the exit status."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.readlines()
        return self.process.wait(PATIENCE)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def start(**manners: str) -> House:
        line = f"import sys; from pathlib import Path; from tests.supervisor.test_supervisor import supervise; \
sys.exit(supervise(Path({str(tmp_path)!r}), {manners!r}))"
        houses.append(
            House(tmp_path, subprocess.Popen([sys.executable, "-c", line], stdout=subprocess.PIPE, text=True))
        )
        return houses[-1]

    yield start
    for each in houses:
        each.process.kill()
        each.process.wait(PATIENCE)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_services_start_in_their_order_and_their_lines_bear_their_names(house: Callable[..., House]) -> None:
    running = house(members="polite", gateway="polite")
    running.read_until("All up")
    said = "".join(running.said)
    assert said.index("members is ready") < said.index("gateway is ready") < said.index("All up")
    running.process.send_signal(signal.SIGTERM)
    running.end()
    assert "members │ members works\n" in running.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_stops_everything_gracefully_and_exits_0(
    house: Callable[..., House], number: signal.Signals
) -> None:
    running = house(members="polite", channels="polite", gateway="polite")
    running.read_until("All up")
    running.process.send_signal(number)
    assert running.end() == 0
    stopped = (running.folder / "stopped").read_text().split()
    assert stopped[0] == "gateway"  # what asks the others ends first
    assert sorted(stopped) == ["channels", "gateway", "members"]
    assert not any(alive(pid) for name in stopped for pid in running.pids(name))


def test_a_service_that_dies_is_started_again_while_the_others_go_on(house: Callable[..., House]) -> None:
    running = house(members="polite", channels="polite")
    running.read_until("All up")
    (members,), (channels,) = running.pids("members"), running.pids("channels")
    os.kill(members, signal.SIGKILL)
    assert "members ended by SIGKILL; it starts again in 0.5 s" in running.read_until("members ended")
    running.read_until("members is ready")
    assert running.pids("members")[-1] != members
    assert running.pids("channels") == [channels]
    assert alive(channels)
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0


def test_a_service_that_keeps_dying_is_started_less_and_less_eagerly(house: Callable[..., House]) -> None:
    running = house(members="dies")
    assert "with status 7; it starts again in 0.5 s" in running.read_until("members ended")
    assert "with status 7; it starts again in 1 s" in running.read_until("members ended")
    running.read_until("members is ready")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0


def test_a_service_that_will_not_stop_is_killed(house: Callable[..., House]) -> None:
    running = house(members="stubborn")
    running.read_until("All up")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    assert any("members did not stop in time and was killed" in line for line in running.said)
    assert not any(map(alive, running.pids("members")))


def test_asked_twice_it_ends_at_once(house: Callable[..., House]) -> None:
    running = house(members="stubborn")
    running.read_until("All up")
    running.process.send_signal(signal.SIGINT)
    running.read_until("Stopping")
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert not any(map(alive, running.pids("members")))


def test_when_the_supervisor_itself_is_killed_its_services_end(house: Callable[..., House]) -> None:
    running = house(members="polite", channels="polite")
    running.read_until("All up")
    running.process.kill()
    until(lambda: not any(map(alive, running.pids("members") + running.pids("channels"))))
    assert sorted((running.folder / "stopped").read_text().split()) == ["channels", "members"]  # gracefully


def test_what_a_service_started_itself_ends_with_it(house: Callable[..., House]) -> None:
    running = house(gateway="parent")
    running.read_until("All up")
    pids = running.pids("gateway")
    assert len(pids) == 2
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    until(lambda: not any(map(alive, pids)))


def test_a_service_with_a_wrong_setting_is_not_tried_again_and_nothing_runs_on(house: Callable[..., House]) -> None:
    running = house(members="polite", channels="wrong")
    assert running.end() == 1
    assert any("channels did not start" in line for line in running.said)
    assert len(running.pids("channels")) == 1
    assert not any(map(alive, running.pids("members")))


def test_stopping_while_services_still_start_leaves_nothing(house: Callable[..., House]) -> None:
    running = house(members="polite", channels="polite", gateway="polite")
    running.read_until("members is ready")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    started = [pid for path in running.folder.glob("*.pids") for pid in map(int, path.read_text().split())]
    assert not any(map(alive, started))


def test_a_data_folder_has_one_supervisor_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(AlreadyRuns) as refused, only_one(tmp_path):
        pass
    assert refused.value.params["pid"] == str(os.getpid())
    with only_one(tmp_path):  # and again, once the first is gone
        assert (tmp_path.stat().st_mode & 0o077) == 0


def test_a_second_start_on_the_same_data_is_refused_in_plain_words(tmp_path: Path) -> None:
    with only_one(tmp_path):
        refused = run_platform(FANFARE_DATA=str(tmp_path), FANFARE_HTTP="127.0.0.1:0", LANG="en_GB.UTF-8")
    assert refused.returncode == 1
    assert refused.stderr.strip() == ENGLISH.already_runs.format(data=tmp_path, pid=os.getpid())


def test_a_taken_address_is_said_before_anything_starts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AddressTaken):
            check_free(address)
        refused = run_platform(FANFARE_DATA=str(data), FANFARE_HTTP=address, LANG="fr_BE.UTF-8")
    check_free(address)
    assert refused.returncode == 1
    assert refused.stderr.strip() == FRENCH.address_taken.format(address=address)
    assert [path.name for path in data.iterdir()] == ["supervisor.lock"]


def test_a_wrong_setting_is_said_before_anything_starts(tmp_path: Path) -> None:
    refused = run_platform(FANFARE_DATA=str(tmp_path / "data"), FANFARE_HTTP="nowhere")
    assert refused.returncode == 1
    assert "FANFARE_HTTP" in refused.stderr
    assert not (tmp_path / "data").exists()


def run_platform(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LC_MESSAGES")}
    command = [sys.executable, "-m", "services", "run"]
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, timeout=PATIENCE)


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Unavailable):
        check_free("192.0.2.1:8080")  # TEST-NET-1, RFC 5737


def test_the_environment_chooses_the_language() -> None:
    assert texts_for({"LANG": "fr_BE.UTF-8"}) is FRENCH
    assert texts_for({"LC_ALL": "en_GB.UTF-8", "LANG": "fr_BE.UTF-8"}) is ENGLISH
    assert texts_for({}) is ENGLISH
