"""The frozen content of a run, as campaigns gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """One language of a message; an empty ``text`` is derived from the HTML."""

    locale: str
    subject: str
    html: str
    text: str = ""
    preheader: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """Every language of a message at one revision; ``fields`` in the order that recipients' values come in."""

    run: str
    number: int
    contents: tuple[Content, ...]
    fields: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
