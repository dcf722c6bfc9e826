"""Where a message's links lead. Each tracked link has a number, its place in the table of the run.

Revisions add links behind those that earlier ones had, so that a number means the same for as long as tokens live.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from services.campaigns.domain.merging import ADDRESSES, MARK, Veil
from services.campaigns.domain.wording import Problem, Wording

LONGEST_URL = 2_000
_ANCHOR = re.compile(r"<(?:a|area)\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_HREF = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_OFFER = re.compile(r"""\sdata-offer\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_IN_TEXT = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]", re.IGNORECASE)
_PLAIN_SCHEMES = ("mailto:", "tel:", "sms:", "#")


@dataclass(slots=True)
class LinkTable:
    """Addresses by number, each once, and what a conversion through it is about (empty: nothing in particular)."""

    urls: list[str] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)

    def add(self, url: str, offer: str = "") -> None:
        """Number the address, where it has no number yet; the first offer named for it stays."""
        if url not in self.urls:
            self.urls.append(url)
            self.offers.append(offer)
        elif offer:
            number = self.urls.index(url)
            self.offers[number] = self.offers[number] or offer


def number_links(markup: str, table: LinkTable, veil: Veil, place: str) -> str:
    """Number the links of the veiled HTML, which is returned without the marks of offers."""

    def numbered(anchor: re.Match[str]) -> str:
        tag = anchor[0]
        href = _HREF.search(tag)
        offer = _OFFER.search(tag)
        if href is not None:
            url = html.unescape(_value(href)).strip()
            if _is_tracked(url, veil, place):
                table.add(url, html.unescape(_value(offer)) if offer else "")
        return _OFFER.sub("", tag)

    return _ANCHOR.sub(numbered, markup)


def number_links_in_text(text: str, table: LinkTable, veil: Veil, place: str) -> None:
    """Number the addresses of the veiled plain text likewise."""
    for found in _IN_TEXT.finditer(text):
        if _is_tracked(found[0], veil, place):
            table.add(found[0])


def _value(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group is not None)


def _is_tracked(url: str, veil: Veil, place: str) -> bool:
    """Whether the link is to be numbered; what is wrong with it becomes a problem of ``place``."""
    inside = veil.in_text(url)
    if len(inside) == 1 and inside[0].name in ADDRESSES and MARK.fullmatch(url):
        return False
    if inside:
        veil.problems.append(_merge_field_in_link(place))
        return False
    if url.lower().startswith(_PLAIN_SCHEMES):
        return False
    if not _is_whole(url):
        veil.problems.append(_broken_link(url, place))
        return False
    return True


def _is_whole(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and len(url) <= LONGEST_URL
    except ValueError:
        return False


def _merge_field_in_link(place: str) -> Problem:
    return Problem(
        "merge-field-in-link",
        place,
        Wording(
            "A link carries a merge field: addresses end up in logs and histories, so take it out of the link.",
            "Un lien contient un champ de fusion : les adresses restent dans des journaux et des historiques, "
            "retirez-le du lien.",
        ),
    )


def _broken_link(url: str, place: str) -> Problem:
    shown = url if len(url) <= 80 else url[:77] + "…"
    return Problem(
        "broken-link",
        place,
        Wording(
            f"The link “{shown}” leads nowhere: write the whole address, https://… (at most {LONGEST_URL} characters).",
            f"Le lien « {shown} » ne mène nulle part : écrivez l’adresse entière, https://… "
            f"({LONGEST_URL} caractères au plus).",
        ),
    )
