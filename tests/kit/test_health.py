"""Whoever runs a process learns whether it is stuck, and whether what it needs answers, through every door alike."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.kit.clock import ManualClock
from services.kit.errors import Unavailable
from services.kit.health import Health, Pace, needs_of
from services.kit.log import open_log
from services.kit.probe import trouble
from services.kit.rpc.server import RpcServer
from services.kit.rpc.trust import Verifier
from tests.kit.rooms import Room
from tests.kit.waiting import until

HASTY = Pace(every=0.01, patience=0.05)
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Engine:
    """Something a process needs; it can be taken away, and made to hang."""

    def __init__(self) -> None:
        self.here = True
        self.freed = threading.Event()
        self.freed.set()

    def ask(self) -> None:
        self.freed.wait()
        if not self.here:
            raise Unavailable("The engine is away.")


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()


def test_nothing_is_ready_before_it_has_answered(stop: threading.Event) -> None:
    health = Health({"store": Engine().ask}, HASTY)
    assert health.away() == ["store"]
    health.start(stop)
    until(lambda: not health.away())


def test_what_is_away_is_named_and_the_other_is_not(stop: threading.Event) -> None:
    store, log = Engine(), Engine()
    health = Health({"store": store.ask, "log": log.ask}, HASTY)
    health.start(stop)
    until(lambda: not health.away())
    log.here = False
    until(lambda: health.away() == ["log"])
    assert health.away("store") == []
    log.here = True
    until(lambda: not health.away())


def test_what_hangs_is_away_and_holds_nothing_else_up(stop: threading.Event) -> None:
    store, log = Engine(), Engine()
    health = Health({"store": store.ask, "log": log.ask}, HASTY)
    health.start(stop)
    until(lambda: not health.away())
    log.freed.clear()
    until(lambda: health.away() == ["log"])
    store.here = False
    until(lambda: health.away() == ["store", "log"])
    log.freed.set()
    until(lambda: health.away() == ["store"])


def test_a_process_without_a_beat_is_stuck_whatever_answers(stop: threading.Event) -> None:
    assert Health().live
    assert not Health(pace=Pace(stuck=0.0)).live


def test_a_process_that_stops_takes_nothing_new_and_is_not_stuck() -> None:
    health = Health(pace=Pace(stuck=0.0))
    health.end()
    assert health.live
    assert health.away() == ["stopping"]


def test_the_embedded_engines_are_asked_and_answer(stop: threading.Event, tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path / 'log.sqlite'}")
    health = Health(needs_of(Room(tmp_path).leases, log, "members", "members"), HASTY)
    health.start(stop)
    until(lambda: not health.away())
    stop.set()
    log.close()


# The file


def test_a_probe_tells_what_the_file_says(tmp_path: Path) -> None:
    store = Engine()
    health = Health({"store": store.ask})
    path = tmp_path / "health"
    assert "not started" in trouble("live", path)
    health.write(path)
    assert trouble("live", path) == ""
    assert trouble("ready", path) == "waits for: store"
    Health().write(path)
    assert trouble("ready", path) == ""
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_probe_tells_by_the_age_of_the_file_that_a_process_is_stuck(tmp_path: Path) -> None:
    path, long_ago = tmp_path / "health", time.time() - 60
    health = Health()
    health.write(path)
    os.utime(path, (long_ago, long_ago))
    assert "stuck" in trouble("live", path)
    assert "stuck" in trouble("ready", path)
    health.end()
    health.write(path)
    os.utime(path, (long_ago, long_ago))
    assert trouble("live", path) == ""  # it finishes what is in hand
    assert "stopping" in trouble("ready", path)


# gRPC


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[[Health, str], Sequence[int]]]:
    opened: list[RpcServer] = []

    def ask(health: Health, *names: str) -> Sequence[int]:
        server = RpcServer("127.0.0.1:0", [], Verifier(tmp_path, ManualClock()), health=health)
        server.start()
        opened.append(server)
        with grpc.insecure_channel(server.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            return [stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status for name in names]

    yield ask
    for server in opened:
        server.stop(0)


def test_grpc_tells_of_the_whole_and_of_each_need(ask: Callable[..., Sequence[int]], stop: threading.Event) -> None:
    store, log = Engine(), Engine()
    log.here = False
    health = Health({"store": store.ask, "log": log.ask}, HASTY)
    health.start(stop)
    until(lambda: health.away() == ["log"])
    assert ask(health, "", "live", "store", "log") == [NOT_SERVING, SERVING, SERVING, NOT_SERVING]
    log.here = True
    until(lambda: not health.away())
    assert ask(health, "", "log") == [SERVING, SERVING]


def test_grpc_tells_that_a_process_is_stuck(ask: Callable[..., Sequence[int]]) -> None:
    assert ask(Health(pace=Pace(stuck=0.0)), "", "live") == [NOT_SERVING, NOT_SERVING]


def test_grpc_knows_no_other_name(ask: Callable[..., Sequence[int]]) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        ask(Health(), "weather")
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
