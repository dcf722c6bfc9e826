"""When a message was accepted for its reader: who follows a link within moments of it has not read it.

Channels knows, message by message. It is asked behind the visitor's back, a bounded number of times at once: under a
storm of visits some are judged without it, by what else shows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import structlog

from services.gateway.public.runs import RunFacts
from services.kit.clock import DAY, Clock
from services.kit.errors import FanfareError

AT_ONCE = 25
RECENT = 3 * DAY  # whoever follows a link later than this has had the time to read
_KEPT = 100_000

Ask = Callable[[RunFacts, str], int]
"""(run, member) → when its message was accepted, UTC milliseconds; 0: it was not, or not yet."""

log = structlog.get_logger(__name__)


class Acceptances:
    """Remembers what it asked. Used by one thread."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._left = AT_ONCE

    def another_round(self) -> None:
        """The next ones may be asked for again."""
        self._left = AT_ONCE

    def at(self, facts: RunFacts, member: str) -> int:
        """When the message was accepted; 0 where that is not known."""
        key = (facts.run, member)
        if key in self._known:
            return self._known[key]
        if not self._left or self._clock.now() - facts.launched_at > RECENT:
            return 0
        self._left -= 1
        try:
            accepted = self._ask(facts, member)
        except FanfareError as error:
            log.info("acceptance_unknown", reason=error.reason, run=facts.run)
            self._left = 0  # whoever is away is left in peace for this round
            return 0
        if accepted:
            self._known[key] = accepted
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return accepted
