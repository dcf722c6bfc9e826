"""The proof that a sender's address is the community's own: a link mailed to it, and a button behind the link."""

from __future__ import annotations

import asyncio
import html

from services.channels.domain.account import Account
from services.channels.domain.content import Content, Revision
from services.channels.domain.handing_off import AccountUnusable, Handful, Outcome
from services.channels.domain.run import RunOrder
from services.channels.use_cases.accounts import opened, proof_token
from services.channels.use_cases.previewing import NOBODY
from services.channels.use_cases.room import Room
from services.kit.errors import Conflict
from services.kit.scope import Scope

_SUBJECT = "Confirmez cette adresse d'expédition · Confirm this sender address"
_PAGE = """<html><body>
<p>Cette adresse doit servir d'expéditeur à « {name} ».
Si c'est bien voulu, ouvrez ce lien et appuyez sur le bouton :</p>
<p>This address is to be the sender of “{name}”. If that is meant, open this link and press the button:</p>
<p><a href="{link}">{link}</a></p>
<p>Sinon, ne faites rien. Le lien vaut sept jours. · Otherwise, do nothing. The link is good for seven days.</p>
</body></html>"""


class ProofUnsent(Conflict):
    reason = "proof-unsent"


def request_sender_proof(room: Room, scope: Scope, account_id: str) -> int:
    """Mail the link through the account itself; returns when (UTC ms). Raises ProofUnsent with what the server said."""
    account = opened(room, room.account(scope, account_id))
    answer = asyncio.run(_deliver(room, account))
    if answer:
        raise ProofUnsent(f"The link could not be mailed through this account: {answer}", field="account")
    return room.clock.now()


async def _deliver(room: Room, account: Account) -> str:
    """Empty, or what the server said."""
    connector = room.connectors[account.channel]()
    link = f"{room.base_url.rstrip('/')}/s/{proof_token(room, account)}"
    order = RunOrder(
        run="run_" + "0" * 32,
        campaign="",
        agency=account.agency,
        community=account.community,
        channel=account.channel,
        purpose="service",
        account=account.id,
    )
    page = _PAGE.format(name=html.escape(account.name), link=html.escape(link))
    message = connector.compile(order, account, Revision(order.run, 1, (Content("fr", _SUBJECT, page),)))
    handful = Handful(
        batch=room.ids.new("bat"),
        places=[0],
        members=[NOBODY],
        addresses=[account.sender_address],
        locales=["fr"],
        tracked=[False],
        values=[()],
        concerned=[()],
    )
    try:
        (answer,) = await connector.deliver(account, message, handful)
    except AccountUnusable as trouble:
        return trouble.reply
    finally:
        await connector.close()
    return "" if answer.outcome is Outcome.ACCEPTED else answer.reply or "no answer"


def test_account(room: Room, scope: Scope, account_id: str) -> str:
    """Connect, sign in and leave; empty where that works, else what stood in the way."""
    account = opened(room, room.account(scope, account_id))
    connector = room.connectors[account.channel]()

    async def check() -> str:
        try:
            await connector.check(account)
        except AccountUnusable as trouble:
            return trouble.reply
        return ""

    return asyncio.run(check())
