"""The log on Kafka: a topic of ours is a topic there, so that any number of machines write and read it.

Publishers of one process share their sends. A publication goes out in rounds, each with one batch for a partition at
the most, and a round that fails ends the producer: nothing that comes later can overtake what may have been lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError, RetriableError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from services.kit.clock import HOUR, Clock
from services.kit.log.kafka_address import PATIENCE, Address
from services.kit.log.kafka_client import calm_the_client, plainly_said
from services.kit.log.kafka_records import LARGEST, checked, headers_of, size_of
from services.kit.log.port import Event, Reader, Terms, key_of, partition_of

_ASKED_AGAIN_AFTER = 0.1  # seconds
_LINGER_MS = 1_000  # a round is sent when it is complete, long before
_BATCH_BYTES = 2 * LARGEST  # more than a round has: the library never cuts one
_SEGMENTS_IN_RETENTION = 10  # Kafka forgets whole segments: events live up to a tenth longer


class KafkaLog:
    """The log of an installation, as one process opens it. Safe to share between threads; connects when it is used."""

    def __init__(self, address: Address, clock: Clock, terms: Terms) -> None:
        self.address = address
        self.clock = clock
        self.terms = terms
        self.readers: set[Reader] = set()  # those that are open: each has a connection and a thread
        self._partitions: dict[str, int] = {}
        self._admin: Any = None
        self._admin_lock = threading.Lock()
        self._producer: Any = None
        self._queue: list[_Publication] = []
        self._queue_lock = threading.Lock()
        self._sending = threading.Lock()
        calm_the_client()

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        if not events:
            return
        publication = _Publication(self.address.named(topic), self.partitions(topic), [checked(one) for one in events])
        with self._queue_lock:
            self._queue.append(publication)
        with self._sending:  # whoever comes first sends for all who queued meanwhile
            if not publication.done:
                with self._queue_lock:
                    together, self._queue = self._queue, []
                self._send(together)
        if publication.error is not None:
            raise publication.error

    def reader(self, topics: Sequence[str], group: str, *, from_start: bool = True) -> Reader:
        from services.kit.log.kafka_reader import KafkaReader  # it imports us

        if not from_start:
            self._begin_at_the_end(topics, group)
        return KafkaReader(self, topics, group)

    def lag(self, topics: Sequence[str], group: str) -> int:
        tail, head = self._ends(topics)
        committed = self._committed(group)
        return sum(head[one] - max(tail[one], committed.get(one, 0)) for one in head)

    def close(self) -> None:
        for reader in list(self.readers):
            reader.close()
        with self._sending:
            self._drop_producer()
        with self._admin_lock:
            self._drop_admin()

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; makes it where there is none yet."""
        found = self._partitions.get(topic)
        if found is None:
            found = self._asked(lambda admin: _made(admin, self.address.named(topic), self.terms))
            self._partitions[topic] = found
        return found

    # Asking

    def _asked(self, question: Any) -> Any:
        """What the brokers answer, asked again for a while where that may help; a failed connection is made anew."""
        deadline = time.monotonic() + PATIENCE
        with self._admin_lock, plainly_said(self.address):
            while True:
                try:
                    if self._admin is None:
                        self._admin = KafkaAdminClient(**self.address.settings())
                    return question(self._admin)
                except KafkaError as error:
                    self._drop_admin()
                    if not isinstance(error, RetriableError) or time.monotonic() > deadline:
                        raise
                time.sleep(_ASKED_AGAIN_AFTER)

    def _drop_admin(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with suppress(KafkaError):
                admin.close()

    def _ends(self, topics: Sequence[str]) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The oldest kept and the next offset of every partition."""
        every = [
            TopicPartition(self.address.named(topic), partition)
            for topic in topics
            for partition in range(self.partitions(topic))
        ]

        def offsets(at: Any) -> dict[TopicPartition, int]:
            found = self._asked(lambda admin: admin.list_partition_offsets(dict.fromkeys(every, at)))
            return {one: offset.offset for one, offset in found.items()}

        return offsets(OffsetSpec.EARLIEST), offsets(OffsetSpec.LATEST)

    def _committed(self, group: str) -> dict[TopicPartition, int]:
        named = self.address.named(group)
        offsets = self._asked(lambda admin: admin.list_group_offsets({named: None})).get(named, {})
        return {one: offset.offset for one, offset in offsets.items()}

    def _begin_at_the_end(self, topics: Sequence[str], group: str) -> None:
        """Commit the ends of what the group never read; where others read already, they have done so."""
        known = self._committed(group)
        _, head = self._ends(topics)
        begin = {one: OffsetAndMetadata(offset, "", -1) for one, offset in head.items() if one not in known}
        self._asked(lambda admin: admin.alter_group_offsets(self.address.named(group), begin))

    # Sending

    def _send(self, together: list[_Publication]) -> None:
        try:
            with plainly_said(self.address):
                producer = self._producer_at_hand()
                for round_ in _rounds(together):
                    self._send_round(producer, round_)
        except BaseException as error:
            self._drop_producer()
            for publication in together:
                publication.settle(error)
            if not isinstance(error, Exception):
                raise

    def _send_round(self, producer: Any, round_: list[tuple[_Publication, Event]]) -> None:
        now = self.clock.now()
        sent = [(publication, publication.send(producer, event, now)) for publication, event in round_]
        producer.flush(2 * PATIENCE)  # what is not delivered has failed before
        for publication, future in sent:
            future.get(0)
            publication.count_one()

    def _producer_at_hand(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                **self.address.settings(),
                metrics_enabled=False,
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=int(PATIENCE * 1_000),
                max_block_ms=int(PATIENCE * 1_000),
                linger_ms=_LINGER_MS,
                batch_size=_BATCH_BYTES,
                max_request_size=_BATCH_BYTES,
                allow_auto_create_topics=False,
            )
        return self._producer

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                producer.close(timeout=0)


class _Publication:
    """What one caller publishes, waiting for the rounds it shares."""

    __slots__ = ("_left", "_partitions", "_topic", "error", "events")

    def __init__(self, topic: str, partitions: int, events: list[Event]) -> None:
        self._topic = topic
        self._partitions = partitions
        self._left = len(events)
        self.events = events
        self.error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self._left == 0 or self.error is not None

    def send(self, producer: Any, event: Event, now: int) -> Any:
        key = key_of(event)
        return producer.send(
            self._topic,
            key=key.encode(),
            value=event.data,
            headers=headers_of(event),
            partition=partition_of(key, self._partitions),
            timestamp_ms=now,
        )

    def count_one(self) -> None:
        self._left -= 1

    def settle(self, error: BaseException) -> None:
        """What is durable stays published; the rest was not, or nobody knows."""
        if self._left:
            self.error = error


def _rounds(together: list[_Publication]) -> Iterator[list[tuple[_Publication, Event]]]:
    """The events in their order, as many at once as one batch may hold."""
    round_: list[tuple[_Publication, Event]] = []
    size = 0
    for publication in together:
        for event in publication.events:
            if round_ and size + size_of(event) > LARGEST:
                yield round_
                round_, size = [], 0
            round_.append((publication, event))
            size += size_of(event)
    yield round_


def _made(admin: Any, name: str, terms: Terms) -> int:
    """The partitions of a topic, made where there is none; it keeps its events for as long as we were told."""
    wanted = {
        "retention.ms": str(terms.retention),
        "segment.ms": str(max(terms.retention // _SEGMENTS_IN_RETENTION, HOUR)),
    }
    known = admin.describe_topics([name])
    if not known or known[0]["error_code"]:
        with suppress(TopicAlreadyExistsError):  # another process was quicker
            admin.create_topics({name: {"num_partitions": terms.partitions, "configs": wanted}})
        admin.wait_for_topics([name], timeout_ms=int(PATIENCE * 1_000))
        known = admin.describe_topics([name])
    topic = ConfigResource(ConfigResourceType.TOPIC, name, wanted)
    has = admin.describe_configs([topic], config_filter="all")["topic"][name]
    if any(has[key]["value"] != value for key, value in wanted.items()):
        admin.alter_configs([topic])
    return len(known[0]["partitions"])
