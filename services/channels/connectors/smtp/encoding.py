"""Putting text on the wire: quoted-printable bodies that can be encoded in parts, and header values (RFC 2045, 2047).

What comes out is already what relaxed canonicalisation of DKIM would make of it, and no line of it begins with a dot:
neither signing nor dot-stuffing has anything left to change.
"""

from __future__ import annotations

import base64
import re
from binascii import b2a_qp

from services.kit.errors import Invalid

LINE = 76
SOFT_BREAK = b"=\r\n"
_WORD_BYTES = 39  # of UTF-8 in one encoded word: 52 characters of base64, 64 with its frame
_UNFIT_FOR_ADDRESS = re.compile(r"[\x00-\x20<>\x7f]")
_PLAIN_HEADER = re.compile(r"[ -~]*")


class HeaderUnsafe(Invalid):
    """A header value that would start another header."""

    reason = "header-unsafe"


def quoted_printable(raw: bytes) -> bytes:
    """Text encoded to stand on lines of its own, without a line break at its end. Line breaks must be CRLF."""
    return b"\r\n".join(_encode_line(line) for line in raw.split(b"\r\n"))


def _encode_line(line: bytes) -> bytes:
    lines: list[bytes] = []
    current: list[bytes] = []
    width = 0
    last = len(line) - 1
    for index, octet in enumerate(line):
        if 33 <= octet <= 126 and octet != 61:
            piece = b"=2E" if octet == 46 and width == 0 else line[index : index + 1]
        elif octet == 32 and width > 0 and current[-1] != b" " and index != last:
            piece = b" "
        else:
            piece = b"=%02X" % octet
        if width + len(piece) > LINE - 1:
            lines.append(b"".join(current))
            current, width = [], 0
            if piece == b".":
                piece = b"=2E"
            elif piece == b" ":
                piece = b"=20"
        current.append(piece)
        width += len(piece)
    lines.append(b"".join(current))
    return SOFT_BREAK.join(lines)


def quoted_value(raw: bytes) -> bytes:
    """One member's value encoded to stand alone between two soft breaks; the quick way for nearly all of them."""
    encoded = b2a_qp(raw, False, False, False)
    if len(encoded) < LINE and b"  " not in encoded and b"\t" not in encoded and encoded[:1] not in (b".", b" "):
        return encoded
    return quoted_printable(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def header_text(text: str) -> bytes:
    """An unstructured value (a subject), folded, in encoded words where it is not plain. Line breaks become spaces."""
    text = " ".join(text.split())
    raw = text.encode("utf-8", "replace")
    if raw.isascii() and text.isprintable() and "=?" not in text:
        return raw if len(raw) <= LINE - 16 else _folded(raw)
    if len(raw) <= _WORD_BYTES:
        return _encoded_word(raw)
    words = []
    chunk = bytearray()
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(chunk) + len(encoded) > _WORD_BYTES:
            words.append(_encoded_word(chunk))
            chunk.clear()
        chunk += encoded
    words.append(_encoded_word(chunk))
    return b"\r\n ".join(words)


def mailbox(name: str, address: str) -> bytes:
    """``"Name" <address>`` for From and Reply-To. Raises HeaderUnsafe."""
    refuse_line_breaks(name, "name")
    safe = checked_address(address)
    if not name.strip():
        return safe
    if _PLAIN_HEADER.fullmatch(name) and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")
        return b'"' + quoted + b'"\r\n <' + safe + b">"
    return header_text(name) + b"\r\n <" + safe + b">"


def checked_address(address: str) -> bytes:
    """An address for a header or an envelope. Raises HeaderUnsafe for one that could end either."""
    if _UNFIT_FOR_ADDRESS.search(address) or "@" not in address:
        raise HeaderUnsafe("An address holds no spaces, line breaks or angle brackets: correct it.", field="address")
    try:
        return address.encode("ascii")
    except UnicodeEncodeError:
        local, _, domain = address.rpartition("@")
        return local.encode() + b"@" + domain.encode("idna")


def refuse_line_breaks(value: str, field: str) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise HeaderUnsafe("A header value is one line: remove the line breaks.", field=field)
    return value


def _encoded_word(chunk: bytes | bytearray) -> bytes:
    return b"=?utf-8?b?" + base64.b64encode(chunk) + b"?="


def _folded(raw: bytes) -> bytes:
    lines: list[bytes] = []
    line = b""
    for word in raw.split(b" "):
        if line and len(line) + 1 + len(word) > LINE - 16:
            lines.append(line)
            line = word
        else:
            line = line + b" " + word if line else word
    lines.append(line)
    return b"\r\n ".join(lines)
