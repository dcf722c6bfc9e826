"""Agencies and the operators who work for them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from email_validator import EmailNotValidError, validate_email

from services.gateway.access.passwords import Passwords
from services.gateway.access.roles import Role, grants_of
from services.kit.clock import DAY, MINUTE, Clock
from services.kit.errors import Conflict, Invalid, NotFound, VersionConflict
from services.kit.ids import Ids
from services.kit.rpc.trust import Grants
from services.kit.scope import Scope, everywhere
from services.kit.store.port import Collection, Document, Page

INVITED, ACTIVE, REMOVED = "invited", "active", "removed"
INVITATION_LIFE = 7 * DAY
CLAIM_LIFE = 10 * MINUTE
EVERYWHERE = everywhere("service:gateway")


class EmailInvalid(Invalid):
    reason = "email-invalid"


class EmailTaken(Conflict):
    reason = "email-taken"


class LastOwner(Conflict):
    reason = "last-owner"


class InvitationInvalid(NotFound):
    reason = "invitation-invalid"


@dataclass(frozen=True, slots=True)
class Agency:
    id: str
    name: str
    locale: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Operator:
    id: str
    agency: str
    email: str
    name: str
    locale: str
    state: str
    roles: tuple[Role, ...]
    created_at: int

    @property
    def grants(self) -> Grants:
        return grants_of(self.roles) if self.state == ACTIVE else {}

    @property
    def owns(self) -> bool:
        return self.state == ACTIVE and Role("owner") in self.roles


@dataclass(frozen=True, slots=True)
class Invitation:
    """``token`` is told once, to be handed on."""

    operator: Operator
    token: str


class People:
    """The agencies and operators of this installation."""

    def __init__(
        self,
        agencies: Collection,
        operators: Collection,
        logins: Collection,
        passwords: Passwords,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._agencies = agencies
        self._operators = operators
        self._logins = logins
        self._passwords = passwords
        self._ids = ids
        self._clock = clock

    # Agencies

    def found_agency(self, name: str, locale: str = "en", *, agency_id: str = "") -> Agency:
        """A new tenant; the same id again is the same agency."""
        name = name.strip()
        if not 1 <= len(name) <= 200:
            raise Invalid("An agency has a name of at most 200 characters.", field="name")
        agency = agency_id or self._ids.new("agy")
        document = _document(agency, agency, 1) | {"name": name, "locale": locale, "created_at": self._clock.now()}
        self._agencies.insert(Scope(agency, None, "service:gateway"), [document])
        return self.agency(agency)

    def agency(self, agency: str) -> Agency:
        found = self._agencies.get(Scope(agency, None, "service:gateway"), [agency]).get(agency)
        if found is None:
            raise NotFound("There is no such agency.", field="agency")
        return Agency(found["_id"], found["name"], found.get("locale") or "en", found["created_at"])

    # Operators

    def enlist(
        self, agency: str, email: str, password: str, roles: Sequence[Role], *, name: str = "", locale: str = "en"
    ) -> Operator:
        """An operator who can sign in at once. Raises EmailInvalid, EmailTaken, PasswordTooWeak."""
        document = self._newcomer(agency, email, roles, name, locale)
        document |= {"state": ACTIVE, "password": self._passwords.hash(password)}
        return self._take_in(document)

    def invite(
        self, agency: str, email: str, roles: Sequence[Role], *, name: str = "", locale: str = "en"
    ) -> Invitation:
        """An operator who chooses a password through the invitation, within seven days."""
        token = secrets.token_urlsafe(32)
        document = self._newcomer(agency, email, roles, name, locale)
        document |= {
            "state": INVITED,
            "invitation": _digest(token),
            "invited_until": self._clock.now() + INVITATION_LIFE,
        }
        operator = self._take_in(document)
        return Invitation(operator, f"{operator.id.removeprefix('opr_')}.{token}")

    def invited(self, token: str) -> Operator:
        """Whom an invitation is for. Raises InvitationInvalid."""
        return _operator(self._invited(token))

    def accept(self, token: str, password: str) -> Operator:
        """The invited operator chooses a password. Raises InvitationInvalid, PasswordTooWeak."""
        document = self._invited(token)
        document |= {
            "state": ACTIVE,
            "password": self._passwords.hash(password),
            "invitation": None,
            "invited_until": None,
        }
        self._keep(document)
        return _operator(document)

    def operators(self, agency: str, ids: Sequence[str]) -> dict[str, Operator]:
        found = self._operators.get(Scope(agency, None, "service:gateway"), ids)
        return {key: _operator(document) for key, document in found.items()}

    def operator(self, agency: str, operator: str) -> Operator:
        """Raises NotFound."""
        return _operator(self._found(agency, operator))

    def page(self, agency: str, size: int, after: str | None) -> tuple[list[Operator], str]:
        page: Page = self._operators.find(Scope(agency, None, "service:gateway"), limit=size, after=after or None)
        return [_operator(document) for document in page.documents], page.next or ""

    def change_role(self, agency: str, operator: str, community: str | None, role: str | None) -> Operator:
        """Give a role in a community or (None) in the agency; ``role`` None takes it away. Raises LastOwner."""
        document = self._found(agency, operator)
        kept = [held for held in document["roles"] if held.get("community") != community]
        if role:
            kept.append({"name": Role(role, community).name, "community": community})
        changed = document | {"roles": kept}
        self._keep_an_owner(agency, _operator(document), _operator(changed))
        self._keep(changed)
        return _operator(changed)

    def remove(self, agency: str, operator: str) -> Operator:
        """They can no longer sign in; their address is free. Raises LastOwner."""
        document = self._found(agency, operator)
        changed = document | {"state": REMOVED, "password": None, "invitation": None, "roles": []}
        self._keep_an_owner(agency, _operator(document), _operator(changed))
        self._keep(changed)
        self._logins.delete(EVERYWHERE, [login_id(document["email"])])
        return _operator(changed)

    def change_password(self, agency: str, operator: str, current: str, new: str) -> Operator:
        """Raises Invalid where the current password is another."""
        document = self._found(agency, operator)
        if not self._passwords.verify(document.get("password"), current):
            raise WrongPassword("The current password is another.", field="current")
        changed = document | {"password": self._passwords.hash(new, "new")}
        self._keep(changed)
        return _operator(changed)

    def recognise(self, email: str, password: str) -> Operator | None:
        """The operator of this address and password; it takes as long where there is none."""
        login = self._logins.get(EVERYWHERE, [login_id(email)]).get(login_id(email))
        document: Document | None = None
        if login is not None:
            document = self._operators.get(Scope(login["agency"], None, "service:gateway"), [login["operator"]]).get(
                login["operator"]
            )
        kept = document.get("password") if document is not None and document["state"] == ACTIVE else None
        if not self._passwords.verify(kept, password) or document is None:
            return None
        if self._passwords.ages(str(kept)):
            self._operators.replace(
                Scope(document["agency"], None, "service:gateway"),
                [document | {"password": self._passwords.hash(password)}],
            )
        return _operator(document)

    # Within

    def _newcomer(self, agency: str, email: str, roles: Sequence[Role], name: str, locale: str) -> Document:
        if not roles:
            raise Invalid("An operator needs a role.", field="role")
        return _document(self._ids.new("opr"), agency, 1) | {
            "email": valid_email(email),
            "name": name.strip()[:200],
            "locale": locale,
            "roles": [{"name": role.name, "community": role.community} for role in roles],
            "created_at": self._clock.now(),
        }

    def _take_in(self, document: Document) -> Operator:
        self._claim(document)
        self._operators.insert(Scope(document["agency"], None, "service:gateway"), [document])
        return _operator(document)

    def _claim(self, document: Document) -> None:
        """Claim the address first; a claim whose operator was never written may be taken over after ten minutes."""
        now = self._clock.now()
        claim = _document(login_id(document["email"]), document["agency"], 1) | {
            "operator": document["_id"],
            "claimed_at": now,
        }
        if self._logins.insert(EVERYWHERE, [claim]):
            return
        held = self._logins.get(EVERYWHERE, [claim["_id"]]).get(claim["_id"])
        if held is not None and now - held["claimed_at"] > CLAIM_LIFE:
            scope = Scope(held["agency"], None, "service:gateway")
            if (
                not self._operators.get(scope, [held["operator"]])
                and self._logins.delete(EVERYWHERE, [claim["_id"]])
                and self._logins.insert(EVERYWHERE, [claim])
            ):
                return
        raise EmailTaken("An operator with this address exists already: use another address.", field="email")

    def _invited(self, token: str) -> Document:
        operator, _, secret = token.partition(".")
        found = self._operators.get(EVERYWHERE, [f"opr_{operator}"]).get(f"opr_{operator}")
        if (
            found is None
            or found["state"] != INVITED
            or not secrets.compare_digest(found.get("invitation") or "", _digest(secret))
            or found["invited_until"] < self._clock.now()
        ):
            raise InvitationInvalid("This invitation is used up or too old: ask for a new one.", field="token")
        return found

    def _found(self, agency: str, operator: str) -> Document:
        found = self._operators.get(Scope(agency, None, "service:gateway"), [operator]).get(operator)
        if found is None or found["state"] == REMOVED:
            raise NotFound("There is no such operator.", field="operator")
        return found

    def _keep(self, document: Document) -> None:
        if not self._operators.replace(Scope(document["agency"], None, "service:gateway"), [document]):
            raise VersionConflict("Somebody else changed this operator just now: try again.", field="operator")

    def _keep_an_owner(self, agency: str, before: Operator, after: Operator) -> None:
        if not before.owns or after.owns:
            return
        others, after_page = self.page(agency, 200, None)
        while after_page:
            more, after_page = self.page(agency, 200, after_page)
            others += more
        if not any(other.owns for other in others if other.id != before.id):
            raise LastOwner("An agency keeps at least one owner: name another first.", field="operator")


class WrongPassword(Invalid):
    reason = "wrong-password"


def valid_email(text: str, field: str = "email") -> str:
    """The address as it is kept and compared. Raises EmailInvalid."""
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.casefold()
    except EmailNotValidError:
        raise EmailInvalid("This is not an e-mail address such as ada@example.org.", field=field) from None


def login_id(email: str) -> str:
    return f"login_{hashlib.blake2b(email.strip().casefold().encode(), digest_size=16).hexdigest()}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _document(an_id: str, agency: str, schema_version: int) -> Document:
    return {"_id": an_id, "agency": agency, "community": None, "version": 1, "schema_version": schema_version}


def _operator(document: dict[str, Any]) -> Operator:
    return Operator(
        document["_id"],
        document["agency"],
        document["email"],
        document.get("name") or "",
        document.get("locale") or "en",
        document["state"],
        tuple(Role(role["name"], role.get("community")) for role in document.get("roles") or ()),
        document["created_at"],
    )
