"""The e-mail connector as a sender uses it, pointed at the real servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from services.channels.connectors.smtp.connection import Patience
from services.channels.connectors.smtp.connector import Mailing, SmtpConnector
from services.channels.connectors.smtp.writing import Writer
from services.channels.domain.account import Account, AccountState
from services.channels.domain.content import Content, Revision
from services.channels.domain.handing_off import Answer, Handful
from services.channels.domain.run import RunOrder
from services.kit.clock import SystemClock
from services.kit.ids import Ids
from services.kit.tokens import KeyRing, LinkTokens, ReturnPaths
from tests.real.servers import PASSWORD, SENDER, DkimKey, MailServers

IDS = Ids(SystemClock())
AGENCY, COMMUNITY = IDS.new("agn"), IDS.new("com")
HELO = "sender.club.example"
# Letters beyond ASCII, lines that begin with a dot, spaces at a line's end, a line longer than SMTP allows.
HTML = (
    '<html><body><p>Chère {{ given_name | fallback("amie") }},</p>\n'
    ".a line that begins with a dot\n..\n.\n"
    "<p>Le programme “d’été” ☀️ : 20 € &amp; plus.   \n</p>"
    f"<p>{'Une très longue ligne sans fin. ' * 60}</p>\n"
    '<p><a href="https://club.example/agenda?a=1&amp;b=2">L’agenda</a> '
    '<a href="{{ unsubscribe_url }}">Se désinscrire</a></p></body></html>'
)
TEXT = "Chère {{ given_name }},\n\n.\n.. deux points\nEspaces   \n\nÀ bientôt !\n{{ unsubscribe_url }}\n"
T = TypeVar("T")


def account(port: int, **changes: Any) -> Account:
    """The club's account; without changes it signs in over STARTTLS."""
    given: dict[str, Any] = {
        "id": "acc_1",
        "version": 1,
        "agency": AGENCY,
        "community": COMMUNITY,
        "channel": "email",
        "name": "Club",
        "state": AccountState.ACTIVE,
        "alarm": "",
        "sender_address": SENDER,
        "sender_verified": True,
        "host": "127.0.0.1",
        "port": port,
        "security": "starttls",
        "username": SENDER,
        "password": PASSWORD,
    }
    return Account(**{**given, **changes})


def in_plain(port: int, **changes: Any) -> Account:
    """An account of a server on this machine that wants neither TLS nor a password."""
    return account(port, **{"security": "none", "username": "", "password": "", **changes})


def signing(key: DkimKey) -> dict[str, str]:
    """What an account that signs has besides."""
    return {"dkim_domain": "club.example", "dkim_selector": key.selector, "dkim_private_key": key.private}


def handful(addresses: Sequence[str], names: Sequence[str] = ()) -> Handful:
    count = len(addresses)
    return Handful(
        batch=IDS.new("bat"),
        places=list(range(count)),
        members=IDS.many("mbr", count),
        addresses=list(addresses),
        locales=["fr"] * count,
        tracked=[True] * count,
        values=[(name,) for name in names or ["Ada"] * count],
        concerned=[()] * count,
    )


@dataclass
class Sending:
    """A connector of one's own, and the message that it carries."""

    folder: Path
    servers: MailServers
    trusting: bool = True  # the authority of the tests
    subject: str = "Le programme d’été ☀️ pour {{ given_name }}"
    html: str = HTML
    text: str = TEXT
    helo: str = HELO

    def __post_init__(self) -> None:
        self.run = IDS.new("run")

    def deliver(self, account: Account, *handfuls: Handful) -> list[list[Answer]]:
        """The answers to each handful, one after the other over a kept connection."""

        async def do(connector: SmtpConnector) -> list[list[Answer]]:
            message = self.compiled(connector, account)
            return [await connector.deliver(account, message, each) for each in handfuls]

        return self.using(do)

    def deliver_at_once(self, account: Account, lanes: Sequence[Sequence[Handful]]) -> list[list[Answer]]:
        """The answers to every handful of every lane; lanes side by side, as a sender's are."""

        async def do(connector: SmtpConnector) -> list[list[Answer]]:
            message = self.compiled(connector, account)

            async def carry(lane: Sequence[Handful]) -> list[list[Answer]]:
                return [await connector.deliver(account, message, each) for each in lane]

            carried = await asyncio.gather(*map(carry, lanes))
            return [answers for lane in carried for answers in lane]

        return self.using(do)

    def sources(self, account: Account, sent: Handful) -> list[bytes]:
        """Each message of a handful as it leaves; only its date may be another."""

        async def do(connector: SmtpConnector) -> list[bytes]:
            message = self.compiled(connector, account)
            return [connector.render(message, only(sent, place)).source for place in range(len(sent))]

        return self.using(do)

    def check(self, account: Account) -> None:
        self.using(lambda connector: connector.check(account))

    def compiled(self, connector: SmtpConnector, account: Account) -> Writer:
        order = RunOrder(
            run=self.run,
            campaign=IDS.new("cmp"),
            agency=AGENCY,
            community=COMMUNITY,
            channel="email",
            purpose="news",
            account=account.id,
            from_name="Le Club",
            reply_to="info@club.example",
        )
        content = Content("fr", self.subject, self.html, self.text)
        return connector.compile(
            order, account, Revision(self.run, 1, (content,), ("given_name",), ("https://club.example/agenda?a=1&b=2",))
        )

    def using(self, do: Callable[[SmtpConnector], Awaitable[T]]) -> T:
        ring = KeyRing(self.folder / "keys")
        mailing = Mailing(
            LinkTokens(ring),
            ReturnPaths(ring),
            "http://127.0.0.1:8080",
            helo=self.helo,
            patience=Patience(connect=5, hello=5, envelope=10, end_of_data=10),
            trust=self._trust,
        )

        async def run() -> T:
            connector = SmtpConnector(mailing, SystemClock())
            try:
                return await do(connector)
            finally:
                await connector.close()

        return uvloop.run(asyncio.wait_for(run(), 60))

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.trusting:
            context.load_verify_locations(self.servers.certificates.authority)
        return context


def only(sent: Handful, place: int) -> Handful:
    """One message of a handful."""
    return Handful(
        batch=sent.batch,
        places=[sent.places[place]],
        members=[sent.members[place]],
        addresses=[sent.addresses[place]],
        locales=[sent.locales[place]],
        tracked=[sent.tracked[place]],
        values=[sent.values[place]],
        concerned=[sent.concerned[place]],
    )
