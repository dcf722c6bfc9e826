"""Channel accounts, and stopping everything."""

from __future__ import annotations

from fanfare.channels.v1 import account_service_pb2 as pb
from services.gateway.asking import BATCHES, by_rpc
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import by_id, listing, one


class Account(Mirror):
    class Meta:
        message = pb.Account
        interfaces = (Node,)

    community = one("community", "Community")


KINDS["acc"] = "Account"
BATCHES["Account"] = by_rpc("AccountService.GetAccounts")

QUERIES = {
    "accounts": listing("AccountService.ListAccounts", "Account", "The channel accounts of a community."),
    "account": by_id("Account", "One channel account."),
}

MUTATIONS = {
    "addAccount": act("AccountService.AddAccount", required=("community", "channel", "name", "sender_address")),
    "changeAccount": act("AccountService.ChangeAccount", required=("account",)),
    "testAccount": act("AccountService.TestAccount", required=("account",)),
    "requestSenderProof": act("AccountService.RequestSenderProof", required=("account",)),
    "holdOutgoing": act("DeliveryService.HoldOutgoing"),
    "releaseOutgoing": act("DeliveryService.ReleaseOutgoing"),
}
