"""One comparison of a rule as SQL, over a column and over a value inside JSON. Each is true, or it is false or null.

Types never compare with each other: a column holds numbers below text below blobs, and what JSON yields tells its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from services.kit.store.encoding import FALSE, NOTHING, TRUE
from services.kit.store.rule import Equals, Exists, In, Range, Scalar

Leaf = Equals | In | Range | Exists
_FEW = 16


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and what its question marks stand for, in order."""

    text: str
    params: tuple[Any, ...] = ()


NEVER = Sql("0")
ALWAYS = Sql("1")


def joined(word: str, parts: list[Sql]) -> Sql:
    if len(parts) == 1:
        return parts[0]
    text = word.join(f"({part.text})" for part in parts)
    return Sql(text, tuple(param for part in parts for param in part.params))


def asks_for_nothing(leaf: Leaf) -> bool:
    """Whether null and missing match."""
    return (isinstance(leaf, Equals) and leaf.value is None) or (isinstance(leaf, In) and None in leaf.values)


def without_nothing(leaf: Leaf) -> Leaf:
    """The same, but for null."""
    if isinstance(leaf, Equals) and leaf.value is None:
        return In(leaf.path, ())
    if isinstance(leaf, In):
        return In(leaf.path, tuple(value for value in leaf.values if value is not None))
    return leaf


def on_column(leaf: Leaf, column: str, *, in_side: bool = False) -> Sql:
    """Over an indexed column. In a side table null is never met, and never asked for."""
    match leaf:
        case Equals(_, None):
            return Sql(f"{column} IS NULL")
        case Equals(_, value):
            return Sql(f"{column} = ?", (_stored(value),))
        case In(_, values):
            parts = [Sql(f"{column} IS NULL")] if None in values else []
            known = [_stored(value) for value in values if value is not None]
            if known:
                parts.append(_among(column, known))
            return joined(" OR ", parts) if parts else NEVER
        case Exists():
            return Sql(f"{column} <> ?", (NOTHING,)) if in_side else Sql(f"{column} IS NOT NULL")
        case Range():
            return _column_range(leaf, column)


def _stored(value: Scalar) -> Any:
    return (TRUE if value else FALSE) if isinstance(value, bool) else value


def _among(expression: str, values: list[Any]) -> Sql:
    """One of the values. Many travel as one JSON text, so that the statement stays the same."""
    listable = [value for value in values if isinstance(value, (str, int))]
    if len(listable) <= _FEW:
        return Sql(f"{expression} IN ({', '.join('?' * len(values))})", tuple(values))
    parts = [Sql(f"{expression} IN (SELECT value FROM json_each(?))", (orjson.dumps(listable).decode(),))]
    rest = [value for value in values if not isinstance(value, (str, int))]
    if rest:
        parts.append(Sql(f"{expression} IN ({', '.join('?' * len(rest))})", tuple(rest)))
    return joined(" OR ", parts)


def _family(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _bounds(leaf: Range) -> tuple[str, list[tuple[str, Scalar]]]:
    """The family of the bounds and the bounds; no bounds where nothing can lie within."""
    bounds: list[tuple[str, Scalar]] = [(">", leaf.gt), (">=", leaf.gte), ("<", leaf.lt), ("<=", leaf.lte)]
    stated = [(sign, limit) for sign, limit in bounds if limit is not None]
    families = {_family(limit) for _, limit in stated}
    if len(families) != 1:
        return "", []
    return families.pop(), [*stated]


_LOWEST = {"number": "", "text": " >= ''", "boolean": " >= x'00'"}  # null compares with nothing: numbers need no floor
_HIGHEST = {"number": " < ''", "text": " < x''", "boolean": " <= x'01'"}


def _column_range(leaf: Range, column: str) -> Sql:
    family, bounds = _bounds(leaf)
    if not bounds:
        return NEVER
    text = [f"{column} {sign} ?" for sign, _ in bounds]
    if leaf.gt is None and leaf.gte is None and _LOWEST[family]:
        text.append(column + _LOWEST[family])
    if leaf.lt is None and leaf.lte is None:
        text.append(column + _HIGHEST[family])
    return Sql(" AND ".join(text), tuple(_stored(limit) for _, limit in bounds))


def on_json(leaf: Leaf, kind: str, value: str) -> Sql:
    """Over a value inside JSON, given as the SQL of its type and of itself. Null is never asked for."""
    match leaf:
        case Equals(_, wanted):
            return _json_among([wanted], kind, value)
        case In(_, values):
            return _json_among(list(values), kind, value)
        case Exists():
            return Sql(f"{kind} <> 'null'")
        case Range():
            family, bounds = _bounds(leaf)
            if not bounds:
                return NEVER
            text = " AND ".join([f"{kind} IN {_KINDS[family]}", *(f"{value} {sign} ?" for sign, _ in bounds)])
            return Sql(text, tuple(int(limit) if isinstance(limit, bool) else limit for _, limit in bounds))


_KINDS = {"number": "('integer', 'real')", "text": "('text')", "boolean": "('true', 'false')"}


def _json_among(values: list[Scalar], kind: str, value: str) -> Sql:
    parts: list[Sql] = []
    for family in ("number", "text"):
        members = [each for each in values if each is not None and _family(each) == family]
        if members:
            among = _among(value, members) if len(members) > 1 else Sql(f"{value} = ?", (members[0],))
            parts.append(Sql(f"{kind} IN {_KINDS[family]} AND ({among.text})", among.params))
    parts += [Sql(f"{kind} = ?", (str(each).lower(),)) for each in values if isinstance(each, bool)]
    return joined(" OR ", parts) if parts else NEVER
