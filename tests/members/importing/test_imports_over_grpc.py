"""The whole way: a file in pieces, a guess, a rehearsal, the import, its rows, its undoing, and its events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fanfare.access.v1.page_pb2 import PageRequest
from fanfare.members.v1 import community_service_pb2 as communities
from fanfare.members.v1 import import_events_pb2, member_events_pb2
from fanfare.members.v1 import import_service_pb2 as calls
from fanfare.members.v1.community_service_pb2_grpc import CommunityServiceStub
from fanfare.members.v1.import_pb2 import Import
from fanfare.members.v1.import_service_pb2_grpc import ImportServiceStub
from services.kit.clock import SystemClock
from services.kit.errors import Kind, RemoteError
from services.kit.log import open_log
from services.kit.process import Parts
from services.kit.rpc.client import Peer
from services.kit.rpc.trust import WHOLE_AGENCY, Signer, make_key
from services.members.settings import MembersSettings
from services.members.wiring import wire
from tests.members.importing.conftest import the_list

OPERATOR = {WHOLE_AGENCY: frozenset({"agency.admin", "members.read", "members.write"})}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MembersSettings:
    monkeypatch.setenv("FANFARE_DATA", str(tmp_path))
    monkeypatch.setenv("FANFARE_MEMBERS_ADDRESS", "127.0.0.1:0")
    made = MembersSettings()
    for service in ("members", "gateway"):
        make_key(made.keys_folder, service)
    return made


@pytest.fixture
def parts(settings: MembersSettings) -> Iterator[Parts]:
    parts = wire(settings)
    stop = threading.Event()
    threads = [threading.Thread(target=worker.run, args=(stop,), daemon=True) for worker in parts.workers]
    assert parts.server is not None
    parts.server.start()
    for thread in threads:
        thread.start()
    yield parts
    parts.server.stop(0.1)
    stop.set()
    for thread in threads:
        thread.join(10)
    parts.close()


@pytest.fixture
def peer(settings: MembersSettings, parts: Parts) -> Iterator[Peer]:
    peer = Peer(parts.server.address, Signer(settings.keys_folder, "gateway", SystemClock()))  # type: ignore[union-attr] # the RpcServer
    yield peer
    peer.close()


def of(job: Import) -> dict[str, Any]:
    """The contract's field is a word that Python keeps for itself."""
    return {"import": job.id}


def until(stub: ImportServiceStub, job: Import, state: str, metadata: Any) -> Import:
    for _ in range(600):
        found: Import = getattr(stub.GetImport(calls.GetImportRequest(**of(job)), metadata=metadata), "import")
        if found.state == state:
            return found
        assert found.state != "failed", found.problem
        time.sleep(0.05)
    raise AssertionError(f"still {found.state}")


def test_a_list_goes_all_the_way_and_back(peer: Peer, settings: MembersSettings) -> None:
    metadata = peer.on_behalf_of("operator:ada", "agency-1", OPERATOR)
    stub = peer.stub(ImportServiceStub)
    club = (
        peer.stub(CommunityServiceStub)
        .CreateCommunity(
            communities.CreateCommunityRequest(request_id="r1", name="Judo", pack="sports_club", country="BE"),
            metadata=metadata,
        )
        .community.id
    )
    content = the_list("judo-club-members")
    pieces = [calls.UploadFileRequest(community=club, file_name="membres.csv")]
    pieces += [calls.UploadFileRequest(data=content[at : at + 10_000]) for at in range(0, len(content), 10_000)]
    uploaded = stub.UploadFile(iter(pieces), metadata=metadata)
    assert uploaded.size == len(content)

    guess = stub.GuessMapping(calls.GuessMappingRequest(community=club, file=uploaded.file), metadata=metadata)
    assert (guess.format.encoding, guess.format.delimiter, guess.mapping.identity) == ("cp1252", ";", "email_name")
    assert guess.sample[0].cells[0] == "Maes"

    order: dict[str, Any] = {
        "community": club,
        "file": uploaded.file,
        "file_name": "membres.csv",
        "mapping": guess.mapping,
    }
    rehearsal = getattr(
        stub.DryRunImport(calls.DryRunImportRequest(request_id="r2", **order), metadata=metadata), "import"
    )
    rehearsal = until(stub, rehearsal, "finished", metadata)
    assert (rehearsal.progress.created, rehearsal.progress.refused, rehearsal.progress.guardians) == (472, 2, 67)

    job = getattr(stub.StartImport(calls.StartImportRequest(request_id="r3", **order), metadata=metadata), "import")
    again = getattr(stub.StartImport(calls.StartImportRequest(request_id="r3", **order), metadata=metadata), "import")
    assert again.id == job.id
    job = until(stub, job, "finished", metadata)
    assert job.progress.rows_done == job.progress.rows_total == 484
    assert (job.progress.consents, job.progress.objections, job.progress.merged) == (183, 155, 10)

    rows = stub.ListImportRows(
        calls.ListImportRowsRequest(**of(job), outcomes=["refused", "merged"], page=PageRequest(size=5)),
        metadata=metadata,
    )
    assert len(rows.rows) == 5 and rows.next
    last = stub.ListImportRows(calls.ListImportRowsRequest(**of(job), outcomes=["refused"]), metadata=metadata).rows
    assert [(row.row, row.findings[0].code, row.findings[0].refused) for row in last] == [
        (484, "row-empty", True),
        (485, "row-total", True),
    ]
    assert last[1].findings[0].message.fr == "La ligne est un total, pas une personne."
    assert last[1].findings[0].remedy.en.startswith("Nothing to do")

    undone = getattr(stub.UndoImport(calls.UndoImportRequest(**of(job)), metadata=metadata), "import")
    undone = until(stub, undone, "undone", metadata)
    assert (undone.undo.removed, undone.undo.left) == (358, 181)  # 155 objections, and the guardians of 26 more
    left = stub.ListUndoLeft(calls.ListUndoLeftRequest(**of(job), page=PageRequest(size=200)), metadata=metadata)
    assert {one.code for one in left.left} == {"objection-stays", "wards-stay"}

    types = events_of(settings)  # of different aggregates, whose order nobody promises
    assert sorted(types) == ["CommunityCreated", "ImportFinished", "ImportUndone", "MembersImported"]


def events_of(settings: MembersSettings) -> list[str]:
    """What the log was told, and that none of it names an address."""
    log = open_log(settings.log_url, clock=SystemClock(), terms=settings.log_terms)
    reader = log.reader(["members"], "test")
    found: list[str] = []
    try:
        for _ in range(100):
            for received in reader.poll(500, 100):
                assert b"example" not in received.event.data
                found.append(received.event.type.rpartition(".")[2])
                if found[-1] == "MembersImported":
                    told = member_events_pb2.MembersImported.FromString(received.event.data)
                    assert len(told.created) == 539 == len(told.standing_changes)
                if found[-1] == "ImportUndone":
                    undone = import_events_pb2.ImportUndone.FromString(received.event.data)
                    assert len(undone.removed) == 358
            if len(found) >= 4:
                return found
        return found
    finally:
        reader.close()
        log.close()


def test_another_agencys_import_does_not_exist(peer: Peer) -> None:
    metadata = peer.on_behalf_of("operator:ada", "agency-1", OPERATOR)
    stub = peer.stub(ImportServiceStub)
    with pytest.raises(RemoteError) as caught:
        stub.GetImport(calls.GetImportRequest(**{"import": "imp_other"}), metadata=metadata)
    assert caught.value.kind is Kind.NOT_FOUND
