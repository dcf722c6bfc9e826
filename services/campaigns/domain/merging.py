"""Merge fields: what stands between double braces, and is filled in for each member.

``{{ given_name }}``, ``{{ given_name | fallback("friend") }}``, and the two addresses that every message may show:
``{{ unsubscribe_url }}``, ``{{ preferences_url }}``. While a text is worked on its expressions are *veiled*: each
stands as a short word that no HTML tool touches; unveiling writes them in one canonical way.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field

from services.campaigns.domain.wording import Problem, Wording

UNSUBSCRIBE_URL = "unsubscribe_url"
PREFERENCES_URL = "preferences_url"
ADDRESSES = frozenset({UNSUBSCRIBE_URL, PREFERENCES_URL})

_OPEN, _CLOSE = "qzveil", "zq"
_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_EXPRESSION = re.compile(
    r"""\s*([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)\s*
        (?:\|\s*fallback\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\)\s*)?""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Expression:
    """A merge field with its fallback (None: empty where the member has no value), or an address."""

    name: str
    fallback: str | None = None

    @property
    def is_field(self) -> bool:
        return self.name not in ADDRESSES

    def __str__(self) -> str:
        if self.fallback is None:
            return f"{{{{ {self.name} }}}}"
        return f"{{{{ {self.name} | fallback({json.dumps(self.fallback, ensure_ascii=False)}) }}}}"


@dataclass(slots=True)
class Veil:
    """The expressions of one message, numbered in the order they were met, and what was wrong with others."""

    expressions: list[Expression] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, expression: Expression) -> str:
        """The mark that stands for the expression."""
        self.expressions.append(expression)
        return f"{_OPEN}{len(self.expressions) - 1}{_CLOSE}"

    def veil(self, text: str, place: str, *, markup: bool = False) -> str:
        """The text with marks for its expressions; what is broken stays, and is a problem of ``place``."""
        text = MARK.sub("", text)

        def mark(found: re.Match[str]) -> str:
            inner = html.unescape(found[1]).replace("\xa0", " ") if markup else found[1]
            parsed = _EXPRESSION.fullmatch(inner)
            if parsed is None:
                self._broken(found[0], place)
                return ""
            return self.add(Expression(parsed[1], None if parsed[2] is None else _unquoted(parsed[2])))

        veiled = _BRACES.sub(mark, text)
        for leftover in ("{{", "{%"):
            at = veiled.find(leftover)
            if at >= 0:
                self._broken(veiled[at : at + 30].split("\n")[0], place)
        return veiled

    def unveil(self, text: str) -> str:
        return MARK.sub(lambda mark: str(self.expressions[int(mark[1])]), text)

    def in_text(self, text: str) -> list[Expression]:
        """The expressions whose marks stand in the text, in their order there."""
        return [self.expressions[int(mark[1])] for mark in MARK.finditer(text)]

    def _broken(self, what: str, place: str) -> None:
        shown = what if len(what) <= 60 else what[:57] + "…"
        self.problems.append(
            Problem(
                "broken-merge-syntax",
                place,
                Wording(
                    f'“{shown}” cannot be read: write a merge field as {{{{ given_name | fallback("friend") }}}}.',
                    f"« {shown} » est illisible : écrivez un champ de fusion ainsi : "
                    '{{ given_name | fallback("cher membre") }}.',
                ),
            )
        )


def bare(text: str) -> str:
    """The text without any mark."""
    return MARK.sub("", text)


def _unquoted(quoted: str) -> str:
    return _ESCAPED.sub(r"\1", quoted[1:-1])
