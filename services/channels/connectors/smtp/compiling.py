"""From a content revision to encoded segments, once; only the member's own parts are encoded per message.

A part is a list of encoded literals with a slot between each two. To write a message is to fill the slots and join.
"""

from __future__ import annotations

import html
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.channels.connectors.smtp.encoding import SOFT_BREAK, mailbox, quoted_printable, refuse_line_breaks
from services.channels.connectors.smtp.markup import Field, LinkMark, Marks, Piece, inline_styles, text_of
from services.channels.domain.content import Content, Revision
from services.kit.tokens import HIDDEN_LINK, PIXEL, PREFERENCES, UNSUBSCRIBE, Numbers

UNSUBSCRIBE_FIELD = "unsubscribe_url"
PREFERENCES_FIELD = "preferences_url"
# Fields that a household message fills with everyone's names.
NAME_FIELDS = frozenset(("first_name", "given_name", "display_name", "name"))
_BODY_START = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose message it is."""

    address: str
    name: str = ""
    reply_to: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


# Slots: what differs from message to message. Tokens follow after the first ones, then fields (HTML, then text).
TO, MESSAGE_ID, DATE, SUBJECT, CONCERNED_HTML, CONCERNED_TEXT, FIRST_FREE = range(7)


@dataclass(frozen=True, slots=True)
class FilledField:
    """A merge field's place in the recipient's values, and what stands in for an empty one."""

    place: int  # -1: the recipient brings no value
    fallback: str
    names: bool


@dataclass(frozen=True, slots=True)
class Segments:
    """Literals with slots between them: ``fill`` puts the slots' values in and joins."""

    parts: tuple[bytes, ...]  # literal, slot, literal, slot … literal; slots are empty here
    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]

    def fill(self, slots: Sequence[bytes]) -> bytes:
        parts = list(self.parts)
        parts[1::2] = self.pick(slots)
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Layout:
    """One content as it is sent to members of one kind: tracked, or not."""

    headers: Segments
    body: Segments
    whole: Segments  # both, with the empty line between
    numbers: Numbers  # of the tokens, in the order of their slots
    fields: tuple[FilledField, ...]
    subject: str | tuple[str | int, ...]  # ready, or in pieces with the places of fields


@dataclass(frozen=True, slots=True)
class CompiledContent:
    locale: str
    tracked: Layout
    plain: Layout


@dataclass(frozen=True, slots=True)
class CompiledRevision:
    """A revision ready to be sent: contents by folded locale; the first is the fallback."""

    run: str
    number: int
    sender: Sender
    contents: tuple[CompiledContent, ...]
    by_locale: Mapping[str, CompiledContent]

    def content_for(self, locale: str) -> CompiledContent:
        """The content in the member's language, or else the first."""
        found = self.by_locale.get(locale)
        if found is None:
            folded = locale.lower().replace("_", "-")
            found = self.by_locale.get(folded) or self.by_locale.get(folded.partition("-")[0]) or self.contents[0]
        return found


def compile_revision(
    revision: Revision, sender: Sender, base_url: str, *, unsubscribable: bool = True
) -> CompiledRevision:
    """Compile every content. ``base_url`` is where the public pages are; ``unsubscribable``: not a service message.

    Raises HeaderUnsafe for a sender that would break the headers.
    """
    contents = tuple(
        _compile(content, revision, sender, base_url.rstrip("/"), unsubscribable) for content in revision.contents
    )
    by_locale: dict[str, CompiledContent] = {}
    for content in contents:
        for name in (content.locale, content.locale.lower(), content.locale.lower().partition("-")[0]):
            by_locale.setdefault(name, content)
    return CompiledRevision(revision.run, revision.number, sender, contents, by_locale)


def _compile(
    content: Content, revision: Revision, sender: Sender, base_url: str, unsubscribable: bool
) -> CompiledContent:
    marks = Marks(revision.links)
    markup = marks.mark_links(marks.mark_fields(content.html))
    markup = _with_preheader(inline_styles(markup), marks.mark_fields(html.escape(content.preheader)))
    if content.text.strip():
        text = marks.mark_links_in_text(marks.mark_fields(content.text.replace("\r\n", "\n")))
    else:
        text = text_of(markup)
    opening = _BODY_START.search(markup)
    closing = list(_BODY_END.finditer(markup))
    start = opening.end() if opening else 0
    end = closing[-1].start() if closing else len(markup)
    pieces = _Pieces(
        before=marks.cut(markup[:start]),
        html=marks.cut(markup[start:end]),
        after=markup[end:],
        text=marks.cut(text),
        subject=marks.cut(marks.mark_fields(content.subject)),
    )
    layouts = [
        _LayoutMaker(pieces, revision, base_url, tracked).make(sender, unsubscribable, f"{revision.run}-{index}")
        for index, tracked in enumerate((True, False))
    ]
    return CompiledContent(content.locale, *layouts)


def _with_preheader(markup: str, preheader: str) -> str:
    if not preheader:
        return markup
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{preheader}</div>'
    opening = _BODY_START.search(markup)
    at = opening.end() if opening else 0
    return markup[:at] + hidden + markup[at:]


@dataclass(frozen=True, slots=True)
class _Pieces:
    before: list[Piece]
    html: list[Piece]
    after: str
    text: list[Piece]
    subject: list[Piece]


Slot = int
_Token = tuple[str, int]  # the page it belongs to, its number


class _LayoutMaker:
    """Numbers the slots of one layout, then writes its literals."""

    def __init__(self, pieces: _Pieces, revision: Revision, base_url: str, tracked: bool) -> None:
        self._pieces = pieces
        self._revision = revision
        self._base = base_url
        self._tracked = tracked
        self._places = {name: place for place, name in enumerate(revision.fields)}
        self._numbers: list[int] = []
        self._fields: list[Field] = []

    def make(self, sender: Sender, unsubscribable: bool, name: str) -> Layout:
        boundary = f"=_{name}".encode()
        head = self._headers(sender, unsubscribable, boundary)
        body = self._body(boundary)
        subject = self._subject()
        fields_at = FIRST_FREE + len(self._numbers)
        count = len(self._fields)
        numbered = {("field", place): fields_at + place for place in range(count)}
        numbered |= {("text-field", place): fields_at + count + place for place in range(count)}
        numbered |= {("token", place): FIRST_FREE + place for place in range(len(self._numbers))}
        return Layout(
            headers=_segments(head, numbered),
            body=_segments(body, numbered),
            whole=_segments([*head, b"\r\n", *body], numbered),
            numbers=Numbers.of(self._numbers),
            fields=tuple(
                FilledField(self._places.get(field.name, -1), field.fallback, field.name in NAME_FIELDS)
                for field in self._fields
            ),
            subject=subject,
        )

    def _headers(self, sender: Sender, unsubscribable: bool, boundary: bytes) -> list[bytes | _Token | Slot]:
        parts: list[bytes | _Token | Slot] = [b"From: " + mailbox(sender.name, sender.address) + b"\r\n"]
        if sender.reply_to:
            parts.append(b"Reply-To: " + mailbox("", sender.reply_to) + b"\r\n")
        parts += [b"To: ", TO, b"\r\nSubject: ", SUBJECT, b"\r\nDate: ", DATE, b"\r\nMessage-ID: ", MESSAGE_ID, b"\r\n"]
        if unsubscribable:
            page = refuse_line_breaks(f"{self._base}/u/", "base_url").encode("ascii")
            parts += [b"List-Unsubscribe: <" + page, ("token", self._token(UNSUBSCRIBE)), b">\r\n"]
            parts.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
        parts.append(b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="' + boundary + b'"\r\n')
        return parts

    def _body(self, boundary: bytes) -> list[bytes | _Token | Slot]:
        rule = b"--" + boundary
        encoding = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        parts: list[bytes | _Token | Slot] = [rule + b"\r\nContent-Type: text/plain; charset=utf-8\r\n" + encoding]
        parts.append(CONCERNED_TEXT)
        parts += self._encoded(self._pieces.text, "text-field", "")
        parts.append(b"\r\n" + rule + b"\r\nContent-Type: text/html; charset=utf-8\r\n" + encoding)
        parts += self._encoded(self._pieces.before, "field", "")
        parts.append(CONCERNED_HTML)
        parts += self._encoded(self._pieces.html, "field", self._seen_by_machines() + self._pieces.after)
        parts.append(b"\r\n" + rule + b"--\r\n")
        return parts

    def _encoded(self, pieces: list[Piece], kind: str, closing: str) -> list[bytes | _Token | Slot]:
        """Literals and slots, each beginning on a line of its own behind a soft break."""
        encoded: list[bytes | _Token | Slot] = []
        literal = ""
        in_html = kind == "field"

        def flush() -> None:
            nonlocal literal
            if literal:
                encoded.append(quoted_printable(_crlf(literal)) + SOFT_BREAK)
            literal = ""

        for piece in [*pieces, *_cut_tokens(closing)]:
            if isinstance(piece, str):
                literal += piece
                continue
            if isinstance(piece, LinkMark) and piece.number >= 0 and not self._tracked:
                url = self._revision.links[piece.number]
                literal += html.escape(url) if in_html else url
                continue
            if isinstance(piece, LinkMark):
                literal += f"{self._base}/{_PAGES.get(piece.number, 'l')}/"
                slot: _Token = ("token", self._token(piece.number))
            elif piece.name in _FIELD_TOKENS:
                literal += f"{self._base}/{_PAGES[_FIELD_TOKENS[piece.name]]}/"
                slot = ("token", self._token(_FIELD_TOKENS[piece.name]))
            else:
                slot = (kind, self._field(piece))
            flush()
            encoded += [slot, SOFT_BREAK]
        flush()
        return encoded

    def _seen_by_machines(self) -> str:
        """The pixel, and a link that only a program follows; for members who may be tracked."""
        if not self._tracked:
            return ""
        return (
            f'<a href="{_own_mark(HIDDEN_LINK)}" style="display:none" tabindex="-1" aria-hidden="true"></a>'
            f'<img src="{_own_mark(PIXEL)}" width="1" height="1" alt="" style="display:block;border:0">'
        )

    def _subject(self) -> str | tuple[str | int, ...]:
        pieces = self._pieces.subject
        if all(isinstance(piece, str) for piece in pieces):
            return "".join(piece for piece in pieces if isinstance(piece, str))
        written = [piece for piece in pieces if not isinstance(piece, LinkMark)]
        return tuple(piece if isinstance(piece, str) else self._field(piece) for piece in written)

    def _token(self, number: int) -> int:
        if number not in self._numbers:
            self._numbers.append(number)
        return self._numbers.index(number)

    def _field(self, field: Field) -> int:
        if field not in self._fields:
            self._fields.append(field)
        return self._fields.index(field)


_PAGES = {PIXEL: "o", UNSUBSCRIBE: "u", PREFERENCES: "p"}
_FIELD_TOKENS = {UNSUBSCRIBE_FIELD: UNSUBSCRIBE, PREFERENCES_FIELD: PREFERENCES}
_OWN_MARK = re.compile(r"zqown(\d+)zq")


def _own_mark(number: int) -> str:
    return f"zqown{-number}zq"


def _cut_tokens(text: str) -> list[Piece]:
    pieces: list[Piece] = []
    end = 0
    for found in _OWN_MARK.finditer(text):
        pieces += [text[end : found.start()], LinkMark(-int(found[1]))]
        end = found.end()
    return [*pieces, text[end:]]


def _crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode("utf-8", "replace")


def _segments(parts: list[bytes | _Token | Slot], numbered: dict[_Token, int]) -> Segments:
    """Literals put together, so that literals and slots alternate."""
    laid: list[bytes] = [b""]
    slots: list[int] = []
    for part in parts:
        if isinstance(part, bytes):
            laid[-1] += part
        else:
            slots.append(numbered[part] if isinstance(part, tuple) else part)
            laid += [b"", b""]
    pick: Any = operator.itemgetter(*slots)
    return Segments(tuple(laid), pick if len(slots) > 1 else lambda values: (values[slots[0]],))
