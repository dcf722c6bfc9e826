"""The only file that knows everything: collections, use cases, edges and workers of the campaigns room."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from google.protobuf.descriptor import ServiceDescriptor

from fanfare.campaigns.v1 import (
    campaign_service_pb2,
    objective_service_pb2,
    run_service_pb2,
    template_service_pb2,
)
from services.campaigns.clients import AskedChannels, AskedMembers
from services.campaigns.events_in import TOPICS, handlers
from services.campaigns.events_out import EVENTS_OUT
from services.campaigns.grpc_api import CampaignApi, ObjectiveApi, RunApi, TemplateApi
from services.campaigns.settings import CampaignsSettings
from services.campaigns.storage import documents as kept
from services.campaigns.storage.campaigns import StoredCampaigns
from services.campaigns.storage.objectives import StoredObjectives
from services.campaigns.storage.runs import StoredRevisions, StoredRuns
from services.campaigns.storage.templates import StoredSettings, StoredTemplates
from services.campaigns.use_cases.desk import Channels, Desk, Members
from services.campaigns.workers import Recounter, planner, scheduler
from services.kit.clock import SECOND, Clock, SystemClock
from services.kit.consume import Consumer
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
from services.kit.store.machinery import AnsweredRequestDocument, DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Store

SERVICE = "campaigns"
WITH_OUTBOX: tuple[type, ...] = (
    kept.CampaignDocument,
    kept.RunDocument,
    kept.BatchDocument,
    kept.ObjectiveDocument,
    kept.ErasureDocument,
)
DOCUMENTS: tuple[type, ...] = (
    *WITH_OUTBOX,
    kept.RevisionDocument,
    kept.BatchTotalsDocument,
    kept.ReactionDocument,
    kept.ConversionDocument,
    kept.AliasDocument,
    kept.GainDocument,
    kept.TemplateDocument,
    kept.CampaignSettingsDocument,
    LeaseDocument,
    DeadLetterDocument,
    AnsweredRequestDocument,
)


def desk_over(
    store: Store,
    members: Members,
    channels: Channels,
    clock: Clock,
    *,
    nudge: Callable[[], None] = lambda: None,
    recount: Callable[[str, str], None] = lambda _agency, _community: None,
) -> Desk:
    """The desk that use cases work at, over a store."""
    ids = Ids(clock)
    return Desk(
        campaigns=StoredCampaigns(store.collection(kept.CampaignDocument), clock, ids),
        runs=StoredRuns(store.collection(kept.RunDocument), clock, ids),
        revisions=StoredRevisions(store.collection(kept.RevisionDocument)),
        objectives=StoredObjectives(store.collection(kept.ObjectiveDocument), clock, ids),
        templates=StoredTemplates(store.collection(kept.TemplateDocument)),
        settings=StoredSettings(store.collection(kept.CampaignSettingsDocument)),
        batches=store.collection(kept.BatchDocument),
        batch_totals=store.collection(kept.BatchTotalsDocument),
        reactions=store.collection(kept.ReactionDocument),
        conversions=store.collection(kept.ConversionDocument),
        aliases=store.collection(kept.AliasDocument),
        gains=store.collection(kept.GainDocument),
        erasures=store.collection(kept.ErasureDocument),
        members=members,
        channels=channels,
        clock=clock,
        ids=ids,
        nudge=nudge,
        recount=recount,
    )


def services_over(desk: Desk) -> list[Service]:
    """The contract's services and what answers them."""
    return [
        Service(_service(campaign_service_pb2, "CampaignService"), CampaignApi(desk)),
        Service(_service(objective_service_pb2, "ObjectiveService"), ObjectiveApi(desk)),
        Service(_service(template_service_pb2, "TemplateService"), TemplateApi(desk)),
        Service(_service(run_service_pb2, "RunService"), RunApi(desk)),
    ]


def wire(settings: CampaignsSettings) -> Parts:
    """Everything that lives in one process of the service."""
    clock = SystemClock()
    store = open_store(settings.store_url(SERVICE), DOCUMENTS)
    log = open_log(settings.log_url, clock=clock, terms=settings.log_terms)
    leases = store.collection(LeaseDocument)
    health = Health(needs_of(leases, log, SERVICE, SERVICE))
    signer = Signer(settings.keys_folder, SERVICE, clock)
    members, channels = Peer(settings.address("members"), signer), Peer(settings.address("channels"), signer)
    relay = Relay(SERVICE, log, [store.collection(each) for each in WITH_OUTBOX], leases, EVENTS_OUT, clock)
    recounter = Recounter()
    asked = AskedMembers(members)
    desk = desk_over(store, asked, AskedChannels(channels), clock, nudge=relay.nudge, recount=recounter.mark)
    recounter.serve(desk)
    answered = AnsweredRequests(store.collection(AnsweredRequestDocument), clock)
    consumer = Consumer(
        log,
        store.collection(DeadLetterDocument),
        group=SERVICE,
        topics=TOPICS,
        handlers=handlers(desk),
        clock=clock,
    )
    lease = settings.lease_seconds * SECOND
    server = RpcServer(
        settings.address(SERVICE),
        services_over(desk),
        Verifier(settings.keys_folder, clock),
        answered=answered,
        walls=Walls(asked.owns),
        health=health,
        threads=settings.rpc_threads,
    )

    def close() -> None:
        members.close()
        channels.close()
        log.close()
        store.close()

    workers = (relay, consumer, planner(desk, leases, lease), scheduler(desk, leases, lease), recounter, answered)
    return Parts(server, workers, close, health)


def _service(contract: ModuleType, name: str) -> ServiceDescriptor:
    descriptor: ServiceDescriptor = contract.DESCRIPTOR.services_by_name[name]
    return descriptor
