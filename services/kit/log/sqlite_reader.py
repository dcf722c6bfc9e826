"""A reader of the embedded log, and how the readers of a group share its partitions.

Every reader announces itself and computes the same fair share from the same list of living readers; it claims what is
free of its share, and gives back what is another's once that is committed. A claim raises the partition's epoch, so
that a reader that slept through its lease finds its commit refused.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.kit.clock import SECOND
from services.kit.log.port import Event, PartitionLost, Position, Received
from services.kit.log.sqlite import EVENT_COLUMNS, SqliteLog, Stream, connect, marks, plainly_said

FALLBACK = 0.1  # seconds between looks when no bell rings
_SETTLE_EVERY = SECOND


@dataclass(slots=True)
class _Held:
    """A partition in our hands: what is committed, and how far we read."""

    stream: Stream
    epoch: int
    committed: int
    read: int

    @property
    def clean(self) -> bool:
        return self.read == self.committed


@dataclass(slots=True)
class _Plan:
    """What must change for the group to be fairly shared, as one reader sees it."""

    dead: list[str] = field(default_factory=list)
    claim: list[int] = field(default_factory=list)
    release: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.dead or self.claim or self.release or self.lost)


class SqliteReader:
    """Used by one thread at a time."""

    def __init__(self, log: SqliteLog, topics: Sequence[str], group: str, *, from_start: bool) -> None:
        self.id = f"{os.getpid():x}-{secrets.token_hex(6)}"
        self._log = log
        self._group = group
        self._streams = {stream.id: stream for topic in topics for stream in log.streams(topic)}
        self._topics = sorted(set(topics))
        self._bell_word = f"group {group}"
        self._listens = {*self._topics, self._bell_word}
        self._held: dict[int, _Held] = {}
        self._turn = 0
        self._renew_at = 0
        self._settle_at = 0
        self._closed = False
        self._begin_positions(from_start)
        self._rows = connect(log.path)
        self._bell = log.belfry.hang(self.id)
        self._settle()

    def poll(self, limit: int = 500, timeout_ms: int = 100) -> list[Received]:
        deadline = time.monotonic() + timeout_ms / 1_000
        self._settle()
        while not (events := self._read(limit)):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            heard = self._bell.wait(min(left, FALLBACK), self._listens)
            if self._bell_word in heard:
                self._settle_at = 0
            self._settle()
        return events

    def commit(self) -> None:
        """Raises PartitionLost for what another reader took over; the rest is committed all the same."""
        moved = [held for held in self._held.values() if not held.clean]
        if not moved:
            return
        lost: list[_Held] = []
        with self._log.bookkeeping.transaction() as rows:
            for held in moved:
                done = rows.execute(
                    "UPDATE positions SET position = ? WHERE grp = ? AND stream = ? AND owner = ? AND epoch = ?",
                    (held.read, self._group, held.stream.id, self.id, held.epoch),
                )
                if done.rowcount == 0:
                    lost.append(held)
        for held in moved:
            held.committed = held.read
        if lost:
            for held in lost:
                del self._held[held.stream.id]
            names = ", ".join(f"{held.stream.topic}/{held.stream.partition}" for held in lost)
            raise PartitionLost(f"Another reader of {self._group} took over {names}; it goes on from the last commit.")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with self._log.bookkeeping.transaction() as rows:
            self._forget(rows, [self.id])
        self._bell.close()
        self._rows.close()
        self._log.belfry.ring([self._bell_word])

    def _begin_positions(self, from_start: bool) -> None:
        at = "0" if from_start else "head"
        ids = list(self._streams)
        with self._log.bookkeeping.transaction() as rows:
            rows.execute(
                f"""INSERT OR IGNORE INTO positions (grp, stream, position)
                    SELECT ?, id, {at} FROM streams WHERE id IN ({marks(ids)})""",
                (self._group, *ids),
            )

    # Reading

    def _read(self, limit: int) -> list[Received]:
        ids = list(self._held)
        if not ids:
            return []
        found: list[Received] = []
        with plainly_said(self._log.path):
            heads = self._rows.execute(f"SELECT id, head FROM streams WHERE id IN ({marks(ids)})", ids).fetchall()
            behind = sorted((id, head) for id, head in heads if self._held[id].read < head)
            self._turn += 1  # another partition comes first every time
            first = self._turn % len(behind) if behind else 0
            for id, head in behind[first:] + behind[:first]:
                found += self._read_stream(self._held[id], head, limit - len(found))
                if len(found) >= limit:
                    break
        return found

    def _read_stream(self, held: _Held, head: int, limit: int) -> list[Received]:
        stream = held.stream
        rows = self._rows.execute(
            f"SELECT place, {EVENT_COLUMNS} FROM events WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
            (stream.floor + held.read, stream.floor + head, limit),
        ).fetchall()
        held.read = rows[-1][0] - stream.floor + 1 if rows else head  # no rows: retention took them
        return [
            Received(Event(*row[1:]), Position(stream.topic, stream.partition, row[0] - stream.floor)) for row in rows
        ]

    # Sharing

    def _settle(self) -> None:
        """Keep our lease, and move towards the fair share; a look without a write when nothing changed."""
        now = self._log.clock.now()
        if now < self._settle_at:
            return
        self._settle_at = now + min(_SETTLE_EVERY, self._log.terms.lease // 3)
        self._log.sweep_if_due()
        if now < self._renew_at and not self._plan(self._rows, now):
            return
        with self._log.bookkeeping.transaction() as rows:
            rows.execute(
                "INSERT INTO readers VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until",
                (self.id, self._group, "\n".join(self._topics), now + self._log.terms.lease),
            )
            plan = self._plan(rows, now)
            self._forget(rows, plan.dead)
            plan = self._plan(rows, now)  # the dead are gone: now what is free
            rows.executemany(
                "UPDATE positions SET owner = '' WHERE grp = ? AND stream = ? AND owner = ?",
                [(self._group, id, self.id) for id in plan.release],
            )
            claimed = [self._claim(rows, id) for id in plan.claim]
        self._renew_at = now + self._log.terms.lease // 3
        for id in (*plan.release, *plan.lost):
            del self._held[id]
        for held in claimed:
            self._held[held.stream.id] = held
        if plan.release:
            self._log.belfry.ring([self._bell_word])
        elif not claimed and not self._held:
            self._log.belfry.ring([self._bell_word])  # we are new and others hold everything

    def _plan(self, rows: sqlite3.Connection, now: int) -> _Plan:
        plan = _Plan()
        living: list[tuple[str, frozenset[str]]] = []
        for id, topics, until in rows.execute(
            "SELECT id, topics, until FROM readers WHERE grp = ? ORDER BY id", (self._group,)
        ).fetchall():
            if id != self.id and (until < now or not self._log.belfry.holds(id)):
                plan.dead.append(id)
            else:
                living.append((id, frozenset(topics.split("\n"))))
        owners = dict(rows.execute("SELECT stream, owner FROM positions WHERE grp = ?", (self._group,)).fetchall())
        for id, stream in self._streams.items():
            sharers = [reader for reader, topics in living if stream.topic in topics]
            ours = bool(sharers) and sharers[stream.partition % len(sharers)] == self.id
            held = self._held.get(id)
            if held is not None and owners.get(id) != self.id:
                plan.lost.append(id)
            if ours and not owners.get(id):
                plan.claim.append(id)
            elif held is not None and owners.get(id) == self.id and not ours and held.clean:
                plan.release.append(id)
        return plan

    def _claim(self, rows: sqlite3.Connection, id: int) -> _Held:
        epoch, position = rows.execute(
            """UPDATE positions SET owner = ?, epoch = epoch + 1 WHERE grp = ? AND stream = ?
               RETURNING epoch, position""",
            (self.id, self._group, id),
        ).fetchone()
        return _Held(self._streams[id], epoch, position, position)

    def _forget(self, rows: sqlite3.Connection, readers: list[str]) -> None:
        for reader in readers:
            rows.execute("UPDATE positions SET owner = '' WHERE grp = ? AND owner = ?", (self._group, reader))
            rows.execute("DELETE FROM readers WHERE id = ?", (reader,))
