"""Channel accounts: added, tested, paused, alarmed; and the proof that a sender's address is the community's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

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


def add_account(room: Room, scope: Scope, new: NewAccount) -> Account:
    """Add a connection to a channel. Raises Invalid naming the field that is wrong."""
    within = scope.within(new.community)
    connector = room.connectors.get(new.channel)
    if connector is None:
        known = ", ".join(sorted(room.connectors))
        raise Invalid(f"There is no connector for this channel; there are: {known}.", field="channel")
    sender = _checked_sender(new.sender_address)
    _check_server(new)
    document: Document = {
        "_id": room.ids.new("acc"),
        "agency": scope.agency,
        "community": new.community,
        "version": 1,
        "schema_version": 1,
        "channel": new.channel,
        "name": new.name.strip() or new.host,
        "state": AccountState.ACTIVE.value,
        "alarm": "",
        "sender_address": sender,
        "sender_verified_at": None,
        "host": new.host.strip(),
        "port": new.port,
        "security": new.security,
        "username": new.username,
        "sealed_password": room.vault.seal(new.password),
        "rate_per_minute": new.rate_per_minute,
        "dkim_domain": new.dkim_domain.strip().lower(),
        "dkim_selector": new.dkim_selector.strip(),
        "sealed_dkim_key": room.vault.seal(new.dkim_private_key),
        "created_at": room.clock.now(),
    }
    account = opened(room, document)
    connector().check_settings(account)
    room.accounts.insert(within, [document])
    return account


def _checked_sender(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid(f"The sender's address is not one: {error}", field="sender_address") from error


def _check_server(new: NewAccount) -> None:
    if not new.host.strip() or any(character.isspace() for character in new.host.strip()):
        raise Invalid("Name the server that takes the mail, such as smtp.example.org.", field="host")
    if not 0 < new.port < 65_536:
        raise Invalid("A port is 1 to 65535: 587 for starttls, 465 for tls, 25 for none.", field="port")
    if new.security not in _SECURITY:
        raise Invalid("Security is starttls, tls or none.", field="security")
    if new.password and new.security == "none" and new.host.strip() not in _LOOPBACK:
        raise Invalid("A password is only sent over TLS: choose starttls or tls.", field="security")
    if new.rate_per_minute < 0:
        raise Invalid("A rate is a number of messages a minute; 0 is unlimited.", field="rate_per_minute")
    if new.dkim_private_key and not (new.dkim_domain.strip() and new.dkim_selector.strip()):
        raise Invalid("A DKIM key needs its domain and selector.", field="dkim_domain")


def opened(room: Room, document: Document) -> Account:
    """The account with its secrets readable; never leaves the process."""
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
        password=room.vault.open(document["sealed_password"]),
        rate_per_minute=document["rate_per_minute"] or 0,
        dkim_domain=document["dkim_domain"] or "",
        dkim_selector=document["dkim_selector"] or "",
        dkim_private_key=room.vault.open(document["sealed_dkim_key"]),
    )


def get_accounts(room: Room, scope: Scope, ids: Sequence[str]) -> list[Account]:
    found = room.accounts.get(scope, ids)
    return [opened(room, found[an_id]) for an_id in dict.fromkeys(ids) if an_id in found]


def list_accounts(room: Room, scope: Scope, *, limit: int, after: str) -> tuple[list[Account], str]:
    page = room.accounts.find(scope, limit=limit, after=after or None)
    return [opened(room, document) for document in page.documents], page.next or ""


def change_account(room: Room, scope: Scope, account: str, *, state: str = "", rate_per_minute: int = -1) -> Account:
    """Pause it, let it go on (which ends an alarm), or change its rate."""
    if state not in ("", "active", "paused"):
        raise Invalid("An account is made active or paused.", field="state")

    def apply(document: Document) -> Document:
        changed = dict(document)
        if state:
            changed |= {"state": state, "alarm": ""}
        if rate_per_minute >= 0:
            changed["rate_per_minute"] = rate_per_minute
        return changed

    changed = change(room.accounts, scope, account, apply)
    if changed is None:
        raise UnknownAccount
    room.nudge()
    return opened(room, changed)


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
        if proof_subject(opened(room, document)) != subject:
            raise SenderUnproven("The sender's address was changed since: ask for a new link.", field="token")
        return None if document["sender_verified_at"] else {**document, "sender_verified_at": room.clock.now()}

    changed = change(room.accounts, scope, account_id, apply)
    if changed is None:
        raise UnknownAccount
    return opened(room, changed)
