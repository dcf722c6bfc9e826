"""The commands of every container, in the order of compose.yaml: each becomes healthy, and stops when it is asked."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.deploy.containers import CONFINED, Containers
from tests.deploy.written import OURS, ROOMS, in_order
from tests.kit.waiting import until

READY = ["-m", "services.kit.probe", "ready"]
LIVE = ["-m", "services.kit.probe", "live"]


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    containers = Containers(tmp_path_factory.mktemp("deploy"))
    try:
        yield containers
    finally:
        containers.end()


def test_each_becomes_healthy_in_its_turn_and_then_all_are_asked_and_stopped(containers: Containers) -> None:
    running = {}
    for name in in_order(OURS):
        if name == "init":
            done = containers.run(name, OURS[name]["command"])
            assert done.returncode == 0, done.stderr
            assert (containers.data / "first-operator.json").exists()
            continue
        running[name] = process = containers.start(name)
        until(lambda name=name, process=process: process.poll() is not None or _healthy(containers, name))
        assert process.poll() is None, containers.said(name)
    for room in ROOMS:
        with grpc.insecure_channel(containers.address(room)) as channel:
            ask = health_pb2_grpc.HealthStub(channel).Check
            for of in ("", "live", "store", "log"):
                answer = ask(health_pb2.HealthCheckRequest(service=of), timeout=10)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
    for path in ("/livez", "/readyz", "/readyz/store"):
        assert urllib.request.urlopen(f"http://{containers.http}{path}", timeout=10).status == 200
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    assert {name: process.wait(45) for name, process in running.items()} == dict.fromkeys(running, 0)
    for name in running:
        assert "Traceback" not in containers.said(name)
        assert containers.run(name, READY).returncode == 1
        assert containers.run(name, LIVE).returncode == 0


def test_they_wrote_nothing_but_what_a_container_may_write(containers: Containers) -> None:
    if CONFINED:
        pytest.skip(f"a read-only root could not be tried here: {CONFINED}")
    tried = containers.run("init", ["-c", f"open('{containers.tree}/services/more', 'w')"])
    assert "Read-only file system" in tried.stderr
    assert not (containers.data / "logs").exists()  # they tell it to standard error


def _healthy(containers: Containers, name: str) -> bool:
    return containers.run(name, READY).returncode == 0


def test_a_service_without_its_keys_says_what_it_waits_for(tmp_path: Path) -> None:
    containers = Containers(tmp_path)
    try:
        process = containers.start("gateway")
        until(lambda: process.poll() is not None)
        assert process.returncode == 1
        assert "python -m services.gateway init" in containers.said("gateway")
    finally:
        containers.end()
