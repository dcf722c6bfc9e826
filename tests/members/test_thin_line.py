"""The line of a campaign through the members room, over real calls: found, registered, reached, resolved, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fanfare.members.v1 import audience_pb2
from fanfare.members.v1 import community_service_pb2 as communities
from fanfare.members.v1 import member_service_pb2 as members
from fanfare.members.v1.community_service_pb2_grpc import CommunityServiceStub
from fanfare.members.v1.member_pb2 import Attribute, Relation
from fanfare.members.v1.member_service_pb2_grpc import MemberServiceStub
from services.kit.clock import SystemClock
from services.kit.errors import Kind, RemoteError
from services.kit.rpc.client import Peer
from services.kit.rpc.trust import WHOLE_AGENCY, Signer, make_key
from services.members.settings import MembersSettings
from services.members.wiring import wire

OPERATOR = {WHOLE_AGENCY: frozenset({"agency.admin", "members.read", "members.write", "service"})}


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setenv("FANFARE_DATA", str(tmp_path))
    monkeypatch.setenv("FANFARE_MEMBERS_ADDRESS", "127.0.0.1:0")
    settings = MembersSettings()
    for service in ("members", "gateway"):
        make_key(settings.keys_folder, service)
    parts = wire(settings)
    assert parts.server is not None
    parts.server.start()
    peer = Peer(parts.server.address, Signer(settings.keys_folder, "gateway", SystemClock()))  # type: ignore[attr-defined] # the RpcServer
    yield peer
    peer.close()
    parts.server.stop(0.1)
    parts.close()


def test_a_member_is_registered_reached_resolved_and_remembered(peer: Peer) -> None:
    metadata = peer.on_behalf_of("operator:ada", "agency-1", OPERATOR)
    community_stub, stub = peer.stub(CommunityServiceStub), peer.stub(MemberServiceStub)
    community = community_stub.CreateCommunity(
        communities.CreateCommunityRequest(request_id="r1", name="Judo", pack="sports_club", country="BE"),
        metadata=metadata,
    ).community
    assert {relation.key for relation in community.relations} >= {"adherent", "trial", "parent"}

    member = stub.RegisterMember(
        members.RegisterMemberRequest(
            request_id="r2",
            community=community.id,
            given_name="Ada",
            family_name="Lovelace",
            email=" Ada.Lovelace@Mail.example ",
            phone="0470 12 34 56",
            tags=["VIP"],
            relations=[Relation(kind="adherent", since="2026-01-01")],
            reasons=["competition"],
            attributes=[Attribute(key="city", text="Huy"), Attribute(key="health_remarks", text="asthma")],
        ),
        metadata=metadata,
    ).member
    assert [point.address for point in member.contact_points] == ["ada.lovelace@mail.example", "+32470123456"]
    assert member.standing == ["client"]

    with pytest.raises(RemoteError) as refused:
        stub.RegisterMember(
            members.RegisterMemberRequest(community=community.id, given_name="Eve", email="ada.lovelace@mail.example"),
            metadata=metadata,
        )
    assert (refused.value.kind, refused.value.reason) == (Kind.CONFLICT, "address-taken")

    audience = audience_pb2.Audience(
        community=community.id, rule='{"field": "standing", "is": "client"}', channel="email"
    )
    pages = list(stub.StreamAudience(members.StreamAudienceRequest(audience=audience), metadata=metadata))
    assert [(list(page.members), list(page.sizes)) for page in pages] == [([member.id], [])]

    ask = members.ResolveRecipientsRequest(
        community=community.id,
        members=[member.id, "mbr_unknown"],
        channel="email",
        purpose="service",
        fields=["given_name", "attribute.city", "attribute.health_remarks"],
    )
    told = stub.ResolveRecipients(ask, metadata=metadata)
    assert list(told.members) == list(ask.members)
    assert list(told.states) == ["active", "missing"]
    assert list(told.addresses) == ["ada.lovelace@mail.example", ""]
    assert (told.permitted[0], told.permission_reasons[0]) == (True, "membership")
    assert list(told.values) == ["Ada", "Huy", "", "", "", ""], "a sensitive attribute never reaches a message"
    assert list(told.may_track) == [False, False]

    report = members.InteractionReport(
        id="order-7", kind="purchased", at=1_790_000_000_000, email="ADA.lovelace@mail.example", subject="ofr_1"
    )
    for outcome in ("recorded", "known"):
        (result,) = stub.RecordInteractions(
            members.RecordInteractionsRequest(community=community.id, interactions=[report]), metadata=metadata
        ).results
        assert (result.outcome, result.member) == (outcome, member.id)

    (again,) = stub.GetMembers(members.GetMembersRequest(ids=[member.id]), metadata=metadata).members
    assert [(entry.kind, entry.subject) for entry in again.recent] == [("purchased", "ofr_1")]
    assert again.engagement.score == 10
    (listed,) = stub.ListMembers(
        members.ListMembersRequest(community=community.id, search="love ada", order="-name"), metadata=metadata
    ).members
    assert listed.id == member.id
    timeline = stub.ListTimeline(members.ListTimelineRequest(member=member.id), metadata=metadata).interactions
    assert [entry.kind for entry in timeline] == ["purchased"]


def test_a_stranger_finds_nothing(peer: Peer) -> None:
    ours = peer.on_behalf_of("operator:ada", "agency-1", OPERATOR)
    theirs = peer.on_behalf_of("operator:eve", "agency-2", OPERATOR)
    community = (
        peer.stub(CommunityServiceStub)
        .CreateCommunity(communities.CreateCommunityRequest(name="Judo"), metadata=ours)
        .community
    )
    stub = peer.stub(MemberServiceStub)
    member = stub.RegisterMember(
        members.RegisterMemberRequest(community=community.id, given_name="Ada"), metadata=ours
    ).member
    assert not stub.GetMembers(members.GetMembersRequest(ids=[member.id]), metadata=theirs).members
    with pytest.raises(RemoteError) as refused:
        stub.ListMembers(members.ListMembersRequest(community=community.id), metadata=theirs)
    assert refused.value.kind is Kind.NOT_FOUND
