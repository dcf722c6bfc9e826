"""How often one may try: attempts to sign in are counted by account and by address, in a moving window."""

from __future__ import annotations

import hashlib

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.kit.errors import Exhausted

BY_ACCOUNT_AND_ADDRESS = RateLimitItemPerMinute(8, 15)
BY_ACCOUNT = RateLimitItemPerMinute(40, 60)
BY_ADDRESS = RateLimitItemPerMinute(60, 15)


class TooManyAttempts(Exhausted):
    reason = "too-many-attempts"


class SignInThrottle:
    """Counts attempts; a success forgets those of its account and address."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def attempt(self, account: str, address: str) -> None:
        """Raises TooManyAttempts."""
        keys = self._keys(account, address)
        if not all(self._limiter.test(limit, *key) for limit, key in keys):
            raise TooManyAttempts("Too many attempts to sign in: wait a quarter of an hour, then try again.")
        for limit, key in keys:
            self._limiter.hit(limit, *key)

    def succeeded(self, account: str, address: str) -> None:
        limit, key = self._keys(account, address)[0]
        self._limiter.clear(limit, *key)

    @staticmethod
    def _keys(account: str, address: str) -> tuple[tuple[RateLimitItemPerMinute, tuple[str, ...]], ...]:
        hidden = hashlib.blake2b(account.encode(), digest_size=12).hexdigest()
        return (
            (BY_ACCOUNT_AND_ADDRESS, ("both", hidden, address)),
            (BY_ACCOUNT, ("account", hidden)),
            (BY_ADDRESS, ("address", address)),
        )
