"""The only file that knows everything: collections, use cases, edges and workers of the members room."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from google.protobuf.descriptor import ServiceDescriptor

from fanfare.members.v1 import (
    community_service_pb2,
    identity_service_pb2,
    import_service_pb2,
    member_service_pb2,
    privacy_service_pb2,
    segment_service_pb2,
)
from services.kit.clock import Clock, SystemClock
from services.kit.consume import Consumer
from services.kit.errors import Invalid
from services.kit.files import Files, FolderFiles
from services.kit.health import Health, needs_of
from services.kit.ids import Ids
from services.kit.log import open_log
from services.kit.outbox import Relay
from services.kit.process import Parts
from services.kit.rpc.answered import AnsweredRequests
from services.kit.rpc.server import RpcServer, Service
from services.kit.rpc.trust import Verifier
from services.kit.secret_files import made_once
from services.kit.store.machinery import AnsweredRequestDocument, DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Store
from services.members.domain.law import read_laws
from services.members.domain.packs import read_packs
from services.members.events_in import TOPICS, handlers, receipt_handlers
from services.members.events_out import EVENTS_OUT
from services.members.grpc_api import CommunityApi, MemberApi, SegmentApi
from services.members.grpc_identity import IdentityApi
from services.members.grpc_imports import ImportApi
from services.members.grpc_privacy import PrivacyApi
from services.members.precedence import SendingFirst
from services.members.settings import MembersSettings
from services.members.storage import documents as kept
from services.members.storage import imports as kept_imports
from services.members.sweeper import Sweeper
from services.members.use_cases.importing import forget_in_imports, sweep_imports
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.room import Room
from services.members.use_cases.running_imports import ImportWorker

SERVICE = "members"
DOCUMENTS: tuple[type, ...] = (
    kept.CommunityDocument,
    kept.MemberDocument,
    kept.ClaimDocument,
    kept.InteractionDocument,
    kept.ReceiptDocument,
    kept.SegmentDocument,
    kept.MergeDocument,
    kept.ErasureDocument,
    kept.ErasedAddressDocument,
    kept.DismissalDocument,
    *kept_imports.DOCUMENTS,
    LeaseDocument,
    DeadLetterDocument,
    AnsweredRequestDocument,
)
WITH_OUTBOX: tuple[type, ...] = (
    kept.CommunityDocument,
    kept.MemberDocument,
    kept.InteractionDocument,
    kept.ErasureDocument,
    kept_imports.ImportDocument,
    kept_imports.ImportChunkDocument,
)
_KEY_BYTES = 32


def room_of(store: Store, clock: Clock, address_key: bytes, nudge: Callable[[], None] = lambda: None) -> Room:
    """The members room over a store."""
    return Room(
        communities=store.collection(kept.CommunityDocument),
        members=store.collection(kept.MemberDocument),
        claims=store.collection(kept.ClaimDocument),
        interactions=store.collection(kept.InteractionDocument),
        receipts=store.collection(kept.ReceiptDocument),
        segments=store.collection(kept.SegmentDocument),
        merges=store.collection(kept.MergeDocument),
        erasures=store.collection(kept.ErasureDocument),
        erased_addresses=store.collection(kept.ErasedAddressDocument),
        dismissals=store.collection(kept.DismissalDocument),
        laws=read_laws(),
        packs=read_packs(),
        address_key=address_key,
        clock=clock,
        ids=Ids(clock),
        nudge=nudge,
    )


def imports_of(store: Store, room: Room, files: Files) -> Imports:
    """What the imports of that room work with."""
    return Imports(
        room,
        imports=store.collection(kept_imports.ImportDocument),
        chunks=store.collection(kept_imports.ImportChunkDocument),
        mappings=store.collection(kept_imports.ImportMappingDocument),
        leases=store.collection(LeaseDocument),
        files=files,
    )


def wire(settings: MembersSettings) -> Parts:
    """Everything that lives in one process of the service."""
    clock = SystemClock()
    store = open_store(settings.store_url(SERVICE), DOCUMENTS)
    log = open_log(settings.log_url, clock=clock, terms=settings.log_terms)
    leases = store.collection(LeaseDocument)
    health = Health(needs_of(leases, log, SERVICE, SERVICE))
    answered = AnsweredRequests(store.collection(AnsweredRequestDocument), clock)
    relay = Relay(SERVICE, log, [store.collection(document) for document in WITH_OUTBOX], leases, EVENTS_OUT, clock)
    room = room_of(store, clock, _address_key(settings.keys_folder), relay.nudge)
    imports = imports_of(store, room, FolderFiles(settings.files_folder))
    room.forgetters.append(partial(forget_in_imports, imports))
    first = SendingFirst(clock)
    letters = store.collection(DeadLetterDocument)
    consumer = Consumer(log, letters, group=SERVICE, topics=TOPICS, handlers=handlers(room), clock=clock)
    receipts = Consumer(
        log,
        letters,
        group=f"{SERVICE}-receipts",
        topics=("channels",),
        handlers=receipt_handlers(room, first),
        clock=clock,
        at_once=20,
    )
    server = RpcServer(
        settings.address(SERVICE),
        [
            Service(_service(community_service_pb2, "CommunityService"), CommunityApi(room)),
            Service(_service(member_service_pb2, "MemberService"), MemberApi(room, first)),
            Service(_service(import_service_pb2, "ImportService"), ImportApi(imports)),
            Service(_service(segment_service_pb2, "SegmentService"), SegmentApi(room)),
            Service(_service(identity_service_pb2, "IdentityService"), IdentityApi(room)),
            Service(_service(privacy_service_pb2, "PrivacyService"), PrivacyApi(room)),
        ],
        Verifier(settings.keys_folder, clock),
        answered=answered,
        health=health,
        threads=settings.rpc_threads,
    )
    sweeper = Sweeper(room, leases, settings.sweep_hour, [partial(sweep_imports, imports)])
    workers = (relay, consumer, receipts, answered, ImportWorker(imports), sweeper)

    def close() -> None:
        log.close()
        store.close()

    return Parts(server, workers, close, health)


def _service(contract: ModuleType, name: str) -> ServiceDescriptor:
    descriptor: ServiceDescriptor = contract.DESCRIPTOR.services_by_name[name]
    return descriptor


def _address_key(folder: Path) -> bytes:
    """The key under which erased addresses are hashed; made at the first start, and kept for good."""
    path = folder / "erased-addresses.secret"
    key = made_once(path, lambda: secrets.token_bytes(_KEY_BYTES))
    if len(key) != _KEY_BYTES:
        raise Invalid(f"The file {path} is damaged: put its backup back, or erased addresses are not recognised.")
    return key
