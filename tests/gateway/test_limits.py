"""What one request may ask: bounded in bytes, tokens, depth, fields and cost; never a query per row."""

from __future__ import annotations

import hashlib
import time

import pytest

from services.gateway import schema
from services.gateway.engine.documents import Documents, QueryRefused, UnknownQuery
from services.gateway.engine.limits import Limits, TooMuchAsked
from tests.gateway.house import Caller, House


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(schema.core(), Limits(), most=3)


def nested(levels: int) -> str:
    return "{ member(id: 1) " + "{ guardians " * levels + "{ id }" + " }" * levels + " }"


def test_a_query_may_be_so_deep(documents: Documents) -> None:
    documents.prepare(nested(8))
    with pytest.raises(TooMuchAsked):
        documents.prepare(nested(15))


def test_introspection_is_not_counted(documents: Documents) -> None:
    of_type = "ofType { kind name " * 9 + "}" * 9
    documents.prepare("{ __schema { types { fields { type { " + of_type + " } } } } }")


def test_pages_within_pages_multiply(documents: Documents) -> None:
    prepared = documents.prepare(
        "query($n: Int) { members(community: 1, first: $n) { nodes { guardians { wards { guardians { id } } } } } }"
    )
    cost = prepared.cost_of(None)
    documents.check(cost, {"n": 50})
    with pytest.raises(TooMuchAsked):
        documents.check(cost, {"n": 300})


def test_what_is_asked_for_each_parent_stands_under_one_parent_only(documents: Documents) -> None:
    documents.prepare("{ member(id: 1) { timeline { nodes { kind } } } }")
    with pytest.raises(TooMuchAsked) as refused:
        documents.prepare("{ members(community: 1) { nodes { timeline { nodes { kind } } } } }")
    assert "each row of members" in refused.value.message
    for query in (
        "{ communities { edges { node { campaigns { nodes { id } } } } } }",
        "{ communities { nodes { ...Hidden } } } fragment Hidden on Community { members { nodes { id } } }",
        "{ nodes(ids: [1]) { ... on Community { members { nodes { id } } } } }",
    ):
        with pytest.raises(TooMuchAsked):
            documents.prepare(query)


def test_fragments_do_not_hide_how_much_is_asked(documents: Documents) -> None:
    doubling = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(14))
    with pytest.raises(TooMuchAsked):
        documents.prepare("{ ...F0 } " + doubling + " fragment F14 on Query { viewer { actor } }")


def test_a_storm_of_aliases_is_refused_soon(documents: Documents) -> None:
    storm = "{ " + " ".join(f"a{n}: viewer {{ actor }}" for n in range(5_000)) + " }"
    began = time.process_time()
    with pytest.raises(QueryRefused):
        documents.prepare(storm)
    with pytest.raises((TooMuchAsked, QueryRefused)):
        documents.prepare("mutation { " + " ".join(f"a{n}: signOut {{ signedOut }}" for n in range(50)) + " }")
    assert time.process_time() - began < 5, "a bound so wide that only what grows without one meets it"


def test_a_document_is_kept_under_its_hash_as_long_as_there_is_room(documents: Documents) -> None:
    query = "{ viewer { actor } }"
    sha256 = hashlib.sha256(query.encode()).hexdigest()
    kept = documents.prepare(query, sha256)
    assert documents.prepare("", sha256) is kept
    for number in range(3):
        documents.prepare(f"{{ a{number}: viewer {{ actor }} }}")
    with pytest.raises(UnknownQuery):
        documents.prepare("", sha256)


def test_a_body_may_be_so_large(house: House) -> None:
    reply = house.caller().client.post("/graphql", json={"query": "{ viewer { actor } }", "x": "y" * 300_000})
    assert reply.status_code == 413
    assert reply.get_json()["errors"][0]["extensions"]["code"] == "request-too-large"


def test_only_json_is_understood(house: House) -> None:
    client = house.caller().client
    form = client.post("/graphql", data="query={viewer{actor}}", content_type="application/x-www-form-urlencoded")
    assert form.status_code == 400, "a form of another site is no request"
    assert client.post("/graphql", data=b"{", content_type="application/json").status_code == 400


def test_what_nobody_expected_is_told_by_its_trace_alone_and_logged_once(
    house: House, owner: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = house.gateway.desk.rooms._calls  # a room that breaks
    whole = calls.pop("MemberService.GetMembers", None)

    def broken(*_: object, **__: object) -> object:
        raise KeyError("ada@members.example")

    calls["MemberService.GetMembers"] = broken
    try:
        answer = owner.post('{ nodes(ids: ["mbr_1", "mbr_2", "mbr_3"]) { id } }')
    finally:
        calls.pop("MemberService.GetMembers")
        if whole is not None:
            calls["MemberService.GetMembers"] = whole
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "internal" and error["extensions"]["trace"] in error["message"]
    assert "ada@" not in str(answer)
    lines = [line for line in capsys.readouterr().out.splitlines() if "graph_failed" in line]
    assert len(lines) == 1 and error["extensions"]["trace"] in lines[0]
