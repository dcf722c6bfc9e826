"""What an operator does about parked events: see what is parked and why, and have it tried again.

Both go beside a running service, which parks later events behind those that still wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from services.kit.consume import Consumer

_SHOWN = 1_000


def tell_parked(service: str, workers: Sequence[object]) -> int:
    """Print the parked events of a service in their order; the exit status: 0 where there are none."""
    left = 0
    for consumer in _consumers(workers):
        for letter in consumer.parked():
            left += 1
            if left > _SHOWN:
                continue
            at = datetime.fromtimestamp(letter["parked_at"] / 1_000, UTC).isoformat(timespec="seconds")
            event = letter["event"]
            print(f"{letter['group']}  {at}  {event['type']}  {event['id']}  of {letter['subject']}")
            print(f"    tried {letter['attempts']}x: {letter['error']}")
    if left > _SHOWN:
        print(f"and {left - _SHOWN} more")
    print(f"{service}: {left} parked")
    return 1 if left else 0


def replay(service: str, workers: Sequence[object]) -> int:
    """Try the parked events again, in their order, and print those that still fail; 0 where none is left."""
    handled = sum(consumer.replay_dead_letters().handled for consumer in _consumers(workers))
    print(f"{service}: {handled} replayed")
    return tell_parked(service, workers)


COMMANDS: dict[str, Callable[[str, Sequence[object]], int]] = {"parked": tell_parked, "replay": replay}


def _consumers(workers: Sequence[object]) -> Sequence[Consumer]:
    return [worker for worker in workers if isinstance(worker, Consumer)]
