"""DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed, RSA or Ed25519.

Our own messages have bodies that relaxed canonicalisation leaves as they are (``encoding`` sees to that), so that the
body is hashed as it is. Any other body goes through ``canonical_body`` first.
"""

from __future__ import annotations

import base64
import hashlib
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from services.kit.errors import Invalid

# Both List-Unsubscribe headers must be covered (RFC 8058 §4); From twice, so that none can be added.
SIGNED_HEADERS = (
    b"from",
    b"from",
    b"reply-to",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
_SMALLEST_RSA = 1_024
_RUNS_OF_SPACE = re.compile(rb"[ \t]+")
_SPACE_AT_END = re.compile(rb"[ \t]+(?=\r\n)")


class DkimKeyUnusable(Invalid):
    reason = "dkim-key-unusable"


class DkimSigner:
    """Signs for a domain with the key published under ``<selector>._domainkey.<domain>``."""

    def __init__(self, domain: str, selector: str, private_key: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(private_key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise DkimKeyUnusable(
                "The DKIM key is not a private key in PEM without a password.", field="dkim_private_key"
            ) from error
        if isinstance(key, RSAPrivateKey) and key.key_size >= _SMALLEST_RSA:
            algorithm = b"rsa-sha256"
        elif isinstance(key, Ed25519PrivateKey):
            algorithm = b"ed25519-sha256"
        else:
            raise DkimKeyUnusable("A DKIM key is RSA of at least 1,024 bits, or Ed25519.", field="dkim_private_key")
        self._key = key
        self._start = b"v=1; a=%s; c=relaxed/relaxed; d=%s; s=%s;\r\n t=" % (
            algorithm,
            domain.encode("idna"),
            selector.encode("ascii"),
        )

    def header(self, headers: bytes, body: bytes, at: int) -> bytes:
        """The DKIM-Signature header of a message: its header lines, and its body as relaxed canonicalisation leaves it.

        ``at`` is UTC milliseconds.
        """
        canonical = _canonical_headers(headers)
        covered = [name for name in SIGNED_HEADERS if name in canonical]
        body_hash = base64.b64encode(hashlib.sha256(body).digest())
        value = b"%s%d; h=%s;\r\n bh=%s;\r\n b=" % (self._start, at // 1_000, b":".join(covered), body_hash)
        signing = b"".join([canonical[name] for name in dict.fromkeys(covered)])
        signing += b"dkim-signature:" + _RUNS_OF_SPACE.sub(b" ", value.replace(b"\r\n", b"")).strip()
        signature = base64.b64encode(self._sign(signing))
        folded = b"\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))
        return b"DKIM-Signature: " + value + folded + b"\r\n"

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(hashlib.sha256(content).digest())  # RFC 8463 §3
        return self._key.sign(content, PKCS1v15(), hashes.SHA256())


def _canonical_headers(headers: bytes) -> dict[bytes, bytes]:
    """Each header by its lower-case name, as relaxed canonicalisation writes it (RFC 6376 §3.4.2)."""
    unfolded = headers.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    canonical = {}
    for line in unfolded.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            key = name.strip().lower()
            canonical[key] = key + b":" + _RUNS_OF_SPACE.sub(b" ", value).strip() + b"\r\n"
    return canonical


def canonical_body(body: bytes) -> bytes:
    """Relaxed canonicalisation of a body (RFC 6376 §3.4.4)."""
    reduced = _SPACE_AT_END.sub(b"", _RUNS_OF_SPACE.sub(b" ", body))
    stripped = reduced.rstrip(b"\r\n")
    return stripped + b"\r\n" if stripped else b""
