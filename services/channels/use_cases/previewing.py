"""The very message that a member would get, made by the very code that sends; shown, or sent to an operator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from services.channels.domain.content import Revision
from services.channels.domain.gate import SEND, Gate, Recipient
from services.channels.domain.handing_off import AccountUnusable, Answer, Cause, Connector, Handful, Outcome, Rendered
from services.channels.domain.run import RunOrder
from services.channels.use_cases.accounts import opened
from services.channels.use_cases.controlling import is_held
from services.channels.use_cases.gating import received_lately
from services.channels.use_cases.room import Room
from services.channels.use_cases.suppressing import Suppressed
from services.kit.errors import Invalid, NotFound
from services.kit.scope import EVERY_AGENCY, Scope

NOBODY = "mbr_" + "0" * 32  # tokens in previews and tests stand for nobody: trying a link changes nothing
_EXAMPLE = "member@example.invalid"


class UnknownMember(NotFound):
    reason = "member-unknown"

    def __init__(self) -> None:
        super().__init__("There is no such member in this community.", field="member")


@dataclass(frozen=True, slots=True)
class Preview:
    rendered: Rendered
    verdict: str  # empty: it would be sent now


def render_preview(room: Room, scope: Scope, order: RunOrder, revision: Revision, member: str) -> Preview:
    """Raises Invalid where the content cannot be compiled, UnknownMember, Unavailable while members is away."""
    order = _own(scope, order)
    connector, message, recipient = _prepared(room, scope, order, revision, member)
    rendered = connector.render(message, _handful(room, recipient, recipient.address or _EXAMPLE))
    return Preview(rendered, _verdict(room, scope, order, recipient))


def send_test(
    room: Room, scope: Scope, order: RunOrder, revision: Revision, member: str, to: str
) -> tuple[str, Answer]:
    """The preview of a member, sent to an operator's own address; returns its Message-ID and what the server said."""
    order = _own(scope, order)
    connector, message, recipient = _prepared(room, scope, order, revision, member)
    account = opened(room, room.account(scope, order.account))
    handful = _handful(room, recipient, to)
    message_id = f"<{handful.batch.rpartition('_')[2]}.0@{account.sender_address.rpartition('@')[2]}>"

    async def deliver() -> Answer:
        try:
            return (await connector.deliver(account, message, handful))[0]
        except AccountUnusable as trouble:
            outcome = Outcome.REFUSED if trouble.permanent else Outcome.RETRY
            return Answer(outcome, Cause.ACCOUNT, trouble.code, "", trouble.reply)
        finally:
            await connector.close()

    return message_id, asyncio.run(deliver())


def _own(scope: Scope, order: RunOrder) -> RunOrder:
    """The order, in the caller's own agency whatever it says; NotFound for a community outside the scope."""
    within = scope.within(order.community)
    return order if within.agency == EVERY_AGENCY else replace(order, agency=within.agency)


def _prepared(
    room: Room, scope: Scope, order: RunOrder, revision: Revision, member: str
) -> tuple[Connector, object, Recipient]:
    make = room.connectors.get(order.channel)
    if make is None:
        raise Invalid("There is no connector for this channel.", field="channel")
    if not revision.contents:
        raise Invalid("The message has no content yet: write one.", field="revision")
    account = opened(room, room.account(scope, order.account))
    (recipient,) = room.members.resolve(order, [member], revision.fields)
    if recipient.state == "missing":
        raise UnknownMember
    connector = make()
    return connector, connector.compile(order, account, revision), recipient


def _handful(room: Room, recipient: Recipient, address: str) -> Handful:
    return Handful(
        batch=room.ids.new("bat"),
        places=[0],
        members=[NOBODY],
        addresses=[address],
        locales=[recipient.locale],
        tracked=[recipient.may_track],
        values=[list(recipient.values)],
        concerned=[()],
    )


def _verdict(room: Room, scope: Scope, order: RunOrder, recipient: Recipient) -> str:
    if is_held(room, order.agency, order.community, scope):
        return "held"
    now = room.clock.now()
    suppressed = Suppressed(room, scope, order, [recipient.member], [recipient.address])
    received = received_lately(room, scope, order, [recipient.member], now)
    verdict = Gate(order, now).judge(
        recipient,
        suppressed=suppressed.holds(recipient.member, recipient.address),
        received=received.get(recipient.member, 0),
    )
    return "" if verdict is SEND else verdict.reason
