"""Owners: who holds a lease or a claim, and whether that process is certainly gone.

A lease ends by itself; but a service that was killed and started again should not wait for its own old lease. An
owner's name says machine, process and start, so that on the same machine its death can be seen at once.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path


def new_owner(what: str) -> str:
    """A name for one holder in this process: ``<what>.<machine>.<pid>.<start>.<nonce>``."""
    return f"{what}.{_machine()}.{os.getpid()}.{_start_of(os.getpid())}.{secrets.token_hex(4)}"


def is_gone(owner: str) -> bool:
    """True only when the owner was a process of this machine and is no more; False when it may live elsewhere."""
    parts = owner.rsplit(".", 4)
    if len(parts) != 5 or parts[1] != _machine() or not parts[2].isdigit():
        return False
    pid = int(parts[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _start_of(pid) != parts[3]  # the number lives, in another process


@cache
def _machine() -> str:
    """This machine since it started, and this namespace of process numbers (containers have their own)."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()


def _start_of(pid: int) -> str:
    """When a process started, in the kernel's ticks (proc(5), field 22); "" where there is no /proc."""
    with suppress(OSError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state == "Z" else rest[18]
    return ""
