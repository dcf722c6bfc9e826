"""What channels answers: each rpc leads to one use case."""

from __future__ import annotations

from typing import Any

from fanfare.channels.v1 import account_service_pb2 as accounts_pb
from fanfare.channels.v1 import delivery_events_pb2
from fanfare.channels.v1 import delivery_service_pb2 as delivery_pb
from services.channels.domain.account import Account
from services.channels.domain.run import RunState
from services.channels.saying import order_of, revision_of
from services.channels.use_cases import accounts, controlling, explaining, previewing, proving, suppressing
from services.channels.use_cases.room import Room
from services.kit.rpc.server import Caller
from services.kit.rpc.trust import NotAllowed
from services.kit.scope import Scope

_PAGE, _LARGEST_PAGE = 50, 200
_NEW_ACCOUNT_FIELDS = accounts.NewAccount.__dataclass_fields__


class AccountApi:
    """``fanfare.channels.v1.AccountService``."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def AddAccount(self, request: accounts_pb.AddAccountRequest, caller: Caller) -> accounts_pb.AddAccountResponse:
        new = accounts.NewAccount(**{name: getattr(request, name) for name in _NEW_ACCOUNT_FIELDS})
        scope = caller.in_community(request.community)
        return accounts_pb.AddAccountResponse(account=_account(accounts.add_account(self._room, scope, new)))

    def GetAccounts(self, request: accounts_pb.GetAccountsRequest, caller: Caller) -> accounts_pb.GetAccountsResponse:
        found = accounts.get_accounts(self._room, caller.scope, list(request.ids))
        return accounts_pb.GetAccountsResponse(accounts=[_account(account) for account in found])

    def ListAccounts(
        self, request: accounts_pb.ListAccountsRequest, caller: Caller
    ) -> accounts_pb.ListAccountsResponse:
        found, following = accounts.list_accounts(
            self._room, _within(caller, request.community), limit=_size(request.page), after=request.page.after
        )
        return accounts_pb.ListAccountsResponse(accounts=[_account(account) for account in found], next=following)

    def ChangeAccount(
        self, request: accounts_pb.ChangeAccountRequest, caller: Caller
    ) -> accounts_pb.ChangeAccountResponse:
        said = accounts.AccountChange(
            **{each.name: value for each, value in request.ListFields() if each.name != "account"}
        )
        changed = accounts.change_account(self._room, caller.scope, request.account, said)
        return accounts_pb.ChangeAccountResponse(account=_account(changed))

    def TestAccount(self, request: accounts_pb.TestAccountRequest, caller: Caller) -> accounts_pb.TestAccountResponse:
        reply = proving.test_account(self._room, caller.scope, request.account)
        return accounts_pb.TestAccountResponse(usable=not reply, reply=reply)

    def RequestSenderProof(
        self, request: accounts_pb.RequestSenderProofRequest, caller: Caller
    ) -> accounts_pb.RequestSenderProofResponse:
        at = proving.request_sender_proof(self._room, caller.scope, request.account)
        return accounts_pb.RequestSenderProofResponse(sent_at=at)

    def ConfirmSender(self, request: accounts_pb.ConfirmSenderRequest, _: Caller) -> accounts_pb.ConfirmSenderResponse:
        return accounts_pb.ConfirmSenderResponse(account=_account(accounts.confirm_sender(self._room, request.token)))


class DeliveryApi:
    """``fanfare.channels.v1.DeliveryService``."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def ControlRun(self, request: delivery_pb.ControlRunRequest, caller: Caller) -> delivery_pb.ControlRunResponse:
        state = controlling.control_run(
            self._room, caller.scope, request.run, RunState.named(request.state), request.revision
        )
        return delivery_pb.ControlRunResponse(state=state.value)

    def HoldOutgoing(
        self, request: delivery_pb.HoldOutgoingRequest, caller: Caller
    ) -> delivery_pb.HoldOutgoingResponse:
        scope = _held(caller, request.community)
        at = controlling.hold_outgoing(self._room, scope, request.community, request.cause)
        return delivery_pb.HoldOutgoingResponse(held_at=at)

    def ReleaseOutgoing(
        self, request: delivery_pb.ReleaseOutgoingRequest, caller: Caller
    ) -> delivery_pb.ReleaseOutgoingResponse:
        scope = _held(caller, request.community)
        at = controlling.release_outgoing(self._room, scope, request.community)
        return delivery_pb.ReleaseOutgoingResponse(released_at=at)

    def ExplainDelivery(
        self, request: delivery_pb.ExplainDeliveryRequest, caller: Caller
    ) -> delivery_pb.ExplainDeliveryResponse:
        said = explaining.explain_delivery(self._room, caller.scope, request.run, request.member, caller.locale)
        return delivery_pb.ExplainDeliveryResponse(
            state=said.state,
            reason=said.reason,
            message=said.message,
            at=said.at,
            message_id=said.message_id,
            attempts=said.attempts,
            reply=said.reply,
            revision=said.revision,
            shared_with=said.shared_with,
        )

    def ListDeliveries(
        self, request: delivery_pb.ListDeliveriesRequest, caller: Caller
    ) -> delivery_pb.ListDeliveriesResponse:
        found, following = explaining.list_deliveries(
            self._room,
            caller.scope,
            request.run,
            request.state,
            limit=_size(request.page),
            after=request.page.after,
        )
        deliveries = [
            delivery_pb.Delivery(member=each.member, state=each.state, reason=each.reason, at=each.at, reply=each.reply)
            for each in found
        ]
        return delivery_pb.ListDeliveriesResponse(deliveries=deliveries, next=following)

    def RenderPreview(
        self, request: delivery_pb.RenderPreviewRequest, caller: Caller
    ) -> delivery_pb.RenderPreviewResponse:
        order, revision = order_of(request.order), revision_of(request.revision)
        preview = previewing.render_preview(self._room, caller.scope, order, revision, request.member)
        rendered = preview.rendered
        return delivery_pb.RenderPreviewResponse(
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            locale=rendered.locale,
            source=rendered.source,
            verdict=preview.verdict,
        )

    def SendTest(self, request: delivery_pb.SendTestRequest, caller: Caller) -> delivery_pb.SendTestResponse:
        message_id, answer = previewing.send_test(
            self._room,
            caller.scope,
            order_of(request.order),
            revision_of(request.revision),
            request.member,
            request.to,
        )
        return delivery_pb.SendTestResponse(message_id=message_id, outcome=answer.outcome.value, reply=answer.reply)

    def Suppress(self, request: delivery_pb.SuppressRequest, caller: Caller) -> delivery_pb.SuppressResponse:
        suppressing.suppress_member(
            self._room,
            caller.in_community(request.community),
            request.community,
            request.channel,
            request.member,
            list(request.purposes),
            request.cause,
            request.at,
        )
        return delivery_pb.SuppressResponse(suppressed=True)

    def GetTotals(self, request: delivery_pb.GetTotalsRequest, caller: Caller) -> delivery_pb.GetTotalsResponse:
        found = explaining.get_totals(self._room, caller.scope, request.run)
        return delivery_pb.GetTotalsResponse(
            totals=delivery_events_pb2.Totals(**found.totals), batches=found.batches, state=found.state
        )


def _within(caller: Caller, community: str) -> Scope:
    """The community that was named; all that the caller reaches where none is."""
    return caller.in_community(community) if community else caller.scope


def _held(caller: Caller, community: str) -> Scope:
    """The community that was named; where none is, the whole agency, for who acts in all of it."""
    if not community and caller.scope.communities is not None:
        raise NotAllowed("outgoing.hold", "community")
    return _within(caller, community)


def _size(page: Any) -> int:
    return min(page.size or _PAGE, _LARGEST_PAGE)


def _account(account: Account) -> accounts_pb.Account:
    return accounts_pb.Account(
        id=account.id,
        community=account.community,
        version=account.version,
        channel=account.channel,
        name=account.name,
        state=account.state.value,
        alarm=account.alarm,
        sender_address=account.sender_address,
        sender_verified=account.sender_verified,
        host=account.host,
        port=account.port,
        security=account.security,
        username=account.username,
        rate_per_minute=account.rate_per_minute,
        dkim_domain=account.dkim_domain,
        dkim_selector=account.dkim_selector,
    )
