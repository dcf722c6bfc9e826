"""Ids: a type prefix and a UUIDv7 (RFC 9562 §5.7), as ``mbr_`` + 32 hex digits.

Ascending ids make inserts cheap and give lists a natural order. They are never a change cursor: two machines
do not agree on the millisecond.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable

from services.kit.clock import Clock

Entropy = Callable[[int], bytes]
_SEQUENCE = 1 << 12


def _uuid7_hex(at_ms: int, twelve_bits: int, sixty_two_bits: int) -> str:
    value = (at_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | twelve_bits << 64 | 0b10 << 62 | sixty_two_bits
    return f"{value:032x}"


class Ids:
    """Makes ids that ascend within this process, even within a millisecond or when the clock steps back."""

    def __init__(self, clock: Clock, entropy: Entropy = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.Lock()
        self._last = 0  # milliseconds * 4096 + sequence

    def new(self, prefix: str) -> str:
        return self.many(prefix, 1)[0]

    def many(self, prefix: str, count: int) -> list[str]:
        """``count`` ids in ascending order."""
        with self._lock:
            first = max(self._last + 1, self._clock.now() * _SEQUENCE)
            self._last = first + count - 1
        noise = self._entropy(8 * count)
        return [
            f"{prefix}_"
            + _uuid7_hex(
                (first + i) // _SEQUENCE,
                (first + i) % _SEQUENCE,
                int.from_bytes(noise[8 * i : 8 * i + 8], "big") >> 2,
            )
            for i in range(count)
        ]


def derived_id(prefix: str, at_ms: int, number: int, *parts: str) -> str:
    """The id that ``parts`` and ``number`` always give: work done again after a crash makes the same ids.

    Ids of one ``at_ms`` and the same parts ascend with ``number`` (0 ≤ number < 2**36).
    """
    digest = hashlib.blake2b("\x00".join((*parts, str(number))).encode(), digest_size=8).digest()
    noise = int.from_bytes(digest, "big")
    return f"{prefix}_" + _uuid7_hex(at_ms, number >> 24, (number & 0xFFFFFF) << 38 | noise >> 26)


def id_bytes(an_id: str) -> bytes:
    """The sixteen bytes behind an id; for tokens that must stay short."""
    return bytes.fromhex(an_id.rpartition("_")[2])


def id_from_bytes(prefix: str, raw: bytes) -> str:
    return f"{prefix}_{raw.hex()}"
