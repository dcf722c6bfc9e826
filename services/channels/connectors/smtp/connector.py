"""The e-mail connector: a handful in, one answer for each message out, over connections that are kept."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.channels.connectors.smtp.connection import Connection, Voyage
from services.channels.connectors.smtp.encoding import HeaderUnsafe, checked_address, dot_stuffed
from services.channels.connectors.smtp.session import Relay, open_connection
from services.channels.connectors.smtp.writing import Writer
from services.channels.domain.handing_off import Answer, Cause, Handful, Outcome
from services.kit.clock import Clock
from services.kit.ids import id_bytes
from services.kit.tokens import ReturnPaths

_KEPT_IDLE_SECONDS = 20.0
_UNFIT = Answer(
    Outcome.REFUSED, Cause.BAD_ADDRESS, 0, "5.1.3", "The address cannot be written in an envelope of this server."
)


@dataclass(frozen=True, slots=True)
class MailAccount:
    """One relay and the domain that bounces come back to; ``revision`` changes when either does."""

    id: str
    revision: int
    relay: Relay
    return_domain: str


@dataclass(slots=True)
class _Kept:
    revision: int
    idle: list[Connection] = field(default_factory=list)


class SmtpConnector:
    """Keeps connections per account; each handful has one of them for itself."""

    def __init__(self, return_paths: ReturnPaths, clock: Clock, trust: Callable[[], ssl.SSLContext]) -> None:
        self._return_paths = return_paths
        self._clock = clock
        self._trust = trust
        self._kept: dict[str, _Kept] = {}

    async def deliver(self, account: MailAccount, message: Writer, handful: Handful) -> list[Answer]:
        connection = await self._connection(account)
        answers: list[Answer | None] = [None] * len(handful)
        addresses = [_fit(address, connection) for address in handful.addresses]
        sendable = [place for place, address in enumerate(addresses) if address]
        for place, address in enumerate(addresses):
            if not address:
                answers[place] = _UNFIT
        writer = _HandfulWriter(handful, account, message, addresses, self._return_paths, self._clock, connection)
        voyage = Voyage(
            count=len(sendable),
            envelope=lambda index: writer.envelope(sendable[index]),
            message=lambda index: writer.message(sendable[index]),
            may_begin=handful.may_begin,
            answers=[None] * len(sendable),
            deadline=handful.ends_by,
        )
        await connection.deliver(voyage)
        self._keep(account, connection)
        for place, answer in zip(sendable, voyage.answers, strict=True):
            answers[place] = answer
        return [answer for answer in answers if answer is not None]

    async def check(self, account: MailAccount) -> dict[str, str]:
        """Connect, sign in and leave; returns what the server can do. Raises AccountUnusable."""
        connection = await open_connection(account.relay, self._trust())
        capabilities = connection.capabilities
        await connection.quit()
        return capabilities

    async def close(self) -> None:
        """Take leave of every server."""
        for kept in self._kept.values():
            for connection in kept.idle:
                await connection.quit()
        self._kept.clear()

    async def _connection(self, account: MailAccount) -> Connection:
        kept = self._kept.get(account.id)
        if kept is not None and kept.revision != account.revision:
            for connection in kept.idle:
                connection.close()
            kept = None
        if kept is None:
            kept = self._kept.setdefault(account.id, _Kept(account.revision))
            self._kept[account.id] = kept = kept if kept.revision == account.revision else _Kept(account.revision)
        while kept.idle:
            connection = kept.idle.pop()
            if connection.usable and time.monotonic() - connection.kept_since < _KEPT_IDLE_SECONDS:
                return connection
            connection.close()
        return await open_connection(account.relay, self._trust())

    def _keep(self, account: MailAccount, connection: Connection) -> None:
        kept = self._kept.get(account.id)
        if connection.usable and kept is not None and kept.revision == account.revision:
            connection.kept_since = time.monotonic()
            kept.idle.append(connection)
        else:
            connection.close()


class _HandfulWriter:
    """Makes envelopes and messages of a handful when their turn comes."""

    def __init__(
        self,
        handful: Handful,
        account: MailAccount,
        message: Writer,
        addresses: list[bytes],
        return_paths: ReturnPaths,
        clock: Clock,
        connection: Connection,
    ) -> None:
        self._handful = handful
        self._addresses = addresses
        self._writer = message
        self._clock = clock
        self._paths = return_paths.make(handful.batch, handful.places)
        self._return_domain = account.return_domain.encode("idna")
        self._batch = id_bytes(handful.batch).hex().encode()
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
        return dot_stuffed(
            self._writer.write(
                delivery_key(self._batch, handful.places[place]),
                handful.members[place],
                self._addresses[place],
                handful.locales[place],
                handful.tracked[place],
                handful.values[place],
                handful.concerned[place],
                self._clock.now(),
            )
        )


def delivery_key(batch: bytes, place: int) -> bytes:
    """The left side of a Message-ID: batch and place."""
    return b"%b.%d" % (batch, place)


def _fit(address: str, connection: Connection) -> bytes:
    """The address as this server can take it; empty where it cannot."""
    try:
        fit = checked_address(address)
    except (HeaderUnsafe, UnicodeError):
        return b""
    return fit if fit.isascii() or "SMTPUTF8" in connection.capabilities else b""
