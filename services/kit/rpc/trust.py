"""Who calls: short-lived tokens that each service signs with its own Ed25519 key, and every service verifies.

A token (JWT, EdDSA, RFC 8037) names the issuer, the actor, the agency and the grants per community. Keys lie in one
folder: ``<service>.<kid>.key`` readable by its owner only, ``<service>.<kid>.pub`` for all. A service signs with its
newest key; every public key there is trusted, so a key is rotated by adding one and removing the old one later.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.kit.clock import MINUTE, Clock
from services.kit.errors import Forbidden, Unauthenticated
from services.kit.scope import EVERY_AGENCY, Scope

WHOLE_AGENCY = "*"
SERVICE_GRANT = "service"
TOKEN_LIFE = 2 * MINUTE
_SKEW_SECONDS = 5
_CACHED_TOKENS = 4_096

Grants = Mapping[str, frozenset[str]]
"""Community id, or ``WHOLE_AGENCY``, to the grants held there."""


class NotAllowed(Forbidden):
    reason = "not-allowed"

    def __init__(self, grant: str, field: str = "") -> None:
        said = f"This needs the grant {grant}: ask an owner of the agency for a role that has it."
        super().__init__(said, field=field, grant=grant)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a verified token speaks for, until ``expires_at`` (UTC milliseconds)."""

    issuer: str
    actor: str
    agency: str
    grants: Grants
    expires_at: int

    def scope_for(self, grant: str) -> Scope:
        """Where this identity holds the grant. Raises Forbidden where it holds it nowhere."""
        if grant in self.grants.get(WHOLE_AGENCY, frozenset()):
            return Scope(self.agency, None, self.actor)
        communities = frozenset(place for place, held in self.grants.items() if grant in held)
        if not communities:
            raise NotAllowed(grant)
        return Scope(self.agency, communities, self.actor)


def make_key(folder: Path, service: str) -> str:
    """Make a signing key for a service; returns its ``kid``. The newest key signs."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    number = 1 + max((int(path.name.split(".")[1]) for path in folder.glob(f"{service}.*.pub")), default=0)
    kid = f"{service}.{number}"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{kid}.pub").write_bytes(public)
    descriptor = os.open(folder / f"{kid}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    return kid


class Signer:
    """Signs tokens in the name of one service."""

    def __init__(self, folder: Path, service: str, clock: Clock) -> None:
        newest = max(folder.glob(f"{service}.*.key"), key=lambda path: int(path.name.split(".")[1]), default=None)
        if newest is None:
            raise Unauthenticated(
                f"There is no signing key for {service} in {folder}: run `python -m services.gateway init` first."
            )
        key = serialization.load_pem_private_key(newest.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        self.service = service
        self._key = key
        self._kid = newest.stem
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str, tuple[tuple[str, frozenset[str]], ...]], tuple[int, str]] = {}

    def token(self, actor: str, agency: str, grants: Grants) -> str:
        """A token for the actor; one that is still good for half its life is given again."""
        identity = (actor, agency, tuple(sorted(grants.items())))
        now = self._clock.now()
        with self._lock:
            good_until, token = self._tokens.get(identity, (0, ""))
            if now < good_until:
                return token
            token = jwt.encode(
                {
                    "iss": self.service,
                    "sub": actor,
                    "agency": agency,
                    "grants": {place: sorted(held) for place, held in grants.items()},
                    "exp": (now + TOKEN_LIFE) // 1_000,
                },
                self._key,
                algorithm="EdDSA",
                headers={"kid": self._kid},
            )
            if len(self._tokens) >= _CACHED_TOKENS:
                self._tokens.clear()
            self._tokens[identity] = (now + TOKEN_LIFE // 2, token)
            return token

    def service_token(self, scope: Scope) -> str:
        """A token with which this service itself acts within a scope it found stored."""
        places = scope.communities if scope.communities is not None else (WHOLE_AGENCY,)
        grants = {place: frozenset((SERVICE_GRANT,)) for place in places}
        return self.token(f"service:{self.service}", scope.agency, grants)


class Verifier:
    """Verifies tokens against the public keys in the folder, which it reads again when it meets an unknown ``kid``."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._identities: dict[str, Identity] = {}

    def identity(self, token: str) -> Identity:
        """Whose token it is. Raises Unauthenticated for one that is missing, expired or not ours."""
        known = self._identities.get(token)
        if known is None:
            known = self._verified(token)
            with self._lock:
                if len(self._identities) >= _CACHED_TOKENS:
                    self._identities.clear()
                self._identities[token] = known
        if known.expires_at + _SKEW_SECONDS * 1_000 < self._clock.now():
            raise Unauthenticated("The token has expired: sign in again.")
        return known

    def _verified(self, token: str) -> Identity:
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            claims = jwt.decode(
                token,
                self._key(kid),
                algorithms=["EdDSA"],
                options={"require": ["iss", "sub", "exp"], "verify_exp": False},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token is missing or is not one of ours.") from error
        if claims["iss"] != kid.split(".")[0]:
            raise Unauthenticated("The token was signed with another service's key.")
        grants = {place: frozenset(held) for place, held in claims["grants"].items()}
        if claims["agency"] == EVERY_AGENCY and any(held != {SERVICE_GRANT} for held in grants.values()):
            raise Unauthenticated("Only a service itself may act for every agency.")
        return Identity(claims["iss"], claims["sub"], claims["agency"], grants, claims["exp"] * 1_000)

    def _key(self, kid: str) -> Ed25519PublicKey:
        key = self._keys.get(kid)
        if key is None:
            self._keys = {path.stem: _public_key(path) for path in self._folder.glob("*.pub")}
            key = self._keys.get(kid)
        if key is None:
            raise Unauthenticated("The token was signed with an unknown key.")
        return key


def _public_key(path: Path) -> Ed25519PublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    return key
