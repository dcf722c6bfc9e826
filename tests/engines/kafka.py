"""A Kafka for the tests: the one that FANFARE_TEST_KAFKA names, else a container, else Apache Kafka's own jars."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from demo.house import free_port
from tests.engines import maven
from tests.engines.at_hand import NotAtHand
from tests.engines.ending import end_with_parent

VERSION = "4.1.0"
_JARS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3")
_JVM = ("-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_IMAGE = "confluentinc/cp-kafka:7.9.0"
_READY_WITHIN = 60.0
# One broker for tests: nothing to replicate to, no waiting for more readers, retention looked at all the time.
_ONE_BROKER = {
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "log.retention.check.interval.ms": "500",
    "broker.session.timeout.ms": "3000",  # after which a killed broker may come back
    "broker.heartbeat.interval.ms": "500",
}


class Elsewhere:
    """A Kafka that somebody else runs, and that we never stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.what = f"the Kafka of FANFARE_TEST_KAFKA ({url})"

    def stop(self) -> None:
        pass


class Container:
    """Kafka in a container of its own."""

    def __init__(self) -> None:
        from testcontainers.community.kafka import KafkaContainer  # only where Docker runs

        self._container = KafkaContainer(_IMAGE).with_kraft()
        for name, value in _ONE_BROKER.items():
            self._container.with_env(f"KAFKA_{name.replace('.', '_').upper()}", value)
        self._container.start(timeout=int(_READY_WITHIN))
        self.url = f"kafka://{self._container.get_bootstrap_server()}"
        self.what = f"a container of {_IMAGE}"

    def stop(self) -> None:
        self._container.stop()


class Broker:
    """Apache Kafka from its jars, one broker on loopback, with its data in a folder of its own."""

    def __init__(self) -> None:
        self._java = maven.java()
        self._classpath = maven.classpath(*_JARS)
        self._folder = Path(tempfile.mkdtemp(prefix="fanfare-kafka-"))
        self._port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.url = f"kafka://{self.address}"
        self.what = f"Apache Kafka {VERSION} from its jars"
        self._settings = self._folder / "server.properties"
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in self._configured(controller).items()))
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        self._run("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._settings)).wait(_READY_WITHIN)
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it on what it kept, and wait until it answers."""
        self._process = self._run("kafka.Kafka", str(self._settings))
        deadline = time.monotonic() + _READY_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "said.log").read_text()[-2_000:]
                self.stop()
                raise NotAtHand(f"Apache Kafka did not start: {said}")
            time.sleep(0.1)

    def kill(self) -> None:
        """As when the power fails: what it had not written to its disk is the system's to keep."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Gone without a word, and back on the same data and port."""
        self.kill()
        self.start()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configured(self, controller: int) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self._folder / "logs"),
            **_ONE_BROKER,
        }

    def _run(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "said.log").open("ab") as said:
            return subprocess.Popen(
                [self._java, *_JVM, "-cp", self._classpath, main, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                preexec_fn=end_with_parent,
            )

    def _answers(self) -> bool:
        try:
            KafkaAdminClient(bootstrap_servers=self.address, bootstrap_timeout_ms=1_000).close()
        except KafkaError:
            return False
        return True


def start() -> Elsewhere | Container | Broker:
    if url := os.environ.get("FANFARE_TEST_KAFKA", ""):
        return Elsewhere(url)
    if docker_runs():
        return Container()
    try:
        return Broker()
    except NotAtHand as reason:
        raise NotAtHand(f"FANFARE_TEST_KAFKA names none, Docker does not run, and {reason}") from None


def docker_runs() -> bool:
    import docker  # testcontainers brings it
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False
