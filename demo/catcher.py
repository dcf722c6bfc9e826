"""The mail catcher: a receiving server that keeps every message, so that it can be opened and answered."""

from __future__ import annotations

import email
import email.policy
import html
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from functools import cached_property

from demo.receiving import OK, Answer, Conduct, Envelope
from services.kit.clock import Clock

_KEPT = 20_000
_ANCHOR = re.compile(r"<a\b[^>]*>", re.IGNORECASE)
_HREF = re.compile(r'\bhref="([^"]+)"', re.IGNORECASE)
_HIDDEN = re.compile(r"display:\s*none|\bhidden\b", re.IGNORECASE)
_PIXEL = re.compile(r'<img\b[^>]*?\bsrc="(http[^"]+)"', re.IGNORECASE)


@dataclass(frozen=True)
class Caught:
    """One message as it came. ``at`` is UTC milliseconds."""

    number: int
    at: int
    sender: str
    recipient: str
    source: bytes

    @cached_property
    def _parsed(self) -> Message:
        return email.message_from_bytes(self.source)

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        return [(name, _decoded(str(value))) for name, value in self._parsed.items()]

    @cached_property
    def subject(self) -> str:
        return self.header("Subject")

    @cached_property
    def html(self) -> str:
        return self._part("text/html")

    @cached_property
    def text(self) -> str:
        return self._part("text/plain")

    @cached_property
    def links(self) -> list[str]:
        """Where its links lead, in their order, each once."""
        return _links(_ANCHOR.findall(self.html))

    @cached_property
    def visible_links(self) -> list[str]:
        """Those that a person sees: a hidden link is there for programs to fall into."""
        return _links([anchor for anchor in _ANCHOR.findall(self.html) if not _HIDDEN.search(anchor)])

    @cached_property
    def images(self) -> list[str]:
        return [html.unescape(link) for link in _PIXEL.findall(self.html)]

    @cached_property
    def one_click(self) -> str:
        """Where a one-click unsubscribe is posted (RFC 8058), or empty."""
        if "one-click" not in self.header("List-Unsubscribe-Post").lower():
            return ""
        return next(iter(re.findall(r"<(https?://[^>]+)>", self.header("List-Unsubscribe"))), "")

    @property
    def sender_domain(self) -> str:
        """The domain of the visible sender."""
        return parseaddr(self.header("From"))[1].rpartition("@")[2].lower()

    def header(self, name: str) -> str:
        return _decoded(str(self._parsed.get(name, "")))

    def _part(self, kind: str) -> str:
        for part in self._parsed.walk():
            if part.get_content_type() == kind:
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                return content.decode(part.get_content_charset("utf-8"), "replace")
        return ""


class Mailbox(Conduct):
    """Everything caught, newest last; the oldest go when it holds more than twenty thousand. Safe between threads.

    ``when_caught`` is told of each message, on the thread that received it.
    """

    def __init__(self, clock: Clock, when_caught: Callable[[Caught], None] = lambda _: None) -> None:
        self._clock = clock
        self._when_caught = when_caught
        self._lock = threading.Lock()
        self._messages: dict[int, Caught] = {}
        self._count = 0

    def on_message(self, envelope: Envelope) -> Answer:
        caught = []
        with self._lock:
            for recipient in envelope.recipients:
                self._count += 1
                message = Caught(self._count, self._clock.now(), envelope.sender, recipient, envelope.content)
                self._messages[self._count] = message
                caught.append(message)
            while len(self._messages) > _KEPT:
                del self._messages[next(iter(self._messages))]
        for message in caught:
            self._when_caught(message)
        return OK

    @property
    def count(self) -> int:
        """How many came in all."""
        return self._count

    def get(self, number: int) -> Caught | None:
        return self._messages.get(number)

    def newest(self, words: str, skip: int, limit: int) -> list[Caught]:
        """The newest first; with ``words``, those whose recipient or subject holds them."""
        with self._lock:
            messages = list(reversed(self._messages.values()))
        if words:
            wanted = words.casefold()
            messages = [one for one in messages if wanted in one.recipient or wanted in one.subject.casefold()]
        return messages[skip : skip + limit]


def _links(anchors: list[str]) -> list[str]:
    hrefs = (_HREF.search(anchor) for anchor in anchors)
    return list(dict.fromkeys(html.unescape(href[1]) for href in hrefs if href))


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value))).replace("\r\n", "").replace("\n", "")
    except (LookupError, ValueError):
        return value
