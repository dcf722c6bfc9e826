"""What Kafka's client library complains about, in our words and at our volume."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import AuthorizationError, KafkaError, KafkaTimeoutError

from services.kit.errors import Unavailable
from services.kit.log.kafka_address import Address

_SAID_AGAIN_AFTER = 60.0


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
