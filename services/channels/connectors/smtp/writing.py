"""Writing one message of a compiled revision: the member's own parts, encoded, in their slots."""

from __future__ import annotations

import html
from collections.abc import Sequence
from email.utils import formatdate

from services.channels.connectors.smtp.compiling import (
    CONCERNED_HTML,
    CONCERNED_TEXT,
    CompiledRevision,
    FilledField,
    Layout,
)
from services.channels.connectors.smtp.dkim import DkimSigner
from services.channels.connectors.smtp.encoding import (
    SOFT_BREAK,
    header_text,
    quoted_printable,
    quoted_value,
)
from services.kit.tokens import RunLinks

_CACHED = 4_096
_FOR = {"fr": ("Pour", "et"), "en": ("For", "and")}


class Writer:
    """Writes the messages of one revision; the same code makes previews, tests and what is sent."""

    def __init__(self, compiled: CompiledRevision, links: RunLinks, signer: DkimSigner | None = None) -> None:
        self._compiled = compiled
        self._links = links
        self._signer = signer
        self._message_id_end = b"@" + compiled.sender.domain.encode("idna") + b">"
        self._subjects: dict[str, bytes] = {}
        self._values: dict[str, tuple[bytes, bytes]] = {}
        self._second = 0
        self._date = b""

    def message_id(self, delivery_key: bytes) -> bytes:
        """Stable: the same delivery has the same Message-ID whenever it is sent."""
        return b"<" + delivery_key + self._message_id_end

    def write(
        self,
        delivery_key: bytes,
        member: str,
        address: bytes,
        locale: str,
        tracked: bool,
        values: Sequence[str],
        concerned: Sequence[str],
        now: int,
    ) -> bytes:
        """The whole message, CRLF, not dot-stuffed (no line of its body begins with a dot). ``now`` is UTC ms."""
        content = self._compiled.content_for(locale)
        layout = content.tracked if tracked else content.plain
        plain = _field_values(layout.fields, values, concerned, content.locale)
        in_html, in_text = self._encoded(plain)
        slots = [
            address,
            self.message_id(delivery_key),
            self._date_header(now),
            self._subject(layout, plain),
            b"",
            b"",
            *self._links.make(member, layout.numbers),
            *in_html,
            *in_text,
        ]
        if concerned:
            line = f"{_words(content.locale)[0]} {_listed(concerned, content.locale)}"
            slots[CONCERNED_TEXT] = quoted_printable(line.encode() + b"\r\n\r\n")
            slots[CONCERNED_HTML] = quoted_printable(f"<p>{html.escape(line)}</p>".encode()) + SOFT_BREAK
        if self._signer is None:
            return layout.whole.fill(slots)
        headers, body = layout.headers.fill(slots), layout.body.fill(slots)
        return self._signer.header(headers, body, now) + headers + b"\r\n" + body

    def locale_for(self, locale: str) -> str:
        """The language the member would read."""
        return self._compiled.content_for(locale).locale

    def subject_for(self, locale: str, values: Sequence[str], concerned: Sequence[str]) -> str:
        """The subject in the member's language, as a person reads it."""
        content = self._compiled.content_for(locale)
        plain = _field_values(content.plain.fields, values, concerned, content.locale)
        return _subject_text(content.plain, plain)

    def _subject(self, layout: Layout, plain: Sequence[str]) -> bytes:
        text = _subject_text(layout, plain)
        encoded = self._subjects.get(text)
        if encoded is None:
            if len(self._subjects) >= _CACHED:
                self._subjects.clear()
            encoded = self._subjects[text] = header_text(text)
        return encoded

    def _encoded(self, plain: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
        """Values as HTML and as text; towns and first names come again and again."""
        known = self._values
        pairs = [known.get(value) or self._newly_encoded(value) for value in plain]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def _newly_encoded(self, value: str) -> tuple[bytes, bytes]:
        if len(self._values) >= _CACHED:
            self._values.clear()
        pair = self._values[value] = _encode(value)
        return pair

    def _date_header(self, now: int) -> bytes:
        second = now // 1_000
        if second != self._second:
            self._date = formatdate(second).encode()
            self._second = second
        return self._date


def _subject_text(layout: Layout, plain: Sequence[str]) -> str:
    subject = layout.subject
    if isinstance(subject, str):
        return subject
    return "".join([piece if isinstance(piece, str) else plain[piece] for piece in subject])


def _field_values(
    fields: Sequence[FilledField], values: Sequence[str], concerned: Sequence[str], locale: str
) -> list[str]:
    brought = [*values, ""]  # place -1: nothing
    plain = [brought[field.place] or field.fallback for field in fields]
    if concerned:
        names = _listed(concerned, locale)
        return [names if field.names else value for field, value in zip(fields, plain, strict=True)]
    return plain


def _encode(value: str) -> tuple[bytes, bytes]:
    in_text = quoted_value(value.encode("utf-8", "replace"))
    if value.isalnum():
        return in_text, in_text
    escaped = html.escape(value)
    return (in_text if escaped == value else quoted_value(escaped.encode("utf-8", "replace"))), in_text


def _words(locale: str) -> tuple[str, str]:
    return _FOR.get(locale[:2].lower(), _FOR["en"])


def _listed(names: Sequence[str], locale: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {_words(locale)[1]} {names[-1]}"
