"""A rule is one small typed tree, used by repositories and segments alike.

Every engine agrees with ``matches``, the reference in plain Python: missing is null; ``Not`` includes what is
missing; types never compare with each other (1 is not "1", and a number is not a boolean); a path that meets a
list matches if any element does; nulls sort first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Equals:
    """The value at ``path`` (dotted) is ``value``; ``None`` means absent or null."""

    path: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """The value at ``path`` is one of ``values``."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The value at ``path`` lies within the given bounds, all of one type with it (numbers, or text)."""

    path: str
    gt: Scalar = None
    gte: Scalar = None
    lt: Scalar = None
    lte: Scalar = None


@dataclass(frozen=True, slots=True)
class Exists:
    """There is something but null at ``path``; an empty list is nothing."""

    path: str


@dataclass(frozen=True, slots=True)
class Contains:
    """Some element of the list of documents at ``path`` matches ``rule`` (its paths start at the element)."""

    path: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class And:
    rules: tuple[Rule, ...]  # empty: everything


@dataclass(frozen=True, slots=True)
class Or:
    rules: tuple[Rule, ...]  # empty: nothing


@dataclass(frozen=True, slots=True)
class Not:
    rule: Rule


Rule = Equals | In | Range | Exists | Contains | And | Or | Not

EVERYTHING = And(())
NOTHING = Or(())


def all_of(*rules: Rule) -> Rule:
    return rules[0] if len(rules) == 1 else And(rules)


def any_of(*rules: Rule) -> Rule:
    return rules[0] if len(rules) == 1 else Or(rules)


def values_at(document: Any, path: str) -> list[Any]:
    """Every value that ``path`` reaches, lists taken apart; empty where there is none."""
    found: list[Any] = [document]
    for part in path.split("."):
        found = [item[part] for item in _flat(found) if isinstance(item, Mapping) and part in item]
    return [item for item in _flat(found) if item is not None]


def _flat(items: list[Any]) -> list[Any]:
    return [leaf for item in items for leaf in (item if isinstance(item, list) else (item,))]


def matches(rule: Rule, document: Mapping[str, Any]) -> bool:
    """Whether the document matches: the reference that every engine is tested against."""
    match rule:
        case Equals(path, None):
            return not values_at(document, path)
        case Equals(path, value):
            return any(_same(found, value) for found in values_at(document, path))
        case In(path, values):
            return any(matches(Equals(path, value), document) for value in values)
        case Range(path):
            return any(_within(found, rule) for found in values_at(document, path))
        case Exists(path):
            return bool(values_at(document, path))
        case Contains(path, inner):
            elements = [e for e in values_at(document, path) if isinstance(e, Mapping)]
            return any(matches(inner, element) for element in elements)
        case And(rules):
            return all(matches(each, document) for each in rules)
        case Or(rules):
            return any(matches(each, document) for each in rules)
        case Not(inner):
            return not matches(inner, document)


def _family(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _same(found: Any, value: Any) -> bool:
    return _family(found) == _family(value) and bool(found == value)


def _within(found: Any, bounds: Range) -> bool:
    limits = [limit for limit in (bounds.gt, bounds.gte, bounds.lt, bounds.lte) if limit is not None]
    if not limits or any(_family(limit) != _family(found) for limit in limits):
        return False
    return (
        (bounds.gt is None or found > bounds.gt)
        and (bounds.gte is None or found >= bounds.gte)
        and (bounds.lt is None or found < bounds.lt)
        and (bounds.lte is None or found <= bounds.lte)
    )
