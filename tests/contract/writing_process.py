"""A process that writes to a shared store and says what was acknowledged: one line for each call that returned.

``python -m tests.contract.writing_process <address> <name> <calls>``
"""

from __future__ import annotations

import sys

from services.kit.store.opening import open_store
from services.kit.store.port import Patch
from tests.contract.store_documents import CLASSES, Fan, Key, fan
from tests.contract.store_engines import IN_CLUB

BATCH = 20


def main(address: str, name: str, calls: int) -> None:
    store = open_store(address, CLASSES)
    fans, keys = store.collection(Fan), store.collection(Key)
    for at in range(calls):
        claimed = keys.insert(IN_CLUB, [fan(f"key_{at}_{each}", owner=name) for each in range(BATCH)])
        own = [fan(f"fan_{name}_{at}_{each}", tags=[name, f"call_{at}"], joined_at=at) for each in range(BATCH)]
        fans.insert(IN_CLUB, own)
        own[0]["tags"] = [name, "replaced"]
        fans.replace(IN_CLUB, [own[0]])
        fans.patch(IN_CLUB, [Patch("fan_shared", inc={"counts.calls": 1, f"counts.{name}": 1})])
        print(at, len(claimed), flush=True)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
