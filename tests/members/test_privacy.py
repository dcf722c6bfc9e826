"""What people may ask: access, restriction, erasure; and what time does by itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.kit.clock import DAY, ManualClock
from services.kit.errors import Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document, Patch
from services.members.domain.household import ErasedBefore
from services.members.domain.permission import NEWS, Evidence
from services.members.use_cases.changing import (
    Changes,
    add_contact_point,
    change_member,
    end_relation,
    lift_restriction,
    relate_member,
    restrict_member,
)
from services.members.use_cases.erasing import acknowledge_erasure, erase_member, finish_erasures, list_erasures
from services.members.use_cases.exporting import access_member, export_members
from services.members.use_cases.merging import merge_members
from services.members.use_cases.permitting import record_objection
from services.members.use_cases.reaching import resolve_recipients
from services.members.use_cases.registering import erased_among, owners_of
from services.members.use_cases.reporting import Report, record_interactions
from services.members.use_cases.room import Room
from services.members.use_cases.sweeping import sweep

Register = Callable[..., Document]
WORDS = ("augusta", "lovelace", "mail.example", "32470123456", "asthma", "x7")


def _everything(room: Room, scope: Scope) -> str:
    """All that the room keeps, as text."""
    collections = (
        room.members,
        room.claims,
        room.interactions,
        room.receipts,
        room.merges,
        room.erasures,
        room.erased_addresses,
    )
    return json.dumps([page for each in collections for page in each.stream(scope)]).lower()


def test_erasure_empties_everything_and_completes_when_every_room_has_answered(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register(
        "Ada Lovelace",
        email="ada@mail.example",
        phone="+32470123456",
        external_id="x7",
        attributes={"health_remarks": "asthma"},
        agreed=(NEWS,),
    )
    double = register("Ada L", email="lovelace@mail.example")
    merge_members(room, scope, ada["_id"], double["_id"])
    change_member(room, scope, ada["_id"], Changes(given_name="Augusta Ada"))
    record_interactions(room, scope, club["_id"], [Report("order-b1", "purchased", clock.now(), member=ada["_id"])])
    assert all(word in _everything(room, scope) for word in WORDS)

    erasure = erase_member(room, scope, double["_id"])
    assert erasure["acknowledged"] == [], "a conversion is still to be told"
    (untold,) = room.interactions.find(scope).documents
    room.interactions.patch(scope, [Patch(untold["_id"], set={"pending": 0, "outbox": []})])
    clock.advance(DAY)
    finish_erasures(room)
    erasure = list_erasures(room, scope, 10, None).documents[0]
    left = _everything(room, scope)
    assert [word for word in WORDS if word in left] == []
    assert "order-b1" not in left
    assert (erasure["acknowledged"], erasure["completed_at"]) == (["members"], None)
    told = [entry["data"]["member"] for entry in erasure["outbox"] if entry["type"] == "MemberErased"]
    assert told == [ada["_id"], double["_id"]]
    (gone,) = resolve_recipients(
        room, scope, club["_id"], [ada["_id"]], channel="email", purpose=NEWS, fields=["given_name"]
    )
    assert (gone.state, gone.address) == ("erased", "")

    clock.advance(DAY)
    for by in ("campaigns", "campaigns", "channels"):
        assert list_erasures(room, scope, 10, None).documents[0]["completed_at"] is None
        acknowledge_erasure(room, scope, erasure["_id"], by)
    assert list_erasures(room, scope, 10, None).documents[0]["completed_at"] == clock.now()
    assert erase_member(room, scope, ada["_id"])["_id"] == erasure["_id"], "once is enough"


def test_an_erased_address_is_recognised_by_its_keyed_hash_alone(
    room: Room, scope: Scope, club: Document, register: Register
) -> None:
    ada = register("Ada", email="ada@mail.example", phone="+32470123456")
    register("Bob", email="bob@mail.example")
    asked = [("email", "ada@mail.example"), ("phone", "+32470123456"), ("email", "bob@mail.example")]
    assert erased_among(room, scope, room.community(scope, club["_id"]), asked) == set()
    erase_member(room, scope, ada["_id"])
    assert erased_among(room, scope, room.community(scope, club["_id"]), asked) == set(asked[:2])
    assert owners_of(room, scope, club["_id"], asked[:2]) == {}


def test_only_the_person_brings_an_erased_address_back(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example", phone="+32470123456")
    bob = register("Bob", email="bob@mail.example")
    signed_up_before = clock.now()
    clock.advance(DAY)
    erase_member(room, scope, ada["_id"])
    clock.advance(DAY)
    for field, address in (("email", "ada@mail.example"), ("phone", "+32470123456")):
        with pytest.raises(ErasedBefore, match="only they can come back") as refusal:
            register("Ada", **{field: address})
        assert (refusal.value.reason, refusal.value.field) == ("erased-before", field)
        with pytest.raises(ErasedBefore):
            add_contact_point(room, scope, bob["_id"], field, address, share=False)

    proof = Evidence("Keep me posted.", "form", clock.now(), "member")
    proven = Report("s-1", "signed_up", clock.now(), email="ada@mail.example", evidence=proof)
    unproven = replace(proven, evidence=replace(proof, actor="operator:ada"))
    replayed = replace(proven, evidence=replace(proof, at=signed_up_before))
    results = record_interactions(room, scope, club["_id"], [replace(proven, evidence=Evidence()), unproven, replayed])
    assert [(one.outcome, one.reason) for one in results] == [("refused", "erased-before")] * 3
    (result,) = record_interactions(room, scope, club["_id"], [proven])
    assert (result.outcome, room.member(scope, result.member)["state"]) == ("recorded", "active")
    back = ("email", "ada@mail.example")
    assert erased_among(room, scope, room.community(scope, club["_id"]), [back]) == set(), "who came back is back"


def test_an_erasure_that_a_crash_interrupted_is_finished(
    room: Room, scope: Scope, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    erasure = {
        "_id": "ers_1",
        "agency": ada["agency"],
        "community": ada["community"],
        "schema_version": 1,
        "member": ada["_id"],
        "remembered": True,
        "requested_at": clock.now(),
        "requested_by": "operator:ada",
        "acknowledged": [],
        "completed_at": None,
        "told_at": None,
        "unfinished": clock.now(),
    }
    room.erasures.insert(scope, [erasure])
    clock.advance(DAY)
    finish_erasures(room)
    assert room.member(scope, ada["_id"])["state"] == "erased"
    assert room.erasures.get(scope, ["ers_1"])["ers_1"]["acknowledged"] == ["members"]


def test_the_restricted_are_kept_but_not_used(room: Room, scope: Scope, club: Document, register: Register) -> None:
    ada = register("Ada", email="ada@mail.example", agreed=(NEWS,))
    assert restrict_member(room, scope, ada["_id"])["permission"] == []
    (found,) = resolve_recipients(room, scope, club["_id"], [ada["_id"]], channel="email", purpose=NEWS, fields=[])
    assert (found.state, found.permitted, found.address) == ("restricted", False, "")
    assert lift_restriction(room, scope, ada["_id"])["permission"] == ["news:email"]


def test_access_tells_everything_that_is_known(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example", attributes={"health_remarks": "asthma"}, agreed=(NEWS,))
    record_interactions(room, scope, club["_id"], [Report("order-b1", "purchased", clock.now(), member=ada["_id"])])
    told = json.loads(access_member(room, scope, ada["_id"]))
    assert told["record"]["sensitive"] == [{"key": "health_remarks", "value": "asthma"}]
    assert told["record"]["ledger"][0]["wording"] == "I agree to receive the news."
    assert [entry["event"] for entry in told["timeline"]] == ["order-b1"]
    assert {"purpose": "news", "channel": "email", "allowed": True, "reason": "consent"} in told["permission"]


def test_exported_cells_never_start_a_formula(room: Room, scope: Scope, club: Document, register: Register) -> None:
    register("=HYPERLINK(1)", email="ada@mail.example", phone="+32470123456", attributes={"health_remarks": "asthma"})
    content = b"".join(export_members(room, scope, club["_id"], "", "csv", with_sensitive=False)).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(content))
    assert row["given_name"] == "'=HYPERLINK(1)"
    assert row["phones"] == "'+32470123456"
    assert "asthma" not in content
    lines = b"".join(export_members(room, scope, club["_id"], "", "json", with_sensitive=True)).decode()
    assert json.loads(lines)["attribute.health_remarks"] == "asthma"


def test_standing_changes_by_itself_when_a_relation_ends_and_keeps_its_cause(
    room: Room, scope: Scope, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    joined = relate_member(room, scope, ada["_id"], "adherent", "2026-01-01", "2026-12-31", "operator")
    assert (joined["standing"], joined["permission"]) == (["client"], ["service:email", "statutory:email"])
    clock.advance(60 * DAY)
    assert sweep(room, room.clock.now()) == 1
    after = room.member(scope, ada["_id"])
    assert (after["standing"], after["lifecycle"], after["permission"]) == (["prospect"], "former", [])
    change = [change for change in after["history"] if change["what"] == "standing"][-1]
    assert (change["cause"], change["at"]) == ("time", clock.now())
    assert sweep(room, room.clock.now() + 1) == 0


def test_points_of_last_year_fall_away(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example", relations=("adherent",))
    record_interactions(room, scope, club["_id"], [Report("order-b1", "purchased", clock.now(), member=ada["_id"])])
    clock.advance(200 * DAY)
    record_interactions(room, scope, club["_id"], [Report("b2", "attended", clock.now(), member=ada["_id"])])
    clock.advance(200 * DAY)
    sweep(room, room.clock.now())
    assert room.member(scope, ada["_id"])["engagement"]["score"] == 8


def test_whom_nothing_justifies_keeping_is_erased_and_an_objection_is_remembered(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example", relations=("adherent",))
    bob = register("Bob", email="bob@mail.example", relations=("trial",))
    cem = register("Cem", email="cem@mail.example")
    record_objection(
        room, scope, cem["_id"], purposes=[], channels=[], evidence=Evidence("", "one_click", clock.now(), "member")
    )
    end_relation(room, scope, bob["_id"], "trial", "2026-11-30")
    clock.advance(4 * 365 * DAY)
    sweep(room, room.clock.now())
    assert [room.member(scope, one["_id"])["state"] for one in (ada, bob, cem)] == ["active", "erased", "erased"]
    asked = [("email", "bob@mail.example"), ("email", "cem@mail.example")]
    assert erased_among(room, scope, room.community(scope, club["_id"]), asked) == {("email", "cem@mail.example")}


def test_the_restricted_are_not_swept_away(room: Room, scope: Scope, register: Register, clock: ManualClock) -> None:
    ada = register("Ada", email="ada@mail.example")
    restrict_member(room, scope, ada["_id"])
    clock.advance(9 * 365 * DAY)
    sweep(room, room.clock.now())
    assert room.member(scope, ada["_id"])["state"] == "restricted"
    lift_restriction(room, scope, ada["_id"])
    sweep(room, room.clock.now() + 1)
    assert room.member(scope, ada["_id"])["state"] == "erased"


def test_a_refused_change_leaves_an_external_id_free_and_an_erased_one_stays_erased(
    room: Room, scope: Scope, register: Register
) -> None:
    ada, bob = register("Ada", external_id="x7"), register("Bob")
    with pytest.raises(Invalid):
        change_member(room, scope, ada["_id"], Changes(external_id="x8", locale="no language"))
    assert change_member(room, scope, bob["_id"], Changes(external_id="x8"))["external_id"] == "x8"
    erase_member(room, scope, ada["_id"])
    with pytest.raises(ErasedBefore):
        change_member(room, scope, bob["_id"], Changes(external_id="x7"))


def test_a_patch_of_an_erased_member_brings_nothing_back(room: Room, scope: Scope, register: Register) -> None:
    ada = register("Ada", email="ada@mail.example")
    erase_member(room, scope, ada["_id"])
    room.members.patch(scope, [Patch(ada["_id"], inc={"engagement.score": 1})])
    assert room.member(scope, ada["_id"])["display_name"] == ""
