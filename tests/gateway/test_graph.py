"""The graph: fresh, described, one call for many rows, ids that resolve, errors where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import GraphQLObjectType, get_named_type

from services.gateway import schema
from services.gateway.saying import FRENCH, language_of, said
from services.gateway.schema.node import KINDS
from services.kit.errors import FanfareError, Kind, RemoteError
from tests.gateway.house import Caller, House
from tests.gateway.questions import mutations, queries
from tests.gateway.story import Story, wait_until


def test_the_committed_schema_is_fresh() -> None:
    committed = Path(__file__).parents[2] / "schema.graphql"
    assert committed.read_text(encoding="utf-8") == schema.printed(), "run `python -m services.gateway schema`"


def test_every_query_says_what_it_is_for() -> None:
    assert not [name for name, field in queries(schema.core()).items() if not field.description]


def test_every_mutation_tells_its_errors() -> None:
    for name, field in mutations(schema.core()).items():
        payload = get_named_type(field.type)
        assert isinstance(payload, GraphQLObjectType)
        assert str(payload.fields["errors"].type) == "[Error!]!", name


@pytest.fixture
def calls(house: House) -> list[str]:
    """The rpcs that the gateway calls from now on."""
    made: list[str] = []
    rooms = house.gateway.desk.rooms
    for name in list(rooms._calls):  # what was prepared before
        rooms._calls.pop(name, None)  # so that it is made anew
    prepared = type(rooms)._prepared  # the seam between the gateway and the wire

    def counting(name: str):  # type: ignore[no-untyped-def] # a test's own
        call = prepared(rooms, name)

        def counted(*args: object, **kwargs: object) -> object:
            made.append(name)
            return call(*args, **kwargs)

        rooms._calls[name] = counted  # counted, otherwise as it was
        return counted

    rooms._prepared = counting  # type: ignore[method-assign] # counted, otherwise as it was
    return made


def test_a_page_takes_as_many_calls_as_kinds_of_things_not_as_rows(
    calls: list[str], owner: Caller, story: Story
) -> None:
    document = """query($c: ID!) { members(community: $c, first: 50) { nodes {
      id displayName community { name } guardians { displayName wards { displayName } }
      latest { kind campaign { name objective { name } account { name } figures { accepted } } } } } }"""
    received = "query($m: ID!) { member(id: $m) { latest { kind } } }"
    wait_until(lambda: "received" in str(owner.ask(received, m=story["member"])), "the receipt in the timeline")
    calls.clear()
    nodes = owner.ask(document, c=story["community"])["members"]["nodes"]
    assert len(nodes) >= 5 and any(one["latest"] for one in nodes)
    assert sorted(calls) == sorted(
        [
            "MemberService.ListMembers",
            "CommunityService.GetCommunities",
            "MemberService.GetMembers",  # guardians
            "MemberService.GetMembers",  # their wards
            "CampaignService.GetCampaigns",
            "CampaignService.GetFigures",
            "ObjectiveService.GetObjectives",
            "AccountService.GetAccounts",
        ]
    )


def test_many_by_id_are_one_call(calls: list[str], owner: Caller, story: Story) -> None:
    ids = [story[name] for name in ("member", "child", "other", "twin")]
    found = owner.ask("query($ids: [ID!]!) { nodes(ids: $ids) { ... on Member { displayName } } }", ids=ids)["nodes"]
    assert len(found) == 4 and all(found)
    assert calls == ["MemberService.GetMembers"]


def test_every_kind_of_node_is_found_by_its_global_id(owner: Caller, story: Story) -> None:
    me = owner.ask("{ viewer { operator { id } agency { id } } }")["viewer"]
    key = owner.do("createApiKey", "apiKey { id }", name="node", scopes=["MEMBERS_READ"])["apiKey"]["id"]
    ids = {**story.ids, "operator": me["operator"]["id"], "agency": me["agency"]["id"], "key": key}
    tried = set()
    for an_id in ids.values():
        kind = KINDS.get(an_id.partition("_")[0])
        if kind is None:
            continue
        node = owner.ask("query($id: ID!) { node(id: $id) { __typename id } }", id=an_id)["node"]
        assert node["__typename"] == kind
        assert node["id"] == an_id or an_id == story["absorbed"], "a merged member answers with who goes on"
        tried.add(kind)
    assert tried == set(KINDS.values())


def test_a_merged_member_resolves_to_the_one_that_goes_on_beside_one_that_is_not_there(
    owner: Caller, story: Story
) -> None:
    ids = [story["absorbed"], "mbr_00000000000070008000000000000000", story["member"]]
    found = owner.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)["nodes"]
    assert [one and one["id"] for one in found] == [story["other"], None, story["member"]]


def test_pages_follow_each_other_from_any_edge(owner: Caller, story: Story) -> None:
    document = """query($c: ID!, $n: Int!, $a: String) { members(community: $c, first: $n, after: $a) {
      edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } }"""

    def page(first: int, after: str | None = None) -> tuple[list[str], list[str], bool]:
        told = owner.ask(document, c=story["community"], n=first, a=after)["members"]
        edges = told["edges"]
        return [e["node"]["id"] for e in edges], [e["cursor"] for e in edges], told["pageInfo"]["hasNextPage"]

    everybody, cursors, more = page(50)
    assert not more and len(everybody) >= 5
    for place, cursor in enumerate(cursors):
        assert page(50, cursor)[0] == everybody[place + 1 :]
    collected, after = [], None
    while True:
        ids, cursors, more = page(2, after)
        collected += ids
        if not more:
            break
        after = cursors[-1]
    assert collected == everybody
    assert page(3, page(2)[1][0])[0] == everybody[1:4], "behind the first edge of a page of two"
    wrong = owner.post(document, c=story["community"], n=2, a="nonsense")
    assert wrong["errors"][0]["extensions"] == {"code": "cursor-invalid", "field": "after"}
    assert owner.post(document, c=story["community"], n=500)["errors"][0]["extensions"]["code"] == "page-size-invalid"


def test_what_is_not_named_stays_as_it_is(owner: Caller, story: Story) -> None:
    ask = "query($id: ID!) { campaign(id: $id) { name purpose fromName messages { subject } objective { id } } }"
    before = owner.ask(ask, id=story["draft"])["campaign"]
    owner.do("editCampaign", "campaign { id }", campaign=story["draft"], name="zebrawood renamed")
    after = owner.ask(ask, id=story["draft"])["campaign"]
    assert after == {**before, "name": "zebrawood renamed"}
    asked = "query($id: ID!) { objective(id: $id) { name metric target deadline } }"
    goal = owner.ask(asked, id=story["objective"])["objective"]
    owner.do("editObjective", "objective { id }", objective=story["objective"], target=25)
    assert owner.ask(asked, id=story["objective"])["objective"] == {**goal, "target": 25.0}
    settings, cost = (
        "settings { attributionDays messageCost { amount currency } }",
        {"amount": "0.002", "currency": "EUR"},
    )
    first = owner.do("changeCampaignSettings", settings, community=story["community"], messageCost=cost)["settings"]
    assert first == {"attributionDays": 30, "messageCost": cost}
    second = owner.do("changeCampaignSettings", settings, community=story["community"], attributionDays=12)["settings"]
    assert second == {"attributionDays": 12, "messageCost": cost}
    read = f"query($id: ID!) {{ community(id: $id) {{ {settings.replace('settings', 'campaignSettings')} }} }}"
    assert owner.ask(read, id=story["community"])["community"]["campaignSettings"] == second


def test_an_edit_of_what_was_read_before_somebody_else_changed_it_is_refused(owner: Caller, story: Story) -> None:
    asked = "query($id: ID!) { objective(id: $id) { version } }"
    read = owner.ask(asked, id=story["objective"])["objective"]["version"]
    owner.do("editObjective", "objective { id }", objective=story["objective"], name="zebrawood of another")
    late = owner.attempt("editObjective", "", objective=story["objective"], name="zebrawood late", version=read)
    assert [error["field"] for error in late["errors"]] == ["version"]


def test_an_error_names_its_field_as_the_input_does(owner: Caller, story: Story) -> None:
    payload = owner.attempt("registerMember", community=story["community"], email="nobody")
    assert payload["errors"][0]["field"] == "email"
    goal = {"name": "x", "metric": "CLICKS", "target": 5, "deadline": "2020-01-01T00:00:00Z"}
    payload = owner.attempt("createObjective", community=story["community"], **goal)
    assert payload["errors"][0]["field"] == "deadline"


def test_every_reason_that_any_room_gives_has_french_words(house: House) -> None:
    """The rooms are all imported by now; what their errors say in English, an operator reads in French."""
    assert house.running == ("members", "campaigns", "channels")
    waiting, silent = [FanfareError], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("services.") and kind.reason not in FRENCH and kind.reason not in _BY_KIND:
            silent.add((kind.reason, kind.__name__))
    assert not silent


_BY_KIND = {"invalid", "conflict", "forbidden", "not-found", "limit-reached", "unauthenticated", "unavailable"} | {
    "already-runs",  # the supervisor's own, which speaks for itself
    "launch-blocked",  # whose problems are told in both languages where they are found
    "revision-blocked",
}


def test_an_unheard_of_reason_is_told_by_its_kind() -> None:
    error = RemoteError(Kind.NOT_FOUND, "never-heard-of", "There is no such thing.")
    assert (said(error, "fr"), said(error, "en")) == ("Cela n’existe pas, ou n’est pas à vous.", error.message)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-BE,en;q=0.8", "fr"),
        ("nl,en;q=0.5,fr;q=0.9", "fr"),
        ("de", "en"),
        ("fr;q=x", "en"),
    ],
)
def test_the_language_is_the_first_of_ours(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_expected_errors_have_a_kind_each() -> None:
    assert issubclass(RemoteError, FanfareError)
