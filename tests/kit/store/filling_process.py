"""A process whose files may not grow beyond a limit, as on a full disk: it writes until refused, then with room again.

``python -m tests.kit.store.filling_process <file>``; prints the refusal, and how many documents were acknowledged.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from services.kit.errors import Unavailable
from services.kit.store.opening import open_store
from tests.contract.store_documents import CLASSES, Fan, fan
from tests.contract.store_engines import IN_CLUB

_LIMIT = 3_000_000


def main(path: Path) -> None:
    store = open_store(path, CLASSES)
    fans = store.collection(Fan)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, hard))
    kept: set[str] = set()
    refusals = 0
    for at in range(1_000):
        try:
            kept |= fans.insert(
                IN_CLUB, [fan(f"fan_{at}_{each}", nickname="x" * 2_000, tags=["a"]) for each in range(10)]
            )
        except Unavailable as error:
            print(error.message)
            refusals += 1
            if refusals == 3:
                break
    assert kept, "nothing was written"
    assert set(fans.get(IN_CLUB, sorted(kept))) == kept, "what was acknowledged can be read on the full disk"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    kept |= fans.insert(IN_CLUB, [fan(f"fan_after_{each}", tags=["a"]) for each in range(10)])
    store.close()
    print(len(kept))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
