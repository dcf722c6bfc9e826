"""A MongoDB for the tests: the one that FANFARE_TEST_MONGODB names, else a container, else mongo-java-server.

mongo-java-server is no MongoDB: it keeps nothing, and what it gets wrong is *unproven* where no real one is at hand.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from demo.house import free_port
from services.kit.settings import Settings
from tests.engines import maven
from tests.engines.at_hand import NotAtHand
from tests.engines.ending import end_with_parent
from tests.engines.kafka import docker_runs

VERSION = "1.47.0"
_JARS = (f"de.bwaldvogel:mongo-java-server:{VERSION}", "org.slf4j:slf4j-nop:2.0.17")
_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_MAIN = Path(__file__).parent / "MongoServer.java"
_IMAGE = "mongo:7.0"
_READY_WITHIN = 60.0


class Elsewhere:
    """A MongoDB that somebody else runs: we never stop it, and take our databases away."""

    real = True

    def __init__(self, url: str) -> None:
        self.url = Settings(store=url).store_url(f"tests_{uuid.uuid4().hex[:8]}")
        self.what = "the MongoDB of FANFARE_TEST_MONGODB"

    def stop(self) -> None:
        client: MongoClient[dict[str, object]] = MongoClient(self.url)
        ours = client.get_default_database().name
        for name in client.list_database_names():
            if name.startswith(ours):
                client.drop_database(name)
        client.close()


class Container:
    """MongoDB in a container of its own."""

    real = True

    def __init__(self) -> None:
        from testcontainers.community.mongodb import MongoDbContainer  # only where Docker runs

        self._container = MongoDbContainer(_IMAGE)
        self._container.start()
        self.url = self._container.get_connection_url()
        self.what = f"a container of {_IMAGE}"

    def stop(self) -> None:
        self._container.stop()


class JavaServer:
    """mongo-java-server from its jars, in memory, on loopback. Java itself compiles the class that starts it."""

    real = False

    def __init__(self) -> None:
        self._java = maven.java()
        self._classpath = maven.classpath(*_JARS)
        self._port = free_port()
        self.url = f"mongodb://127.0.0.1:{self._port}"
        self.what = f"mongo-java-server {VERSION} from its jars: no real MongoDB, what it gets wrong is unproven"
        self.start()

    def start(self) -> None:
        """Start it, empty, on its port, and wait until it answers."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 # read once the server is gone
        self._process = subprocess.Popen(
            [self._java, *_JVM, "-cp", self._classpath, str(_MAIN), str(self._port)],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
        )
        deadline = time.monotonic() + _READY_WITHIN
        while not _answers(self.url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                self._said.seek(0)
                raise NotAtHand(f"mongo-java-server did not start: {self._said.read()[-2_000:].decode()}")
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def start() -> Elsewhere | Container | JavaServer:
    if url := os.environ.get("FANFARE_TEST_MONGODB", ""):
        return Elsewhere(url)
    if docker_runs():
        return Container()
    try:
        return JavaServer()
    except NotAtHand as reason:
        raise NotAtHand(f"FANFARE_TEST_MONGODB names none, Docker does not run, and {reason}") from None


def _answers(url: str) -> bool:
    client: MongoClient[dict[str, object]] = MongoClient(url, serverSelectionTimeoutMS=500)
    try:
        client.admin.command("ismaster")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True
