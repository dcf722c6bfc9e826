"""Words as they are compared: without case, accents or punctuation."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_NOT_WORD = re.compile(r"[^0-9a-z]+")
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ß": "ss"})


@lru_cache(maxsize=65_536)
def fold(text: str) -> str:
    """``Né(e) le`` and ``NE E LE`` are ``ne e le``."""
    text = text.casefold()
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.translate(_LIGATURES))
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
        if not text.isascii():  # other alphabets are compared as they are
            return " ".join("".join(char if char.isalnum() else " " for char in text).split())
    return _NOT_WORD.sub(" ", text).strip()


def nfc(text: str) -> str:
    """Text as it enters: trimmed, composed, without control characters but line breaks."""
    text = text.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("\u200b", "").replace("\ufeff", "").strip("\u00a0 ")
    if not text.isprintable():
        text = "".join(char for char in text.replace("\r\n", "\n") if char.isprintable() or char == "\n")
    return text
