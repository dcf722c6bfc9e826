"""Opening a connection: greeting, EHLO, STARTTLS or TLS, AUTH."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field

from services.channels.connectors.smtp.connection import Connection, ConnectionLost, Patience, unusable
from services.channels.connectors.smtp.replies import Phase, Reply
from services.channels.domain.handing_off import AccountUnusable


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that takes our mail; ``security`` is ``none``, ``starttls`` or ``tls``."""

    host: str
    port: int
    security: str = "none"
    username: str = ""
    password: str = field(default="", repr=False)
    helo: str = "localhost"
    patience: Patience = field(default_factory=Patience)


async def open_connection(relay: Relay, trust: ssl.SSLContext | None = None) -> Connection:
    """A connection ready to deliver. Raises AccountUnusable with what the server said.

    A server that may not be spoken to in plain is never spoken to in plain: without STARTTLS in its EHLO answer the
    account is unusable. A password only travels over TLS, or to this machine.
    """
    loop = asyncio.get_running_loop()
    patience = relay.patience
    context = trust if trust is not None or relay.security == "none" else ssl.create_default_context()
    try:
        _, connection = await asyncio.wait_for(
            loop.create_connection(
                lambda: Connection(patience),
                relay.host,
                relay.port,
                ssl=context if relay.security == "tls" else None,
                server_hostname=relay.host if relay.security == "tls" else None,
            ),
            patience.connect,
        )
    except ssl.SSLCertVerificationError as error:
        raise AccountUnusable(_untrusted(relay, error), permanent=True) from error
    except (OSError, TimeoutError) as error:
        raise AccountUnusable(
            f"{relay.host}:{relay.port} cannot be reached ({type(error).__name__}).", permanent=False
        ) from error
    try:
        greeting = await connection.greeting()
        _expect(greeting, 220, "The server does not want us")
        await _hello(connection, relay)
        if relay.security == "starttls":
            await _start_tls(connection, relay, context)
        if relay.username:
            await _authenticate(connection, relay)
    except ConnectionLost as error:
        connection.close()
        raise AccountUnusable(f"{relay.host}:{relay.port}: {error}", permanent=False) from error
    except BaseException:
        connection.close()
        raise
    return connection


async def _hello(connection: Connection, relay: Relay) -> None:
    seconds = relay.patience.hello
    reply = await connection.ask(b"EHLO " + relay.helo.encode("idna"), Phase.HELLO, seconds)
    if reply.code >= 500:
        reply = await connection.ask(b"HELO " + relay.helo.encode("idna"), Phase.HELLO, seconds)
        _expect(reply, 250, "The server does not greet back")
        connection.greet({})
        return
    _expect(reply, 250, "The server does not greet back")
    pairs = (line.replace("=", " ", 1).partition(" ") for line in reply.lines[1:])
    capabilities: dict[str, str] = {}
    for word, _, rest in pairs:
        capabilities[word.upper()] = f"{capabilities.get(word.upper(), '')} {rest.upper()}".strip()
    connection.greet(capabilities)


async def _start_tls(connection: Connection, relay: Relay, context: ssl.SSLContext | None) -> None:
    assert context is not None
    if "STARTTLS" not in connection.capabilities:
        raise AccountUnusable(
            f"{relay.host} offers no STARTTLS: choose the port and security that your provider names.", permanent=True
        )
    reply = await connection.ask(b"STARTTLS", Phase.STARTTLS, relay.patience.hello)
    _expect(reply, 220, "The server refuses TLS")
    try:
        await asyncio.wait_for(connection.secure(context, relay.host), relay.patience.hello)
    except ssl.SSLCertVerificationError as error:
        raise AccountUnusable(_untrusted(relay, error), permanent=True) from error
    except (ssl.SSLError, OSError, TimeoutError) as error:
        raise AccountUnusable(f"TLS with {relay.host} failed ({type(error).__name__}).", permanent=False) from error
    await _hello(connection, relay)


async def _authenticate(connection: Connection, relay: Relay) -> None:
    if relay.security == "none" and relay.host not in ("localhost", "127.0.0.1", "::1"):
        raise AccountUnusable("A password is only sent over TLS: choose starttls or tls.", permanent=True)
    offered = connection.capabilities.get("AUTH", "").split()
    seconds = relay.patience.hello
    user, password = relay.username.encode(), relay.password.encode()
    if "PLAIN" in offered:
        secret = base64.b64encode(b"\0" + user + b"\0" + password)
        reply = await connection.ask(b"AUTH PLAIN " + secret, Phase.AUTH, seconds)
    elif "LOGIN" in offered:
        reply = await connection.ask(b"AUTH LOGIN", Phase.AUTH, seconds)
        for secret in (user, password):
            _expect(reply, 334, "The server refuses AUTH LOGIN")
            reply = await connection.ask(base64.b64encode(secret), Phase.AUTH, seconds)
    else:
        raise AccountUnusable(
            f"{relay.host} offers no password sign-in (PLAIN or LOGIN): check port and security.", permanent=True
        )
    if reply.code != 235:
        raise unusable(reply, "The user name or password was refused")


def _expect(reply: Reply, code: int, what: str) -> None:
    if reply.code != code:
        raise unusable(reply, what)


def _untrusted(relay: Relay, error: ssl.SSLCertVerificationError) -> str:
    return f"The certificate of {relay.host} is not trusted: {error.verify_message.rstrip('.')}."
