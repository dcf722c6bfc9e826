"""Events: one port, two engines. A topic is an append-only log in partitions, read by groups."""

from __future__ import annotations

from pathlib import Path

from services.kit.clock import Clock, SystemClock
from services.kit.errors import Invalid
from services.kit.log.kafka_address import SCHEME, address_in
from services.kit.log.port import Event, Log, PartitionLost, Position, Reader, Received, Terms
from services.kit.log.sqlite import SqliteLog

__all__ = ["Event", "Log", "PartitionLost", "Position", "Reader", "Received", "Terms", "open_log"]

_EMBEDDED = "sqlite:///"


def open_log(url: str, *, clock: Clock | None = None, terms: Terms | None = None) -> Log:
    """Open the log at ``sqlite:///<path>``, making it where there is none, or ``kafka://<host>:<port>[,…][/<prefix>]``.

    Kafka is asked when it is needed, and may be away until then. Raises Invalid for any other engine.
    """
    clock, terms = clock or SystemClock(), terms or Terms()
    if url.startswith(SCHEME):
        # Only here: an embedded installation does not carry Kafka's client in its memory.
        from services.kit.log.kafka import KafkaLog

        return KafkaLog(address_in(url), clock, terms)
    path = url.removeprefix(_EMBEDDED)
    if path == url or not path:
        raise Invalid(
            "FANFARE_LOG names an engine that this version does not have: use sqlite:///<path of a file>, "
            "or kafka://<host>:<port>.",
            field="FANFARE_LOG",
        )
    return SqliteLog(Path(path), clock, terms)
