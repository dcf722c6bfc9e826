"""The ledger of one batch: where every member stands, as parallel lists in one small document.

``states`` holds a letter for each member of the batch. A *place* is a member's position in the batch; a message is
named by the place of the first member it is written to, and the others who share the address stand *with* it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.channels.domain.gate import Decision, Verdict
from services.channels.domain.handing_off import Answer, Cause, Outcome
from services.kit.clock import HOUR, MINUTE, SECOND
from services.kit.lease import SKEW

PLANNED, WAITING, SKIPPED, HANDED_OFF, ACCEPTED, REFUSED, UNKNOWN = b"pwsharu"
WORDS = {
    "p": "planned",
    "w": "waiting",
    "s": "skipped",
    "h": "handed_off",
    "a": "accepted",
    "r": "refused",
    "u": "unknown",
}
RETRY_DELAYS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR)
AGAIN_DELAY = 5 * SECOND
_OPEN = frozenset((PLANNED, WAITING))

Note = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a temporary refusal is tried again, and after how long (ms)."""

    retry_delays: Sequence[int] = RETRY_DELAYS
    again_delay: int = AGAIN_DELAY


@dataclass(frozen=True, slots=True)
class Bounce:
    """A contact point that does not exist."""

    place: int
    status: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one member stands."""

    state: str
    reason: str
    at: int  # UTC ms; 0: nothing happened yet
    revision: int
    attempts: int
    status: str
    reply: str
    message: int  # the place of the message it got, or would get
    next_at: int


def new_ledger(batch: dict[str, Any], now: int) -> dict[str, Any]:
    """The document of a batch that was just planned."""
    count = len(batch["members"])
    return {
        "_id": batch["_id"],
        "agency": batch["agency"],
        "community": batch["community"],
        "version": 1,
        "schema_version": 1,
        "run": batch["run"],
        "sequence": batch["sequence"],
        "opened_at": now,
        "states": "p" * count,
        "at": [0] * count,
        "revisions": [0] * count,
        "notes": {},
        "next_at": now,
        "owner": None,
        "epoch": 0,
        "settled": False,
        "told": "",
    }


class Ledger:
    """A claimed batch. Its document is written as a whole; every write is a compare-and-set on its version."""

    def __init__(self, document: dict[str, Any], batch: dict[str, Any]) -> None:
        self.document = document
        self.members: list[str] = batch["members"]
        self._sizes: list[int] = batch.get("sizes") or []
        self._states = bytearray(document["states"].encode("ascii"))
        self._notes: dict[str, Note] = document["notes"]
        self._at: list[int] = document["at"]
        self._revisions: list[int] = document["revisions"]
        self._opened_at: int = document["opened_at"]

    # -- asking

    def due(self, now: int, messages: int) -> list[list[int]]:
        """At most so many groups of places that may be handed off now, each sharing an address at planning."""
        if not self._sizes:
            ready = [place for place, state in enumerate(self._states) if state in _OPEN and self._is_due(place, now)]
            return [[place] for place in ready[:messages]]
        found: list[list[int]] = []
        for group in self._groups():
            ready = [place for place in group if self._is_due(place, now)]
            if ready:
                found.append(ready)
                if len(found) == messages:
                    break
        return found

    def _is_due(self, place: int, now: int) -> bool:
        state = self._states[place]
        if state == PLANNED:
            return True
        return state == WAITING and int(self._notes[str(place)].get("next_at", 0)) <= now

    def _groups(self) -> Iterator[Sequence[int]]:
        start = 0
        for size in self._sizes:
            yield range(start, start + size)
            start += size

    def is_settled(self) -> bool:
        return not any(letter in self._states for letter in (PLANNED, WAITING, HANDED_OFF))

    def standing(self, place: int) -> Standing:
        note = self._notes.get(str(place), {})
        at = self._at[place]
        return Standing(
            state=WORDS[chr(self._states[place])],
            reason=note.get("reason", ""),
            at=self._opened_at + at if at else 0,
            revision=self._revisions[place],
            attempts=note.get("attempts", 0) + (self._states[place] in (ACCEPTED, REFUSED, UNKNOWN, HANDED_OFF)),
            status=note.get("status", ""),
            reply=note.get("reply", ""),
            message=note.get("with", place),
            next_at=note.get("next_at", 0),
        )

    def sharing(self, place: int) -> list[str]:
        """Members who got the same message."""
        lead = self._notes.get(str(place), {}).get("with", place)
        others = [lead] + [int(key) for key, note in self._notes.items() if note.get("with") == lead]
        return [self.members[other] for other in sorted(set(others)) if other != place]

    def received_by(self, since: int, wanted: Iterable[str]) -> list[str]:
        """Which of these members were sent something since then (UTC ms), or may have been."""
        asked = frozenset(wanted)
        after = since - self._opened_at
        sent = (HANDED_OFF, ACCEPTED, UNKNOWN)
        return [
            member
            for place, member in enumerate(self.members)
            if member in asked
            and self._at[place] >= after
            and (self._states[place] in sent or self.was_maybe_sent(place))
        ]

    def was_maybe_sent(self, place: int) -> bool:
        return bool(self._notes.get(str(place), {}).get("again"))

    # -- changing

    def hand_off(self, messages: Sequence[Sequence[int]], revision: int, now: int) -> None:
        """Mark messages as handed off; each is the places it is written to."""
        offset = max(now - self._opened_at, 1)
        for places in messages:
            for place in places:
                self._states[place] = HANDED_OFF
                self._at[place] = offset
                self._revisions[place] = revision
            for place in places[1:]:
                self._note(place)["with"] = places[0]

    def judged(self, place: int, verdict: Verdict, now: int) -> None:
        """Keep a verdict that does not send. What may have been sent before is unknown, never skipped."""
        note = self._note(place)
        note["reason"] = verdict.reason
        if verdict.decision is Decision.DEFER:
            self._states[place] = WAITING
            note["next_at"] = verdict.until
            return
        note.pop("next_at", None)
        self._states[place] = UNKNOWN if note.get("again") else SKIPPED
        self._at[place] = max(now - self._opened_at, 1)

    def give_way(self, places: Sequence[int], verdict: Verdict, now: int) -> None:
        """A message that was handed off is not sent now: it waits, as the verdict says."""
        for place in places:
            self._put_back(place)
            self.judged(place, verdict, now)

    def close_open(self, reason: str, now: int) -> None:
        """What was not handed off is not any more: the run was cancelled, or its time is over."""
        verdict = Verdict(Decision.SKIP, reason)
        for place, state in enumerate(self._states):
            if state in _OPEN:
                self.judged(place, verdict, now)

    def answered(
        self, places: Sequence[int], answer: Answer, *, again: bool, now: int, patience: Patience
    ) -> list[Bounce]:
        """Mark what became of one message; returns the contact points that do not exist."""
        offset = max(now - self._opened_at, 1)
        outcome = answer.outcome
        if outcome is Outcome.ACCEPTED:
            for place in places:
                self._states[place] = ACCEPTED
                self._at[place] = offset
                if self._notes:
                    self._forget_waiting(place)
            return []
        if outcome is Outcome.UNSENT or answer.cause is Cause.ACCOUNT:
            for place in places:
                self._put_back(place)
            return []
        for place in places:
            note = self._note(place)
            note.pop("next_at", None)
            note |= {"reason": (answer.cause or Cause.OTHER).value, "status": answer.status, "reply": answer.reply}
            self._at[place] = offset
            if outcome is Outcome.RETRY:
                self._wait_or_refuse(place, note, now, patience)
            elif outcome is Outcome.UNKNOWN:
                self._unknown(place, note, again, now, patience)
            else:  # what may have been sent before is refused for sure only where the address does not exist
                certain = answer.cause is Cause.BAD_ADDRESS or not note.get("again")
                self._states[place] = REFUSED if certain else UNKNOWN
        if outcome is Outcome.REFUSED and answer.cause is Cause.BAD_ADDRESS:
            return [Bounce(place, answer.status) for place in places]
        return []

    def settle_lost(self, *, again: bool, now: int, patience: Patience) -> int:
        """The sender that held this batch is gone: what it had handed off is unknown. Returns how many members."""
        lost = [place for place, state in enumerate(self._states) if state == HANDED_OFF]
        for place in lost:
            note = self._note(place)
            note["reason"] = "crash"
            self._unknown(place, note, again, now, patience)
        return len(lost)

    def _unknown(self, place: int, note: Note, again: bool, now: int, patience: Patience) -> None:
        if again and not note.get("again"):
            note["again"] = 1
            note["next_at"] = now + patience.again_delay
            self._states[place] = WAITING
        else:
            self._states[place] = UNKNOWN

    def _wait_or_refuse(self, place: int, note: Note, now: int, patience: Patience) -> None:
        attempts = note.get("attempts", 0) + 1
        note["attempts"] = attempts
        if attempts > len(patience.retry_delays):
            self._states[place] = UNKNOWN if note.get("again") else REFUSED
            return
        note["next_at"] = now + patience.retry_delays[attempts - 1]
        self._states[place] = WAITING

    def _put_back(self, place: int) -> None:
        note = self._notes.get(str(place))
        if note is not None:
            note.pop("with", None)
        if note:
            note.setdefault("next_at", 0)
            self._states[place] = WAITING
        else:
            self._states[place] = PLANNED
        if not self.was_maybe_sent(place):
            self._at[place] = 0

    def _forget_waiting(self, place: int) -> None:
        note = self._notes.get(str(place))
        if note is not None:
            for key in ("next_at", "reason", "status", "reply"):
                note.pop(key, None)
            if not note:
                del self._notes[str(place)]

    def _note(self, place: int) -> Note:
        return self._notes.setdefault(str(place), {})

    # -- keeping

    def claim(self, owner: str, until: int) -> None:
        """Take it, or keep it: nobody else may before ``until``, clocks apart included."""
        if self.document["owner"] != owner:
            self.document["epoch"] += 1
            self.document["owner"] = owner
        self.document["next_at"] = until + SKEW
        self._write_states()

    def release(self, not_before: int) -> None:
        """Give it back; it is due again when its earliest member is, and not before."""
        self.document["owner"] = None
        self.document["settled"] = self.is_settled()
        self.document["next_at"] = None if self.document["settled"] else max(self._earliest(), not_before)
        self._write_states()

    def _earliest(self) -> int:
        if PLANNED in self._states:
            return 0
        waiting = [self._notes[str(place)].get("next_at", 0) for place, s in enumerate(self._states) if s == WAITING]
        return min(waiting, default=0)

    def _write_states(self) -> None:
        self.document["states"] = self._states.decode("ascii")

    # -- telling

    def totals(self) -> dict[str, Any]:
        """Members by where they stand; cumulative, as events carry it."""
        count = self._states.count
        unknown, accepted, refused = count(UNKNOWN), count(ACCEPTED), count(REFUSED)
        followers = [int(place) for place, note in self._notes.items() if "with" in note]
        skipped = Counter(
            self._notes[str(place)]["reason"] for place, state in enumerate(self._states) if state == SKIPPED
        )
        return {
            "members": len(self._states),
            "addresses": len(self._sizes) or len(self._states),
            "handed_off": count(HANDED_OFF) + accepted + refused + unknown,
            "accepted": accepted,
            "refused": refused,
            "unknown": unknown,
            "skipped": dict(skipped),
            "waiting": count(PLANNED) + count(WAITING),
            "messages": accepted - sum(self._states[place] == ACCEPTED for place in followers),
        }

    def by_outcome(self) -> dict[str, Any]:
        """Whom it reached: ids by outcome, as the event of a settled batch names them."""
        states, members = self._states, self.members
        accepted = [place for place, state in enumerate(states) if state == ACCEPTED]
        return {
            "accepted": [members[place] for place in accepted],
            "accepted_at": [self._opened_at + self._at[place] for place in accepted],
            "refused": [members[place] for place, state in enumerate(states) if state == REFUSED],
            "unknown": [members[place] for place, state in enumerate(states) if state == UNKNOWN],
        }
