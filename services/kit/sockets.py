"""Where unix sockets may lie: their whole path has room for 107 bytes, however deep the data folder is."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from services.kit.errors import Unavailable

PATH_LIMIT = 107  # sun_path holds 108 with its final NUL: unix(7)


def socket_folder(wanted: Path, longest_name: int) -> Path:
    """``wanted``, or where that is too deep, a short folder of our own under the system's temporary one.

    The short one is derived from ``wanted``, so that every process finds the same. Made by ``make_private``.
    """
    if len(os.fsencode(wanted)) + 1 + longest_name <= PATH_LIMIT:
        return wanted
    digest = hashlib.blake2b(os.fsencode(wanted), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"fanfare-{os.getuid()}-{digest}"


def make_private(folder: Path) -> Path:
    """Make the folder, for its owner only. Raises Unavailable where somebody else made it first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid():
        raise Unavailable(f"{folder} belongs to another user: remove it, or set FANFARE_DATA to a shorter path.")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
