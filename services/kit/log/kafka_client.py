"""What Kafka's client library complains about, in our words and at our volume."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import AuthorizationError, KafkaConnectionError, KafkaError, KafkaTimeoutError

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
    except (KafkaTimeoutError, KafkaConnectionError) as error:
        raise Unavailable(f"Kafka at {address} does not answer: start it, or correct FANFARE_LOG.") from error
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address} could not do it ({type(error).__name__}): see its log.") from error


def calm_the_client() -> None:
    """Let the client library tell its doings as detail, and one thing a minute of what goes wrong: we say the rest."""
    library = logging.getLogger("kafka")
    if not any(isinstance(handler, _Calm) for handler in library.handlers):
        library.addHandler(_Calm())
        library.setLevel(logging.INFO)  # its own details hold whole records
        library.propagate = False


class _Calm(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._ours = logging.getLogger(__name__)
        self._said_at = -_SAID_AGAIN_AFTER

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.DEBUG
        now = time.monotonic()
        if record.levelno >= logging.ERROR and now - self._said_at >= _SAID_AGAIN_AFTER:
            self._said_at = now
            level = logging.INFO
        if self._ours.isEnabledFor(level):
            self._ours.log(level, "kafka: %s", record.getMessage())
