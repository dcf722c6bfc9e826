"""The only file that knows everything: collections, use cases, edges and workers of the channels room."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from pathlib import Path

from fanfare.channels.v1 import account_service_pb2, delivery_service_pb2
from services.channels.clients import CampaignsClient, MembersClient
from services.channels.connectors.smtp.connector import Mailing, SmtpConnector
from services.channels.delivery.sender import Sender, Ways
from services.channels.domain.handing_off import Connector
from services.channels.domain.ledger import Patience
from services.channels.events_in import TOPICS, handlers
from services.channels.events_out import EVENTS_OUT
from services.channels.grpc_api import AccountApi, DeliveryApi
from services.channels.settings import ChannelsSettings
from services.channels.storage import documents as kept
from services.channels.storage.vault import Vault
from services.channels.use_cases.room import Campaigns, Members, Room
from services.kit.clock import SECOND, Clock, SystemClock
from services.kit.consume import Consumer
from services.kit.errors import Invalid
from services.kit.health import Health, needs_of
from services.kit.ids import Ids
from services.kit.log import open_log
from services.kit.outbox import Relay
from services.kit.process import Parts
from services.kit.rpc.answered import AnsweredRequests
from services.kit.rpc.client import Peer
from services.kit.rpc.server import RpcServer, Service
from services.kit.rpc.trust import Signer, Verifier
from services.kit.rpc.walls import Walls
from services.kit.secret_files import made_once
from services.kit.store.machinery import AnsweredRequestDocument, DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Store
from services.kit.tokens import KeyRing, LinkTokens, ProofTokens, ReturnPaths

SERVICE = "channels"
DOCUMENTS: tuple[type, ...] = (
    kept.RunDocument,
    kept.BatchDocument,
    kept.LedgerDocument,
    kept.AccountDocument,
    kept.PaceDocument,
    kept.SuppressionDocument,
    kept.HoldDocument,
    kept.ErasureDocument,
    LeaseDocument,
    DeadLetterDocument,
    AnsweredRequestDocument,
)
_WITH_OUTBOX: tuple[type, ...] = (kept.LedgerDocument, kept.AccountDocument, kept.ErasureDocument)
_KEY_BYTES = 32

Connectors = dict[str, Callable[[], Connector]]


def room_of(
    store: Store,
    clock: Clock,
    settings: ChannelsSettings,
    members: Members,
    campaigns: Campaigns,
    nudge: Callable[[], None] = lambda: None,
) -> Room:
    """The channels room over a store."""
    ring = KeyRing(settings.link_keys_folder)
    return Room(
        runs=store.collection(kept.RunDocument),
        batches=store.collection(kept.BatchDocument),
        ledgers=store.collection(kept.LedgerDocument),
        accounts=store.collection(kept.AccountDocument),
        paces=store.collection(kept.PaceDocument),
        suppressions=store.collection(kept.SuppressionDocument),
        holds=store.collection(kept.HoldDocument),
        erasures=store.collection(kept.ErasureDocument),
        vault=Vault(settings.keys_folder / "vault"),
        members=members,
        campaigns=campaigns,
        connectors=connectors_of(settings, clock, ring),
        address_key=_address_key(settings.keys_folder),
        proofs=ProofTokens(ring, "sender-proof"),
        base_url=settings.base_url,
        clock=clock,
        ids=Ids(clock),
        nudge=nudge,
    )


def connectors_of(settings: ChannelsSettings, clock: Clock, ring: KeyRing) -> Connectors:
    """A new connector for each channel we have one for."""

    def trust() -> ssl.SSLContext:
        context = ssl.create_default_context()
        if settings.tls_ca_file:
            context.load_verify_locations(settings.tls_ca_file)
        return context

    mailing = Mailing(
        links=LinkTokens(ring),
        return_paths=ReturnPaths(ring),
        base_url=settings.base_url,
        helo=settings.helo,
        trust=trust,
    )
    return {"email": lambda: SmtpConnector(mailing, clock)}


def ways_of(settings: ChannelsSettings) -> Ways:
    patience = Patience([delay * SECOND for delay in settings.retry_delays], settings.again_delay * SECOND)
    return Ways(settings.handful, settings.lanes, settings.lease_seconds * SECOND, patience)


def wire(settings: ChannelsSettings) -> Parts:
    """Everything that lives in one process of the service."""
    clock = SystemClock()
    store = open_store(settings.store_url(SERVICE), DOCUMENTS)
    log = open_log(settings.log_url, clock=clock, terms=settings.log_terms)
    leases = store.collection(LeaseDocument)
    health = Health(needs_of(leases, log, SERVICE, SERVICE))
    answered = AnsweredRequests(store.collection(AnsweredRequestDocument), clock)
    relay = Relay(SERVICE, log, [store.collection(each) for each in _WITH_OUTBOX], leases, EVENTS_OUT, clock)
    signer = Signer(settings.keys_folder, SERVICE, clock)
    members, campaigns = (Peer(settings.address(name), signer) for name in ("members", "campaigns"))
    nudged: list[Callable[[], None]] = [relay.nudge]

    def nudge() -> None:
        for each in nudged:
            each()

    asked = MembersClient(members)
    room = room_of(store, clock, settings, asked, CampaignsClient(campaigns), nudge)
    sender = Sender(room, room.connectors, ways_of(settings))
    nudged.append(sender.nudge)
    consumer = Consumer(
        log,
        store.collection(DeadLetterDocument),
        group=SERVICE,
        topics=TOPICS,
        handlers=handlers(room),
        clock=clock,
    )
    server = RpcServer(
        settings.address(SERVICE),
        [
            Service(account_service_pb2.DESCRIPTOR.services_by_name["AccountService"], AccountApi(room)),
            Service(delivery_service_pb2.DESCRIPTOR.services_by_name["DeliveryService"], DeliveryApi(room)),
        ],
        Verifier(settings.keys_folder, clock),
        answered=answered,
        walls=Walls(asked.owns),
        health=health,
        threads=settings.rpc_threads,
    )

    def close() -> None:
        members.close()
        campaigns.close()
        log.close()
        store.close()

    return Parts(server, (relay, consumer, sender, answered), close, health)


def _address_key(folder: Path) -> bytes:
    """The key under which suppressed addresses are hashed; made at the first start, and kept for good."""
    path = folder / "suppressed-addresses.secret"
    key = made_once(path, lambda: secrets.token_bytes(_KEY_BYTES))
    if len(key) != _KEY_BYTES:
        raise Invalid(f"The file {path} is damaged: put its backup back, or suppressed addresses are not recognised.")
    return key
