"""Channel accounts: added, changed, paused, alarmed; and the proof that a sender's address is the community's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from email_validator import EmailNotValidError, validate_email

from services.channels.domain.account import Account, AccountState
from services.channels.use_cases.room import Room, UnknownAccount, change
from services.kit.clock import DAY
from services.kit.errors import Conflict, Invalid
from services.kit.outbox import append_event
from services.kit.scope import Scope, everywhere
from services.kit.store.port import Document

PROOF_LIFE = 7 * DAY
_SECURITY = ("none", "starttls", "tls")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SenderUnproven(Conflict):
    reason = "sender-unproven"


class PasswordNeeded(Invalid):
    reason = "password-needed"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an operator enters; secrets are sealed before anything is stored."""

    community: str
    channel: str
    name: str
    sender_address: str
    host: str
    port: int
    security: str
    username: str = ""
    password: str = ""
    rate_per_minute: int = 0
    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_private_key: str = ""


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What an operator enters anew; None leaves it as it is, an empty secret removes it."""

    state: str = ""
    name: str | None = None
    sender_address: str | None = None
    host: str | None = None
    port: int | None = None
    security: str | None = None
    username: str | None = None
    password: str | None = None
    rate_per_minute: int | None = None
    dkim_domain: str | None = None
    dkim_selector: str | None = None
    dkim_private_key: str | None = None


def add_account(room: Room, scope: Scope, new: NewAccount) -> Account:
    """Add a connection to a channel. Raises Invalid naming the field that is wrong."""
    within = scope.within(new.community)
    if new.channel not in room.connectors:
        known = ", ".join(sorted(room.connectors))
        raise Invalid(f"There is no connector for this channel; there are: {known}.", field="channel")
    document: Document = {
        "_id": room.ids.new("acc"),
        "agency": scope.agency,
        "community": new.community,
        "version": 1,
        "schema_version": 1,
        "channel": new.channel,
        "state": AccountState.ACTIVE.value,
        "alarm": "",
        "sender_verified_at": None,
        "created_at": room.clock.now(),
        **_entered(room, {name: getattr(new, name) for name in _ENTERED}),
    }
    account = _checked(room, document)
    room.accounts.insert(within, [document])
    return account


_ENTERED = (
    "name",
    "sender_address",
    "host",
    "port",
    "security",
    "username",
    "password",
    "rate_per_minute",
    "dkim_domain",
    "dkim_selector",
    "dkim_private_key",
)
_SEALED_AS = {"password": "sealed_password", "dkim_private_key": "sealed_dkim_key"}


def _entered(room: Room, given: Mapping[str, Any]) -> Document:
    """What was entered, as it is stored: addresses checked, spaces gone, secrets sealed."""
    kept: Document = {}
    for name, value in given.items():
        if name in _SEALED_AS:
            kept[_SEALED_AS[name]] = room.vault.seal(value)
        elif name == "sender_address":
            kept[name] = _checked_sender(value)
        elif name in ("name", "host", "dkim_selector"):
            kept[name] = value.strip()
        elif name == "dkim_domain":
            kept[name] = value.strip().lower()
        else:
            kept[name] = value
    return kept


def _checked(room: Room, document: Document) -> Account:
    """The account, if it could work. Raises Invalid naming the field that is wrong."""
    _check_server(document)
    document["name"] = document["name"] or document["host"]
    account = opened(room, document)
    room.connectors[account.channel]().check_settings(account)
    return account


def _checked_sender(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid(f"The sender's address is not one: {error}", field="sender_address") from error


def _check_server(document: Document) -> None:
    if not document["host"] or any(character.isspace() for character in document["host"]):
        raise Invalid("Name the server that takes the mail, such as smtp.example.org.", field="host")
    if not 0 < document["port"] < 65_536:
        raise Invalid("A port is 1 to 65535: 587 for starttls, 465 for tls, 25 for none.", field="port")
    if document["security"] not in _SECURITY:
        raise Invalid("Security is starttls, tls or none.", field="security")
    if document["sealed_password"] and document["security"] == "none" and document["host"] not in _LOOPBACK:
        raise Invalid("A password is only sent over TLS: choose starttls or tls.", field="security")
    if document["rate_per_minute"] < 0:
        raise Invalid("A rate is a number of messages a minute; 0 is unlimited.", field="rate_per_minute")
    if document["sealed_dkim_key"] and not (document["dkim_domain"] and document["dkim_selector"]):
        raise Invalid("A DKIM key needs its domain and selector.", field="dkim_domain")


def opened(room: Room, document: Document) -> Account:
    """The account with its secrets readable; never leaves the process. Raises SecretUnreadable."""
    return replace(
        shown(document),
        password=room.vault.open(document["sealed_password"], "password"),
        dkim_private_key=room.vault.open(document["sealed_dkim_key"], "dkim_private_key"),
    )


def shown(document: Document) -> Account:
    """The account without its secrets: to be looked at, whatever became of their keys."""
    return Account(
        id=document["_id"],
        version=document["version"],
        agency=document["agency"],
        community=document["community"],
        channel=document["channel"],
        name=document["name"],
        state=AccountState(document["state"]),
        alarm=document["alarm"] or "",
        sender_address=document["sender_address"],
        sender_verified=bool(document["sender_verified_at"]),
        host=document["host"],
        port=document["port"],
        security=document["security"],
        username=document["username"] or "",
        rate_per_minute=document["rate_per_minute"] or 0,
        dkim_domain=document["dkim_domain"] or "",
        dkim_selector=document["dkim_selector"] or "",
    )


def get_accounts(room: Room, scope: Scope, ids: Sequence[str]) -> list[Account]:
    found = room.accounts.get(scope, ids)
    return [shown(found[an_id]) for an_id in dict.fromkeys(ids) if an_id in found]


def list_accounts(room: Room, scope: Scope, *, limit: int, after: str) -> tuple[list[Account], str]:
    page = room.accounts.find(scope, limit=limit, after=after or None)
    return [shown(document) for document in page.documents], page.next or ""


def change_account(room: Room, scope: Scope, account: str, said: AccountChange) -> Account:
    """Pause it, let it go on (which ends an alarm), or change what was entered.

    Another sender's address must be proven anew; another password or server leaves the proof as it is.
    Raises Invalid naming the field that is wrong, PasswordNeeded for another server without the password.
    """
    if said.state not in ("", "active", "paused"):
        raise Invalid("An account is made active or paused.", field="state")
    given = {name: value for name in _ENTERED if (value := getattr(said, name)) is not None}
    entered = _entered(room, given)

    def apply(document: Document) -> Document:
        changed = {**document, **entered}
        if said.state:
            changed |= {"state": said.state, "alarm": ""}
        if changed["sender_address"] != document["sender_address"]:
            _check_same_domain(document["sender_address"], changed["sender_address"])
            changed["sender_verified_at"] = None
        elsewhere = any(changed[name] != document[name] for name in ("host", "port"))
        if elsewhere and document["sealed_password"] and said.password is None:
            raise PasswordNeeded(
                "A password is only given to the server it was entered for: enter it again.", field="password"
            )
        if entered:
            _checked(room, changed)
        return changed

    changed = change(room.accounts, scope, account, apply)
    if changed is None:
        raise UnknownAccount
    room.nudge()
    return shown(changed)


def _check_same_domain(before: str, after: str) -> None:
    """Message-IDs, return paths and what mailboxes think of a sender hang on its domain."""
    if before.rpartition("@")[2] != after.rpartition("@")[2]:
        raise Invalid("Another domain is another sender: add an account for it.", field="sender_address")


def alarm_account(room: Room, scope: Scope, account: str, why: str, *, stop: bool) -> None:
    """Somebody should look at it; ``stop``: nothing more goes through it until they have."""

    def apply(document: Document) -> Document | None:
        stopped = AccountState.ALARMED.value if stop and document["state"] == "active" else document["state"]
        if document["alarm"] and document["state"] == stopped:
            return None
        changed = {**document, "alarm": why, "state": stopped}
        append_event(
            changed, room.ids.new("evt"), "AccountAlarmed", room.clock.now(), {"account": account, "reason": why}
        )
        return changed

    change(room.accounts, scope, account, apply)
    room.nudge()


def proof_subject(account: Account) -> str:
    """A proof is of one address of one account: with another address it is void."""
    digest = hashlib.blake2b(account.sender_address.encode(), digest_size=8).hexdigest()
    return f"{account.id}:{digest}"


def proof_token(room: Room, account: Account) -> str:
    token: str = room.proofs.make(proof_subject(account), room.clock.now() + PROOF_LIFE)
    return token


def confirm_sender(room: Room, token: str) -> Account:
    """The button behind the mailed link was pressed. Raises TokenInvalid."""
    subject = room.proofs.read(token, room.clock.now())
    scope = everywhere("service:channels")  # the token, which only the mailbox saw, says which account
    account_id = subject.partition(":")[0]

    def apply(document: Document) -> Document | None:
        if proof_subject(shown(document)) != subject:
            raise SenderUnproven("The sender's address was changed since: ask for a new link.", field="token")
        return None if document["sender_verified_at"] else {**document, "sender_verified_at": room.clock.now()}

    changed = change(room.accounts, scope, account_id, apply)
    if changed is None:
        raise UnknownAccount
    return shown(changed)
