"""The e-mail connector: a handful in, one answer for each message out, over connections that are kept."""

from __future__ import annotations

import email
import email.policy
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.channels.connectors.smtp.compiling import Sender, compile_revision
from services.channels.connectors.smtp.connection import Connection, Patience
from services.channels.connectors.smtp.dkim import DkimSigner
from services.channels.connectors.smtp.encoding import HeaderUnsafe, checked_address, mailbox
from services.channels.connectors.smtp.session import Relay, open_connection
from services.channels.connectors.smtp.voyage import Voyage
from services.channels.connectors.smtp.writing import Writer
from services.channels.domain.account import Account
from services.channels.domain.content import Revision
from services.channels.domain.handing_off import Answer, Cause, Handful, Outcome, Rendered
from services.channels.domain.run import RunOrder
from services.kit.clock import Clock
from services.kit.ids import id_bytes
from services.kit.tokens import LinkTokens, ReturnPaths

_KEPT_IDLE_SECONDS = 20.0
_UNFIT = Answer(
    Outcome.REFUSED, Cause.BAD_ADDRESS, 0, "5.1.3", "The address cannot be written in an envelope of this server."
)


@dataclass(slots=True)
class _Kept:
    """Connections of an account as it stood at this version."""

    version: int
    may_chunk: bool = True
    idle: list[Connection] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mailing:
    """What an installation gives the connector."""

    links: LinkTokens
    return_paths: ReturnPaths
    base_url: str  # of the public pages
    helo: str = "localhost"
    patience: Patience = field(default_factory=Patience)
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context


class SmtpConnector:
    """Keeps connections per account; each handful has one of them for itself."""

    def __init__(self, mailing: Mailing, clock: Clock) -> None:
        self._mailing = mailing
        self._clock = clock
        self._trust: ssl.SSLContext | None = None
        self._kept: dict[str, _Kept] = {}

    def check_settings(self, account: Account) -> None:
        mailbox("", account.sender_address)
        self._signer(account)

    def compile(self, order: RunOrder, account: Account, revision: Revision) -> Writer:
        sender = Sender(account.sender_address, order.from_name or account.name, order.reply_to)
        compiled = compile_revision(revision, sender, self._mailing.base_url, unsubscribable=not order.is_service)
        return Writer(compiled, self._mailing.links.of_run(order.run), self._signer(account))

    def render(self, message: Writer, handful: Handful) -> Rendered:
        source = message.write(
            delivery_key(_batch_letters(handful.batch), handful.places[0]),
            handful.members[0],
            checked_address(handful.addresses[0]),
            handful.locales[0],
            handful.tracked[0],
            handful.values[0],
            handful.concerned[0],
            self._clock.now(),
        )
        read = email.message_from_bytes(source, policy=email.policy.SMTP)
        html, text = read.get_body(("html",)), read.get_body(("plain",))
        return Rendered(
            subject=message.subject_for(handful.locales[0], handful.values[0], handful.concerned[0]),
            html=html.get_content() if html else "",
            text=text.get_content() if text else "",
            locale=message.locale_for(handful.locales[0]),
            source=source,
        )

    async def deliver(self, account: Account, message: Writer, handful: Handful) -> list[Answer]:
        connection = await self._connection(account)
        addresses = [_fit(address, connection) for address in handful.addresses]
        sendable = [place for place, address in enumerate(addresses) if address]
        answers = [_UNFIT] * len(handful)
        writer = _HandfulWriter(handful, account, message, addresses, self._mailing, self._clock, connection)
        voyage = Voyage(
            count=len(sendable),
            envelope=lambda index: writer.envelope(sendable[index]),
            message=lambda index: writer.message(sendable[index]),
            may_begin=handful.may_begin,
            may_go_on=handful.may_go_on,
            answers=[None] * len(sendable),
            deadline=handful.ends_by,
        )
        await connection.deliver(voyage)
        self._keep(account, connection)
        for place, answer in zip(sendable, voyage.answers, strict=True):
            assert answer is not None
            answers[place] = answer
        return answers

    async def check(self, account: Account) -> None:
        connection = await open_connection(self._relay(account), self._context(account))
        await connection.quit()

    async def close(self) -> None:
        for kept in self._kept.values():
            for connection in kept.idle:
                await connection.quit()
        self._kept.clear()

    async def _connection(self, account: Account) -> Connection:
        kept = self._kept.get(account.id)
        if kept is None or kept.version != account.version:
            for connection in kept.idle if kept else ():
                connection.close()
            kept = self._kept[account.id] = _Kept(account.version)
        while kept.idle:
            connection = kept.idle.pop()
            if connection.usable and time.monotonic() - connection.kept_since < _KEPT_IDLE_SECONDS:
                return connection
            connection.close()
        connection = await open_connection(self._relay(account), self._context(account))
        connection.may_chunk = kept.may_chunk
        return connection

    def _keep(self, account: Account, connection: Connection) -> None:
        kept = self._kept.get(account.id)
        if kept is not None:
            kept.may_chunk &= connection.may_chunk
        if connection.usable and kept is not None and kept.version == account.version:
            connection.kept_since = time.monotonic()
            kept.idle.append(connection)
        else:
            connection.close()

    def _relay(self, account: Account) -> Relay:
        return Relay(
            host=account.host,
            port=account.port,
            security=account.security,
            username=account.username,
            password=account.password,
            helo=self._mailing.helo,
            patience=self._mailing.patience,
        )

    def _context(self, account: Account) -> ssl.SSLContext | None:
        if account.security == "none":
            return None
        if self._trust is None:
            self._trust = self._mailing.trust()
        return self._trust

    def _signer(self, account: Account) -> DkimSigner | None:
        if not account.dkim_private_key:
            return None
        return DkimSigner(account.dkim_domain, account.dkim_selector, account.dkim_private_key.encode())


class _HandfulWriter:
    """Makes envelopes and messages of a handful when their turn comes."""

    def __init__(
        self,
        handful: Handful,
        account: Account,
        message: Writer,
        addresses: list[bytes],
        mailing: Mailing,
        clock: Clock,
        connection: Connection,
    ) -> None:
        self._handful = handful
        self._addresses = addresses
        self._writer = message
        self._clock = clock
        self._paths = mailing.return_paths.make(handful.batch, handful.places)
        self._return_domain = account.sender_address.rpartition("@")[2].encode("idna")
        self._batch = _batch_letters(handful.batch)
        self._smtputf8 = b" SMTPUTF8" if "SMTPUTF8" in connection.capabilities else b""

    def envelope(self, place: int) -> bytes:
        address = self._addresses[place]
        extension = b"" if address.isascii() else self._smtputf8
        return b"MAIL FROM:<%b@%b>%b\r\nRCPT TO:<%b>\r\nDATA\r\n" % (
            self._paths[place],
            self._return_domain,
            extension,
            address,
        )

    def message(self, place: int) -> bytes:
        handful = self._handful
        return self._writer.write(
            delivery_key(self._batch, handful.places[place]),
            handful.members[place],
            self._addresses[place],
            handful.locales[place],
            handful.tracked[place],
            handful.values[place],
            handful.concerned[place],
            self._clock.now(),
        )


def delivery_key(batch: bytes, place: int) -> bytes:
    """The left side of a Message-ID: batch and place."""
    return b"%b.%d" % (batch, place)


def _batch_letters(batch: str) -> bytes:
    return id_bytes(batch).hex().encode()


def _fit(address: str, connection: Connection) -> bytes:
    """The address as this server can take it; empty where it cannot."""
    try:
        fit = checked_address(address)
    except (HeaderUnsafe, UnicodeError):
        return b""
    return fit if fit.isascii() or "SMTPUTF8" in connection.capabilities else b""
