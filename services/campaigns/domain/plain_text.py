"""The text part of a message, derived from its HTML for those who read without it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SPACED = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "table", "pre"))
_BLOCKS = _SPACED | {
    *("address", "article", "aside", "center", "div", "dl", "dt", "dd", "fieldset", "figure", "footer", "form"),
    *("header", "hr", "li", "main", "nav", "section", "tr"),
}
_SILENT = frozenset(("head", "style", "script", "title", "noscript"))
_VOID = frozenset(("br", "hr", "img", "input", "meta", "link", "area"))
_SPACES = re.compile(r"[ \t\r\n\f\xa0\u200b\u200c\u034f]+")
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)


def text_of(markup: str) -> str:
    """What the HTML says, without it: paragraphs apart, list items dashed, links behind their words."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    lines = [_SPACES.sub(" ", line).strip() for line in "".join(reader.said).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._silent: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._silent or tag in _SILENT or _HIDDEN.search(given.get("style") or ""):
            if tag not in _VOID:
                self._silent.append(tag)
            return
        if tag == "br":
            self.said.append("\n")
        elif tag == "hr":
            self.said.append("\n\n----\n\n")
        elif tag == "li":
            self.said.append("\n- ")
        elif tag == "img":
            self.said.append(given.get("alt") or "")
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self.said)))
        elif tag in ("td", "th"):
            self.said.append(" ")
        elif tag in _BLOCKS:
            self.said.append("\n\n" if tag in _SPACED else "\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag in self._silent:  # tolerates what was never closed inside
                while self._silent and self._silent.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            href, since = self._links.pop()
            words = "".join(self.said[since:]).strip()
            if href and not href.startswith("#") and words != href:
                self.said.append(f" ({href})" if words else href)
        elif tag in _BLOCKS and tag != "li":
            self.said.append("\n\n" if tag in _SPACED else "\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(_SPACES.sub(" ", data))
