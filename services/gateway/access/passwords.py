"""Passwords: argon2id (RFC 9106), a bounded number at a time, since each takes 64 MiB for a moment."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.kit.errors import Exhausted, Invalid

SHORTEST, LONGEST = 10, 256
AT_A_TIME = 2
PATIENCE_SECONDS = 5.0


class PasswordTooWeak(Invalid):
    reason = "password-too-weak"


class SignInBusy(Exhausted):
    reason = "sign-in-busy"


class Passwords:
    """Makes and verifies hashes."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._room = threading.BoundedSemaphore(AT_A_TIME)
        self._nobody = ""

    def hash(self, password: str, field: str = "password") -> str:
        """Raises PasswordTooWeak for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise PasswordTooWeak(f"A password has {SHORTEST} to {LONGEST} characters.", field=field)
        with self._turn():
            return self._hasher.hash(password)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether it is the password. Without a kept hash it takes as long, and is never."""
        if len(password) > LONGEST:
            return False
        with self._turn():
            if not kept:
                self._nobody = self._nobody or self._hasher.hash(secrets.token_hex(16))
            try:
                self._hasher.verify(kept or self._nobody, password)
            except (VerificationError, InvalidHashError):
                return False
            return bool(kept)

    def ages(self, kept: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._room.acquire(timeout=PATIENCE_SECONDS):
            raise SignInBusy("Too many people are signing in: try again in a moment.")
        try:
            yield
        finally:
            self._room.release()
