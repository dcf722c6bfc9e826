"""Secrets of channel accounts, encrypted at rest. Keys lie in a folder, the newest encrypts, every one decrypts."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.kit.errors import Invalid
from services.kit.secret_files import made_once


class SecretUnreadable(Invalid):
    reason = "secret-unreadable"


class Vault:
    """Seals and opens texts with the keys of ``folder`` (``<number>.fernet``); makes the first where there is none."""

    def __init__(self, folder: Path) -> None:
        if not list(folder.glob("*.fernet")):
            made_once(folder / "1.fernet", Fernet.generate_key)
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
