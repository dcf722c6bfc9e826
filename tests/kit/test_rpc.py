"""Calls between services: only who may, errors of the field, and answers given once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fanfare.members.v1 import community_service_pb2 as pb
from fanfare.members.v1.community_pb2 import Community
from fanfare.members.v1.community_service_pb2_grpc import CommunityServiceStub
from services.kit.clock import ManualClock
from services.kit.errors import Conflict, FanfareError, Forbidden, Kind, RemoteError, Unauthenticated, Unavailable
from services.kit.rpc.client import Peer
from services.kit.rpc.server import Caller, RpcServer, Service
from services.kit.rpc.trust import TOKEN_LIFE, WHOLE_AGENCY, Signer, Verifier, make_key
from services.kit.rpc.walls import Walls
from services.kit.scope import EVERY_AGENCY, Scope, stored_scope
from tests.kit.waiting import until

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["CommunityService"]


class NameTaken(Conflict):
    reason = "name-taken"


class Communities:
    def __init__(self) -> None:
        self.created = 0

    def CreateCommunity(self, request: pb.CreateCommunityRequest, caller: Caller) -> pb.CreateCommunityResponse:  # noqa: N802 # the contract's name
        if request.name == "taken":
            raise NameTaken("This name is taken: choose another.", field="name", name="taken")
        if request.name == "broken":
            raise KeyError("secret@example.org")
        self.created += 1
        return pb.CreateCommunityResponse(
            community=Community(name=request.name, agency=caller.scope.agency, master_name=caller.actor)
        )

    def GetCommunities(self, request: pb.GetCommunitiesRequest, caller: Caller) -> pb.GetCommunitiesResponse:  # noqa: N802 # the contract's name
        return pb.GetCommunitiesResponse(
            communities=[Community(id=one, agency=caller.in_community(one).agency) for one in request.ids]
        )

    def ListCommunities(self, _request: pb.ListCommunitiesRequest, _caller: Caller) -> pb.ListCommunitiesResponse:  # noqa: N802 # the contract's name
        return pb.ListCommunitiesResponse()


def unasked(_request: object, _caller: Caller) -> None:
    raise AssertionError("No test asks this.")


for method in DESCRIPTOR.methods:  # the contract has more rpcs than these tests ask
    if not hasattr(Communities, method.name):
        setattr(Communities, method.name, staticmethod(unasked))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for service in ("gateway", "members"):
        make_key(tmp_path / "keys", service)
    return tmp_path / "keys"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def address(keys: Path, clock: ManualClock) -> Iterator[str]:
    server = RpcServer("127.0.0.1:0", [Service(DESCRIPTOR, Communities())], Verifier(keys, clock))
    server.start()
    yield server.address
    server.stop(0)


@pytest.fixture
def peer(address: str, keys: Path, clock: ManualClock) -> Iterator[Peer]:
    peer = Peer(address, Signer(keys, "gateway", clock))
    yield peer
    peer.close()


def operator(peer: Peer, grants: dict[str, frozenset[str]]) -> tuple[tuple[str, str], ...]:
    return peer.on_behalf_of("operator:ada", "agy_1", grants)


ADMIN = {WHOLE_AGENCY: frozenset({"agency.admin", "members.read"})}


def test_a_call_is_made_in_the_name_of_who_asked(peer: Peer) -> None:
    stub = peer.stub(CommunityServiceStub)
    answer = stub.CreateCommunity(pb.CreateCommunityRequest(name="Judo"), metadata=operator(peer, ADMIN))
    assert (answer.community.agency, answer.community.master_name) == ("agy_1", "operator:ada")


def test_a_call_without_a_token_is_refused(peer: Peer) -> None:
    with pytest.raises(RemoteError) as refusal:
        peer.stub(CommunityServiceStub).ListCommunities(pb.ListCommunitiesRequest())
    assert refusal.value.kind is Kind.UNAUTHENTICATED


def test_a_grant_held_in_one_community_opens_no_other(peer: Peer) -> None:
    stub = peer.stub(CommunityServiceStub)
    mine = operator(peer, {"com_1": frozenset({"members.read"})})
    assert stub.GetCommunities(pb.GetCommunitiesRequest(ids=["com_1"]), metadata=mine).communities[0].id == "com_1"
    with pytest.raises(RemoteError) as refusal:
        stub.GetCommunities(pb.GetCommunitiesRequest(ids=["com_2"]), metadata=mine)
    assert refusal.value.kind is Kind.NOT_FOUND
    with pytest.raises(RemoteError) as refusal:
        stub.CreateCommunity(pb.CreateCommunityRequest(name="Judo"), metadata=mine)
    assert refusal.value.kind is Kind.FORBIDDEN


def test_an_expected_error_keeps_its_reason_field_and_message(peer: Peer) -> None:
    with pytest.raises(RemoteError) as refusal:
        peer.stub(CommunityServiceStub).CreateCommunity(
            pb.CreateCommunityRequest(name="taken"), metadata=operator(peer, ADMIN)
        )
    error = refusal.value
    assert (error.kind, error.reason, error.field) == (Kind.CONFLICT, "name-taken", "name")
    assert error.params == {"name": "taken"}
    assert "choose another" in error.message


def test_an_unexpected_error_says_nothing_of_its_cause(peer: Peer) -> None:
    with pytest.raises(Exception, match="Something went wrong") as failure:
        peer.stub(CommunityServiceStub).CreateCommunity(
            pb.CreateCommunityRequest(name="broken"), metadata=operator(peer, ADMIN)
        )
    assert not isinstance(failure.value, FanfareError)
    assert "secret@example.org" not in str(failure.value)


def test_a_service_that_is_away_is_unavailable(keys: Path, clock: ManualClock) -> None:
    peer = Peer("127.0.0.1:1", Signer(keys, "gateway", clock))
    with pytest.raises(FanfareError) as failure:
        peer.stub(CommunityServiceStub).ListCommunities(
            pb.ListCommunitiesRequest(), metadata=operator(peer, ADMIN), timeout=2
        )
    assert failure.value.kind is Kind.UNAVAILABLE
    peer.close()


def test_calls_go_to_every_process_of_a_name_and_past_one_that_ended(keys: Path, clock: ManualClock) -> None:
    rooms = [Communities(), Communities()]
    servers = [RpcServer("127.0.0.1:0", [Service(DESCRIPTOR, room)], Verifier(keys, clock)) for room in rooms]
    for server in servers:
        server.start()
    peer = Peer(f"ipv4:{','.join(server.address for server in servers)}", Signer(keys, "gateway", clock))
    stub, metadata = peer.stub(CommunityServiceStub), operator(peer, ADMIN)

    def create() -> None:
        stub.CreateCommunity(pb.CreateCommunityRequest(name="Judo"), metadata=metadata)

    def both_were_asked() -> bool:
        create()
        return all(room.created for room in rooms)

    until(both_were_asked)
    servers[0].stop(0)
    before = rooms[1].created
    for _ in range(10):
        create()
    assert rooms[1].created == before + 10
    servers[1].stop(0)
    peer.close()


def test_a_token_expires(keys: Path, clock: ManualClock) -> None:
    verifier = Verifier(keys, clock)
    token = Signer(keys, "gateway", clock).token("operator:ada", "agy_1", ADMIN)
    assert verifier.identity(token).actor == "operator:ada"
    clock.advance(TOKEN_LIFE + 10_000)
    with pytest.raises(Unauthenticated):
        verifier.identity(token)


def test_a_token_of_a_stranger_is_refused(keys: Path, clock: ManualClock, tmp_path: Path) -> None:
    make_key(tmp_path / "elsewhere", "gateway")
    forged = Signer(tmp_path / "elsewhere", "gateway", clock).token("operator:eve", "agy_1", ADMIN)
    with pytest.raises(Unauthenticated):
        Verifier(keys, clock).identity(forged)


def test_only_a_service_acts_for_every_agency(keys: Path, clock: ManualClock) -> None:
    verifier, signer = Verifier(keys, clock), Signer(keys, "gateway", clock)
    with pytest.raises(Unauthenticated):
        verifier.identity(signer.token("operator:eve", EVERY_AGENCY, ADMIN))
    identity = verifier.identity(signer.service_token(stored_scope(EVERY_AGENCY, None, "service:gateway")))
    with pytest.raises(Forbidden):
        identity.scope_for("members.read")
    assert identity.scope_for("service").agency == EVERY_AGENCY


def test_a_rotated_key_signs_and_the_old_one_is_still_trusted(keys: Path, clock: ManualClock) -> None:
    verifier = Verifier(keys, clock)
    old = Signer(keys, "gateway", clock).token("operator:ada", "agy_1", ADMIN)
    verifier.identity(old)
    assert make_key(keys, "gateway") == "gateway.2"
    new = Signer(keys, "gateway", clock).token("operator:ada", "agy_1", ADMIN)
    assert verifier.identity(new) == verifier.identity(old)
    assert new != old


def test_a_service_that_leaves_an_rpc_unanswered_does_not_start(keys: Path, clock: ManualClock) -> None:
    with pytest.raises(AttributeError):
        RpcServer("127.0.0.1:0", [Service(DESCRIPTOR, object())], Verifier(keys, clock))


@dataclass
class Registry:
    """The room that knows whose each community is."""

    owners: dict[str, str]
    asked: list[tuple[str, str]] = field(default_factory=list)

    def owns(self, scope: Scope, community: str) -> bool:
        self.asked.append((scope.agency, community))
        return self.owners.get(community) == scope.agency


def test_a_community_that_a_request_names_is_entered_by_its_own_agency_alone(keys: Path, clock: ManualClock) -> None:
    registry = Registry({"com_1": "agy_1", "com_2": "agy_2"})
    server = RpcServer(
        "127.0.0.1:0", [Service(DESCRIPTOR, Communities())], Verifier(keys, clock), walls=Walls(registry.owns)
    )
    server.start()
    peer = Peer(server.address, Signer(keys, "gateway", clock))
    stub = peer.stub(CommunityServiceStub)

    def entered(community: str, grants: dict[str, frozenset[str]]) -> bool:
        try:
            stub.GetCommunities(pb.GetCommunitiesRequest(ids=[community]), metadata=operator(peer, grants))
        except RemoteError as refusal:
            assert (refusal.kind, refusal.field) == (Kind.NOT_FOUND, "community")
            return False
        return True

    assert entered("com_1", ADMIN)
    assert not entered("com_2", ADMIN), "another agency's"
    assert not entered("com_3", ADMIN), "nobody's"
    assert not entered("", ADMIN), "none at all"
    assert entered("com_1", ADMIN)
    assert registry.asked == [("agy_1", "com_1"), ("agy_1", "com_2"), ("agy_1", "com_3")], "what is known is not asked"
    assert entered("com_4", {"com_4": frozenset({"members.read"})}), "whoever signed the name had found it"
    assert len(registry.asked) == 3
    peer.close()
    server.stop(0)


def test_a_process_that_only_works_leaves_the_address_of_the_one_that_answers_alone(
    keys: Path, clock: ManualClock, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path / 'members.sock'}"
    answering = RpcServer(address, [Service(DESCRIPTOR, Communities())], Verifier(keys, clock))
    answering.start()
    RpcServer(address, [Service(DESCRIPTOR, Communities())], Verifier(keys, clock))  # never started
    peer = Peer(address, Signer(keys, "gateway", clock))
    stub = peer.stub(CommunityServiceStub)
    assert stub.GetCommunities(pb.GetCommunitiesRequest(ids=["com_1"]), metadata=operator(peer, ADMIN)) is not None
    peer.close()
    answering.stop(0)


def test_an_address_that_is_taken_is_refused_in_words(keys: Path, clock: ManualClock, address: str) -> None:
    second = RpcServer(address, [Service(DESCRIPTOR, Communities())], Verifier(keys, clock))
    with pytest.raises(Unavailable, match="is taken by another program"):
        second.start()
