"""An SMTP relay that misbehaves to order: drops, stalls, answers 421, 451 or 550, hangs up in the middle of DATA.

What it accepted is its own record, which no fault of ours can touch: the tests hold the ledger against it.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

from demo.receiving import ACCEPTED, HANG_UP, OK, Answer, Conduct, Envelope, receive

_UNAVAILABLE = Answer(b"421 4.3.2 closing, come back later\r\n", hang_up=True)
_LATER = Answer(b"451 4.7.1 try again later\r\n")
_NO_SUCH_USER = Answer(b"550 5.1.1 no such user\r\n")
_NEVER_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Mood:
    """How often each fault happens, as shares of the occasions for it; ``pace`` is seconds for each message."""

    pace: float = 0.0
    unavailable: float = 0.0  # 421 at connecting
    later: float = 0.0  # 451 at RCPT, never twice in a row for one address
    mid_data: float = 0.0  # hangs up while the message comes
    drop_before_reply: float = 0.0  # has the whole message, keeps it not, and says nothing
    drop_after_keeping: float = 0.0  # keeps the message and says nothing
    stall: float = 0.0  # keeps the message and never answers
    no_such_user: frozenset[str] = frozenset()


class Relay(Conduct):
    """Runs in a thread of its own; use as a context manager. ``mood`` may be changed at any time."""

    def __init__(self, mood: Mood | None = None, seed: int = 1) -> None:
        self.mood = mood or Mood()
        self.port = 0
        self.kept: list[tuple[str, str]] = []
        self.kept_at: dict[str, float] = {}  # the monotonic clock, when it was kept last
        self.replied: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.last: bytes | None = None  # the message that came last
        self._chance = random.Random(seed)
        self._asked_to_wait: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Relay:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("The relay did not start within ten seconds.")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def count(self) -> int:
        return len(self.kept)

    def times_kept(self) -> Counter[str]:
        """How often each address got the message."""
        return Counter(recipient for recipient, _ in self.kept)

    def message_ids(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for recipient, message_id in self.kept:
            found.setdefault(recipient, set()).add(message_id)
        return found

    def forget(self) -> None:
        self.kept.clear()
        self.kept_at.clear()
        self.replied.clear()
        self.faults.clear()
        self.last = None
        self._asked_to_wait.clear()

    def on_connect(self, connection: int) -> Answer:  # the port's signature
        if self._happens("unavailable", self.mood.unavailable):
            return _UNAVAILABLE
        return Answer(b"220 relay ESMTP\r\n")

    def on_recipient(self, envelope: Envelope, address: str) -> Answer:  # the port's signature
        if address in self.mood.no_such_user:
            self.faults["no-such-user"] += 1
            return _NO_SUCH_USER
        if address not in self._asked_to_wait and self._happens("later", self.mood.later):
            self._asked_to_wait.add(address)
            return _LATER
        return OK

    def on_content(self, envelope: Envelope, received: int) -> Answer | None:  # the port's signature
        return HANG_UP if self._happens("mid-data", self.mood.mid_data) else None

    def on_message(self, envelope: Envelope) -> Answer:
        if self._happens("mid-data", self.mood.mid_data):
            return HANG_UP  # as if the last octets had not come
        if self._happens("drop-before-reply", self.mood.drop_before_reply):
            return HANG_UP
        head = envelope.content.partition(b"\r\n\r\n")[0].split(b"\r\n")
        message_id = next((line[11:].strip() for line in head if line[:11].lower() == b"message-id:"), b"").decode()
        self.kept += [(recipient.lower(), message_id) for recipient in envelope.recipients]
        self.kept_at |= {recipient.lower(): time.monotonic() for recipient in envelope.recipients}
        self.last = envelope.content
        if self._happens("drop-after-keeping", self.mood.drop_after_keeping):
            return HANG_UP
        if self._happens("stall", self.mood.stall):
            return Answer(b"", delay=_NEVER_SECONDS)
        self.replied.update(recipient.lower() for recipient in envelope.recipients)
        return Answer(ACCEPTED, delay=self.mood.pace)

    def _happens(self, fault: str, share: float) -> bool:
        if share and self._chance.random() < share:
            self.faults[fault] += 1
            return True
        return False

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(receive(self))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.close()
