"""``python -m services.kit.probe live | ready``: how the process of this container is, by its ``FANFARE_HEALTH_FILE``.

Status 0: it is; 1: it is not, and why. It imports next to nothing, so that it can be asked every few seconds.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from services.kit.supervised import HEALTH_FILE, STOPPING, STUCK_AFTER

QUESTIONS = ("live", "ready")


def trouble(question: str, path: Path) -> str:
    """What speaks against it; "" where nothing does."""
    try:
        age = time.time() - path.stat().st_mtime
        away = path.read_text().splitlines()
    except FileNotFoundError:
        return "it has not started yet"
    if STOPPING not in away and age > STUCK_AFTER:
        return f"it has been stuck for {age:.0f} seconds"
    return f"waits for: {', '.join(away)}" if away and question == "ready" else ""


def main(arguments: list[str]) -> int:
    path = os.environ.get(HEALTH_FILE)
    if len(arguments) != 1 or arguments[0] not in QUESTIONS or not path:
        print(f"Say what to ask, python -m services.kit.probe {' | '.join(QUESTIONS)}, and set {HEALTH_FILE}.")
        return 2
    if reason := trouble(arguments[0], Path(path)):
        print(f"not {arguments[0]}: {reason}")
        return 1
    print(arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
