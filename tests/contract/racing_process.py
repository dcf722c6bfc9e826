"""A process that changes the same documents as others do, by replacing and by patching them, and takes keys away.

``python -m tests.contract.racing_process <address> <rounds>``; prints how many changes of each document,
and which keys, were acknowledged.
"""

from __future__ import annotations

import json
import sys
from collections import Counter as Tally

from services.kit.store.opening import open_store
from services.kit.store.port import Patch
from tests.contract.store_documents import CLASSES, Counter, Key
from tests.contract.store_engines import IN_CLUB

RACED = tuple(f"ctr_{at}" for at in range(12))
KEYS = 60


def main(address: str, rounds: int) -> None:
    store = open_store(address, CLASSES)
    counters, keys = store.collection(Counter), store.collection(Key)
    replaced: Tally[str] = Tally()
    guarded: Tally[str] = Tally()
    for at in range(rounds):
        read = counters.get(IN_CLUB, RACED)
        for document in read.values():
            document["name"] = str(int(document["name"]) + 1)
        replaced.update(counters.replace(IN_CLUB, list(read.values())))
        once = [Patch(an_id, inc={"seen.score": 1}, sequence=("seen.last_open", at)) for an_id in RACED]
        guarded.update(counters.patch(IN_CLUB, once))
    taken = [an_id for at in range(KEYS) for an_id in keys.delete(IN_CLUB, [f"key_{at}"])]
    print(json.dumps({"replaced": replaced, "guarded": guarded, "taken": taken}), flush=True)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
