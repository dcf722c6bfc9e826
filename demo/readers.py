"""Readers: people who open, click, buy and leave after a while, and the mail scanners in front of some of them.

What a reader does is decided by the seed, the address and the message alone, so that two runs of the demo tell the same
story. Delays are those of real mailboxes (hours, a few days) with an hour told in a second.
"""

from __future__ import annotations

import asyncio
import html
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

from demo.catcher import Caught

_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
)
_PREFETCHER = "Mozilla/5.0"
# Scanners rarely say who they are.
_SCANNERS = (*_BROWSERS, "Mozilla/5.0 (compatible; Barracuda Link Protection/1.0)")


_INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_GIVEN = re.compile(r'\b(name|value|type)="([^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Habits:
    """Shares of the readers, and of those who came that far."""

    behind_a_scanner: float = 0.12
    prefetched: float = 0.15  # a mail program loads the images by itself, for privacy
    open: float = 0.48
    click: float = 0.34
    buy: float = 0.38
    unsubscribe_in_one_click: float = 0.010
    unsubscribe_on_the_page: float = 0.006
    # Nobody reads a message in the second it arrives.
    earliest_seconds: float = 6.0
    latest_seconds: float = 24.0


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done so many seconds after the message came."""

    after: float
    kind: str  # `scan`, `prefetch`, `open`, `click`, `buy`, `unsubscribe`, `unsubscribe_on_the_page`
    choice: float = 0.0


def deeds_of(seed: int, recipient: str, subject: str, habits: Habits) -> list[Deed]:
    """What the reader of an address, and the scanner in front of it, will do with a message."""
    chance = random.Random(f"{seed} {recipient.casefold()} {subject}")
    deeds, hold = [], 0.0  # a scanner holds the message back until it is content
    if chance.random() < habits.behind_a_scanner:
        deeds.append(Deed(chance.uniform(0.1, 0.9), "scan", chance.random()))
        hold = 7.0
    elif chance.random() < habits.prefetched:
        deeds.append(Deed(chance.uniform(0.5, 4.0), "prefetch"))
    if chance.random() >= habits.open:
        return deeds
    hours = chance.lognormvariate(1.4, 0.9)
    at = min(habits.latest_seconds, habits.earliest_seconds + hold + hours)
    deeds.append(Deed(at, "open"))
    if chance.random() < habits.unsubscribe_in_one_click:
        return [*deeds, Deed(at + 0.5, "unsubscribe")]
    if chance.random() < habits.unsubscribe_on_the_page:
        return [*deeds, Deed(at + 0.8, "unsubscribe_on_the_page")]
    if chance.random() < habits.click:
        at += chance.uniform(0.3, 1.5)
        deeds.append(Deed(at, "click", chance.random()))
        if chance.random() < habits.buy:
            deeds.append(Deed(at + chance.uniform(1.0, 3.0), "buy", chance.random()))
    return deeds


Buy = Callable[[Caught, float], Awaitable[None]]


class Readers:
    """Everybody who reads what the catcher caught. All methods run on one event loop.

    Addresses of the public pages are reached at ``public``, whatever host the messages name.
    """

    def __init__(self, seed: int, habits: Mapping[str, Habits], buy: Buy) -> None:
        self._seed = seed
        self._habits = habits
        self._buy = buy
        self._client = httpx2.AsyncClient(timeout=20, follow_redirects=False, limits=httpx2.Limits(max_connections=40))
        self._at_work: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many deeds are still to come."""
        return len(self._at_work)

    def receive(self, message: Caught) -> None:
        """A message came: its reader's deeds begin. Readers whose community has no habits here leave it alone."""
        habits = self._habits.get(message.sender_domain)
        if habits is None:
            return
        for deed in deeds_of(self._seed, message.recipient, message.subject, habits):
            task = asyncio.get_running_loop().create_task(self._do(message, deed))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def close(self) -> None:
        for task in self._at_work:
            task.cancel()
        await self._client.aclose()

    async def _do(self, message: Caught, deed: Deed) -> None:
        await asyncio.sleep(deed.after)
        try:
            await _DEEDS[deed.kind](self, message, deed)
        except httpx2.HTTPError as error:
            self.failed[f"{deed.kind}: {type(error).__name__}"] += 1
        else:
            self.done[deed.kind] += 1

    async def _scan(self, message: Caught, deed: Deed) -> None:
        """A scanner asks for every link at once, hidden ones too."""
        agent = _SCANNERS[int(deed.choice * len(_SCANNERS))]
        ask = self._client.head if deed.choice < 0.3 else self._client.get
        await asyncio.gather(*(ask(link, headers=_as(agent)) for link in message.links if _reachable(link)))

    async def _prefetch(self, message: Caught, deed: Deed) -> None:  # noqa: ARG002 # a deed's signature
        for image in message.images:
            if _reachable(image):
                await self._client.get(image, headers=_as(_PREFETCHER))

    async def _open(self, message: Caught, deed: Deed) -> None:  # noqa: ARG002 # a deed's signature
        for image in message.images:
            if _reachable(image):
                await self._client.get(image, headers=_as(self._browser(message)))

    async def _click(self, message: Caught, deed: Deed) -> None:
        """Most people follow the first link that they see; a tracked one leads on to the shop."""
        tracked = [link for link in message.visible_links if "/l/" in urlsplit(link).path]
        if tracked:
            link = tracked[0] if deed.choice < 0.55 else tracked[int(deed.choice * len(tracked))]
            await self._client.get(link, headers=_as(self._browser(message)))

    async def _purchase(self, message: Caught, deed: Deed) -> None:
        await self._buy(message, deed.choice)

    async def _unsubscribe(self, message: Caught, deed: Deed) -> None:  # noqa: ARG002 # a deed's signature
        """What a mail program's button does, RFC 8058."""
        if message.one_click:
            answer = await self._client.post(
                message.one_click,
                content=b"List-Unsubscribe=One-Click",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
            answer.raise_for_status()

    async def _unsubscribe_on_the_page(self, message: Caught, deed: Deed) -> None:  # noqa: ARG002 # a deed's signature
        """Opening the page changes nothing; pressing its button does."""
        page = next((link for link in message.visible_links if "/u/" in urlsplit(link).path), "")
        if page:
            browser = _as(self._browser(message))
            shown = (await self._client.get(page, headers=browser)).raise_for_status()
            (await self._client.post(page, data=_as_filled_in(shown.text), headers=browser)).raise_for_status()

    def _browser(self, message: Caught) -> str:
        return _BROWSERS[len(message.recipient) % len(_BROWSERS)]


_DEEDS: dict[str, Callable[[Readers, Caught, Deed], Awaitable[None]]] = {
    "scan": Readers._scan,
    "prefetch": Readers._prefetch,
    "open": Readers._open,
    "click": Readers._click,
    "buy": Readers._purchase,
    "unsubscribe": Readers._unsubscribe,
    "unsubscribe_on_the_page": Readers._unsubscribe_on_the_page,
}


def _as_filled_in(page: str) -> dict[str, list[str]]:
    """The form of a page as it stands: whoever is content with it presses the button."""
    filled: dict[str, list[str]] = {}
    for tag in _INPUT.findall(page):
        given = {name.lower(): html.unescape(value) for name, value in _GIVEN.findall(tag)}
        if "name" in given and (given.get("type") == "hidden" or " checked" in tag):
            filled.setdefault(given["name"], []).append(given.get("value", ""))
    return filled


def _as(agent: str) -> dict[str, str]:
    return {"User-Agent": agent}


def _reachable(link: str) -> bool:
    """The demo's readers stay on this machine: a plain link to the shop is not followed."""
    return urlsplit(link).hostname in ("127.0.0.1", "localhost", "::1")
