"""DKIM's least work (RFC 6376, rsa-sha256): hash a body, sign a hash, set one more header in front."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_HEADER = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=bench.example; s=bench;\r\n"
    b" h=from:to:subject:date:message-id:list-unsubscribe:list-unsubscribe-post;\r\n bh=%s;\r\n b=%s\r\n"
)


def signer(private_key: str) -> Callable[[bytes], bytes]:
    """Signs a message ready for the wire; headers and body are taken as they stand, with nothing made canonical."""
    key = serialization.load_pem_private_key(private_key.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)

    def sign(message: bytes) -> bytes:
        head, _, body = message.partition(b"\r\n\r\n")
        body_hash = base64.b64encode(hashlib.sha256(body).digest())
        signature = key.sign(head + body_hash, padding.PKCS1v15(), hashes.SHA256())
        return _HEADER % (body_hash, base64.b64encode(signature)) + message

    return sign
