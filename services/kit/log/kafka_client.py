"""What every connection to Kafka shares: where it is, how long we wait for it, and its complaints in our words."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka.errors import AuthorizationError, KafkaError, KafkaTimeoutError

from services.kit.errors import Invalid, Unavailable

SCHEME = "kafka://"
PATIENCE = 10.0  # seconds, after which Kafka counts as away

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SERVER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_SAID_AGAIN_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Some brokers, and what the names of our topics and groups begin with there."""

    servers: tuple[str, ...]
    prefix: str

    def named(self, name: str) -> str:
        """The topic or the group as Kafka knows it."""
        return f"{self.prefix}.{name}" if self.prefix else name

    def settings(self) -> dict[str, Any]:
        """Of every client: bounded waits, and a quick return to a broker that is back."""
        return {
            "bootstrap_servers": list(self.servers),
            "bootstrap_timeout_ms": int(PATIENCE * 1_000),
            "request_timeout_ms": int(PATIENCE * 500),
            "reconnect_backoff_max_ms": 1_000,
        }

    def __str__(self) -> str:
        return ",".join(self.servers)


def address_in(url: str) -> Address:
    """``kafka://host:port[,host:port…][/prefix]``. Raises Invalid."""
    servers, _, prefix = url.removeprefix(SCHEME).partition("/")
    listed = tuple(servers.split(","))
    if not all(_SERVER.fullmatch(server) for server in listed) or (prefix and not _NAME.fullmatch(prefix)):
        raise Invalid(
            "FANFARE_LOG should be kafka://<host>:<port>, with further brokers after commas, and after a slash, if "
            "several installations share them, a prefix of letters, digits, dots and dashes.",
            field="FANFARE_LOG",
        )
    return Address(listed, prefix)


@contextmanager
def plainly_said(address: Address) -> Iterator[None]:
    """Kafka's errors, in words that name the remedy."""
    try:
        yield
    except AuthorizationError as error:
        raise Unavailable(f"Kafka at {address} does not allow it ({type(error).__name__}): see to its ACLs.") from error
    except KafkaTimeoutError as error:
        raise Unavailable(f"Kafka at {address} does not answer: start it, or correct FANFARE_LOG.") from error
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address} could not do it ({type(error).__name__}): see its log.") from error


def calm_the_client() -> None:
    """Let the client library tell what it does as detail, and what goes wrong once a minute: we say what it means."""
    library = logging.getLogger("kafka")
    if not any(isinstance(handler, _Calm) for handler in library.handlers):
        library.addHandler(_Calm())
        library.setLevel(logging.INFO)  # its own details hold whole records
        library.propagate = False


class _Calm(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._ours = logging.getLogger(__name__)
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.DEBUG
        if record.levelno >= logging.WARNING and self._is_news(str(record.msg)):
            level = logging.INFO
        if self._ours.isEnabledFor(level):
            self._ours.log(level, "kafka: %s", record.getMessage())

    def _is_news(self, template: str) -> bool:
        now = time.monotonic()
        news = now - self._said.get(template, -_SAID_AGAIN_AFTER) >= _SAID_AGAIN_AFTER
        if news:
            self._said[template] = now
        return news
