"""The embedded log in particular: its file, its commits, its leases by the clock, what it says when it cannot write."""

from __future__ import annotations

import resource
import sqlite3
import threading
from pathlib import Path

import pytest

from services.kit.clock import DAY, MINUTE, ManualClock, SystemClock
from services.kit.errors import FanfareError, Invalid, Unavailable
from services.kit.log import Event, PartitionLost, Terms, open_log
from services.kit.log.bells import Belfry
from services.kit.log.port import partition_of
from services.kit.log.sqlite import SqliteLog
from services.kit.log.sqlite_reader import SqliteReader


def event(number: int, *, key: str = "com_a", data: bytes = b"x") -> Event:
    return Event(f"evt_{number}", "test.Happened", "test", f"mbr_{number}", number, 0, "agy_a", key, data)


def reader_of(log: SqliteLog, group: str = "campaigns") -> SqliteReader:
    reader = log.reader(["members"], group)
    assert isinstance(reader, SqliteReader)
    return reader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "log.sqlite"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_key_goes_to_the_same_partition_on_every_machine_and_day() -> None:
    assert [partition_of(key, 8) for key in ("com_a", "com_b", "agy_a", "")] == [3, 1, 0, 0]


def test_another_engine_is_refused_with_the_setting_to_change() -> None:
    for url in ("redis://localhost:6379", "sqlite:///", "log.sqlite"):
        with pytest.raises(Invalid, match="sqlite:///") as refused:
            open_log(url)
        assert refused.value.field == "FANFARE_LOG"


def test_the_file_is_for_its_owner_only_and_its_writes_are_synced(path: Path, clock: ManualClock) -> None:
    log = SqliteLog(path, clock, Terms())
    log.publish("members", [event(1)])
    assert path.stat().st_mode & 0o077 == 0
    assert log._publishing._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert log._publishing._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_a_topic_keeps_its_partitions_when_the_setting_changes(path: Path, clock: ManualClock) -> None:
    SqliteLog(path, clock, Terms(partitions=3)).streams("members")
    log = SqliteLog(path, clock, Terms(partitions=8))
    assert len(log.streams("members")) == 3
    assert len(log.streams("channels")) == 8


def test_threads_that_publish_at_once_share_commits_and_keep_their_order(path: Path) -> None:
    log = SqliteLog(path, SystemClock(), Terms())
    statements: list[str] = []
    log._publishing._connection.set_trace_callback(statements.append)

    def publish(key: str) -> None:
        for number in range(100):
            log.publish("members", [event(number, key=key)])

    threads = [threading.Thread(target=publish, args=(f"com_{name}",)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    received = reader_of(log).poll(limit=1_000, timeout_ms=1_000)
    assert len(received) == 800
    for name in range(8):
        assert [r.event.sequence for r in received if r.event.community == f"com_{name}"] == list(range(100))
    assert statements.count("COMMIT") < 800
    log.close()


def test_a_reader_that_was_stopped_past_its_lease_is_fenced_by_epoch(path: Path, clock: ManualClock) -> None:
    log = SqliteLog(path, clock, Terms(lease=MINUTE))
    log.publish("members", [event(1)])
    stopped = reader_of(log)
    assert len(stopped.poll()) == 1
    clock.advance(MINUTE + 1)
    successor = reader_of(log)
    assert len(successor.poll()) == 1
    successor.commit()
    log.publish("members", [event(2)])
    with pytest.raises(PartitionLost, match="campaigns"):
        stopped.commit()
    assert len(successor.poll()) == 1  # position and lease are the successor's, untouched
    successor.commit()
    assert log.lag(["members"], "campaigns") == 0


def test_a_lapsed_lease_that_nobody_took_does_no_harm(path: Path, clock: ManualClock) -> None:
    log = SqliteLog(path, clock, Terms(lease=MINUTE))
    log.publish("members", [event(1)])
    slow = reader_of(log)
    assert len(slow.poll()) == 1
    clock.advance(10 * MINUTE)
    slow.commit()
    assert log.lag(["members"], "campaigns") == 0


def test_a_waiting_reader_keeps_its_partitions_as_long_as_it_polls(path: Path, clock: ManualClock) -> None:
    log = SqliteLog(path, clock, Terms(lease=MINUTE))
    faithful = reader_of(log)
    other = reader_of(log)
    for _ in range(10):
        clock.advance(MINUTE // 2)
        faithful.poll(timeout_ms=0)
        other.poll(timeout_ms=0)
    log.publish("members", [event(n, key=f"com_{n}") for n in range(100)])
    shares = [len(each.poll(timeout_ms=0)) for each in (faithful, other)]
    assert sum(shares) == 100
    assert all(shares)


def test_retention_gives_the_space_back_little_by_little(path: Path, clock: ManualClock) -> None:
    log = SqliteLog(path, clock, Terms(retention=30 * DAY))
    for start in range(0, 20_000, 2_000):
        log.publish("members", [event(n, key=f"com_{n % 50}", data=b"x" * 400) for n in range(start, start + 2_000)])
    full = _pages(path)
    clock.advance(31 * DAY)
    log.publish("members", [event(1)])
    forgotten = []
    while swept := log.sweep():
        forgotten.append(swept)
    assert sum(forgotten) == 20_000
    assert max(forgotten) <= 5_000
    assert _pages(path) < full / 4
    assert log.lag(["members"], "campaigns") == 1
    log.close()


def _pages(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])
    finally:
        connection.close()


def test_a_full_disk_refuses_the_event_and_says_so_then_goes_on(path: Path) -> None:
    log = SqliteLog(path, SystemClock(), Terms())
    log.publish("members", [event(1)])
    connection = log._publishing._connection  # the limit is per connection
    connection.execute(f"PRAGMA max_page_count={_pages(path)}")
    with pytest.raises(Unavailable, match="disk is full"):
        log.publish("members", [event(2, data=b"x" * 100_000)])
    connection.execute("PRAGMA max_page_count=1000000")
    log.publish("members", [event(3)])
    assert [r.event.sequence for r in reader_of(log).poll(timeout_ms=1_000)] == [1, 3]


def test_a_file_that_may_not_grow_refuses_the_event_and_says_so(path: Path) -> None:
    log = SqliteLog(path, SystemClock(), Terms())
    log.publish("members", [event(1)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("log.sqlite-wal").stat().st_size, hard))
    try:
        with pytest.raises(Unavailable, match=r"log\.sqlite"):
            log.publish("members", [event(2, data=b"x" * 100_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.publish("members", [event(3)])
    assert [r.event.sequence for r in reader_of(log).poll(timeout_ms=1_000)] == [1, 3]


def test_a_file_that_is_no_log_is_said_to_be_damaged(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 1_000)
    with pytest.raises(FanfareError, match="damaged"):
        SqliteLog(path, SystemClock(), Terms())


def test_reading_holds_no_transaction_open(path: Path) -> None:
    log = SqliteLog(path, SystemClock(), Terms())
    log.publish("members", [event(n) for n in range(2_000)])
    reader = reader_of(log)
    reader.poll(limit=10)
    other = sqlite3.connect(path, isolation_level=None)
    busy, in_wal, moved = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert (busy, in_wal, moved) == (0, 0, 0)


def test_a_folder_too_deep_for_sockets_still_wakes_its_readers(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    log = SqliteLog(deep / "log.sqlite", SystemClock(), Terms())
    other = SqliteLog(deep / "log.sqlite", SystemClock(), Terms())
    assert log.belfry.folder == other.belfry.folder
    assert log.belfry.folder.stat().st_mode & 0o077 == 0
    bell = log.belfry.hang("a")
    other.belfry.ring(["members"])
    assert bell.wait(5, {"members"}) == {"members"}
    bell.close()
    log.belfry.folder.rmdir()


def test_a_bell_that_nobody_holds_is_taken_down(tmp_path: Path) -> None:
    belfry = Belfry(tmp_path / "bells")
    bell = belfry.hang("gone")
    bell._socket.close()  # as the kernel does when a process is killed
    assert not belfry.holds("gone")
    belfry.ring(["members"])
    assert list(belfry.folder.iterdir()) == []


def test_a_ring_for_another_topic_is_not_heard(tmp_path: Path) -> None:
    belfry = Belfry(tmp_path / "bells")
    bell = belfry.hang("a")
    belfry.ring(["channels"])
    assert bell.wait(5, {"members"}) == set()
    bell.close()
