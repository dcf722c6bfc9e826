"""The files port: imports, exports, media and raw inbound, kept under keys; and its embedded engine, a folder.

A key is a text of parts between slashes (``imports/imp_1/rows.csv``). Every file belongs to a community (None: to the
agency as a whole), and what lies outside the scope does not exist.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, unquote

from services.kit.errors import Exhausted, Forbidden, Invalid, NotFound, Unavailable
from services.kit.scope import EVERY_AGENCY, Scope


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file without opening it; ``modified_at`` is UTC milliseconds."""

    key: str
    size: int
    modified_at: int


class Files(Protocol):
    """All raise Invalid for a key that is none, and Unavailable when the engine is away or full."""

    def write(
        self, scope: Scope, community: str | None, key: str, content: Iterable[bytes], *, most: int | None = None
    ) -> StoredFile:
        """Keep the content under the key, in place of what was there: whole or not at all, on disk when it returns.

        ``content`` is an open binary file or any chunks. More than ``most`` bytes raise Exhausted; a place outside the
        scope raises Forbidden.
        """

    def open(self, scope: Scope, community: str | None, key: str) -> BinaryIO:
        """The content, to read and to close. Raises NotFound."""

    def stat(self, scope: Scope, community: str | None, key: str) -> StoredFile | None:
        """What is known of the file; None where there is none."""

    def delete(self, scope: Scope, community: str | None, key: str) -> bool:
        """Remove the file; whether there was one."""

    def list(self, scope: Scope, community: str | None, prefix: str = "") -> Iterator[StoredFile]:
        """The files whose key begins with the prefix, in the order of their keys' parts."""


_AGENCY_WIDE = "_"
_LEAF = "="  # ends the name of a file: so a key may also be the beginning of another
_LONGEST_PART = 200
_CHUNK = 256 * 1024


class FolderFiles:
    """Files in a folder of the local machine: written aside, flushed, then renamed into place."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / ".writing"

    def write(
        self, scope: Scope, community: str | None, key: str, content: Iterable[bytes], *, most: int | None = None
    ) -> StoredFile:
        if not self._visible(scope, community):
            raise Forbidden("A file lies outside the scope it is written in.", field="community")
        target = self._folder(scope, community) / _relative(key)
        with _troubles():
            self._aside.mkdir(parents=True, exist_ok=True)
            aside = self._aside / secrets.token_hex(16)
            try:
                with aside.open("xb") as file:
                    _copy(content, file, most)
                    file.flush()
                    os.fsync(file.fileno())
                _make_folders(target.parent)
                aside.replace(target)
                _flush_folder(target.parent)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
            return _stored(key, target)

    def open(self, scope: Scope, community: str | None, key: str) -> BinaryIO:
        path = self._path(scope, community, key)
        with _troubles():
            if path is not None:
                with suppress(FileNotFoundError):
                    return path.open("rb")
        raise NotFound("There is no such file.", field="key")

    def stat(self, scope: Scope, community: str | None, key: str) -> StoredFile | None:
        path = self._path(scope, community, key)
        with _troubles():
            if path is not None:
                with suppress(FileNotFoundError):
                    return _stored(key, path)
        return None

    def delete(self, scope: Scope, community: str | None, key: str) -> bool:
        path = self._path(scope, community, key)
        if path is None:
            return False
        with _troubles():
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _flush_folder(path.parent)
            home = self._folder(scope, community)
            with suppress(OSError):  # leave no empty folders behind, up to the community's own
                for folder in (path.parent, *path.parent.parents):
                    if folder == home:
                        break
                    folder.rmdir()
        return True

    def list(self, scope: Scope, community: str | None, prefix: str = "") -> Iterator[StoredFile]:
        if not self._visible(scope, community):
            return
        home = self._folder(scope, community)
        for folder, folders, names in os.walk(home):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                key = "/".join(unquote(part) for part in path.relative_to(home).parts).removesuffix(_LEAF)
                if key.startswith(prefix):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        yield _stored(key, path)

    def _visible(self, scope: Scope, community: str | None) -> bool:
        if scope.agency == EVERY_AGENCY:
            raise Invalid(
                "Files are reached in the scope of one agency: take the one of what was found.", field="scope"
            )
        return scope.allows(scope.agency, community)

    def _folder(self, scope: Scope, community: str | None) -> Path:
        return self._root / _name(scope.agency) / (_AGENCY_WIDE if community is None else _name(community))

    def _path(self, scope: Scope, community: str | None, key: str) -> Path | None:
        relative = _relative(key)
        return self._folder(scope, community) / relative if self._visible(scope, community) else None


def _relative(key: str) -> Path:
    """Where a key lies: each part a name that no file system takes for anything else."""
    return Path(*(_name(part) for part in key.split("/"))).with_name(_name(key.rpartition("/")[2]) + _LEAF)


def _name(part: str) -> str:
    if not part or part in (".", "..", _AGENCY_WIDE):
        raise Invalid("A key is made of parts between slashes, none of them empty, a dot, or two.", field="key")
    try:
        name = quote(part, safe="", errors="strict").replace("~", "%7E")
    except UnicodeEncodeError:
        raise Invalid("A key is made of whole characters.", field="key") from None
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _LONGEST_PART:
        raise Invalid(f"Each part of a key takes up to {_LONGEST_PART} bytes: shorten it.", field="key")
    return name


def _copy(content: Iterable[bytes], file: BinaryIO, most: int | None) -> None:
    written = 0
    read = getattr(content, "read", None)
    chunks: Iterable[bytes] = iter(lambda: read(_CHUNK), b"") if read else content
    for chunk in chunks:
        written += len(chunk)
        if most is not None and written > most:
            raise Exhausted(f"The file is larger than the {most} bytes allowed.", field="content", most=str(most))
        file.write(chunk)


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, each on disk before the next."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stored(key: str, path: Path) -> StoredFile:
    found = path.stat()
    return StoredFile(key, found.st_size, found.st_mtime_ns // 1_000_000)


_MESSAGES = {
    errno.ENOSPC: "is full: free some space, and try again",
    errno.EDQUOT: "is full: free some space, and try again",
    errno.EFBIG: "takes no file of this size",
    errno.EROFS: "cannot be written: check how it is mounted",
    errno.EACCES: "refuses us: check its owner and permissions",
    errno.EPERM: "refuses us: check its owner and permissions",
    errno.EIO: "could not be read or written: check its disk",
}


@contextmanager
def _troubles() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        what = _MESSAGES.get(error.errno or 0)
        if what is None:
            raise  # not the disk's: perhaps that of whoever sends the content
        raise Unavailable(f"The folder of files {what}.", field="files") from error
