"""What proves who asks: sessions of operators who signed in, and API keys of programs. Only hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.access.people import EVERYWHERE, Operator, People
from services.gateway.access.roles import SCOPES, key_grants, known_scopes
from services.gateway.access.throttle import SignInThrottle
from services.gateway.access.viewer import Viewer
from services.kit.clock import DAY, HOUR, MINUTE, Clock
from services.kit.errors import Invalid, NotFound, Unauthenticated
from services.kit.ids import Ids
from services.kit.rpc.trust import NotAllowed
from services.kit.store.port import Collection, Document, Order, Patch
from services.kit.store.rule import Equals, Range

SESSION_LIFE = 14 * DAY
SESSION_IDLE = 2 * DAY
_SEEN_EVERY = 10 * MINUTE
_SESSION, _KEY = "ffs_", "ffk_"


class WrongCredentials(Unauthenticated):
    reason = "wrong-credentials"


class SessionOver(Unauthenticated):
    reason = "session-over"


class KeyInvalid(Unauthenticated):
    reason = "key-invalid"


@dataclass(frozen=True, slots=True)
class Session:
    operator: Operator
    token: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    name: str
    scopes: tuple[str, ...]
    communities: tuple[str, ...] | None
    created_at: int
    created_by: str
    used_at: int
    revoked_at: int


class Credentials:
    """Signs in, makes keys, and says who is behind a bearer token or cookie. A worker that forgets old sessions."""

    name = "old-sessions"

    def __init__(
        self,
        people: People,
        sessions: Collection,
        keys: Collection,
        throttle: SignInThrottle,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._people = people
        self._sessions = sessions
        self._keys = keys
        self._throttle = throttle
        self._ids = ids
        self._clock = clock

    # Sessions

    def sign_in(self, email: str, password: str, address: str) -> Session:
        """Raises WrongCredentials (whatever of the two is wrong), TooManyAttempts, SignInBusy."""
        account = email.strip().casefold()
        self._throttle.attempt(account, address)
        operator = self._people.recognise(account, password)
        if operator is None:
            raise WrongCredentials("The e-mail address or the password is wrong.", field="password")
        self._throttle.succeeded(account, address)
        token = _SESSION + secrets.token_urlsafe(32)
        now = self._clock.now()
        document: Document = {
            "_id": _session_id(token),
            "agency": operator.agency,
            "community": None,
            "version": 1,
            "schema_version": 1,
            "operator": operator.id,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + SESSION_LIFE,
        }
        self._sessions.insert(EVERYWHERE, [document])
        return Session(operator, token, document["expires_at"])

    def sign_out(self, viewer: Viewer) -> None:
        self._sessions.delete(EVERYWHERE, [viewer.session])

    def end_sessions(self, operator: str, *, but: str = "") -> None:
        """Sign an operator out everywhere: removed, or with a new password."""
        rule = Equals("operator", operator)
        scope = EVERYWHERE
        found = [document["_id"] for page in self._sessions.stream(scope, rule, fields=()) for document in page]
        self._sessions.delete(scope, [one for one in found if one != but])

    def forget_old_sessions(self) -> int:
        """Delete what has expired; how many."""
        old = Range("expires_at", lt=self._clock.now())
        found = self._sessions.find(EVERYWHERE, old, order=Order("expires_at"), limit=200, fields=()).documents
        return len(self._sessions.delete(EVERYWHERE, [document["_id"] for document in found]))

    def run(self, stop: threading.Event) -> None:
        """Forget what has expired, hourly."""
        while True:
            while self.forget_old_sessions():
                pass
            if stop.wait(HOUR / 1_000):
                return

    # Keys

    def create_key(
        self, viewer: Viewer, name: str, scopes: Sequence[str], communities: Sequence[str] | None
    ) -> tuple[ApiKey, str]:
        """A key and its secret, which is told this once. Nobody makes a key that may do more than they."""
        asked = known_scopes(scopes)
        name = name.strip()
        if not 1 <= len(name) <= 100:
            raise Invalid("A key has a name of at most 100 characters, which says who uses it.", field="name")
        if communities is not None and not communities:
            raise Invalid(
                "Name at least one community, or leave this out: every community.",
                field="communities",
                message_fr="Nommez au moins une communauté, ou omettez ceci : toutes.",
            )
        for place in communities if communities is not None else [""]:
            for grant in asked:
                if grant in SCOPES and grant != "events.write" and not viewer.may(grant, place):
                    raise NotAllowed(grant, "scopes")
        key_id, secret = self._ids.new("key"), secrets.token_urlsafe(32)
        document: Document = {
            "_id": key_id,
            "agency": viewer.agency,
            "community": None,
            "version": 1,
            "schema_version": 1,
            "name": name,
            "secret": _digest(secret),
            "scopes": asked,
            "communities": list(communities or ()),
            "every_community": communities is None,
            "created_at": self._clock.now(),
            "created_by": viewer.actor,
        }
        self._keys.insert(viewer.scope, [document])
        return _key(document), f"{_KEY}{key_id.removeprefix('key_')}_{secret}"

    def keys(self, viewer: Viewer, size: int, after: str | None) -> tuple[list[ApiKey], str]:
        page = self._keys.find(viewer.scope, limit=size, after=after or None)
        return [_key(document) for document in page.documents], page.next or ""

    def keys_by_id(self, viewer: Viewer, ids: Sequence[str]) -> dict[str, ApiKey]:
        return {key: _key(document) for key, document in self._keys.get(viewer.scope, ids).items()}

    def revoke_key(self, viewer: Viewer, key: str) -> ApiKey:
        """It no longer opens anything. Raises NotFound."""
        found = self._keys.get(viewer.scope, [key]).get(key)
        if found is None:
            raise NotFound("There is no such key.", field="key")
        if not found.get("revoked_at"):
            found |= {"revoked_at": self._clock.now()}
            self._keys.patch(viewer.scope, [Patch(key, set={"revoked_at": found["revoked_at"]})])
        return _key(found)

    # Who asks

    def viewer(self, token: str, *, by_cookie: bool = False) -> Viewer:
        """Who is behind a token. Raises SessionOver, KeyInvalid, Unauthenticated."""
        if token.startswith(_SESSION):
            return self._operator_behind(token, by_cookie)
        if token.startswith(_KEY):
            return self._key_behind(token)
        raise Unauthenticated("The token is none of ours: sign in, or use an API key.")

    def _operator_behind(self, token: str, by_cookie: bool) -> Viewer:
        session_id, now = _session_id(token), self._clock.now()
        session = self._sessions.get(EVERYWHERE, [session_id]).get(session_id)
        if session is None or session["expires_at"] < now or now - session["seen_at"] > SESSION_IDLE:
            raise SessionOver("The session is over: sign in again.")
        operator = self._people.operators(session["agency"], [session["operator"]]).get(session["operator"])
        if operator is None or not operator.grants:
            raise SessionOver("The session is over: sign in again.")
        if now - session["seen_at"] > _SEEN_EVERY:
            self._sessions.patch(EVERYWHERE, [Patch(session_id, max={"seen_at": now})])
        return Viewer(f"operator:{operator.id}", operator.agency, operator.grants, session_id, by_cookie)

    def _key_behind(self, token: str) -> Viewer:
        key_id, _, secret = token.removeprefix(_KEY).partition("_")
        found = self._keys.get(EVERYWHERE, [f"key_{key_id}"]).get(f"key_{key_id}")
        if found is None or found.get("revoked_at") or not secrets.compare_digest(found["secret"], _digest(secret)):
            raise KeyInvalid("This API key is unknown or was revoked.")
        now = self._clock.now()
        if now - (found.get("used_at") or 0) > HOUR:
            self._keys.patch(EVERYWHERE, [Patch(found["_id"], max={"used_at": now})])
        communities = None if found["every_community"] else found["communities"]
        return Viewer(f"key:{found['_id']}", found["agency"], key_grants(found["scopes"], communities))


def _session_id(token: str) -> str:
    return f"ses_{_digest(token)}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(document: Document) -> ApiKey:
    return ApiKey(
        document["_id"],
        document["name"],
        tuple(document["scopes"]),
        None if document["every_community"] else tuple(document["communities"]),
        document["created_at"],
        document["created_by"],
        document.get("used_at") or 0,
        document.get("revoked_at") or 0,
    )
