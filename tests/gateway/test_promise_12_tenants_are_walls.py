"""Promise 12. Tenants are walls: no operation, with any key, reads or changes another agency's data, nor crosses
communities without an explicit act.

A neighbour agency holds every grant there is, and knows every id of ours. It tries every operation of the graph and
every rpc of the contract; both are listed from their own descriptions, so that one without a case fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import ParseDict
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from services.gateway import schema
from services.gateway.access.first_start import Founding
from services.gateway.access.roles import ROLES, Role
from services.gateway.contract import request_class, service_descriptors
from services.gateway.schema.node import KINDS
from services.kit.errors import FanfareError, Kind, NotFound
from services.kit.rpc.server import grant_of
from services.kit.rpc.trust import SERVICE_GRANT, WHOLE_AGENCY
from services.kit.scope import Scope
from tests.gateway.house import Caller, House
from tests.gateway.questions import mutations, queries, question
from tests.gateway.story import Mail, Story, tell_story

EVERYTHING = frozenset().union(*ROLES.values())


@dataclass(frozen=True)
class Neighbour:
    """Another agency, with an owner, a key, and a community of its own."""

    founding: Founding
    owner: Caller
    key: Caller
    story: Story


@pytest.fixture(scope="module")
def neighbour(house: House, mail: Mail) -> Neighbour:
    founding = house.found("Neighbour", "owner@neighbour.example")
    owner = house.owner_of(founding)
    return Neighbour(
        founding, owner, house.caller(founding.api_key), tell_story(owner, house.caller(), mail, "quillback")
    )


@pytest.fixture(scope="module")
def ours(story: Story, owner: Caller) -> Iterator[Mapping[str, str]]:
    """Every id of ours that anybody could know; when all have tried, everything is as it was."""
    agency = owner.ask("{ agency { id } viewer { operator { id } } }")
    ids = {**story.ids, "agency": agency["agency"]["id"], "operator": agency["viewer"]["operator"]["id"]}
    made = owner.do("createApiKey", "apiKey { id }", name="first key of the tests", scopes=["MEMBERS_READ"])
    ids["key"] = made["apiKey"]["id"]
    before = everything_of(owner, story)
    yield ids
    changed = "\n".join(unified_diff(before, everything_of(owner, story), "before", "after", lineterm=""))
    assert not changed, "what the neighbour tried changed something of ours"


def everything_of(owner: Caller, story: Story) -> list[str]:
    """What the owner sees of the community, all of it, line by line."""
    document = """query($id: ID!) { agency { name }
      community(id: $id) { name version relations { key } reasons { key } attributes { key }
      members { nodes { id version state displayName tags standing permits { purpose channel allowed basis }
        contactPoints { id address state } relations { kind until } guardians { id } } }
      campaigns { nodes { id version state name scheduledAt revision } }
      objectives { nodes { id name metric target deadline } }
      templates { nodes { id version name } }
      segments { nodes { id version name rule } }
      imports { nodes { id version state } }
      accounts { nodes { id version state ratePerMinute senderVerified } }
      merges { nodes { id undoneAt } } } }"""
    return json.dumps(owner.ask(document, id=story["community"]), indent=1).splitlines()


def not_found_reasons() -> set[str]:
    """The codes of every error that says: there is no such thing."""
    found, waiting = {NotFound.reason}, [NotFound]
    while waiting:
        kind = waiting.pop()
        found.add(kind.reason)
        waiting += kind.__subclasses__()
    return found


# The graph

IDS_BY_ARGUMENT = {
    "community": "community",
    "member": "member",
    "campaign": "campaign",
    "objective": "objective",
    "file": "file",
    "survivor": "other",
    "absorbed": "twin",
}
OWN_QUERIES = {
    "viewer": "who asks",
    "agency": "the asker's own agency",
    "communities": "the asker's own communities",
    "erasures": "the asker's own erasures",
    "starterPacks": "comes with Fanfare, the same for all",
}
BY_ID = {
    "community": "community",
    "member": "member",
    "segment": "segment",
    "import": "import",
    "objective": "objective",
    "campaign": "campaign",
    "template": "template",
    "account": "account",
}
"""Queries whose only argument is `id`."""


def query_case(name: str, ours: Mapping[str, str]) -> list[dict[str, Any]]:
    """The arguments with which the neighbour tries a query; empty: there is no case for it."""
    arguments = queries(schema.core())[name].args
    if name in OWN_QUERIES:
        return [{}]
    if name == "node":
        return [{"id": an_id} for an_id in ours.values() if an_id.partition("_")[0] in KINDS]
    if name == "nodes":
        return [{"ids": [an_id for an_id in ours.values() if an_id.partition("_")[0] in KINDS]}]
    if name in BY_ID:
        return [{"id": ours[BY_ID[name]]}]
    if name == "merges":
        return [{"community": ours["community"]}, {"community": ours["community"], "member": ours["other"]}]
    given = {argument: ours[IDS_BY_ARGUMENT[argument]] for argument in arguments if argument in IDS_BY_ARGUMENT}
    return [given] if given else []


@pytest.mark.parametrize("name", sorted(queries(schema.core())))
def test_no_query_reads_anothers_data(
    name: str, ours: Mapping[str, str], story: Story, neighbour: Neighbour, owner: Caller
) -> None:
    cases = query_case(name, ours)
    assert cases, f"the query {name} has no case: say with which ids a stranger would try it"
    field = queries(schema.core())[name]
    for given in cases:
        document = question("query", name, field, given)
        for stranger in (neighbour.owner, neighbour.key):
            answer = stranger.post(document, **given)
            told = json.dumps(answer["data"])
            assert story.secret not in told, f"{name}{given} told {told}"
            assert not [one for one in ours.values() if one in told and len(one) > 10], f"{name}{given} told {told}"
        if name not in OWN_QUERIES:
            assert _nothing(answer["data"] and answer["data"][name]), f"{name}{given} told {answer}"
            mine = owner.post(document, **given)
            assert not _nothing(mine["data"][name]) or name in _EMPTY_FOR_US, (
                f"the case of {name} proves nothing: {mine}"
            )


_EMPTY_FOR_US = {"mappings", "suggestDuplicates"}
"""Queries whose answer may be empty for us as well."""


def _nothing(told: Any) -> bool:
    if isinstance(told, dict) and "edges" in told:
        return not told["edges"]
    return told is None or told == [] or (isinstance(told, list) and not any(told))


def mutation_cases(ours: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """With what the neighbour tries each mutation: ours, and otherwise all that it takes to succeed."""
    community, member, campaign = ours["community"], ours["member"], ours["campaign"]
    evidence = {"wording": "x", "source": "form"}
    labels = {"en": "Spy", "fr": "Espion"}
    goal = {"name": "Taken", "metric": "CLICKS", "target": 5, "deadline": "2030-01-01T00:00:00Z"}
    messages = [{"locale": "en", "subject": "x", "body": "x"}]
    return {
        "inviteOperator": {"email": "spy@neighbour.example", "role": "OWNER", "community": community},
        "changeOperatorRole": {"operator": ours["operator"], "role": None},
        "removeOperator": {"operator": ours["operator"]},
        "createApiKey": {"name": "spy", "scopes": ["MEMBERS_READ"], "communities": [community]},
        "revokeApiKey": {"key": ours["key"]},
        "changeCommunity": {"community": community, "name": "Taken"},
        "declareRelation": {
            "community": community,
            "relation": {"key": "spy", "labels": {"en": "Spy", "fr": "Espion"}},
        },
        "declareReason": {"community": community, "reason": {"key": "spy", "labels": {"en": "Spy", "fr": "Espion"}}},
        "declareAttribute": {
            "community": community,
            "attribute": {"key": "spy", "labels": labels, "type": "text"},
        },
        "changeStandingRule": {"community": community, "rule": {"newDays": 1, "atRiskDays": 2, "lapsedDays": 3}},
        "registerMember": {"community": community, "givenName": "Spy", "email": "spy@neighbour.example"},
        "changeMember": {"member": member, "givenName": "Taken"},
        "addContactPoint": {"member": member, "channel": "email", "address": "spy@neighbour.example"},
        "removeContactPoint": {"member": member, "contactPoint": ours["contact_point"]},
        "markContactPoint": {"member": member, "contactPoint": ours["contact_point"], "state": "bounced"},
        "relateMember": {"member": member, "relation": {"kind": "volunteer"}},
        "endRelation": {"member": member, "kind": "adherent"},
        "nameGuardian": {"member": ours["twin"], "guardian": member},
        "dismissGuardian": {"member": ours["child"], "guardian": member},
        "recordConsent": {"member": member, "purposes": ["PROMOTION"], "channels": ["email"], "evidence": evidence},
        "recordObjection": {"member": member, "purposes": ["NEWS"], "evidence": evidence},
        "saveSegment": {"community": community, "name": "Taken", "rule": {"field": "standing", "is": "fan"}},
        "deleteSegment": {"segment": ours["segment"]},
        "saveMapping": {"community": community, "name": "Taken", "mapping": {"columns": []}},
        "dryRunImport": {"community": community, "file": ours["file"]},
        "startImport": {"community": community, "file": ours["file"]},
        "pauseImport": {"import": ours["import"]},
        "resumeImport": {"import": ours["import"]},
        "cancelImport": {"import": ours["import"]},
        "undoImport": {"import": ours["import"]},
        "dismissDuplicate": {"first": ours["other"], "second": ours["twin"]},
        "mergeMembers": {"survivor": ours["other"], "absorbed": ours["twin"]},
        "unmergeMembers": {"merge": ours["merge"]},
        "restrictMember": {"member": member},
        "liftRestriction": {"member": member},
        "eraseMember": {"member": member},
        "createObjective": {
            **goal,
            "community": community,
        },
        "editObjective": {**goal, "objective": ours["objective"]},
        "createCampaign": {"community": community, "name": "Taken", "purpose": "NEWS"},
        "editCampaign": {"campaign": ours["draft"], "name": "Taken"},
        "sendTest": {"campaign": ours["draft"], "member": member, "to": "spy@neighbour.example"},
        "scheduleCampaign": {"campaign": ours["draft"], "at": "2030-01-01T00:00:00Z"},
        "unscheduleCampaign": {"campaign": ours["draft"]},
        "launchCampaign": {"campaign": ours["draft"]},
        "pauseCampaign": {"campaign": campaign},
        "resumeCampaign": {"campaign": campaign},
        "cancelCampaign": {"campaign": ours["draft"]},
        "changeCampaignSettings": {"community": community, "attributionDays": 3},
        "addTemplates": {
            "community": community,
            "templates": [
                {"name": "Taken", "purpose": "NEWS", "messages": [{"locale": "en", "subject": "x", "body": "x"}]}
            ],
        },
        "editTemplate": {"template": ours["template"], "name": "Taken", "purpose": "NEWS", "messages": messages},
        "addAccount": {
            "community": community,
            "channel": "email",
            "name": "Taken",
            "senderAddress": "spy@neighbour.example",
            "host": "127.0.0.1",
            "port": 2525,
            "security": "NONE",
        },
        "changeAccount": {"account": ours["account"], "state": "paused"},
        "testAccount": {"account": ours["account"]},
        "requestSenderProof": {"account": ours["account"]},
        "holdOutgoing": {"community": community, "cause": "spying"},
        "releaseOutgoing": {"community": community},
    }


OWN_MUTATIONS = {
    "signIn": "names nothing of anybody's; see test_sign_in",
    "signOut": "ends the asker's own session",
    "changePassword": "changes the asker's own password",
    "createCommunity": "makes something of the asker's own",
}


@pytest.mark.parametrize("name", sorted(mutations(schema.core())))
def test_no_mutation_changes_anothers_data(name: str, ours: Mapping[str, str], neighbour: Neighbour) -> None:
    if name in OWN_MUTATIONS:
        return
    cases = mutation_cases(ours)
    assert name in cases, f"the mutation {name} has no case: say how a stranger would try it"
    payload = neighbour.owner.attempt(name, **cases[name])
    assert [error["code"] for error in payload["errors"]], f"a stranger could {name}"
    assert payload["errors"][0]["code"] in not_found_reasons(), payload["errors"]


def test_a_community_made_by_the_neighbour_is_the_neighbours(owner: Caller, neighbour: Neighbour) -> None:
    made = neighbour.owner.do(
        "createCommunity",
        "community { id }",
        name="Own",
        masterName="Own",
        masterKind="CAUSE",
        country="FR",
        locale="fr",
        zone="Europe/Paris",
    )["community"]["id"]
    assert owner.ask("query($id: ID!) { community(id: $id) { id } }", id=made)["community"] is None
    assert neighbour.owner.ask("query($id: ID!) { community(id: $id) { id } }", id=made)["community"]["id"] == made


def test_own_things_cannot_point_at_anothers(neighbour: Neighbour, ours: Mapping[str, str], story: Story) -> None:
    """A campaign of one's own under another's objective, sender, segment or template tells nothing of them, and sends
    nothing."""
    mine = neighbour.story
    for kind in ("objective", "account", "segment", "template"):
        payload = neighbour.owner.attempt(
            "createCampaign",
            "campaign { id objective { name } account { name } segment { name } template { name } }",
            community=mine["community"],
            name="Pointing",
            purpose="NEWS",
            messages=[{"locale": "en", "subject": "x", "body": "<p>x</p>"}],
            **{kind: ours[kind]},
        )
        assert story.secret not in json.dumps(payload)
        if payload["campaign"]:
            launched = neighbour.owner.attempt("launchCampaign", "campaign { id }", campaign=payload["campaign"]["id"])
            assert launched["errors"], kind


# The other doors


def test_no_door_takes_or_gives_anothers_lists(neighbour: Neighbour, ours: Mapping[str, str], story: Story) -> None:
    client, headers = neighbour.owner.client, neighbour.owner.headers
    where = {"community": ours["community"]}
    upload = client.post(
        "/v1/files", query_string=where, data=b"Email\nx@y.example\n", headers={**headers, "Content-Type": "text/csv"}
    )
    assert upload.status_code in (403, 404)
    export = client.get("/v1/exports", query_string=where, headers=headers)
    assert export.status_code in (403, 404)
    assert story.secret not in export.text


def test_no_event_is_taken_for_anothers_members(neighbour: Neighbour, ours: Mapping[str, str], story: Story) -> None:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "1",
        "source": "spy",
        "type": "fanfare.purchase",
        "data": {"community": ours["community"], "member": ours["member"], "amount": "1", "currency": "EUR"},
    }
    mine = {**event, "id": "2", "data": {**event["data"], "community": neighbour.story["community"]}}
    reply = neighbour.key.client.post("/v1/events", json=[event, mine], headers=neighbour.key.headers)
    results = reply.get_json()["results"]
    assert results[0]["outcome"] == "refused"
    assert results[1]["outcome"] == "unmatched", "our member is nobody in the neighbour's community"


# Communities of one agency


def test_a_role_in_one_community_opens_no_other(house: House, owner: Caller, story: Story) -> None:
    second = owner.do(
        "createCommunity",
        "community { id }",
        name="Second",
        masterName="Second",
        masterKind="CAUSE",
        country="BE",
        locale="fr",
        zone="Europe/Brussels",
    )["community"]["id"]
    desk = house.gateway.desk
    agency = house.founding.agency.id
    desk.people.enlist(agency, "manager@first.example", "a long password", [Role("manager", second)])
    manager = house.caller(desk.credentials.sign_in("manager@first.example", "a long password", "test").token)
    seen = manager.ask("{ communities { nodes { id } } }")["communities"]["nodes"]
    assert [one["id"] for one in seen] == [second]
    document = "query($id: ID!) { member(id: $id) { displayName } }"
    assert manager.ask(document, id=story["member"])["member"] is None
    for name, given in mutation_cases({**story.ids, "operator": "opr_0", "key": "key_0"}).items():
        if "perator" in name or "piKey" in name:
            continue  # an agency's affairs: see test_roles
        payload = manager.attempt(name, **given)
        codes = [error["code"] for error in payload["errors"]]
        assert codes and codes[0] in {*not_found_reasons(), "not-allowed"}, (name, payload)


# The contract


def _methods() -> list[MethodDescriptor]:
    return [method for service in service_descriptors().values() for method in service.methods]


def _name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}.{method.name}"


def test_reflection_tells_of_no_service_that_is_not_tried_here(house: House) -> None:
    """What the running servers say they answer is what the cases below are made of."""
    for room in house.running:
        channel = grpc.insecure_channel(house.settings.address(room))
        served = set(ProtoReflectionDescriptorDatabase(channel).get_services())
        channel.close()
        ours = {one.full_name for one in service_descriptors().values() if one.full_name.startswith(f"fanfare.{room}.")}
        assert {one for one in served if one.startswith("fanfare.")} == ours


@pytest.mark.parametrize("method", _methods(), ids=_name)
def test_every_rpc_names_the_grant_it_asks_for(method: MethodDescriptor) -> None:
    assert grant_of(method) in {*EVERYTHING, SERVICE_GRANT}


@pytest.mark.parametrize("method", _methods(), ids=_name)
def test_no_rpc_answers_without_a_token_or_with_too_little(method: MethodDescriptor, house: House) -> None:
    assert _kind(house, method, (), {}) is Kind.UNAUTHENTICATED
    held = EVERYTHING - {grant_of(method)}
    token = house.gateway.desk.signer.token("operator:opr_x", "agy_x", {WHOLE_AGENCY: held})
    assert _kind(house, method, _bearer(token), {}) is Kind.FORBIDDEN


ID_FIELDS = {
    "community": "community",
    "member": "member",
    "members": "member",
    "campaign": "campaign",
    "campaigns": "campaign",
    "objective": "objective",
    "template": "template",
    "account": "account",
    "segment": "segment",
    "import": "import",
    "file": "file",
    "run": "run",
    "merge": "merge",
    "survivor": "other",
    "absorbed": "twin",
    "first": "other",
    "second": "twin",
    "contact_point": "contact_point",
    "guardian": "member",
}
GET_IDS = {
    "CommunityService.GetCommunities": "community",
    "MemberService.GetMembers": "member",
    "SegmentService.GetSegments": "segment",
    "CampaignService.GetCampaigns": "campaign",
    "ObjectiveService.GetObjectives": "objective",
    "TemplateService.GetTemplates": "template",
    "AccountService.GetAccounts": "account",
}
OWN_RPCS = {
    "CommunityService.CreateCommunity": "makes something of the caller's own",
    "CommunityService.ListCommunities": "lists the caller's own",
    "CommunityService.ListStarterPacks": "comes with Fanfare",
    "PrivacyService.ListErasures": "lists the caller's own",
    "AccountService.ConfirmSender": "opened by a token that only the sender's mailbox has",
}
_GOAL = {"name": "x", "metric": "clicks", "target": 5, "deadline": 1_900_000_000_000}
_DRAFT = {"name": "x", "purpose": "news"}
_MESSAGES = [{"locale": "en", "subject": "x", "body": "x"}]
_ORDER = {"channel": "email", "purpose": "news"}
_REVISION = {"contents": [{"locale": "en", "subject": "x", "html": "<p>x</p>"}]}
_LABELS = {"fr": "x", "en": "x"}
BESIDES: Mapping[str, Mapping[str, Any]] = {
    # What a request needs besides ids, so that it fails for no other reason than that it is not theirs.
    "CommunityService.DeclareRelation": {"relation": {"key": "spy", "labels": _LABELS}},
    "CommunityService.DeclareReason": {"reason": {"key": "spy", "labels": _LABELS}},
    "CommunityService.DeclareAttribute": {"attribute": {"key": "spy", "labels": _LABELS, "type": "text"}},
    "MemberService.RecordConsent": {"purposes": ["news"], "evidence": {"wording": "x", "source": "form"}},
    "MemberService.RecordObjection": {"purposes": ["news"], "evidence": {"wording": "x", "source": "form"}},
    "MemberService.ResolveRecipients": {"channel": "email", "purpose": "news"},
    "CampaignService.CreateCampaign": {"draft": _DRAFT},
    "CampaignService.EditCampaign": {"draft": _DRAFT},
    "CampaignService.ChangeCampaignSettings": {"settings": {"attribution_days": 3}},
    "ObjectiveService.CreateObjective": {"goal": _GOAL},
    "ObjectiveService.EditObjective": {"goal": _GOAL},
    "TemplateService.AddTemplates": {"templates": [{**_DRAFT, "messages": _MESSAGES}]},
    "TemplateService.EditTemplate": {"draft": {**_DRAFT, "messages": _MESSAGES}},
    "AccountService.AddAccount": {
        "channel": "email",
        "sender_address": "spy@neighbour.example",
        "host": "127.0.0.1",
        "port": 2525,
        "security": "none",
    },
    "DeliveryService.Suppress": {"channel": "email", "purposes": ["news"], "cause": "unsubscribed", "at": 1},
    "DeliveryService.HoldOutgoing": {"cause": "spying"},
    "DeliveryService.RenderPreview": {"order": _ORDER, "revision": _REVISION},
    "DeliveryService.SendTest": {"order": _ORDER, "revision": _REVISION, "to": "spy@neighbour.example"},
    "MemberService.RecordInteractions": {"interactions": [{"id": "x", "kind": "purchased", "at": 1}]},
    "CampaignService.ScheduleCampaign": {"at": 1_900_000_000_000},
    "DeliveryService.ControlRun": {"state": "paused"},
    "DeliveryService.ListDeliveries": {"state": "accepted"},
}


def request_with_ours(method: MethodDescriptor, ours: Mapping[str, str]) -> Any:
    """A request that names our things; None where it names nothing."""
    request: Any = request_class(method)()
    named = _fill_ids(request, ours, GET_IDS.get(_name(method), ""))
    request.MergeFrom(ParseDict(dict(BESIDES.get(_name(method), {})), request_class(method)()))
    return request if named else None


def _fill_ids(request: Any, ours: Mapping[str, str], ids: str) -> bool:
    named = False
    for field in request.DESCRIPTOR.fields:
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            if not field.is_repeated and field.message_type.name in ("Audience", "CampaignSettings", "RunOrder"):
                named |= _fill_ids(getattr(request, field.name), ours, ids)
            continue
        key = ids if field.name == "ids" else ID_FIELDS.get(field.name)
        if not key or field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
            continue
        named = True
        if field.is_repeated:
            getattr(request, field.name).append(ours[key])
        else:
            setattr(request, field.name, ours[key])
    return named


@pytest.mark.parametrize("method", _methods(), ids=_name)
def test_no_rpc_reads_or_changes_anothers_data(
    method: MethodDescriptor, ours: Mapping[str, str], house: House, neighbour: Neighbour, story: Story
) -> None:
    name = _name(method)
    if name in OWN_RPCS:
        return
    request = request_with_ours(method, ours)
    assert request is not None, f"the rpc {name} has no case: say with which ids a stranger would try it"
    signer, agency = house.gateway.desk.signer, neighbour.founding.agency.id
    if grant_of(method) == SERVICE_GRANT:
        token = signer.service_token(Scope(agency, None, "service:gateway"))
    else:
        token = signer.token("operator:opr_x", agency, {WHOLE_AGENCY: EVERYTHING})
    answer = _try(house, method, _bearer(token), request)
    if isinstance(answer, FanfareError):
        assert answer.kind is Kind.NOT_FOUND, f"{name}: {answer.kind} {answer.message}"
    else:
        told = "".join(str(one) for one in answer)
        assert story.secret not in told, f"{name} told {told}"
        assert name in _ANSWERS_WITH_NOTHING, f"{name} answered {told or 'nothing'} where there is no such thing"


_ANSWERS_WITH_NOTHING = {
    *GET_IDS,  # those found: none
    "CampaignService.GetFigures",
    "IdentityService.ListMerges",
    "SegmentService.ListSegments",
    "MemberService.ResolveRecipients",  # `missing`, for each that is none of the caller's
}


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def _kind(house: House, method: MethodDescriptor, metadata: Any, _given: Any) -> Kind | None:
    answer = _try(house, method, metadata, request_class(method)())
    return answer.kind if isinstance(answer, FanfareError) else None


def _try(house: House, method: MethodDescriptor, metadata: Any, request: Any) -> Any:
    """What the rpc answers, as a list; or the expected error."""
    rooms, name = house.gateway.desk.rooms, _name(method)
    try:
        if method.client_streaming:
            return [rooms.stream(name, iter([request]), metadata, 10)]
        if method.server_streaming:
            return list(rooms.answers(name, request, metadata, 10))
        return [rooms.call(name, request, metadata, 10)]
    except FanfareError as error:
        return error
