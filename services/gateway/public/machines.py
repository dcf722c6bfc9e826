"""Who followed a link: a person, or a program. A mark keeps its cause, and a list that names programs is data."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from services.gateway.public.runs import RunFacts
from services.kit.clock import SECOND
from services.kit.tokens import HIDDEN_LINK, PIXEL

HEAD, USER_AGENT, TOO_SOON, ALL_LINKS, HIDDEN = "head", "user-agent", "too-soon", "all-links", "hidden-link"

SOON = 2 * SECOND  # nobody reads a message within two seconds of its acceptance, let alone of the launch
TOGETHER = 10 * SECOND  # what scanners do, they do at once
FEWEST_LINKS = 3  # following every one of fewer links is what people do
LISTED = Path(__file__).with_name("machines.json")
_REMEMBERED = 50_000


@dataclass(slots=True)
class Followed:
    """One link followed, or one image fetched (``PIXEL``), at ``at`` (UTC ms); ``machine`` is the cause or empty."""

    run: str
    member: str
    number: int
    at: int
    machine: str
    facts: RunFacts


class Agents:
    """The list of programs, by user agent."""

    def __init__(self, path: Path = LISTED) -> None:
        listed = json.loads(path.read_text(encoding="utf-8"))
        self._parts = [(each["part"], frozenset(each["of"])) for each in listed["parts"]]
        self._whole = {each["agent"]: frozenset(each["of"]) for each in listed["whole"]}
        self.is_program = lru_cache(maxsize=4_096)(self._is_program)

    def _is_program(self, agent: str, fetched: str) -> bool:
        """Whether this user agent fetches ``links`` or ``images`` unasked."""
        agent = agent.strip().lower()
        if fetched in self._whole.get(agent, ()):
            return True
        return any(part in agent and fetched in of for part, of in self._parts)


def mark_at_once(agents: Agents, method: str, agent: str, number: int, at: int, launched_at: int) -> str:
    """The cause that a request shows by itself; empty for a person's."""
    if method == "HEAD":
        return HEAD
    if number == HIDDEN_LINK:
        return HIDDEN
    if agents.is_program(agent, "images" if number == PIXEL else "links"):
        return USER_AGENT
    if at < launched_at + SOON:
        return TOO_SOON
    return ""


@dataclass(slots=True)
class _Recent:
    """What one member's message was visited for lately."""

    visits: list[tuple[int, int]] = field(default_factory=list)  # at, number
    cause: str = ""
    until: int = 0


class Behaviour:
    """Marks what is only seen over several requests: every link followed at once, or one that nobody sees."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[str, str], _Recent] = OrderedDict()

    def mark(self, followed: Iterable[Followed]) -> None:
        """Mark these visits, in the light of each other and of those shortly before."""
        visits = list(followed)
        for visit in visits:
            self._note(visit)
        for visit in visits:
            recent = self._recent.get((visit.run, visit.member))
            if recent is not None and recent.cause and not visit.machine and visit.at <= recent.until:
                visit.machine = recent.cause

    def _note(self, visit: Followed) -> None:
        key = (visit.run, visit.member)
        recent = self._recent.get(key)
        if recent is None:
            recent = self._recent[key] = _Recent()
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        else:
            self._recent.move_to_end(key)
        recent.visits = [one for one in recent.visits if one[0] > visit.at - TOGETHER]
        recent.visits.append((visit.at, visit.number))
        if visit.number == HIDDEN_LINK:
            recent.cause, recent.until = HIDDEN, visit.at + TOGETHER
            return
        numbers = {number for _, number in recent.visits if number >= 0}
        links = sum(1 for link in visit.facts.links if link)
        if links >= FEWEST_LINKS and len(numbers) >= links:
            recent.cause, recent.until = ALL_LINKS, visit.at + TOGETHER
