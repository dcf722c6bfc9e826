"""What is done to the HTML of a revision, once: styles inlined, merge fields and links marked, a text part derived.

Fields and links become marks, plain words that no HTML tool touches, and that the compiler later cuts the text at.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser

import css_inline

_FIELD = re.compile(
    r"""\{\{\s*([A-Za-z_][\w.-]*)\s*
        (?:\|\s*fallback\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\)\s*)?\}\}""",
    re.VERBOSE,
)
_BRACES = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_LINK_ATTRIBUTE = re.compile(r"""(<(?:a|area)\b[^>]*?\bhref\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)
_MARK = "zqmark"
_CUT = re.compile(_MARK + r"([fl])(\d+)zq")


@dataclass(frozen=True, slots=True)
class Field:
    """``{{ name | fallback("…") }}``."""

    name: str
    fallback: str


@dataclass(frozen=True, slots=True)
class LinkMark:
    """A place where the tracked link of this number stands."""

    number: int


Piece = str | Field | LinkMark


class Marks:
    """The fields and links of one content, and the marks that stand for them."""

    def __init__(self, links: Sequence[str]) -> None:
        self._fields: list[Field] = []
        self._numbers = {url: number for number, url in reversed(list(enumerate(links)))}

    def mark_fields(self, text: str) -> str:
        """The text with each merge field replaced by its mark; an editor may have escaped the quotes of a fallback."""

        parts: list[str] = []
        end = 0
        while (found := _BRACES.search(text, end)) is not None:
            field = _FIELD.fullmatch(html.unescape(found[0]))
            if field is None:  # braces that open nothing: what follows them may
                parts.append(text[end : found.start() + 1])
                end = found.start() + 1
                continue
            parts.append(text[end : found.start()])
            self._fields.append(Field(field[1], _unquoted(field[2])))
            parts.append(f"{_MARK}f{len(self._fields) - 1}zq")
            end = found.end()
        return "".join([*parts, text[end:]])

    def mark_links(self, markup: str) -> str:
        """The markup with the targets of its known links replaced by marks."""

        def mark(found: re.Match[str]) -> str:
            number = self._numbers.get(html.unescape(found[2][1:-1]).strip())
            return found[0] if number is None else f'{found[1]}"{_MARK}l{number}zq"'

        return _LINK_ATTRIBUTE.sub(mark, markup)

    def mark_links_in_text(self, text: str) -> str:
        """The same for a text part, where links are written out."""
        for url in sorted(self._numbers, key=len, reverse=True):
            pattern = re.escape(url) + r"(?![\w/?&=%#-])"
            text = re.sub(pattern, f"{_MARK}l{self._numbers[url]}zq", text)
        return text

    def cut(self, text: str) -> list[Piece]:
        """The text in pieces: literal, field, link."""
        pieces: list[Piece] = []
        end = 0
        for found in _CUT.finditer(text):
            pieces.append(text[end : found.start()])
            number = int(found[2])
            pieces.append(self._fields[number] if found[1] == "f" else LinkMark(number))
            end = found.end()
        pieces.append(text[end:])
        return pieces


def _unquoted(quoted: str | None) -> str:
    """A fallback: a JSON string, or what stands between single quotes."""
    if not quoted:
        return ""
    if quoted.startswith('"'):
        with suppress(ValueError):
            return str(json.loads(quoted, strict=False))
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])


def inline_styles(markup: str) -> str:
    """Style sheets of the page itself, moved into its elements; nothing is loaded from anywhere."""
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True).inline(markup)


_PARAGRAPHS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6"))
_BLOCKS = _PARAGRAPHS | {
    *(
        "address",
        "article",
        "aside",
        "blockquote",
        "div",
        "dl",
        "dt",
        "dd",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
    ),
    *("footer", "form", "header", "hr", "li", "main", "nav", "ol", "pre", "section", "table", "tr", "ul"),
}
_SILENT = frozenset(("head", "script", "style", "title", "template", "noscript"))


class _TextPart(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "hr":
            self.parts.append("\n\n----\n\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag in _PARAGRAPHS else "\n")
        elif tag == "img" and not self._silent and given.get("alt"):
            self.parts.append(given["alt"] or "")
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "a" and self._links:
            target, start = self._links.pop()
            label = "".join(self.parts[start:]).strip()
            if target and not target.startswith("#") and label != target:
                self.parts.append(f" ({target})" if label else target)
        elif tag in _BLOCKS and tag != "li":
            self.parts.append("\n\n" if tag in _PARAGRAPHS else "\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(re.sub(r"\s+", " ", data))


def text_of(markup: str) -> str:
    """The text part of an HTML part: paragraphs, list items, and where each link leads."""
    reader = _TextPart()
    reader.feed(markup)
    reader.close()
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in "".join(reader.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
