"""Pauses: “no news until the first of March”. The person objects now, and in the same act asks to be written to again
from a day on; when it comes, that wish is recorded as what it is, with its wording. Whatever they said meanwhile
stands: a pause takes back nothing but its own objection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from services.gateway.public.runs import RunFacts
from services.gateway.public.wishes import Wishes
from services.kit.clock import Clock
from services.kit.errors import FanfareError, Kind
from services.kit.scope import everywhere, stored_scope
from services.kit.store.port import Collection, Document, Order
from services.kit.store.rule import Range

LOOKS_EVERY_SECONDS = 60.0
CHANNELS = ("email", "phone")

log = structlog.get_logger(__name__)


class Pauses:
    """A worker that ends pauses on their day. One document for each member and channel."""

    name = "pauses"

    def __init__(self, pauses: Collection, wishes: Callable[[], Wishes], clock: Clock) -> None:
        self._pauses = pauses
        self._wishes = wishes
        self._clock = clock

    def begin(
        self, facts: RunFacts, member: str, purposes: Sequence[str], until: int, wording: str, acted_by: str
    ) -> None:
        """Object to these purposes until then; a pause that was on is replaced."""
        scope = stored_scope(facts.agency, facts.community, "service:gateway")
        pause_id = _id(facts, member)
        kept = self._pauses.get(scope, [pause_id]).get(pause_id)
        paused = sorted({*purposes, *(kept["purposes"] if kept else ())})
        if not paused:
            return
        document: Document = {
            "_id": pause_id,
            "agency": facts.agency,
            "community": facts.community,
            "version": kept["version"] if kept else 1,
            "schema_version": 1,
            "run": facts.run,
            "member": member,
            "channel": facts.channel,
            "purposes": paused,
            "until": until,
            "wording": wording,
            "acted_by": acted_by,
        }
        if kept:
            self._pauses.replace(scope, [document])
        else:
            self._pauses.insert(scope, [document])
        for purpose in purposes:
            self._wishes().choose(facts, member, purpose, allowed=False, wording=wording, acted_by=acted_by)

    def until(self, facts: RunFacts, member: str) -> int:
        """When the member's pause ends; 0: there is none."""
        kept = self._kept(facts, member)
        return int(kept["until"]) if kept else 0

    def holds(self, facts: RunFacts, member: str, purpose: str) -> bool:
        """Whether it is only the pause that stops this purpose."""
        kept = self._kept(facts, member)
        return kept is not None and purpose in kept["purposes"]

    def forget(self, facts: RunFacts, member: str, purpose: str) -> None:
        """The person chose otherwise for this purpose: its pause is over."""
        kept = self._kept(facts, member)
        if kept is None or purpose not in kept["purposes"]:
            return
        scope = stored_scope(facts.agency, facts.community, "service:gateway")
        left = [each for each in kept["purposes"] if each != purpose]
        if left:
            self._pauses.replace(scope, [kept | {"purposes": left}])
        else:
            self._pauses.delete(scope, [kept["_id"]])

    def end(self, facts: RunFacts, member: str, wording: str) -> None:
        """The person ends the pause before its day. Raises Unavailable."""
        kept = self._kept(facts, member)
        if kept is not None:
            self._permit_again(kept, wording)

    def forget_member(self, agency: str, community: str, member: str) -> None:
        """Whoever is erased wants nothing any more."""
        scope = stored_scope(agency, community, "service:gateway")
        self._pauses.delete(scope, [_pause_id(member, channel) for channel in CHANNELS])

    def run(self, stop: threading.Event) -> None:
        while True:
            self.end_due()
            if stop.wait(LOOKS_EVERY_SECONDS):
                return

    def end_due(self) -> int:
        """End the pauses whose day has come; how many."""
        due = Range("until", lte=self._clock.now())
        page = self._pauses.find(everywhere("service:gateway"), due, order=Order("until"), limit=200)
        return sum(self._end(document) for document in page.documents)

    def _end(self, pause: Document) -> bool:
        try:
            self._permit_again(pause, pause["wording"])
        except FanfareError as error:
            log.warning("pause_waits", reason=error.reason)
            return False
        return True

    def _permit_again(self, pause: Document, wording: str) -> None:
        facts = RunFacts(
            pause["run"], pause["agency"], pause["community"], "", "", pause["channel"], (), "", launched_at=0
        )
        wishes, member = self._wishes(), pause["member"]
        try:
            for purpose in pause["purposes"]:
                if wishes.last_word(facts, member, purpose) == pause["wording"]:
                    wishes.choose(facts, member, purpose, allowed=True, wording=wording, acted_by=pause["acted_by"])
        except FanfareError as error:
            if error.kind is Kind.UNAVAILABLE:
                raise
            log.warning("pause_dropped", reason=error.reason, member=member)
        scope = stored_scope(pause["agency"], pause["community"], "service:gateway")
        self._pauses.delete(scope, [pause["_id"]])

    def _kept(self, facts: RunFacts, member: str) -> Document | None:
        scope = stored_scope(facts.agency, facts.community, "service:gateway")
        return self._pauses.get(scope, [_id(facts, member)]).get(_id(facts, member))


def _id(facts: RunFacts, member: str) -> str:
    return _pause_id(member, facts.channel)


def _pause_id(member: str, channel: str) -> str:
    return f"pause_{member.removeprefix('mbr_')}_{channel}"
