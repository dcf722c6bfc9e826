"""Answers by ``request_id``: a call made again within seven days is answered, not done again.

An id is one agency's and one method's. The claim is written before the work and the answer after it; work that failed
frees its id. A claim without an answer whose worker must be gone (a minute) may be taken over.

Answers may hold personal data, and erasure does not look here: an answer is encrypted under a key that only the same
request, with its id, can make again. Nothing that is stored opens it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.kit.clock import DAY, HOUR, MINUTE, Clock
from services.kit.errors import Conflict
from services.kit.scope import Scope, everywhere
from services.kit.store.port import Collection, Document
from services.kit.store.rule import Range

KEPT = 7 * DAY
TAKEN_OVER_AFTER = MINUTE


class RequestIdReused(Conflict):
    reason = "request-id-reused"


class RequestUnderWay(Conflict):
    reason = "request-under-way"


class _Seal:
    """What one request, with its id, can open: AES-256-GCM."""

    def __init__(self, request_id: str, payload: bytes) -> None:
        secret = hashlib.blake2b(request_id.encode(), digest_size=32).digest()
        self.digest = hashlib.blake2b(payload, key=secret, digest_size=20, person=b"digest").hexdigest()
        self._cipher = AESGCM(hashlib.blake2b(payload, key=secret, digest_size=32, person=b"answer").digest())

    def close(self, answer: bytes) -> str:
        nonce = os.urandom(12)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, answer, None)).decode()

    def open(self, closed: str) -> bytes:
        raw = base64.b64decode(closed)
        return self._cipher.decrypt(raw[:12], raw[12:], None)


class AnsweredRequests:
    """The memory of one service, in its own store."""

    name = "forget-answers"

    def __init__(self, collection: Collection, clock: Clock) -> None:
        self._collection = collection
        self._clock = clock

    def answer(self, scope: Scope, method: str, request_id: str, payload: bytes, do: Callable[[], bytes]) -> bytes:
        """The answer given before, or that of ``do``. Raises RequestIdReused for the same id with another payload."""
        now = self._clock.now()
        scope = Scope(scope.agency, None, scope.actor)
        key = hashlib.blake2b(f"{scope.agency}\0{method}\0{request_id}".encode(), digest_size=20).hexdigest()
        seal = _Seal(request_id, payload)
        claim: Document = {
            "_id": f"req_{key}",
            "agency": scope.agency,
            "community": None,
            "version": 1,
            "schema_version": 1,
            "payload": seal.digest,
            "answer": None,
            "at": now,
        }
        if not self._collection.insert(scope, [claim]):
            known = self._collection.get(scope, [claim["_id"]]).get(claim["_id"])
            if known is not None:
                if known["payload"] != seal.digest:
                    raise RequestIdReused(
                        "This request_id was used for another request: use a new one.", field="request_id"
                    )
                if known["answer"] is not None:
                    return seal.open(known["answer"])
                if now - known["at"] < TAKEN_OVER_AFTER:
                    raise RequestUnderWay("This request is being worked on: ask again in a moment.", field="request_id")
                claim = {**known, "at": now}
                if not self._collection.replace(scope, [claim]):
                    raise RequestUnderWay("This request is being worked on: ask again in a moment.", field="request_id")
        try:
            answer = do()
        except Exception:
            self._collection.delete(scope, [claim["_id"]])
            raise
        self._collection.replace(scope, [{**claim, "answer": seal.close(answer)}])
        return answer

    def run(self, stop: threading.Event) -> None:
        """Forget what is older than seven days, hourly."""
        scope = everywhere("service:kit")
        while not stop.wait(HOUR / 1_000):
            old = Range("at", lt=self._clock.now() - KEPT)
            while page := self._collection.find(scope, old, limit=200, fields=()).documents:
                self._collection.delete(scope, [document["_id"] for document in page])
