"""The log on Kafka: what the contract cannot say, since only here there is a server that may go away."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer

from services.kit.clock import DAY
from services.kit.errors import Invalid, Unavailable
from services.kit.log import Event, Log, PartitionLost, Reader, Terms, open_log
from services.kit.log.kafka_address import PATIENCE as AWAY_AFTER
from services.kit.log.kafka_address import Address, address_in
from tests.contract.test_log import event
from tests.engines import ENGINES
from tests.engines.at_hand import NotAtHand
from tests.engines.kafka import Broker
from tests.kit.waiting import PATIENCE, until

NOWHERE = "kafka://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def url() -> str:
    try:
        return f"{ENGINES['kafka'].running().url}/{secrets.token_hex(6)}"
    except NotAtHand as reason:
        pytest.skip(f"kafka: {reason}")


@pytest.fixture
def open_it(url: str) -> Iterator[Callable[..., Log]]:
    opened: list[Log] = []

    def open_it(terms: Terms | None = None) -> Log:
        opened.append(open_log(url, terms=terms))
        return opened[-1]

    yield open_it
    for log in opened:
        log.close()


@pytest.fixture
def broker(url: str) -> Broker:
    running = ENGINES["kafka"].running()
    if not isinstance(running, Broker):
        pytest.skip(f"kafka: {running.what} cannot be killed")
    return running


def servers(url: str) -> list[str]:
    return list(address_in(url).servers)


# Addresses


def test_an_address_names_brokers_and_a_prefix() -> None:
    assert address_in("kafka://one:9092") == Address(("one:9092",), "")
    assert address_in("kafka://one:9092,[::1]:9093/fanfare.test") == Address(("one:9092", "[::1]:9093"), "fanfare.test")
    assert address_in("kafka://one:9092/acme").named("members") == "acme.members"


@pytest.mark.parametrize(
    "wrong",
    ["kafka://", "kafka://one", "kafka://one:port", "kafka://u:p@one:9092", "kafka://one:9092/a/b", "kafka:///x"],
)
def test_an_address_that_names_no_broker_is_refused_without_repeating_it(wrong: str) -> None:
    with pytest.raises(Invalid, match="kafka://<host>:<port>") as refused:
        open_log(wrong)
    assert refused.value.field == "FANFARE_LOG"
    assert "u:p" not in refused.value.message


# What others see


def test_an_event_is_a_cloud_event_to_everybody_else(url: str, open_it: Callable[..., Log]) -> None:
    open_it().publish("members", [event(7)])
    topic = address_in(url).named("members")
    other = KafkaConsumer(topic, bootstrap_servers=servers(url), auto_offset_reset="earliest")
    (record,) = next(iter(other.poll(int(PATIENCE * 1_000)).values()))
    other.close()
    assert record.key == b"com_a"
    assert record.value == event(7).data
    assert dict(record.headers) == {
        "content-type": b"application/protobuf",
        "ce_specversion": b"1.0",
        "ce_id": b"evt_7",
        "ce_type": b"fanfare.test.v1.Happened",
        "ce_source": b"test",
        "ce_subject": b"mbr_a",
        "ce_time": b"2023-11-14T22:13:20.007+00:00",
        "ce_sequence": b"7",
        "ce_agency": b"agy_a",
        "ce_community": b"com_a",
        "ce_traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }


def test_what_is_no_event_is_passed_over(url: str, open_it: Callable[..., Log]) -> None:
    log = open_it(Terms(partitions=1))
    log.publish("members", [event(1)])
    stranger = KafkaProducer(bootstrap_servers=servers(url))
    stranger.send(address_in(url).named("members"), b"hello", partition=0).get(PATIENCE)
    stranger.close()
    log.publish("members", [event(2)])
    reader = log.reader(["members"], "campaigns")
    seen: list[int] = []
    until(lambda: seen.extend(numbers_and_commit(reader)) or len(seen) == 2)
    assert seen == [1, 2]
    assert log.lag(["members"], "campaigns") == 0


def test_installations_with_a_prefix_of_their_own_share_a_broker(url: str, open_it: Callable[..., Log]) -> None:
    neighbour = open_log(f"{url}-too")
    neighbour.publish("members", [event(1)])
    assert open_it().lag(["members"], "campaigns") == 0
    assert neighbour.lag(["members"], "campaigns") == 1
    neighbour.close()


def test_a_topic_has_as_many_partitions_as_when_it_was_made_and_the_retention_of_today(
    url: str, open_it: Callable[..., Log]
) -> None:
    open_it(Terms(partitions=2, retention=30 * DAY)).publish("members", [event(1)])
    later = open_it(Terms(partitions=5, retention=10 * DAY))
    later.publish("members", [event(n, key=f"com_{n}") for n in range(40)])
    reader = later.reader(["members"], "campaigns")
    partitions: set[int] = set()
    until(lambda: partitions.update(one.position.partition for one in reader.poll()) or partitions == {0, 1})
    assert retention_of(url) == str(10 * DAY)


def retention_of(url: str) -> str:
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    name = address_in(url).named("members")
    admin = KafkaAdminClient(bootstrap_servers=servers(url))
    told = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    admin.close()
    return str(told["topic"][name]["retention.ms"]["value"])


def test_an_event_that_no_broker_takes_is_refused_before_it_stands_in_the_way(open_it: Callable[..., Log]) -> None:
    log = open_it()
    big = Event("evt", "fanfare.test.v1.Happened", "test", "mbr_a", 1, 0, "agy_a", "com_a", bytes(1_000_000))
    with pytest.raises(Invalid, match="bytes") as refused:
        log.publish("members", [event(1), big])
    assert refused.value.field == "data"
    assert log.lag(["members"], "campaigns") == 0


def test_a_publication_larger_than_a_batch_arrives_in_order(open_it: Callable[..., Log]) -> None:
    log = open_it()
    many = [
        Event(f"evt_{n}", "fanfare.test.v1.Happened", "test", "mbr_a", n, 0, "agy_a", "com_a", bytes(300_000))
        for n in range(8)
    ]
    log.publish("members", many)
    reader = log.reader(["members"], "campaigns")
    seen: list[int] = []
    until(lambda: seen.extend(numbers_and_commit(reader)) or len(seen) >= 8)
    assert seen == list(range(8))


# Away


@pytest.mark.parametrize(
    "attempt",
    [
        lambda log: log.publish("members", [event(1)]),
        lambda log: log.reader(["members"], "campaigns"),
        lambda log: log.lag(["members"], "campaigns"),
    ],
    ids=["publish", "reader", "lag"],
)
def test_a_broker_that_is_away_is_said_so_in_a_bounded_time_and_in_words_that_help(
    attempt: Callable[[Log], object],
) -> None:
    log = open_log(NOWHERE)  # a service starts all the same
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 does not answer.*FANFARE_LOG"):
        attempt(log)
    assert time.monotonic() - began < 2 * AWAY_AFTER
    log.close()


def test_the_client_library_alarms_nobody() -> None:
    heard = Heard()
    root = logging.getLogger()
    root.addHandler(heard)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        log = open_log(NOWHERE)
        with pytest.raises(Unavailable):
            log.publish("members", [event(1)])
        log.close()
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    assert {record.name for record in heard.records} == {"services.kit.log.kafka_client"}
    assert all(record.levelno <= logging.INFO for record in heard.records)
    told = [record for record in heard.records if record.levelno == logging.INFO]
    assert len(told) < 2  # one thing a minute, not every attempt


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_a_broker_restart_loses_nothing_and_keeps_the_order_of_every_key(
    broker: Broker, open_it: Callable[..., Log]
) -> None:
    """It is killed twice, while one thread publishes and another reads; both go on by themselves."""
    published = Published(open_it())
    seen: list[tuple[str, int]] = []
    stop = threading.Event()
    writing = threading.Thread(target=published.go_on, args=(stop,))
    reading = threading.Thread(target=read_on, args=(open_it(), stop, seen))
    writing.start()
    reading.start()
    for _ in range(2):
        before = len(seen)
        until(lambda before=before: len(seen) > before + 200)
        broker.restart()
    before = len(seen)
    until(lambda: len(seen) > before + 200)
    published.enough.set()
    writing.join(PATIENCE)
    until(lambda: {key: len(set(of(seen, key))) for key in published.counts} == published.counts)
    stop.set()
    reading.join(PATIENCE)
    for key, count in published.counts.items():
        assert list(dict.fromkeys(of(seen, key))) == list(range(count))


def of(seen: list[tuple[str, int]], key: str) -> list[int]:
    return [number for at, number in list(seen) if at == key]


class Published:
    """Publishes for five keys, again after every failure, as a relay does."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.counts = {f"com_{n}": 0 for n in range(5)}
        self.enough = threading.Event()

    def go_on(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self.enough.is_set():
            next_ = [event(count, key=key) for key, count in self.counts.items()]
            try:
                self._log.publish("members", next_)
            except Unavailable:
                stop.wait(0.1)
            else:
                self.counts = {key: count + 1 for key, count in self.counts.items()}


def read_on(log: Log, stop: threading.Event, seen: list[tuple[str, int]]) -> None:
    """As a consumer does: a reader that fails is opened again."""
    while not stop.is_set():
        try:
            reader = log.reader(["members"], "campaigns")
            while not stop.is_set():
                seen += [(one.event.community, one.event.sequence) for one in reader.poll(timeout_ms=200)]
                with suppress(PartitionLost):
                    reader.commit()
        except Unavailable:
            stop.wait(0.1)
        finally:
            reader.close()


def test_a_reader_waits_for_a_broker_that_is_away_without_busying_itself(
    broker: Broker, open_it: Callable[..., Log]
) -> None:
    log = open_it()
    log.publish("members", [event(1)])
    reader = log.reader(["members"], "campaigns")
    until(lambda: numbers_and_commit(reader))
    broker.kill()
    try:
        busy = time.process_time()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            assert reader.poll(timeout_ms=500) == []
        assert time.process_time() - busy < 1.5  # of four seconds
    finally:
        broker.start()
    log.publish("members", [event(2)])
    seen: list[int] = []
    until(lambda: seen.extend(numbers_and_commit(reader)) or 2 in seen)


# Groups


def numbers_and_commit(reader: Reader) -> list[int]:
    numbers = [one.event.sequence for one in reader.poll(timeout_ms=50)]
    reader.commit()
    return numbers


READ_ON = """
    seen = os.open({seen!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    reader = log.reader(["members"], "campaigns")
    while True:
        for one in reader.poll(limit=20, timeout_ms=200):
            os.write(seen, b"%d %d\\n" % (os.getpid(), one.event.sequence))
        try:
            reader.commit()
        except PartitionLost:
            pass
    """


def apart(url: str, body: str) -> subprocess.Popen[bytes]:
    script = "\n".join(
        (
            "import os",
            "from services.kit.log import PartitionLost, open_log",
            f"log = open_log({url!r})",
            textwrap.dedent(body),
        )
    )
    return subprocess.Popen([sys.executable, "-c", script])


def lines(seen: Path) -> list[tuple[int, int]]:
    if not seen.exists():
        return []
    return [(int(pid), int(number)) for pid, number in (line.split() for line in seen.read_text().splitlines())]


def test_two_processes_share_a_group_and_one_that_is_killed_leaves_its_part_to_the_other(
    url: str, open_it: Callable[..., Log], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    log = open_it()
    published = 0

    def publish(count: int) -> None:
        nonlocal published
        log.publish("members", [event(n, key=f"com_{n % 13}") for n in range(published, published + count)])
        published += count

    readers = [apart(url, READ_ON.format(seen=str(seen))) for _ in range(2)]
    try:

        def both_read() -> bool:
            publish(26)
            return len({pid for pid, _ in lines(seen)[-60:]}) == 2

        until(both_read)
        os.kill(readers[0].pid, signal.SIGKILL)
        publish(260)
        until(lambda: log.lag(["members"], "campaigns") == 0)
    finally:
        for reader in readers:
            reader.kill()
            reader.wait(PATIENCE)
    for key in range(13):
        first_seen = dict.fromkeys(number for _, number in lines(seen) if number % 13 == key)
        assert list(first_seen) == list(range(key, published, 13))


def test_a_rebalance_alone_delivers_nothing_twice(url: str, open_it: Callable[..., Log], tmp_path: Path) -> None:
    """Who commits what it handles before it polls again hands a partition over without a repetition."""
    seen = tmp_path / "seen"
    log = open_it()
    stop = threading.Event()
    mine: list[tuple[str, int]] = []
    reading = threading.Thread(target=read_on, args=(open_it(), stop, mine))
    reading.start()
    published = 0
    newcomer = None
    try:
        while published < 3_000 or len({pid for pid, _ in lines(seen)}) == 0:
            log.publish("members", [event(n, key=f"com_{n % 13}") for n in range(published, published + 13)])
            published += 13
            if published == 1_300:
                newcomer = apart(url, READ_ON.format(seen=str(seen)))
            time.sleep(0.005)  # a stream, not a heap
        until(lambda: log.lag(["members"], "campaigns") == 0)
    finally:
        stop.set()
        reading.join(PATIENCE)
        if newcomer is not None:
            newcomer.kill()
            newcomer.wait(PATIENCE)
    everything = [number for _, number in mine] + [number for _, number in lines(seen)]
    assert sorted(everything) == list(range(published))
