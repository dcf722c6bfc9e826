"""What the public pages know of a run: where its links lead, and whose it is. Asked once, then kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from werkzeug.urls import iri_to_uri

from services.kit.clock import MINUTE, SECOND, Clock
from services.kit.errors import NotFound, Unavailable

FRESH = 5 * MINUTE
LOOK_AGAIN = 2 * SECOND  # a later revision may have more links
UNKNOWN_FOR = 15 * SECOND
_KEPT = 2_000
_UNKNOWN_KEPT = 10_000


class RunUnknown(NotFound):
    reason = "token-invalid"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """``launched_at`` 0: a test message, whose visits are nobody's."""

    run: str
    agency: str
    community: str
    campaign: str
    purpose: str
    channel: str
    links: tuple[str, ...]
    community_name: str
    launched_at: int


SCHEMES = ("http://", "https://", "mailto:", "tel:")


def address(url: str) -> str:
    """The address as a header takes it (RFC 3986); "" for one of a scheme that no message may lead to."""
    return iri_to_uri(url.strip()) if url.strip().lower().startswith(SCHEMES) else ""


Ask = Callable[[str], RunFacts]


class Runs:
    """Runs by id. ``ask`` raises NotFound or Unavailable."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[int, RunFacts]] = OrderedDict()
        self._unknown: OrderedDict[str, int] = OrderedDict()

    def facts(self, run: str, number: int = -1) -> RunFacts:
        """The facts, with the link of this number if there is one. Raises RunUnknown, Unavailable.

        While campaigns is away, what was known goes on being answered.
        """
        known = self._known.get(run)
        if known is not None:
            age = self._clock.now() - known[0]
            if age < (FRESH if number < len(known[1].links) else LOOK_AGAIN):
                return known[1]
        with self._lock:
            if self._known.get(run) is not known:
                return self._known[run][1]
            return self._asked(run, known)

    def _asked(self, run: str, known: tuple[int, RunFacts] | None) -> RunFacts:
        now = self._clock.now()
        if known is None and now - self._unknown.get(run, -UNKNOWN_FOR) < UNKNOWN_FOR:
            raise RunUnknown("This link leads nowhere (any more).", field="token")
        try:
            facts = self._ask(run)
        except NotFound as error:
            self._unknown[run] = now
            while len(self._unknown) > _UNKNOWN_KEPT:
                self._unknown.popitem(last=False)
            raise RunUnknown("This link leads nowhere (any more).", field="token") from error
        except Unavailable:
            if known is None:
                raise
            return known[1]
        self._known[run] = (now, facts)
        self._known.move_to_end(run)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return facts
