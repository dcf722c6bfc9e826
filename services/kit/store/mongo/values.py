"""How a document stands in MongoDB: as it is, but for what a filter could not tell apart there.

A list right within a list would be searched like a document; it becomes a document under a name of its own. Names that
begin with ``$``, hold ``.`` or are empty mean something else in a filter; they are written with ``%``, as in a URL. A
document in which this was done says so, and is read back as it was given.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from services.kit.errors import Invalid
from services.kit.store.encoding import dumped
from services.kit.store.port import Document

ESCAPED = "%escaped"  # the mark of such documents
INNER_LIST = "%list"
_LARGEST = 16 * 1024 * 1024
_EMPTY = "%empty"
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_ODD = re.compile(r'\[\[|,\[|"[^".%]*+[.%][^"]*":|"\$|"":|[0-9]{19}')  # in JSON text; what it finds may be plain text


def stored(value: Any) -> tuple[Any, bool]:
    """A plain copy of a document or a value as MongoDB takes it, and whether anything in it was written otherwise.

    Raises Invalid for what is no JSON value, for whole numbers beyond 64 bits, and for what is surely too large.
    """
    text = dumped(value)
    if len(text) > _LARGEST:
        raise too_large()
    plain = orjson.loads(text)
    if not _ODD.search(text):
        return plain, False
    escaped = _escaped(plain)
    return escaped, bool(escaped != plain)


def too_large() -> Invalid:
    return Invalid("A document is larger than the 16 MB that MongoDB takes.", field="document")


def stored_document(document: Document) -> Document:
    kept, escaped = stored(document)
    if escaped:
        kept[ESCAPED] = True
    found: Document = kept
    return found


def loaded(document: Document) -> Document:
    """The document as it was given."""
    if document.pop(ESCAPED, False):
        given: Document = _given(document)
        return given
    return document


def stored_name(name: str) -> str:
    """One name within a document, or one part of a path."""
    if not name:
        return _EMPTY
    name = name.replace("%", "%25").replace(".", "%2e")
    return f"%24{name[1:]}" if name[0] == "$" else name


def whole(number: int) -> int:
    """Raises Invalid for a whole number beyond 64 bits."""
    if not _LEAST <= number <= _GREATEST:
        raise Invalid("A whole number does not fit in 64 bits.", field="document")
    return number


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {stored_name(name): _escaped(each) for name, each in value.items()}
    if isinstance(value, list):
        return [{INNER_LIST: _escaped(each)} if isinstance(each, list) else _escaped(each) for each in value]
    return whole(value) if value.__class__ is int else value


def _given(value: Any) -> Any:
    if isinstance(value, dict):
        return {_given_name(name): _given(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_given(each[INNER_LIST] if _is_inner_list(each) else each) for each in value]
    return value


def _is_inner_list(value: Any) -> bool:
    return isinstance(value, dict) and INNER_LIST in value


def _given_name(name: str) -> str:
    if name == _EMPTY:
        return ""
    return name.replace("%24", "$").replace("%2e", ".").replace("%25", "%")
