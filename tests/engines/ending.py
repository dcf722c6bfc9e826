"""How the servers that tests start end with them, even when the tests are killed."""

from __future__ import annotations

import ctypes
import signal
import sys


def end_with_parent() -> None:
    """For ``preexec_fn``: ask the kernel to end this process with its parent, where it can (Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
