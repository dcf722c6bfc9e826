"""Cursors: the place of the last document of a page, with a mark of the collection, the rule and the order."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import orjson

from services.kit.errors import Invalid
from services.kit.store.port import Order


def mark_of(collection: str, order: Order, rule: str) -> str:
    """What tells one question from another; ``rule`` is its text."""
    text = f"{collection} {order!r} {rule}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def cursor_at(mark: str, value: Any, an_id: str) -> str:
    """The cursor behind the document of this id, which has this value where the order looks."""
    return base64.urlsafe_b64encode(orjson.dumps([mark, value, an_id])).decode().rstrip("=")


def place_at(cursor: str, mark: str) -> tuple[Any, str]:
    """The value and the id behind which to begin. Raises Invalid for a cursor of another question."""
    try:
        found, value, an_id = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=="))
    except (ValueError, binascii.Error, TypeError) as error:
        raise Invalid("This is no cursor: begin with the first page.", field="after") from error
    if found != mark:
        raise Invalid("This cursor belongs to another rule or order: begin with the first page.", field="after")
    return value, an_id
