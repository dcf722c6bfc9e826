"""Signing in, sessions, invitations, roles and keys; and the log of what was asked."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.gateway.access.credentials import SESSION_LIFE, SessionOver
from services.gateway.access.first_start import found
from services.gateway.access.people import LastOwner
from services.gateway.access.roles import ROLES, Role
from services.gateway.contract import service_descriptors
from services.gateway.storage import documents as kept
from services.gateway.web.graph import COOKIE
from services.gateway.wiring import Access, access_of
from services.kit.clock import ManualClock
from services.kit.ids import Ids
from services.kit.rpc.server import grant_of
from services.kit.rpc.trust import SERVICE_GRANT
from services.kit.scope import everywhere
from services.kit.store.opening import open_store
from services.kit.store.rule import EVERYTHING
from tests.gateway.house import Caller, House
from tests.gateway.story import Story

VIEWER = "{ viewer { actor operator { email } grants { grants } } }"


def test_the_first_start_makes_keys_and_an_operator_and_then_nothing_more(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.gateway", "init"]
    environment = {"FANFARE_DATA": str(tmp_path / "var"), "PATH": "/usr/bin:/bin", "FANFARE_HTTP": "127.0.0.1:8123"}
    subprocess.run(command, check=True, env=environment, timeout=60)
    file = tmp_path / "var" / "first-operator.json"
    first = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(first)) == {"url", "email", "password", "agency", "operator", "api_key"}
    assert json.loads(first)["url"] == "http://127.0.0.1:8123"
    subprocess.run(command, check=True, env=environment, timeout=60)
    assert file.read_bytes() == first
    keys = sorted(path.name for path in (tmp_path / "var" / "keys").glob("*.key"))
    assert keys == ["campaigns.1.key", "channels.1.key", "gateway.1.key", "members.1.key"]


def test_a_browser_signs_in_with_a_cookie_that_scripts_cannot_read(house: House) -> None:
    caller = house.caller()
    payload = caller.do(
        "signIn", "operator { email }", email=house.founding.operator.email, password=house.founding.password
    )
    assert payload["operator"]["email"] == house.founding.operator.email
    cookie = caller.client.get_cookie(COOKIE)
    assert cookie is not None and cookie.http_only and cookie.same_site == "Strict"
    assert caller.ask(VIEWER)["viewer"]["operator"]["email"] == house.founding.operator.email
    elsewhere = caller.client.post(
        "/graphql", json={"query": VIEWER}, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    )
    assert elsewhere.status_code == 403, "a page of another site has no part in the session"
    assert caller.post("mutation { signOut { signedOut errors { code } } }")["data"]["signOut"]["signedOut"]
    assert caller.ask(VIEWER)["viewer"] is None


def test_who_signs_in_wrongly_learns_nothing_and_is_slowed_down(house: House) -> None:
    caller = house.caller()
    told = []
    for attempt in range(9):
        payload = caller.attempt("signIn", email="nobody@first.example", password=f"wrong {attempt}")
        told.append(payload["errors"][0])
    assert {one["code"] for one in told[:8]} == {"wrong-credentials"}
    assert told[8]["code"] == "too-many-attempts"
    known = caller.attempt("signIn", email=house.founding.operator.email, password="wrong")["errors"][0]
    assert known == told[0], "a known address is told the same as an unknown one"


def test_a_session_ends_when_its_operator_signs_out(house: House) -> None:
    signed_in = house.owner_of(house.founding)
    assert signed_in.ask(VIEWER)["viewer"]
    signed_in.post("mutation { signOut { signedOut } }")
    reply = signed_in.client.post("/graphql", json={"query": VIEWER}, headers=signed_in.headers)
    assert reply.status_code == 401
    assert reply.get_json()["errors"][0]["extensions"]["code"] == "session-over"


def test_sessions_that_are_over_are_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()
    store = open_store(tmp_path / "gateway.sqlite", kept.DOCUMENTS)
    access = access_of(store, Ids(clock), clock)
    found(access.people, access.credentials, "First", "owner@first.example", password="a long password")
    old, new = (_signed_in(access, clock, after) for after in (0, SESSION_LIFE + 1))
    assert access.credentials.forget_old_sessions() == 1
    with pytest.raises(SessionOver):
        access.credentials.viewer(old)
    assert access.credentials.viewer(new).operator
    assert store.collection(kept.SessionDocument).count(everywhere("service:gateway"), EVERYTHING) == 1
    store.close()


def _signed_in(access: Access, clock: ManualClock, after: int) -> str:
    clock.advance(after)
    return access.credentials.sign_in("owner@first.example", "a long password", "here").token


def test_an_invited_operator_chooses_a_password_and_has_the_role_given(
    house: House, owner: Caller, story: Story
) -> None:
    invited = owner.do(
        "inviteOperator",
        "operator { id state } link",
        email="ann@first.example",
        role="ANALYST",
        community=story["community"],
        locale="fr",
    )
    path = invited["link"].partition("/i/")[2]
    visitor = house.caller().client
    page = visitor.get(f"/i/{path}")
    assert page.status_code == 200 and "ann@first.example" in page.text and 'lang="fr"' in page.text
    assert visitor.post(f"/i/{path}", data={"password": "court", "again": "court"}).status_code == 422
    assert visitor.post(f"/i/{path}", data={"password": "a fine password", "again": "another one"}).status_code == 422
    done = visitor.post(f"/i/{path}", data={"password": "a fine password", "again": "a fine password"})
    assert done.status_code == 200
    assert visitor.get(f"/i/{path}").status_code == 404, "an invitation serves once"
    analyst = house.caller(house.gateway.desk.credentials.sign_in("ann@first.example", "a fine password", "t").token)
    grants = analyst.ask("{ viewer { grants { community { id } grants } } }")["viewer"]["grants"]
    assert grants == [
        {"community": {"id": story["community"]}, "grants": ["campaigns.read", "channels.read", "members.read"]}
    ]
    refused = analyst.attempt("registerMember", community=story["community"], givenName="X")
    assert refused["errors"][0]["code"] == "not-allowed"
    owner.do(
        "changeOperatorRole",
        "operator { id }",
        operator=invited["operator"]["id"],
        role="MANAGER",
        community=story["community"],
    )
    assert not analyst.attempt("registerMember", community=story["community"], givenName="X")["errors"]
    owner.do("removeOperator", "operator { state }", operator=invited["operator"]["id"])
    gone = analyst.client.post("/graphql", json={"query": VIEWER}, headers=analyst.headers)
    assert gone.status_code == 401


def test_who_works_for_one_community_stops_that_and_not_the_agency(house: House, owner: Caller, story: Story) -> None:
    desk, community = house.gateway.desk, story["community"]
    desk.people.enlist(house.founding.agency.id, "eve@first.example", "a long password", [Role("approver", community)])
    eve = house.caller(desk.credentials.sign_in("eve@first.example", "a long password", "t").token)
    for act in ("holdOutgoing", "releaseOutgoing"):
        (error,) = eve.attempt(act)["errors"]
        assert (error["field"], error["code"]) == ("community", "not-allowed")
        assert "outgoing.hold" in error["message"]
        assert not eve.attempt(act, community=community)["errors"]


def test_an_agency_keeps_an_owner(house: House, owner: Caller) -> None:
    me = owner.ask("{ viewer { operator { id } } }")["viewer"]["operator"]["id"]
    assert owner.attempt("removeOperator", operator=me)["errors"][0]["code"] == LastOwner.reason
    demoted = owner.attempt("changeOperatorRole", operator=me, role="ANALYST")
    assert demoted["errors"][0]["code"] == LastOwner.reason


def test_an_address_belongs_to_one_operator(owner: Caller, house: House) -> None:
    payload = owner.attempt("inviteOperator", email=house.founding.operator.email.upper(), role="MANAGER")
    assert (payload["errors"][0]["field"], payload["errors"][0]["code"]) == ("email", "email-taken")


def test_a_key_opens_what_its_scopes_say_and_is_told_once(house: House, owner: Caller, story: Story) -> None:
    made = owner.do("createApiKey", "apiKey { id scopes } secret", name="reader", scopes=["MEMBERS_READ"])
    key = house.caller(made["secret"])
    found = key.ask("query($id: ID!) { member(id: $id) { id } }", id=story["member"])
    assert found["member"]["id"] == story["member"]
    assert key.attempt("registerMember", community=story["community"])["errors"][0]["code"] == "not-allowed"
    nowhere = owner.attempt("createApiKey", name="x", scopes=["MEMBERS_READ"], communities=[])
    assert nowhere["errors"][0]["field"] == "communities", "a key for no community at all opens nothing"
    assert key.attempt("createApiKey", name="x", scopes=["MEMBERS_READ"])["errors"][0]["code"] == "operators-only"
    listed = json.dumps(owner.ask("{ agency { apiKeys { nodes { id name scopes createdBy } } } }"))
    assert made["apiKey"]["id"] in listed and made["secret"] not in listed
    stored = house.gateway.desk.credentials._keys.get(  # what lies on disk
        house.gateway.desk.credentials.viewer(made["secret"]).scope, [made["apiKey"]["id"]]
    )
    assert made["secret"].rpartition("_")[2] not in json.dumps(stored)
    owner.do("revokeApiKey", "apiKey { revokedAt }", key=made["apiKey"]["id"])
    assert key.client.post("/graphql", json={"query": VIEWER}, headers=key.headers).status_code == 401


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_may_call_exactly_the_rpcs_of_its_grants(role: str, house: House) -> None:
    """The matrix of roles and rpcs, asked of the real services: forbidden exactly where the grant is not held."""
    from services.gateway.contract import request_class  # for this test alone
    from services.kit.errors import FanfareError, Kind  # for this test alone

    desk = house.gateway.desk
    token = desk.signer.token("operator:opr_x", "agy_matrix", {"*": ROLES[role]})
    metadata = (("authorization", f"Bearer {token}"),)
    for service in service_descriptors().values():
        for method in service.methods:
            if method.client_streaming or method.server_streaming:
                continue
            try:
                desk.rooms.call(f"{service.name}.{method.name}", request_class(method)(), metadata, 10)
                forbidden = False
            except FanfareError as error:
                forbidden = error.kind is Kind.FORBIDDEN
            grant = grant_of(method)
            assert forbidden == (grant == SERVICE_GRANT or grant not in ROLES[role]), f"{role} at {method.full_name}"


def test_every_mutation_is_in_the_audit_log_with_ids_only(owner: Caller, story: Story) -> None:
    owner.do("changeMember", "member { id }", member=story["other"], givenName="Renamed-zebrawood")
    owner.attempt("changeMember", member="mbr_00000000000070008000000000000000", givenName="Nobody")
    asked = "query($t: ID) { agency { auditLog(first: 2, target: $t) { nodes { actor operation outcome targets } } } }"
    latest = owner.ask("{ agency { auditLog(first: 2) { nodes { actor operation outcome targets } } } }")
    (second, first) = latest["agency"]["auditLog"]["nodes"]
    assert (first["operation"], first["outcome"]) == ("changeMember", "done")
    assert (second["operation"], second["outcome"]) == ("changeMember", "unknown-member")
    assert first["targets"] == [story["other"]] and first["actor"].startswith("operator:opr_")
    everything = json.dumps(owner.ask(asked, t=story["other"]))
    assert "changeMember" in everything and "zebrawood" not in everything


def test_what_people_are_told_is_in_their_language(owner: Caller) -> None:
    document = 'mutation { launchCampaign(input: {campaign: "cmp_0"}) { errors { code message } } }'
    english = owner.post(document)["data"]["launchCampaign"]["errors"][0]
    french = owner.post(document, "fr-BE,en;q=0.5")["data"]["launchCampaign"]["errors"][0]
    assert english["code"] == french["code"]
    assert english["message"] != french["message"]


@pytest.mark.parametrize(
    ("act", "given", "field"),
    [
        ("createCampaign", {"name": "x"}, "purpose"),
        ("createCampaign", {"name": "x" * 201, "purpose": "NEWS"}, "name"),
        ("createCampaign", {"name": "x", "purpose": "NEWS", "capCount": 2}, "capCount"),
        (
            "createCampaign",
            {"name": "x", "purpose": "NEWS", "messageCost": {"currency": "euros", "amount": "1"}},
            "messageCost.currency",
        ),
        (
            "createObjective",
            {"name": "x", "metric": "CLICKS", "target": 0, "deadline": "2030-01-01T00:00:00Z"},
            "target",
        ),
        ("changeCampaignSettings", {"attributionDays": -1}, "attributionDays"),
    ],
)
def test_what_is_wrong_with_a_campaign_is_said_in_french_too(
    act: str, given: dict[str, Any], field: str, owner: Caller, story: Story
) -> None:
    title = act[0].upper() + act[1:]
    document = f"mutation($input: {title}Input!) {{ {act}(input: $input) {{ errors {{ field message }} }} }}"
    told = [
        owner.post(document, language, input={"community": story["community"], **given})["data"][act]["errors"][0]
        for language in ("en", "fr")
    ]
    assert [one["field"] for one in told] == [field, field]
    assert told[0]["message"] not in told[1]["message"]


def test_the_documents_declare_what_is_kept() -> None:
    assert len({kind.__name__ for kind in kept.DOCUMENTS}) == len(kept.DOCUMENTS)
    assert Role("owner") == Role("owner", None)
