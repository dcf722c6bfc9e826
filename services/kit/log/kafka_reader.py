"""A reader of the log on Kafka: one member of a consumer group, whose partitions move without stopping the others.

Kafka may take a partition away at any poll, and behind our back when we are silent for longer than the lease. What was
read of it and not committed is then delivered again to whoever has it; our commit says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError, RetriableError
from kafka.structs import OffsetAndMetadata

from services.kit.clock import SECOND
from services.kit.log.kafka_address import PATIENCE
from services.kit.log.kafka_client import plainly_said
from services.kit.log.kafka_records import event_in
from services.kit.log.port import PartitionLost, Position, Received

if TYPE_CHECKING:
    from services.kit.log.kafka import KafkaLog

_DEAD_AFTER = 10 * SECOND  # without a heartbeat; the process, not its work, is asked
_HEARTBEAT = SECOND // 2  # and as often a reader hears that the group is shared anew
_LONG_POLL_MS = 500
_LEAVES_WITHIN_MS = 2_000
_ASKED_AGAIN_AFTER = 0.1  # seconds

logger = structlog.get_logger(__name__)


class KafkaReader:
    """Used by one thread at a time."""

    def __init__(self, log: KafkaLog, topics: Sequence[str], group: str) -> None:
        self._log = log
        self._address = log.address
        self._group = group
        self._topics = {log.address.named(topic): topic for topic in topics}
        self._progress = _Progress()
        for topic in topics:
            log.partitions(topic)
        with plainly_said(self._address):
            self._consumer = KafkaConsumer(
                **self._address.settings(),
                metrics_enabled=False,
                group_id=self._address.named(group),
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # of what the group never read, or retention took
                allow_auto_create_topics=False,
                partition_assignment_strategy=[CooperativeStickyAssignor],
                max_poll_interval_ms=log.terms.lease,
                session_timeout_ms=_DEAD_AFTER,
                heartbeat_interval_ms=_HEARTBEAT,
                fetch_max_wait_ms=_LONG_POLL_MS,
            )
            _keep_what_was_joined(self._consumer._coordinator)
            self._consumer.subscribe(list(self._topics), listener=self._progress)
            self._consumer.poll(0)  # asks to join; nothing is ours before the first real poll
        log.readers.add(self)

    def poll(self, limit: int = 500, timeout_ms: int = 100) -> list[Received]:
        with plainly_said(self._address):
            try:
                found = self._consumer.poll(timeout_ms, max_records=limit)
            except RetriableError:  # the broker is away: nothing comes
                time.sleep(min(timeout_ms / 1_000, _ASKED_AGAIN_AFTER))
                return []
            self._commit_handled()
        for partition, records in found.items():
            self._progress.read(partition, records[-1].offset + 1)
        return [received for records in found.values() for received in self._received(records)]

    def commit(self) -> None:
        """Raises PartitionLost for what another reader took over; the rest is committed all the same."""
        lost = self._progress.handle()
        with plainly_said(self._address):
            lost |= self._commit_handled()
        if lost:
            names = ", ".join(sorted(f"{self._topics[topic]}/{number}" for topic, number in lost))
            raise PartitionLost(f"Another reader of {self._group} took over {names}; it goes on from the last commit.")

    def close(self) -> None:
        self._log.readers.discard(self)
        with suppress(KafkaError):  # it is away, and will notice that we are
            self._consumer.close(autocommit=False, timeout_ms=_LEAVES_WITHIN_MS)

    def _commit_handled(self) -> set[TopicPartition]:
        """Commit what is handled; what was lost instead. While the group is shared anew, the next poll does it."""
        handled = self._progress.handled()
        if not handled:
            return set()
        offsets = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in handled.items()}
        try:
            self._commit(offsets)
        except RebalanceInProgressError:
            return set()
        except CommitFailedError:  # we were silent for too long
            self._progress.committed(handled)
            return set(handled)
        self._progress.committed(handled)
        return set()

    def _commit(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        """A broker that restarts is waited for: who stays in the group need not join it anew."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._consumer.commit(offsets, timeout_ms=max(int((deadline - time.monotonic()) * 1_000), 1))
            except RetriableError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_ASKED_AGAIN_AFTER)
            else:
                return

    def _received(self, records: Sequence[Any]) -> list[Received]:
        found: list[Received] = []
        for record in records:
            position = Position(self._topics[record.topic], record.partition, record.offset)
            try:
                found.append(Received(event_in(record.headers, record.value), position))
            except (KeyError, TypeError, ValueError) as error:
                logger.error(
                    "record_is_no_event",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    error=type(error).__name__,
                    remedy="something else writes to this topic: it is passed over",
                )
        return found


def _keep_what_was_joined(coordinator: Any) -> None:
    """Let a join that completes between two polls count at the next one.

    kafka-python (3.0.12) forgets it, and either joins again, which has the whole group share anew, or believes that
    there is nothing to join, and then reads nothing any more.
    """
    needed, join, complete = (
        coordinator.need_rejoin,
        coordinator._do_join_and_sync_async,
        coordinator._on_join_complete_async,
    )
    answered: list[Any] = []

    async def join_once() -> Any:
        if not answered:
            answered.append(await join())
        return answered[0]

    async def complete_and_forget(*joined: Any) -> None:
        answered.clear()
        await complete(*joined)

    coordinator.need_rejoin = lambda: coordinator._join_task is not None or needed()
    coordinator._do_join_and_sync_async = join_once
    coordinator._on_join_complete_async = complete_and_forget


class _Progress(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python ships no types
    """How far we are in what is ours: read, and handled but not yet committed. Kafka's own thread takes parts away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[TopicPartition, int] = {}
        self._handled: dict[TopicPartition, int] = {}
        self._lost: set[TopicPartition] = set()

    def read(self, partition: TopicPartition, offset: int) -> None:
        with self._lock:
            self._read[partition] = offset

    def handle(self) -> set[TopicPartition]:
        """What was read is handled; what was read and lost before."""
        with self._lock:
            self._handled.update(self._read)
            self._read.clear()
            lost, self._lost = self._lost, set()
            return lost

    def handled(self) -> dict[TopicPartition, int]:
        with self._lock:
            return dict(self._handled)

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        with self._lock:
            for partition, offset in offsets.items():
                if self._handled.get(partition) == offset:
                    del self._handled[partition]

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        pass

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        with self._lock:
            for partition in revoked:
                if self._read.pop(partition, None) is not None:
                    self._lost.add(partition)
                self._handled.pop(partition, None)

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self.on_partitions_revoked(lost)
