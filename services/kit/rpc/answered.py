"""Answers by ``request_id``: a call made again within seven days is answered, not done again.

An id is one agency's and one method's. The claim is written before the work and the answer after it; work that failed
frees its id. A claim without an answer whose worker must be gone (a minute) may be taken over.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable

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
        digest = hashlib.blake2b(payload, digest_size=20).hexdigest()
        claim: Document = {
            "_id": f"req_{key}",
            "agency": scope.agency,
            "community": None,
            "version": 1,
            "schema_version": 1,
            "payload": digest,
            "answer": None,
            "at": now,
        }
        if not self._collection.insert(scope, [claim]):
            known = self._collection.get(scope, [claim["_id"]]).get(claim["_id"])
            if known is not None:
                if known["payload"] != digest:
                    raise RequestIdReused(
                        "This request_id was used for another request: use a new one.", field="request_id"
                    )
                if known["answer"] is not None:
                    return base64.b64decode(known["answer"])
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
        self._collection.replace(scope, [{**claim, "answer": base64.b64encode(answer).decode()}])
        return answer

    def run(self, stop: threading.Event) -> None:
        """Forget what is older than seven days, hourly."""
        scope = everywhere("service:kit")
        while not stop.wait(HOUR / 1_000):
            old = Range("at", lt=self._clock.now() - KEPT)
            while page := self._collection.find(scope, old, limit=200, fields=()).documents:
                self._collection.delete(scope, [document["_id"] for document in page])
