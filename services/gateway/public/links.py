"""Links and pixels of messages: where they lead, and who followed them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from services.gateway.public.machines import Agents, Followed, mark_at_once
from services.gateway.public.runs import RunFacts, Runs
from services.gateway.public.visits import Visits
from services.kit.clock import Clock
from services.kit.errors import FanfareError
from services.kit.tokens import HIDDEN_LINK, PIXEL, Link, LinkTokens, TokenInvalid

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
PATH = "/l/"


class Links:
    """What ``/l/`` and ``/o/`` do; a visit is noted in memory, and costs no more than that."""

    def __init__(self, tokens: LinkTokens, runs: Runs, visits: Visits, agents: Agents, clock: Clock) -> None:
        self._read = tokens.read
        self._facts = runs.facts
        self._note = visits.follow
        self._agents = agents
        self._clock = clock

    def follow(self, token: str, method: str, agent: str) -> str:
        """Where the link leads; "" for the one that nobody sees. Raises TokenInvalid, RunUnknown, Unavailable."""
        link = self._read(token)
        facts = self._facts(link.run, link.number)
        if link.number == HIDDEN_LINK:
            target = ""
        elif 0 <= link.number < len(facts.links) and facts.links[link.number]:
            target = facts.links[link.number]
        else:
            raise TokenInvalid
        self._visited(link, facts, method, agent)
        return target

    def open(self, token: str, method: str, agent: str) -> None:
        """The pixel was fetched. Raises as ``follow``."""
        link = self._read(token)
        if link.number != PIXEL:
            raise TokenInvalid
        self._visited(link, self._facts(link.run), method, agent)

    def _visited(self, link: Link, facts: RunFacts, method: str, agent: str) -> None:
        if not facts.launched_at:
            return  # of a test message
        at = self._clock.now()
        machine = mark_at_once(self._agents, method, agent, link.number, at, facts.launched_at)
        self._note(Followed(link.run, link.member, link.number, at, machine, facts))


def sooner(app: WsgiApp, links: Links) -> WsgiApp:
    """The application, but a redirect answers before Flask has looked at it; whatever else happens is Flask's."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(PATH) or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return app(environ, start_response)
        try:
            target = links.follow(path[len(PATH) :], environ["REQUEST_METHOD"], environ.get("HTTP_USER_AGENT", ""))
        except FanfareError:
            return app(environ, start_response)  # it says so on a page
        if not target:
            start_response("204 No Content", [("Cache-Control", "no-store")])
        else:
            start_response("302 Found", [("Location", target), ("Cache-Control", "no-store"), ("Content-Length", "0")])
        return [b""]

    return answer
