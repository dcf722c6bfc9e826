"""Secrets of channel accounts, encrypted at rest. Keys lie in a folder, the newest encrypts, every one decrypts."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.kit.errors import Invalid


class SecretUnreadable(Invalid):
    reason = "secret-unreadable"


class Vault:
    """Seals and opens texts with the keys of ``folder`` (``<number>.fernet``); makes the first where there is none."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not list(folder.glob("*.fernet")):
            draft = folder / f".{os.getpid()}"  # written whole before it is seen
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(Fernet.generate_key())
            with suppress(FileExistsError):  # another process was quicker
                os.link(draft, folder / "1.fernet")
            draft.unlink()
        newest_first = sorted(folder.glob("*.fernet"), key=lambda path: int(path.stem), reverse=True)
        self._fernet = MultiFernet([Fernet(path.read_bytes()) for path in newest_first])

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode() if secret else ""

    def open(self, sealed: str, field: str) -> str:
        """Raises SecretUnreadable, naming ``field``, where the key that sealed it is gone."""
        if not sealed:
            return ""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise SecretUnreadable(
                "A secret of this account cannot be decrypted: restore the keys folder, or enter the secret again.",
                field=field,
            ) from error
