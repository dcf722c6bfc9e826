"""The only file that knows everything: stores, clients, use cases, pages and workers of the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from fanfare.campaigns.v1 import run_service_pb2
from fanfare.channels.v1 import delivery_service_pb2
from services.gateway import schema
from services.gateway.access.audit import AuditLog
from services.gateway.access.credentials import Credentials
from services.gateway.access.passwords import Passwords
from services.gateway.access.people import People
from services.gateway.access.throttle import SignInThrottle
from services.gateway.asking import Desk
from services.gateway.contract import ROOMS, Rooms
from services.gateway.engine.answering import Graph
from services.gateway.events import EVENTS_OUT, TOPICS, handlers
from services.gateway.public.acceptances import Acceptances
from services.gateway.public.links import Links
from services.gateway.public.machines import Agents
from services.gateway.public.pages import PublicDesk
from services.gateway.public.pauses import Pauses
from services.gateway.public.runs import RunFacts, Runs, address
from services.gateway.public.visits import Visits
from services.gateway.public.wishes import Wishes
from services.gateway.settings import GatewaySettings
from services.gateway.storage import documents as kept
from services.gateway.web.app import make_app
from services.gateway.web.serving import HttpServer
from services.kit.clock import Clock, SystemClock
from services.kit.consume import Consumer
from services.kit.health import Health, needs_of
from services.kit.ids import Ids
from services.kit.log import open_log
from services.kit.outbox import Relay
from services.kit.process import Parts
from services.kit.rpc.client import Peer
from services.kit.rpc.trust import Signer
from services.kit.scope import everywhere
from services.kit.store.machinery import DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Store
from services.kit.tokens import KeyRing, LinkTokens

SERVICE = "gateway"
ACCEPTANCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """Who works here; all that ``init`` needs."""

    people: People
    credentials: Credentials
    audit: AuditLog


def access_of(store: Store, ids: Ids, clock: Clock) -> Access:
    people = People(
        store.collection(kept.AgencyDocument),
        store.collection(kept.OperatorDocument),
        store.collection(kept.LoginDocument),
        Passwords(),
        ids,
        clock,
    )
    credentials = Credentials(
        people,
        store.collection(kept.SessionDocument),
        store.collection(kept.ApiKeyDocument),
        SignInThrottle(),
        ids,
        clock,
    )
    return Access(people, credentials, AuditLog(store.collection(kept.AuditDocument), ids, clock))


def open_own_store(settings: GatewaySettings) -> Store:
    return open_store(settings.store_url(SERVICE), kept.DOCUMENTS)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A whole gateway: its application, and the parts that its process runs."""

    app: Flask
    graph: Graph
    desk: Desk
    public: PublicDesk
    parts: Parts


def wire(settings: GatewaySettings) -> Parts:
    return wire_gateway(settings).parts


def wire_gateway(settings: GatewaySettings, clock: Clock | None = None) -> Gateway:
    """Everything that lives in the process."""
    clock = clock or SystemClock()
    ids = Ids(clock)
    store = open_own_store(settings)
    log = open_log(settings.log_url, clock=clock, terms=settings.log_terms)
    signer = Signer(settings.keys_folder, SERVICE, clock)
    rooms = Rooms({room: Peer(settings.address(room), signer) for room in ROOMS})
    access = access_of(store, ids, clock)
    unsubscribes = store.collection(kept.UnsubscribeDocument)
    leases = store.collection(LeaseDocument)
    health = Health(needs_of(leases, log, SERVICE, SERVICE))
    relay = Relay(SERVICE, log, [unsubscribes], leases, EVENTS_OUT, clock)
    wishes = Wishes(rooms, signer, unsubscribes, ids, clock, relay.nudge)
    pauses = Pauses(store.collection(kept.PauseDocument), lambda: wishes, clock)
    acceptances = Acceptances(lambda facts, member: _ask_acceptance(rooms, signer, facts, member), clock)
    visits = Visits(log, acceptances, ids, clock)
    consumer = Consumer(
        log,
        store.collection(DeadLetterDocument),
        group=SERVICE,
        topics=TOPICS,
        handlers=handlers(pauses),
        clock=clock,
    )
    desk = Desk(rooms, signer, access.people, access.credentials, access.audit, clock, settings.own_url)
    tokens = LinkTokens(KeyRing(settings.link_keys_folder))
    runs = Runs(lambda run: _ask_run(rooms, signer, run), clock)
    links = Links(tokens, runs, visits, Agents(), clock)
    public = PublicDesk(tokens, runs, visits, links, wishes, pauses, access.people, rooms, signer, clock)
    graph = Graph(schema.core())
    app = make_app(graph, desk, public, health, settings.upload_megabytes * 1024 * 1024)
    server = HttpServer(app.wsgi_app, settings.http, threads=settings.http_threads)

    def close() -> None:
        rooms.close()
        log.close()
        store.close()

    workers = (visits, relay, pauses, consumer, access.credentials)
    return Gateway(app, graph, desk, public, Parts(server, workers, close, health))


def _ask_run(rooms: Rooms, signer: Signer, run: str) -> RunFacts:
    """Where a run's links lead; asked by the run alone, before anybody knows whose it is."""
    bearer = signer.service_token(everywhere(f"service:{SERVICE}"))
    told = rooms.call(
        "RunService.GetRunLinks", run_service_pb2.GetRunLinksRequest(run=run), (("authorization", f"Bearer {bearer}"),)
    )
    return RunFacts(
        run,
        told.agency,
        told.community,
        told.campaign,
        told.purpose,
        told.channel,
        tuple(address(link) for link in told.links),
        told.community_name,
        told.launched_at,
    )


def _ask_acceptance(rooms: Rooms, signer: Signer, facts: RunFacts, member: str) -> int:
    """When a member's message was accepted; 0: it was not, or not yet."""
    grants = {facts.community: frozenset(("campaigns.read",))}
    bearer = signer.token(f"service:{SERVICE}", facts.agency, grants)
    told = rooms.call(
        "DeliveryService.ExplainDelivery",
        delivery_service_pb2.ExplainDeliveryRequest(run=facts.run, member=member),
        (("authorization", f"Bearer {bearer}"),),
        ACCEPTANCE_SECONDS,
    )
    return told.at if told.state == "accepted" else 0
