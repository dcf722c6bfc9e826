"""What the tests of sending share: a handful, a relay, a message."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from services.channels.connectors.smtp.compiling import Sender, compile_revision
from services.channels.connectors.smtp.connection import Patience
from services.channels.connectors.smtp.connector import MailAccount, SmtpConnector
from services.channels.connectors.smtp.session import Relay
from services.channels.connectors.smtp.writing import Writer
from services.channels.domain.content import Content, Revision
from services.channels.domain.handing_off import Answer, Handful
from services.kit.clock import SystemClock
from services.kit.ids import Ids
from services.kit.tokens import KeyRing, LinkTokens, ReturnPaths

IDS = Ids(SystemClock())
QUICK = Patience(connect=2, hello=2, envelope=0.4, end_of_data=0.4)


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


def writer(folder: Path, html: str = "<p>Hello {{ given_name }}</p>") -> Writer:
    run = IDS.new("run")
    content = Content("en", "Hello", html)
    compiled = compile_revision(
        Revision(run, 1, (content,), ("given_name",)), Sender("news@club.example", "Club"), "http://127.0.0.1:8080"
    )
    return Writer(compiled, LinkTokens(KeyRing(folder / "keys")).of_run(run))


def account(port: int, *, security: str = "none", username: str = "", password: str = "") -> MailAccount:
    relay = Relay("127.0.0.1", port, security, username, password, "test.example", QUICK)
    return MailAccount("acc_1", 1, relay, "bounces.club.example")


def deliver(
    folder: Path,
    account: MailAccount,
    *handfuls: Handful,
    html: str = "<p>Hello {{ given_name }}</p>",
    trust: ssl.SSLContext | None = None,
) -> list[list[Answer]]:
    """The answers to each handful, one after the other over the connector's kept connections."""

    async def run() -> list[list[Answer]]:
        connector = SmtpConnector(
            ReturnPaths(KeyRing(folder / "keys")), SystemClock(), lambda: trust or ssl.create_default_context()
        )
        try:
            return [await connector.deliver(account, writer(folder, html), each) for each in handfuls]
        finally:
            await connector.close()

    return asyncio.run(asyncio.wait_for(run(), 30))
