"""What every log engine promises. The suite runs on each engine at hand, and says which were not and why."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.kit.clock import DAY, SECOND, Clock, ManualClock, SystemClock
from services.kit.log import Event, Log, PartitionLost, Reader, Received, Terms, open_log
from tests.engines.pairs import fresh_kafka
from tests.kit.waiting import PATIENCE, until


@dataclass
class Engine:
    """How a test opens the log of one engine, as often as it has processes."""

    url: str
    opened: list[Log]

    def open(self, *, clock: Clock | None = None, terms: Terms | None = None) -> Log:
        log = open_log(self.url, clock=clock or SystemClock(), terms=terms or Terms())
        self.opened.append(log)
        return log


def _sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'log.sqlite'}"


FRESH: dict[str, Callable[[Path], str]] = {"sqlite": _sqlite, "kafka": lambda _: fresh_kafka()}


@pytest.fixture(params=FRESH)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(FRESH[request.param](tmp_path), [])
    yield engine
    for log in engine.opened:
        log.close()


def event(number: int, *, key: str = "com_a", subject: str = "mbr_a") -> Event:
    return Event(
        id=f"evt_{number}",
        type="fanfare.test.v1.Happened",
        source="test",
        subject=subject,
        sequence=number,
        at=1_700_000_000_000 + number,
        agency="agy_a",
        community=key,
        data=bytes([number % 256, 0, 255]),
        trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )


def read(reader: Reader, count: int) -> list[Received]:
    """Exactly so many events, or fail."""
    found: list[Received] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < deadline:
        found += reader.poll(timeout_ms=50)
    assert len(found) == count
    return found


def numbers(received: list[Received]) -> list[int]:
    return [one.event.sequence for one in received]


def test_an_event_arrives_exactly_as_it_was_published(engine: Engine) -> None:
    log = engine.open()
    log.publish("members", [event(7)])
    (received,) = read(log.reader(["members"], "campaigns"), 1)
    assert received.event == event(7)
    assert received.position.topic == "members"


def test_events_of_a_key_arrive_in_their_order_whatever_else_is_published(engine: Engine) -> None:
    log = engine.open()
    for start in range(0, 400, 40):
        log.publish("members", [event(n, key=f"com_{n % 7}") for n in range(start, start + 40)])
    received = read(log.reader(["members"], "campaigns"), 400)
    for key in range(7):
        assert [n for n in numbers(received) if n % 7 == key] == list(range(key, 400, 7))


def test_agency_wide_events_keep_the_order_of_their_agency(engine: Engine) -> None:
    log = engine.open()
    log.publish("members", [event(n, key="") for n in range(20)])
    received = read(log.reader(["members"], "campaigns"), 20)
    assert numbers(received) == list(range(20))
    assert len({one.position.partition for one in received}) == 1


def test_a_group_goes_on_where_it_committed(engine: Engine) -> None:
    log = engine.open()
    log.publish("members", [event(n) for n in range(10)])
    first = log.reader(["members"], "campaigns")
    assert numbers(first.poll(limit=4, timeout_ms=1_000)) == [0, 1, 2, 3]
    first.commit()
    assert numbers(first.poll(limit=4, timeout_ms=1_000)) == [4, 5, 6, 7]
    first.close()  # without a commit
    second = engine.open().reader(["members"], "campaigns")
    assert numbers(read(second, 6)) == [4, 5, 6, 7, 8, 9]


def test_groups_do_not_disturb_each_other(engine: Engine) -> None:
    log = engine.open()
    log.publish("members", [event(1)])
    one, other = log.reader(["members"], "campaigns"), log.reader(["members"], "gateway")
    read(one, 1)
    one.commit()
    assert numbers(read(other, 1)) == [1]


def test_a_group_that_starts_at_the_end_receives_only_what_follows(engine: Engine) -> None:
    log = engine.open()
    log.publish("members", [event(1)])
    reader = log.reader(["members"], "latecomer", from_start=False)
    log.publish("members", [event(2)])
    assert numbers(read(reader, 1)) == [2]
    assert log.lag(["members"], "latecomer") == 1
    reader.commit()
    assert log.lag(["members"], "latecomer") == 0


def test_lag_counts_what_a_group_has_still_to_read(engine: Engine) -> None:
    log = engine.open()
    assert log.lag(["members"], "campaigns") == 0
    log.publish("members", [event(n, key=f"com_{n}") for n in range(30)])
    log.publish("channels", [event(n) for n in range(5)])
    assert log.lag(["members", "channels"], "campaigns") == 35
    reader = log.reader(["members"], "campaigns")
    read(reader, 30)
    assert log.lag(["members"], "campaigns") == 30
    reader.commit()
    assert log.lag(["members"], "campaigns") == 0
    assert log.lag(["members", "channels"], "campaigns") == 5


def test_a_reader_waits_for_the_next_event_and_is_woken_by_another_process(engine: Engine) -> None:
    reader = engine.open().reader(["members"], "campaigns")
    assert reader.poll(timeout_ms=0) == []
    publish = run_apart(engine, "log.publish('members', [event(1)])")
    assert numbers(reader.poll(timeout_ms=int(PATIENCE * 1_000))) == [1]
    assert publish.wait(PATIENCE) == 0


def test_readers_of_a_group_share_its_partitions(engine: Engine) -> None:
    log, other_log = engine.open(), engine.open()
    one = log.reader(["members"], "campaigns")
    log.publish("members", [event(n, key=f"com_{n}") for n in range(200)])
    read(one, 200)
    one.commit()
    other = other_log.reader(["members"], "campaigns")
    seen: dict[str, list[Received]] = {"one": [], "other": []}

    def both_get_some() -> bool:
        log.publish("members", [event(n, key=f"com_{n}") for n in range(50)])
        for name, reader in (("one", one), ("other", other)):
            seen[name] = reader.poll(timeout_ms=20)
            reader.commit()
        return bool(seen["one"] and seen["other"])

    until(both_get_some)
    partitions = {name: {r.position.partition for r in received} for name, received in seen.items()}
    assert not partitions["one"] & partitions["other"]
    other.close()
    log.publish("members", [event(n, key=f"com_{n}") for n in range(200)])
    until(lambda: bool(read_and_commit(one)) and log.lag(["members"], "campaigns") == 0)


def read_and_commit(reader: Reader) -> list[Received]:
    received = reader.poll(timeout_ms=50)
    reader.commit()
    return received


def test_nothing_is_missed_and_order_holds_while_readers_come_and_go(engine: Engine) -> None:
    log = engine.open()
    first_seen: dict[int, list[int]] = {}
    readers: list[Reader] = []
    published = 0
    for turn in range(12):
        if turn % 3 == 0:
            readers.append(engine.open().reader(["members"], "campaigns"))
        elif turn % 5 == 4:
            readers.pop(0).close()
        log.publish("members", [event(n, key=f"com_{n % 13}") for n in range(published, published + 60)])
        published += 60
        for reader in readers:
            note(first_seen, numbers(read_and_commit(reader)))

    def all_read() -> bool:
        for reader in readers:
            note(first_seen, numbers(read_and_commit(reader)))
        return sum(map(len, first_seen.values())) == published

    until(all_read)
    for key, seen in first_seen.items():
        assert seen == list(range(key, published, 13))


def note(first_seen: dict[int, list[int]], read: list[int]) -> None:
    """Keep each number where it was seen first, by key."""
    for number in read:
        seen = first_seen.setdefault(number % 13, [])
        if number not in seen:
            seen.append(number)


def test_a_reader_that_slept_through_its_lease_cannot_commit(engine: Engine) -> None:
    terms = Terms(partitions=1, lease=SECOND // 3)
    log = engine.open(terms=terms)
    log.publish("members", [event(1), event(2)])
    sleeper = log.reader(["members"], "campaigns")
    assert numbers(read(sleeper, 2)) == [1, 2]
    successor = engine.open(terms=terms).reader(["members"], "campaigns")
    assert numbers(read(successor, 2)) == [1, 2]  # delivered again: the sleeper never committed
    with pytest.raises(PartitionLost):
        sleeper.commit()
    assert log.lag(["members"], "campaigns") == 2
    successor.commit()
    assert log.lag(["members"], "campaigns") == 0
    assert sleeper.poll(timeout_ms=0) == []


def test_what_a_killed_reader_did_not_commit_is_delivered_again(engine: Engine) -> None:
    log = engine.open()
    log.publish("members", [event(n, key=f"com_{n}") for n in range(100)])
    child = run_apart(
        engine,
        """
        reader = log.reader(["members"], "campaigns")
        handled = 0
        while handled < 40:
            handled += len(reader.poll(limit=10))
            reader.commit()
        reader.poll(limit=30)
        print("read", handled, flush=True)
        time.sleep(600)
        """,
    )
    assert child.stdout is not None
    handled = int(child.stdout.readline().split()[1])
    child.kill()
    child.wait(PATIENCE)
    reader = log.reader(["members"], "campaigns")  # long before the lease of the dead one ends
    assert len(read(reader, 100 - handled)) == 100 - handled


def test_what_was_published_survives_the_publishers_kill(engine: Engine) -> None:
    child = run_apart(
        engine,
        """
        for batch in range(100_000):
            log.publish("members", [event(batch * 10 + n) for n in range(10)])
            print(batch, flush=True)
        """,
    )
    assert child.stdout is not None
    acknowledged = -1
    while acknowledged < 25:
        acknowledged = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in child.stdout.read().split("\n")[:-1])])
    child.wait(PATIENCE)
    log = engine.open()
    kept = log.lag(["members"], "campaigns")
    assert kept >= (acknowledged + 1) * 10
    assert kept % 10 == 0  # a batch is written as a whole
    assert numbers(read(log.reader(["members"], "campaigns"), kept)) == list(range(kept))


def test_readers_killed_at_any_moment_miss_nothing_and_keep_the_order(engine: Engine, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    read_on = f"""
        import os
        from services.kit.log import PartitionLost
        seen = os.open({str(seen)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        reader = log.reader(["members"], "campaigns")
        print("reads", flush=True)
        while True:
            for received in reader.poll(limit=7, timeout_ms=50):
                os.write(seen, b"%d\\n" % received.event.sequence)
            try:
                reader.commit()
            except PartitionLost:
                pass
        """
    moments = random.Random(20261123)
    log = engine.open()
    readers = [run_apart(engine, read_on) for _ in range(3)]
    published = 0
    try:
        for _ in range(6):
            victim = moments.choice(readers)
            assert victim.stdout is not None
            victim.stdout.readline()
            for _ in range(moments.randint(1, 60)):
                log.publish("members", [event(n, key=f"com_{n % 13}") for n in range(published, published + 10)])
                published += 10
            victim.kill()
            victim.wait(PATIENCE)
            readers[readers.index(victim)] = run_apart(engine, read_on)
        until(lambda: log.lag(["members"], "campaigns") == 0)
    finally:
        for reader in readers:
            reader.kill()
            reader.wait(PATIENCE)
    first_seen: dict[int, list[int]] = {}
    note(first_seen, [int(line) for line in seen.read_text().split()])
    assert first_seen == {key: list(range(key, published, 13)) for key in range(13)}


def test_two_processes_publish_at_once_and_nothing_is_lost(engine: Engine) -> None:
    log = engine.open()
    publish = "for n in range(100): log.publish('members', [event(n, key='com_{}', subject='{}')])"
    children = [run_apart(engine, publish.format(name, name)) for name in ("a", "b")]
    assert [child.wait(PATIENCE) for child in children] == [0, 0]
    received = read(log.reader(["members"], "campaigns"), 200)
    for name in ("a", "b"):
        assert [r.event.sequence for r in received if r.event.subject == name] == list(range(100))


def test_events_older_than_the_retention_are_forgotten_and_newer_ones_kept(engine: Engine) -> None:
    clock = ManualClock(SystemClock().now() - 31 * DAY)  # an engine may go by its own clock: it ends at today
    log = engine.open(clock=clock, terms=Terms(retention=30 * DAY))
    log.publish("members", [event(n, key=f"com_{n}") for n in range(50)])
    clock.advance(20 * DAY)
    log.publish("members", [event(n, key=f"com_{n}") for n in range(50, 60)])
    clock.advance(11 * DAY)
    reader = log.reader(["members"], "campaigns")
    until(lambda: log.lag(["members"], "campaigns") == 10)
    assert sorted(numbers(read(reader, 10))) == list(range(50, 60))


def run_apart(engine: Engine, body: str) -> subprocess.Popen[str]:
    """Run some lines in a process of their own, with ``log`` and ``event`` at hand."""
    script = "\n".join(
        (
            "import time",
            "from services.kit.log import open_log",
            "from tests.contract.test_log import event",
            f"log = open_log({engine.url!r})",
            textwrap.dedent(body),
        )
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
