"""How the values of a document stand in the columns of SQLite, so that comparing them there is comparing them here.

Numbers and text stand as they are; SQLite never holds one equal to the other, and sorts null, numbers, text, blobs.
What JSON knows besides becomes a blob, which equals neither: booleans, and what is no scalar. In side tables, whose
key knows no null, the empty blob stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from services.kit.errors import Invalid

FALSE = b"\x00"
TRUE = b"\x01"
OTHER = b"\x02"  # a document or a list: something, equal to no scalar
NOTHING = b""

PLAIN = frozenset((str, int, float))  # classes that stand as they are


def dumped(document: Mapping[str, Any]) -> str:
    """A document or a value as JSON text. Raises Invalid for what is no JSON value, and for U+0000 in text."""
    try:
        text = orjson.dumps(document)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise Invalid(f"A document holds JSON values alone: {error}.", field="document") from error
    if b"\\" in text and b"\\u0000" in text and _has_nul(document):  # one byte is looked for much faster
        raise Invalid("Text cannot hold the character U+0000: take it out.", field="document")
    return text.decode()


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(_has_nul(key) or _has_nul(each) for key, each in value.items())
    return isinstance(value, (list, tuple)) and any(_has_nul(each) for each in value)


def column_value(value: Any, path: str) -> Any:
    """A scalar as it stands in its column. Raises Invalid naming the path for what is no scalar."""
    if value.__class__ in PLAIN or value is None:
        return value
    if isinstance(value, bool):
        return TRUE if value else FALSE
    raise Invalid(f"{path} is declared as one value, and holds {type(value).__name__}.", field=path)


def side_value(value: Any) -> Any:
    """Any value as it stands in a side table."""
    if value.__class__ in PLAIN:
        return value
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return TRUE if value else FALSE
    return OTHER


def json_value(stored: Any) -> Any:
    """What a column holds, as the scalar it stands for."""
    return stored == TRUE if isinstance(stored, bytes) else stored


def found_at(document: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path through documents; None where there is nothing."""
    for part in path:
        if document.__class__ is not dict:
            return None
        document = document.get(part)
    return document


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows in the order of the tree they go into: neighbours are written together."""
    try:
        rows.sort()
    except TypeError:  # values of several types
        rows.sort(key=lambda row: [(_rank(value), value) for value in row])
    return rows


def _rank(value: Any) -> int:
    if isinstance(value, (int, float)):
        return 0
    return 1 if isinstance(value, str) else 2
