"""What the tests of sending share: a handful, an account, a connector."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import uvloop

from services.channels.connectors.smtp.connection import Patience
from services.channels.connectors.smtp.connector import Mailing, SmtpConnector
from services.channels.domain.account import Account, AccountState
from services.channels.domain.content import Content, Revision
from services.channels.domain.handing_off import Answer, Handful
from services.channels.domain.run import RunOrder
from services.kit.clock import SystemClock
from services.kit.ids import Ids
from services.kit.tokens import KeyRing, LinkTokens, ReturnPaths

IDS = Ids(SystemClock())
QUICK = Patience(connect=2, hello=2, envelope=0.4, end_of_data=0.4)
AGENCY, COMMUNITY = IDS.new("agn"), IDS.new("com")


def handful(*addresses: str, halted: Callable[[], bool] = bool) -> Handful:
    count = len(addresses)
    return Handful(
        batch=IDS.new("bat"),
        places=list(range(count)),
        members=IDS.many("mbr", count),
        addresses=list(addresses),
        locales=["en"] * count,
        tracked=[True] * count,
        values=[("Ada",)] * count,
        concerned=[()] * count,
        halted=halted,
    )


def order(account: Account, **changes: object) -> RunOrder:
    given: dict[str, object] = {
        "run": IDS.new("run"),
        "campaign": IDS.new("cmp"),
        "agency": account.agency,
        "community": account.community,
        "channel": "email",
        "purpose": "news",
        "account": account.id,
        "from_name": "Club",
        "launched_at": SystemClock().now(),
    }
    return RunOrder(**{**given, **changes})  # type: ignore[arg-type] # by name


def account(port: int, *, security: str = "none", username: str = "", password: str = "") -> Account:
    return Account(
        id="acc_1",
        version=1,
        agency=AGENCY,
        community=COMMUNITY,
        channel="email",
        name="Club",
        state=AccountState.ACTIVE,
        alarm="",
        sender_address="news@club.example",
        sender_verified=True,
        host="127.0.0.1",
        port=port,
        security=security,
        username=username,
        password=password,
    )


def connector(folder: Path, trust: ssl.SSLContext | None = None) -> SmtpConnector:
    ring = KeyRing(folder / "keys")
    mailing = Mailing(
        LinkTokens(ring),
        ReturnPaths(ring),
        "http://127.0.0.1:8080",
        helo="test.example",
        patience=QUICK,
        trust=lambda: trust or ssl.create_default_context(),
    )
    return SmtpConnector(mailing, SystemClock())


def deliver(
    folder: Path,
    account: Account,
    *handfuls: Handful,
    html: str = "<p>Hello {{ given_name }}</p>",
    trust: ssl.SSLContext | None = None,
) -> list[list[Answer]]:
    """The answers to each handful, one after the other over the connector's kept connections."""
    sent = order(account)
    revision = Revision(sent.run, 1, (Content("en", "Hello", html),), ("given_name",))

    async def run() -> list[list[Answer]]:
        mail = connector(folder, trust)
        try:
            message = mail.compile(sent, account, revision)
            return [await mail.deliver(account, message, each) for each in handfuls]
        finally:
            await mail.close()

    return uvloop.run(asyncio.wait_for(run(), 30))
