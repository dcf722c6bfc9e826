"""A mailbox as its owner reads it, by IMAP."""

from __future__ import annotations

import email
import email.policy
import imaplib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property

_ADDED_ON_THE_WAY = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received:", b"Authentication-Results:")


@dataclass(frozen=True)
class Letter:
    """A message as it lies in the mailbox."""

    source: bytes

    @cached_property
    def read(self) -> EmailMessage:
        return email.message_from_bytes(self.source, policy=email.policy.SMTPUTF8)

    def header(self, name: str) -> str:
        return str(self.read[name] or "")

    @property
    def verdict(self) -> str:
        """What OpenDKIM says of its signature: pass, fail…"""
        found = re.search(r"\bdkim=(\w+)", self.header("Authentication-Results"))
        return found[1] if found else ""

    @property
    def as_it_was_sent(self) -> bytes:
        """Without the headers that servers put in front."""
        headers, blank, body = self.source.partition(b"\r\n\r\n")
        lines = re.split(rb"\r\n(?![ \t])", headers)
        return b"\r\n".join(line for line in lines if not line.startswith(_ADDED_ON_THE_WAY)) + blank + body

    def part(self, kind: str) -> str:
        """The text of a part: ``plain`` or ``html``."""
        found = self.read.get_body((kind,))
        return str(found.get_content()).replace("\r\n", "\n") if found else ""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Dovecot's, on a port of this machine."""

    port: int
    address: str
    password: str

    def opens(self) -> bool:
        """Whether the password is right."""
        try:
            return self.count() >= 0
        except imaplib.IMAP4.error:
            return False

    def letters(self, to: str = "") -> list[Letter]:
        """Those delivered to an address (of a mailbox that has several), or all; oldest first."""
        with self._opened() as (imap, count):
            if not count:
                return []
            _, (found,) = imap.search(None, *(("HEADER", "Delivered-To", f'"{to}"') if to else ("ALL",)))
            if not found:
                return []
            _, answers = imap.fetch(found.decode().replace(" ", ","), "(BODY.PEEK[])")
            return [Letter(each[1]) for each in answers if isinstance(each, tuple)]

    def count(self) -> int:
        with self._opened() as (_, count):
            return count

    def wait_for(self, count: int, to: str = "", within_seconds: float = 20.0) -> list[Letter]:
        """The letters, once there are so many. Raises TimeoutError."""
        until = time.monotonic() + within_seconds
        while True:
            found = self.letters(to)
            if len(found) >= count:
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"{len(found)} of {count} letters came within {within_seconds:g} s.")
            time.sleep(0.05)

    @contextmanager
    def _opened(self) -> Iterator[tuple[imaplib.IMAP4, int]]:
        """The connection, and how many letters there are."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=20) as imap:
            # LOGIN takes no letters beyond ASCII.
            imap.authenticate("PLAIN", lambda _: f"\0{self.address}\0{self.password}".encode())
            _, told = imap.select("INBOX", readonly=True)
            yield imap, int(told[0] or 0)
