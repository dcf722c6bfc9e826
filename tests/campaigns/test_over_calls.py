"""The room as others meet it: its contract over real calls, with the real members room next door."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fanfare.campaigns.v1 import campaign_service_pb2 as campaigns
from fanfare.campaigns.v1 import objective_service_pb2 as objectives
from fanfare.campaigns.v1 import run_service_pb2 as runs
from fanfare.campaigns.v1 import template_service_pb2 as templates
from fanfare.campaigns.v1.campaign_pb2 import CampaignDraft, Message
from fanfare.campaigns.v1.campaign_service_pb2_grpc import CampaignServiceStub
from fanfare.campaigns.v1.objective_service_pb2_grpc import ObjectiveServiceStub
from fanfare.campaigns.v1.run_service_pb2_grpc import RunServiceStub
from fanfare.campaigns.v1.template_service_pb2_grpc import TemplateServiceStub
from fanfare.channels.v1 import account_service_pb2 as accounts
from fanfare.channels.v1 import delivery_service_pb2 as deliveries
from fanfare.members.v1 import community_service_pb2 as communities
from fanfare.members.v1 import member_service_pb2 as members
from fanfare.members.v1 import segment_service_pb2 as segments
from fanfare.members.v1.community_service_pb2_grpc import CommunityServiceStub
from fanfare.members.v1.member_pb2 import Attribute
from fanfare.members.v1.member_service_pb2_grpc import MemberServiceStub
from fanfare.members.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.campaigns.settings import CampaignsSettings
from services.campaigns.wiring import wire as wire_campaigns
from services.kit.clock import DAY, SystemClock
from services.kit.errors import Kind, NotFound, RemoteError
from services.kit.process import Parts
from services.kit.rpc.client import Metadata, Peer
from services.kit.rpc.server import Caller, RpcServer, Service, grants_of
from services.kit.rpc.trust import WHOLE_AGENCY, Signer, Verifier, make_key
from services.kit.scope import Scope, stored_scope
from services.members.settings import MembersSettings
from services.members.wiring import wire as wire_members
from tests.campaigns.conftest import LETTER
from tests.kit.waiting import until

GRANTS = frozenset(
    {
        "agency.admin",
        "members.read",
        "members.write",
        "campaigns.read",
        "campaigns.write",
        "campaigns.launch",
        "service",
    }
)


class Channels:
    """The contract of channels, as far as campaigns asks."""

    def __init__(self) -> None:
        self.controls: list[tuple[str, str]] = []
        self.callers: list[str] = []

    def GetAccounts(self, request: accounts.GetAccountsRequest, caller: Caller) -> accounts.GetAccountsResponse:  # noqa: N802 # the contract's name
        self.callers.append(caller.actor)
        community = next(iter(caller.scope.communities or ()), "")
        known = accounts.Account(
            id=request.ids[0], community=community, channel="email", state="active", sender_verified=True
        )
        return accounts.GetAccountsResponse(accounts=[known])

    def ControlRun(self, request: deliveries.ControlRunRequest, _caller: Caller) -> deliveries.ControlRunResponse:  # noqa: N802 # the contract's name
        self.controls.append((request.run, request.state))
        return deliveries.ControlRunResponse(state=request.state)

    def ExplainDelivery(  # noqa: N802 # the contract's name
        self, _request: deliveries.ExplainDeliveryRequest, _caller: Caller
    ) -> deliveries.ExplainDeliveryResponse:
        return deliveries.ExplainDeliveryResponse(state="absent")

    def RenderPreview(  # noqa: N802 # the contract's name
        self, request: deliveries.RenderPreviewRequest, _caller: Caller
    ) -> deliveries.RenderPreviewResponse:
        return deliveries.RenderPreviewResponse(subject=request.revision.contents[0].subject, verdict="objection")

    def __getattr__(self, name: str) -> Callable[[Any, Caller], Any]:
        def absent(_request: Any, _caller: Caller) -> Any:
            raise NotFound(f"This test has no {name}.")

        return absent


class Neighbourhood:
    """Members and campaigns, working; channels by its contract; and a gateway that calls them."""

    def __init__(self, peer: Callable[[str], Peer], channels: Channels) -> None:
        self.members, self.campaigns = peer("members"), peer("campaigns")
        self.channels = channels
        self.ada = self.as_operator("agy_1")

    def as_operator(self, agency: str, grants: frozenset[str] = GRANTS, place: str = WHOLE_AGENCY) -> Metadata:
        return self.campaigns.on_behalf_of("operator:ada", agency, {place: grants}, locale="fr")

    def found_club(self) -> str:
        asked = communities.CreateCommunityRequest(name="Judo Club", pack="sports_club", country="BE")
        return str(self.members.stub(CommunityServiceStub).CreateCommunity(asked, metadata=self.ada).community.id)

    def register(self, community: str, name: str, **more: Any) -> str:
        asked = members.RegisterMemberRequest(
            community=community, given_name=name, email=f"{name.lower()}@mail.example", **more
        )
        return str(self.members.stub(MemberServiceStub).RegisterMember(asked, metadata=self.ada).member.id)

    def save_segment(self, community: str, name: str, rule: str) -> str:
        asked = segments.SaveSegmentRequest(community=community, name=name, rule=rule)
        return str(self.members.stub(SegmentServiceStub).SaveSegment(asked, metadata=self.ada).segment.id)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    folder: Path = tmp_path_factory.mktemp("calls")
    patch = pytest.MonkeyPatch()
    patch.setenv("FANFARE_DATA", str(folder))
    settings = CampaignsSettings()
    clock = SystemClock()
    for service in ("members", "campaigns", "channels", "gateway"):
        make_key(settings.keys_folder, service)
    channels = Channels()
    descriptors = [
        accounts.DESCRIPTOR.services_by_name["AccountService"],
        deliveries.DESCRIPTOR.services_by_name["DeliveryService"],
    ]
    next_door = RpcServer(
        settings.address("channels"),
        [Service(descriptor, channels) for descriptor in descriptors],
        Verifier(settings.keys_folder, clock),
    )
    next_door.start()
    rooms = [wire_members(MembersSettings()), wire_campaigns(settings)]
    stop = threading.Event()
    threads = [thread for room in rooms for thread in _at_work(room, stop)]
    signer = Signer(settings.keys_folder, "gateway", clock)
    peers: list[Peer] = []

    def peer(service: str) -> Peer:
        peers.append(Peer(settings.address(service), signer))
        return peers[-1]

    yield Neighbourhood(peer, channels)
    stop.set()
    for thread in threads:
        thread.join(10)
    for one in peers:
        one.close()
    for room in rooms:
        assert room.server is not None
        room.server.stop(0.1)
        room.close()
    next_door.stop(0.1)
    patch.undo()


def _at_work(room: Parts, stop: threading.Event) -> Iterator[threading.Thread]:
    assert room.server is not None
    room.server.start()
    for worker in room.workers:
        thread = threading.Thread(target=worker.run, args=(stop,), name=worker.name, daemon=True)
        thread.start()
        yield thread


def draft(**more: Any) -> CampaignDraft:
    letter = Message(locale="fr", subject="Le stage de Noël", body=LETTER)
    return CampaignDraft(**{"name": "Stage", "purpose": "news", "account": "acc_1", "messages": [letter], **more})


def test_a_campaign_over_calls_from_draft_to_plan(house: Neighbourhood) -> None:
    club = house.found_club()
    ada = house.register(club, "Ada", tags=["vip"])
    bob = house.register(club, "Bob", attributes=[Attribute(key="grade", text="vert")])
    stub = house.campaigns.stub(CampaignServiceStub)
    objective = house.campaigns.stub(ObjectiveServiceStub).CreateObjective(
        objectives.CreateObjectiveRequest(
            community=club,
            goal=objectives.ObjectiveGoal(
                name="Inscriptions", metric="new_members", target=10, deadline=SystemClock().now() + 30 * DAY
            ),
        ),
        metadata=house.ada,
    )
    vips = house.save_segment(club, "Vips", '{"field": "tag", "is": "vip"}')
    asked = campaigns.CreateCampaignRequest(
        request_id="c1",
        community=club,
        draft=draft(segment=vips, objective=objective.objective.id, reasons=["children_training", "judo_cats"]),
    )
    created = stub.CreateCampaign(asked, metadata=house.ada).campaign
    assert stub.CreateCampaign(asked, metadata=house.ada).campaign.id == created.id, "asked twice, done once"
    check = campaigns.CheckCampaignRequest(campaign=created.id)
    checked = stub.CheckCampaign(check, metadata=house.ada)
    assert ([each.reason for each in checked.problems], checked.audience) == (["unknown-reason"], 1)
    edit = campaigns.EditCampaignRequest(campaign=created.id, draft=CampaignDraft(reasons=["children_training"]))
    edit.fields.paths.append("reasons")
    created = stub.EditCampaign(edit, metadata=house.ada).campaign
    assert not stub.CheckCampaign(check, metadata=house.ada).problems
    seen = stub.PreviewCampaign(campaigns.PreviewCampaignRequest(campaign=created.id, member=bob), metadata=house.ada)
    assert (seen.subject, seen.verdict) == ("Le stage de Noël", "objection")

    launch = campaigns.LaunchCampaignRequest(request_id="l1", campaign=created.id, version=created.version)
    launched = stub.LaunchCampaign(launch, metadata=house.ada).campaign
    assert launched.state == "running"
    assert stub.LaunchCampaign(launch, metadata=house.ada).campaign.run == launched.run, "asked twice, done once"
    with pytest.raises(RemoteError) as refusal:
        stub.LaunchCampaign(campaigns.LaunchCampaignRequest(campaign=created.id), metadata=house.ada)
    assert refusal.value.reason == "already-launched"
    assert house.channels.callers[-1] == "operator:ada", "asked in the name of who launches"

    def figures() -> Any:
        asked = campaigns.GetFiguresRequest(campaigns=[created.id])
        return stub.GetFigures(asked, metadata=house.ada).figures[0]

    until(lambda: figures().plan_closed)
    assert (figures().planned, figures().waiting, figures().addresses) == (1, 1, 1)

    def explained(member: str) -> tuple[str, str]:
        asked = campaigns.ExplainRecipientRequest(campaign=created.id, member=member)
        answer = stub.ExplainRecipient(asked, metadata=house.ada)
        return answer.state, answer.reason

    eve = house.register(club, "Eve", tags=["vip"])
    assert explained(ada) == ("planned", "")
    assert explained(bob) == ("absent", "not-in-segment")
    assert explained(eve) == ("absent", "joined-after-launch")
    assert explained("mbr_" + "0" * 32) == ("absent", "no-member")

    service = house.campaigns.as_service(_scope("agy_1", club))
    revision = house.campaigns.stub(RunServiceStub).GetRevision(
        runs.GetRevisionRequest(run=launched.run, number=1), metadata=service
    )
    assert list(revision.revision.fields) == ["given_name"]
    everywhere = house.campaigns.as_service(_scope("*", None))
    links = house.campaigns.stub(RunServiceStub).GetRunLinks(
        runs.GetRunLinksRequest(run=launched.run), metadata=everywhere
    )
    assert (links.agency, links.community, links.community_name) == ("agy_1", club, "Judo Club")
    assert list(links.links) == ["https://judo.example/stage", "https://judo.example/tarifs"]

    paused = stub.PauseCampaign(campaigns.PauseCampaignRequest(campaign=created.id), metadata=house.ada).campaign
    assert (paused.state, paused.control_pending) == ("paused", False)
    assert house.channels.controls[-1] == (launched.run, "paused")

    def counted() -> float:
        asked = objectives.GetObjectivesRequest(ids=[objective.objective.id])
        found = house.campaigns.stub(ObjectiveServiceStub).GetObjectives(asked, metadata=house.ada)
        return float(found.objectives[0].progress.value)

    until(lambda: counted() == 1.0)  # Eve came after it was stated


def test_a_condition_that_cannot_be_measured_says_so(house: Neighbourhood) -> None:
    club = house.found_club()
    ada = house.register(club, "Ada")
    house.register(club, "Bob", tags=["vip"])
    rule = '{"any": [{"field": "tag", "is": "vip"}, {"not": {"field": "last_opened", "within_days": 90}}]}'
    stub = house.campaigns.stub(CampaignServiceStub)
    created = stub.CreateCampaign(
        campaigns.CreateCampaignRequest(community=club, draft=draft(rule=rule)), metadata=house.ada
    ).campaign
    checked = stub.CheckCampaign(campaigns.CheckCampaignRequest(campaign=created.id), metadata=house.ada)
    assert (checked.audience, checked.unmeasurable) == (1, 1)
    stub.LaunchCampaign(campaigns.LaunchCampaignRequest(campaign=created.id), metadata=house.ada)
    answer = stub.ExplainRecipient(
        campaigns.ExplainRecipientRequest(campaign=created.id, member=ada), metadata=house.ada
    )
    assert (answer.state, answer.reason) == ("absent", "unmeasurable")
    assert answer.message.startswith("Le segment porte sur des ouvertures")


def test_a_sensitive_attribute_is_no_merge_field(house: Neighbourhood) -> None:
    club = house.found_club()
    house.register(club, "Ada")
    sensitive = _sensitive_attribute(house, club)
    letter = Message(locale="fr", subject="a", body=LETTER + f"<p>{{{{ attribute.{sensitive} }}}}</p>")
    stub = house.campaigns.stub(CampaignServiceStub)
    created = stub.CreateCampaign(
        campaigns.CreateCampaignRequest(community=club, draft=draft(messages=[letter])), metadata=house.ada
    ).campaign
    checked = stub.CheckCampaign(campaigns.CheckCampaignRequest(campaign=created.id), metadata=house.ada)
    assert [problem.reason for problem in checked.problems] == ["sensitive-merge-field"]
    assert checked.problems[0].message.startswith("Le champ de fusion")


def test_a_wrong_rule_is_a_problem_that_names_its_place(house: Neighbourhood) -> None:
    club = house.found_club()
    stub = house.campaigns.stub(CampaignServiceStub)
    created = stub.CreateCampaign(
        campaigns.CreateCampaignRequest(community=club, draft=draft(rule='{"field": "shoes", "is": 1}')),
        metadata=house.ada,
    ).campaign
    checked = stub.CheckCampaign(campaigns.CheckCampaignRequest(campaign=created.id), metadata=house.ada)
    assert [problem.reason for problem in checked.problems] == ["bad-rule"]
    assert checked.problems[0].field.startswith("rule")


def test_templates_and_settings_over_calls(house: Neighbourhood) -> None:
    club = house.found_club()
    stub = house.campaigns.stub(TemplateServiceStub)
    letter = Message(locale="fr", subject="Bienvenue", body=LETTER)
    welcome = templates.TemplateDraft(key="welcome", name="Bienvenue", purpose="news", messages=[letter])
    for _ in range(2):
        added = stub.AddTemplates(
            templates.AddTemplatesRequest(community=club, templates=[welcome]), metadata=house.ada
        )
    listed = stub.ListTemplates(templates.ListTemplatesRequest(community=club), metadata=house.ada)
    assert [each.id for each in listed.templates] == [added.templates[0].id]
    campaign_stub = house.campaigns.stub(CampaignServiceStub)
    wanted = campaigns.CampaignSettings(community=club, attribution_days=7)
    campaign_stub.ChangeCampaignSettings(campaigns.ChangeCampaignSettingsRequest(settings=wanted), metadata=house.ada)
    kept = campaign_stub.GetCampaignSettings(campaigns.GetCampaignSettingsRequest(community=club), metadata=house.ada)
    assert kept.settings.attribution_days == 7


def test_promise_12_no_call_reaches_another_agency(house: Neighbourhood) -> None:
    """Every rpc of the room, called with another agency's full rights, finds nothing and changes nothing."""
    club = house.found_club()
    stub = house.campaigns.stub(CampaignServiceStub)
    made = stub.CreateCampaign(campaigns.CreateCampaignRequest(community=club, draft=draft()), metadata=house.ada)
    goal = objectives.ObjectiveGoal(name="o", metric="clicks", target=5, deadline=SystemClock().now() + DAY)
    objective = house.campaigns.stub(ObjectiveServiceStub).CreateObjective(
        objectives.CreateObjectiveRequest(community=club, goal=goal), metadata=house.ada
    )
    letter = Message(locale="fr", subject="Bienvenue", body=LETTER)
    welcome = templates.TemplateDraft(key="welcome", name="Bienvenue", purpose="news", messages=[letter])
    template = house.campaigns.stub(TemplateServiceStub).AddTemplates(
        templates.AddTemplatesRequest(community=club, templates=[welcome]), metadata=house.ada
    )
    its: dict[str, Any] = {
        "campaign": made.campaign.id,
        "objective": objective.objective.id,
        "template": template.templates[0].id,
    }
    eve = house.as_operator("agy_2")
    before = stub.GetCampaigns(campaigns.GetCampaignsRequest(ids=[its["campaign"]]), metadata=house.ada)
    empty = {
        "GetCampaigns": campaigns.GetCampaignsRequest(ids=[its["campaign"]]),
        "GetFigures": campaigns.GetFiguresRequest(campaigns=[its["campaign"]]),
        "GetObjectives": objectives.GetObjectivesRequest(ids=[its["objective"]]),
        "GetTemplates": templates.GetTemplatesRequest(ids=[its["template"]]),
    }
    refused = {
        "ListCampaigns": campaigns.ListCampaignsRequest(community=club),
        "ListObjectives": objectives.ListObjectivesRequest(community=club),
        "ListTemplates": templates.ListTemplatesRequest(community=club),
        "CreateObjective": objectives.CreateObjectiveRequest(community=club, goal=goal),
        "AddTemplates": templates.AddTemplatesRequest(community=club, templates=[welcome]),
        "GetCampaignSettings": campaigns.GetCampaignSettingsRequest(community=club),
        "ChangeCampaignSettings": campaigns.ChangeCampaignSettingsRequest(
            settings=campaigns.CampaignSettings(community=club, attribution_days=3)
        ),
        "EditCampaign": campaigns.EditCampaignRequest(campaign=its["campaign"], draft=draft()),
        "CheckCampaign": campaigns.CheckCampaignRequest(campaign=its["campaign"]),
        "PreviewCampaign": campaigns.PreviewCampaignRequest(campaign=its["campaign"]),
        "SendTest": campaigns.SendTestRequest(campaign=its["campaign"]),
        "ScheduleCampaign": campaigns.ScheduleCampaignRequest(campaign=its["campaign"], at=2**40),
        "UnscheduleCampaign": campaigns.UnscheduleCampaignRequest(campaign=its["campaign"]),
        "LaunchCampaign": campaigns.LaunchCampaignRequest(campaign=its["campaign"]),
        "PauseCampaign": campaigns.PauseCampaignRequest(campaign=its["campaign"]),
        "ResumeCampaign": campaigns.ResumeCampaignRequest(campaign=its["campaign"]),
        "CancelCampaign": campaigns.CancelCampaignRequest(campaign=its["campaign"]),
        "GetLinkFigures": campaigns.GetLinkFiguresRequest(campaign=its["campaign"]),
        "ListReactions": campaigns.ListReactionsRequest(campaign=its["campaign"]),
        "ExplainRecipient": campaigns.ExplainRecipientRequest(campaign=its["campaign"], member="mbr_1"),
        "EditObjective": objectives.EditObjectiveRequest(objective=its["objective"], goal=goal),
        "EditTemplate": templates.EditTemplateRequest(template=its["template"], draft=welcome),
        "GetRevision": runs.GetRevisionRequest(run="run_" + made.campaign.id.removeprefix("cmp_"), number=1),
        "GetRunLinks": runs.GetRunLinksRequest(run="run_" + made.campaign.id.removeprefix("cmp_")),
        "CreateCampaign": campaigns.CreateCampaignRequest(community=club, draft=draft()),
    }
    contracts = (campaigns, objectives, templates, runs)
    descriptors = [each for contract in contracts for each in contract.DESCRIPTOR.services_by_name.values()]
    every = {name.rpartition(".")[2] for name in grants_of(descriptors)}
    assert every == empty.keys() | refused.keys(), "an rpc without a case"
    for descriptor in descriptors:
        calls = house.campaigns.stub(_STUBS[descriptor.name])
        for method in descriptor.methods:
            if method.name in empty:
                answer = getattr(calls, method.name)(empty[method.name], metadata=eve)
                assert answer.ByteSize() == 0, method.name
            else:
                with pytest.raises(RemoteError) as refusal:
                    getattr(calls, method.name)(refused[method.name], metadata=eve)
                assert refusal.value.kind is Kind.NOT_FOUND, method.name
    after = stub.GetCampaigns(campaigns.GetCampaignsRequest(ids=[its["campaign"]]), metadata=house.ada)
    assert after == before
    elsewhere = house.as_operator("agy_1", place="com_other")
    with pytest.raises(RemoteError) as refusal:
        stub.LaunchCampaign(campaigns.LaunchCampaignRequest(campaign=its["campaign"]), metadata=elsewhere)
    assert refusal.value.kind is Kind.NOT_FOUND


_STUBS: dict[str, Callable[[Any], Any]] = {
    "CampaignService": CampaignServiceStub,
    "ObjectiveService": ObjectiveServiceStub,
    "TemplateService": TemplateServiceStub,
    "RunService": RunServiceStub,
}


def _scope(agency: str, community: str | None) -> Scope:
    return stored_scope(agency, community, "service:gateway")


def _sensitive_attribute(house: Neighbourhood, club: str) -> str:
    found = house.members.stub(CommunityServiceStub).GetCommunities(
        communities.GetCommunitiesRequest(ids=[club]), metadata=house.ada
    )
    return next(str(each.key) for each in found.communities[0].attributes if each.sensitive)
