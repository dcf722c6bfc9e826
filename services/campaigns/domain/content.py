"""What a campaign says: messages as written, one for each language, and the content that senders compile.

Writing is free (HTML or MJML, fragments or documents); what leaves here is not: one whole HTML document, merge fields
in their canonical form, links numbered.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mjml import mjml2html

from services.campaigns.domain.links import LinkTable, number_links, number_links_in_text
from services.campaigns.domain.merging import UNSUBSCRIBE_URL, Veil, bare
from services.campaigns.domain.plain_text import text_of
from services.campaigns.domain.wording import Problem, Wording
from services.kit.errors import Invalid

HTML = "html"
MJML = "mjml"
LONGEST_SUBJECT = 250
LARGEST_BODY = 1_000_000
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|\d{3}))?")
_BODY = re.compile(r"<body\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", re.IGNORECASE)
_ACTIVE = re.compile(
    r"<(script|iframe|object|embed|applet|base)\b|<[^>]*\son[a-z]+\s*=|(?:href|src|action)\s*=\s*[\"']?\s*javascript:",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Message:
    """Content in one language, as written. ``locale`` is BCP 47, ``text`` empty: derived from the body."""

    locale: str
    subject: str
    body: str
    format: str = HTML
    text: str = ""
    preheader: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Content in one language, as senders compile it."""

    locale: str
    subject: str
    html: str
    text: str
    preheader: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """Every language's content, the merge fields used, the links with their offers, and what is wrong."""

    contents: tuple[Content, ...]
    fields: tuple[str, ...]
    links: tuple[str, ...]
    link_offers: tuple[str, ...]
    problems: tuple[Problem, ...]
    without_unsubscribe: tuple[str, ...]  # places (`messages.fr.body`) that lack the link


def message(locale: str, subject: str, body: str, format: str = HTML, text: str = "", preheader: str = "") -> Message:
    """A message as written, tidied. Raises Invalid for what could not even be kept."""
    place = f"messages.{locale}"
    if not _LOCALE.fullmatch(locale):
        raise Invalid(
            "Write the language of a message as fr, en or fr-BE.",
            field="messages.locale",
            message_fr="Écrivez la langue d’un message ainsi : fr, en ou fr-BE.",
        )
    if (format or HTML) not in (HTML, MJML):
        raise Invalid(
            "The format of a message is html or mjml.",
            field=f"{place}.format",
            message_fr="Le format d’un message est html ou mjml.",
        )
    if len(subject) > LONGEST_SUBJECT:
        raise Invalid(
            f"A subject has at most {LONGEST_SUBJECT} characters.",
            field=f"{place}.subject",
            message_fr=f"Un objet a au plus {LONGEST_SUBJECT} caractères.",
        )
    for field, line in (("subject", subject), ("preheader", preheader)):
        if "\r" in line or "\n" in line:
            raise Invalid(
                "This is a single line: take the line breaks out.",
                field=f"{place}.{field}",
                message_fr="Ceci tient sur une ligne : enlevez les retours à la ligne.",
            )
    if len(body) > LARGEST_BODY or len(text) > LARGEST_BODY:
        raise Invalid(
            f"A message has at most {LARGEST_BODY} characters.",
            field=f"{place}.body",
            message_fr=f"Un message a au plus {LARGEST_BODY} caractères.",
        )
    tidy = [unicodedata.normalize("NFC", part) for part in (subject.strip(), body, text, preheader.strip())]
    return Message(locale, tidy[0], tidy[1], format or HTML, tidy[2], tidy[3])


def compile_messages(messages: Sequence[Message], fallback_locale: str, table: LinkTable) -> Compiled:
    """Every message compiled, the fallback language first; ``table`` gets the links that are new."""
    ordered = sorted(messages, key=lambda written: written.locale != fallback_locale)
    fields: dict[str, None] = {}
    problems: list[Problem] = []
    lacking: list[str] = []
    contents = [_compile(written, table, fields, problems, lacking) for written in ordered]
    return Compiled(
        tuple(contents),
        tuple(fields),
        tuple(table.urls),
        tuple(table.offers),
        tuple(problems),
        tuple(lacking),
    )


def _compile(
    written: Message, table: LinkTable, fields: dict[str, None], problems: list[Problem], lacking: list[str]
) -> Content:
    place = f"messages.{written.locale}"
    veil = Veil()
    subject = veil.veil(written.subject, f"{place}.subject")
    preheader = veil.veil(written.preheader, f"{place}.preheader")
    body = veil.veil(written.body, f"{place}.body", markup=True)
    markup = _document(body, written, bare(subject), veil.problems)
    markup = number_links(markup, table, veil, f"{place}.body")
    text = veil.veil(written.text, f"{place}.text").replace("\r\n", "\n").strip()
    number_links_in_text(text, table, veil, f"{place}.text")
    problems += veil.problems
    problems += _lacks(written, markup, place)
    for part, name in ((markup, "body"), (text, "text")):
        if part and all(expression.name != UNSUBSCRIBE_URL for expression in veil.in_text(part)):
            lacking.append(f"{place}.{name}")
    for part in (subject, preheader, markup, text):
        fields.update((found.name, None) for found in veil.in_text(part) if found.is_field)
    return Content(written.locale, veil.unveil(subject), veil.unveil(markup), veil.unveil(text), veil.unveil(preheader))


def _document(body: str, written: Message, title: str, problems: list[Problem]) -> str:
    """A whole HTML document; empty where nothing is written."""
    if not body.strip():
        return ""
    if written.format == MJML:
        try:
            return str(mjml2html(body))
        except ValueError as error:
            problems.append(_broken_mjml(str(error), f"messages.{written.locale}.body"))
            return ""
    if _BODY.search(body):
        return body
    head = f'<head><meta charset="utf-8"><title>{html.escape(title.strip(), quote=False)}</title></head>'
    return f'<!doctype html><html lang="{written.locale}">{head}<body>{body}</body></html>'


def _lacks(written: Message, markup: str, place: str) -> list[Problem]:
    found: list[Problem] = []
    if not written.subject.strip():
        found.append(
            Problem(
                "no-content",
                f"{place}.subject",
                Wording("The message has no subject: write one.", "Le message n’a pas d’objet : écrivez-en un."),
            )
        )
    if not written.body.strip() or (markup and not text_of(markup) and "<img" not in markup.lower()):
        found.append(
            Problem(
                "no-content",
                f"{place}.body",
                Wording("The message says nothing: write its body.", "Le message est vide : écrivez son contenu."),
            )
        )
    if _ACTIVE.search(written.body):
        found.append(
            Problem(
                "active-content",
                f"{place}.body",
                Wording(
                    "It holds a script, a frame or an event attribute: mail readers drop them; take them out.",
                    "Un script, un cadre ou un attribut d’événement figure ici, que les messageries retirent : "
                    "enlevez-les.",
                ),
            )
        )
    return found


def _broken_mjml(said: str, place: str) -> Problem:
    return Problem(
        "broken-mjml",
        place,
        Wording(f"The MJML cannot be read: {said}. Correct it.", f"Le MJML est illisible ({said}) : corrigez-le."),
    )
