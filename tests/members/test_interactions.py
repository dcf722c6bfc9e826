"""What members did and received: once, explained, and never guessed at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.kit.clock import DAY, MINUTE, ManualClock
from services.kit.scope import Scope
from services.kit.store.port import Document, Patch
from services.members.domain.permission import NEWS, PROMOTION, Evidence
from services.members.use_cases.changing import add_contact_point, name_guardian, remove_contact_point
from services.members.use_cases.merging import merge_members
from services.members.use_cases.permitting import record_objection
from services.members.use_cases.reading import list_timeline
from services.members.use_cases.recording import (
    Settled,
    Visit,
    record_receipts,
    record_unsubscribe,
    record_visits,
    take_up_waiting,
)
from services.members.use_cases.reporting import Report, record_interactions
from services.members.use_cases.room import Room

Register = Callable[..., Document]


def test_a_purchase_makes_a_client_once_however_often_it_is_told(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    assert ada["standing"] == ["prospect"]
    report = Report("order-1", "purchased", clock.now() - 1, email="ADA@mail.example", subject="ofr_1", currency="EUR")
    for outcome in ("recorded", "known"):
        (result,) = record_interactions(room, scope, club["_id"], [replace(report, amount_units=20)])
        assert (result.outcome, result.member) == (outcome, ada["_id"])
    now = room.member(scope, ada["_id"])
    assert (now["standing"], now["engagement"]["score"]) == (["client"], 10)
    (change,) = [change for change in now["history"] if change["what"] == "standing"]
    assert (change["was"], change["now"], change["cause"]) == (["prospect"], ["client"], "purchased")
    assert [e["type"] for e in now["outbox"]].count("StandingsChanged") == 1
    (entry,) = list_timeline(room, scope, ada["_id"], 10, "").interactions
    assert (entry["points"], entry["outbox"][0]["data"]["id"]) == (10, "order-1")


def test_an_event_id_used_for_another_event_is_refused_and_the_same_event_stays_known(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada, bob = register("Ada", email="ada@mail.example"), register("Bob", email="bob@mail.example")
    sale = Report("order-1", "purchased", 0, email="ada@mail.example", subject="ofr_1", currency="EUR", amount_units=20)
    assert record_interactions(room, scope, club["_id"], [sale])[0].outcome == "recorded"
    clock.advance(DAY)
    others = [
        replace(sale, email="bob@mail.example"),
        replace(sale, member=bob["_id"]),
        replace(sale, amount_units=2_000),
        replace(sale, kind="signed_up", email="nobody@mail.example"),
    ]
    for other in others:
        (result,) = record_interactions(room, scope, club["_id"], [other])
        assert (result.outcome, result.reason, result.field) == ("refused", "event-id-reused", "id")
        assert "give each event an id of its own" in result.message
    assert room.members.count(scope) == 2, "nobody was registered by an event that is refused"
    (result,) = record_interactions(room, scope, club["_id"], [sale])
    assert (result.outcome, result.member) == ("known", ada["_id"]), "also without a time, a day later"
    assert len(list_timeline(room, scope, bob["_id"], 10, "").interactions) == 0


def test_within_one_request_too_an_id_is_one_event(room: Room, scope: Scope, club: Document) -> None:
    ada = Report("s-1", "signed_up", room.clock.now(), email="ada@mail.example")
    results = record_interactions(room, scope, club["_id"], [ada, replace(ada, email="bob@mail.example"), ada])
    assert [(one.outcome, one.reason) for one in results] == [
        ("recorded", ""),
        ("refused", "event-id-reused"),
        ("known", ""),
    ]
    assert room.members.count(scope) == 1


def test_an_event_told_again_is_known_wherever_its_address_went(
    room: Room, scope: Scope, club: Document, register: Register
) -> None:
    ada, bob = register("Ada", email="ada@mail.example"), register("Bob")
    sale = Report("order-1", "purchased", room.clock.now(), email="ada@mail.example")
    record_interactions(room, scope, club["_id"], [sale])
    remove_contact_point(room, scope, ada["_id"], "c1")
    add_contact_point(room, scope, bob["_id"], "email", "ada@mail.example", share=False)
    (result,) = record_interactions(room, scope, club["_id"], [sale])
    assert (result.outcome, result.member) == ("known", ada["_id"])
    merge_members(room, scope, bob["_id"], ada["_id"])
    (result,) = record_interactions(room, scope, club["_id"], [sale])
    assert (result.outcome, result.member) == ("known", bob["_id"])


def test_a_reversal_makes_no_points(room: Room, scope: Scope, club: Document, register: Register) -> None:
    ada = register("Ada", external_id="c-1")
    at = room.clock.now()
    back = Report("order-2", "purchased", at, external_id="c-1", reverses="order-1", amount_units=-20)
    assert record_interactions(room, scope, club["_id"], [back])[0].outcome == "recorded"
    now = room.member(scope, ada["_id"])
    assert (now["standing"], now["engagement"].get("score")) == (["prospect"], None)


def test_nobody_is_guessed_at(room: Room, scope: Scope, club: Document, register: Register) -> None:
    mother = register("Anne Peeters", email="anne@mail.example")
    child = register("Lou Peeters", birth_date="2016-04-01")
    name_guardian(room, scope, child["_id"], mother["_id"])
    bob = register("Bob", phone="+32470123456")
    at = room.clock.now()
    reports = [
        Report("1", "attended", at, email="anne@mail.example"),
        Report("2", "attended", at, email="anne@mail.example", given_name="lou", family_name="PEETERS"),
        Report("3", "attended", at, email="anne@mail.example", phone="0470 12 34 56"),
        Report("4", "purchased", at, email="nobody@mail.example"),
        Report("5", "attended", at, email="not an address"),
        Report("6", "danced", at, email="anne@mail.example"),
        Report("7", "attended", at, member="mbr_unknown"),
        Report("9", "signed_up", at, phone="0470 12 34 56", consent_purposes=("gossip",)),
        Report("8", "attended", at, phone="+32 470 12 34 56"),
    ]
    results = record_interactions(room, scope, club["_id"], reports)
    assert [(one.outcome, one.member) for one in results] == [
        ("ambiguous", ""),
        ("recorded", child["_id"]),
        ("ambiguous", ""),
        ("unmatched", ""),
        ("refused", ""),
        ("refused", ""),
        ("unmatched", ""),
        ("refused", ""),
        ("recorded", bob["_id"]),
    ]
    assert "score" not in room.member(scope, child["_id"])["engagement"], "minors are never scored"


def test_a_sign_up_that_matches_nobody_makes_a_prospect_with_what_its_evidence_proves(
    room: Room, scope: Scope, club: Document
) -> None:
    at = room.clock.now()
    proven = Report(
        "s-1",
        "signed_up",
        at,
        email="new@mail.example",
        given_name="Nia",
        consent_purposes=(NEWS, PROMOTION),
        evidence=Evidence("Keep me posted.", "form", at, "member"),
    )
    vague = Report("s-2", "signed_up", at, email="vague@mail.example", consent_purposes=(NEWS, PROMOTION))
    first, second = record_interactions(room, scope, club["_id"], [proven, vague])
    assert room.member(scope, first.member)["permission"] == ["news:email", "promotion:email"]
    assert room.member(scope, second.member)["permission"] == ["news:email"]
    assert room.member(scope, first.member)["standing"] == ["prospect"]
    assert [one.outcome for one in record_interactions(room, scope, club["_id"], [proven, vague])] == ["known", "known"]


def test_machines_are_kept_and_count_for_nothing(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example", agreed=(NEWS, "tracking"))
    bea = register("Bea", email="bea@mail.example", agreed=(NEWS,))
    at = clock.now() - DAY
    visits = [
        Visit("v1", "run_1", "cmp_1", ada["_id"], at, 2, "too-soon"),
        Visit("v2", "run_1", "cmp_1", ada["_id"], at + 1, 2, ""),
        Visit("v3", "run_1", "cmp_1", ada["_id"], at + 2, -1, ""),
        Visit("v4", "run_1", "cmp_1", bea["_id"], at, 2, ""),
    ]
    record_visits(room, scope, club["_id"], visits)
    record_visits(room, scope, club["_id"], visits)
    engagement = room.member(scope, ada["_id"])["engagement"]
    assert engagement["email"] == {"machine_clicked": 1, "clicked": 1, "opened": 1}
    assert (engagement["score"], engagement["last_clicked_at"]) == (4, at + 1)
    assert room.member(scope, bea["_id"])["engagement"] == {}, "who may not be tracked is not"
    assert len(list_timeline(room, scope, ada["_id"], 10, "").interactions) == 3


def test_an_unsubscribe_is_an_objection_of_everyone_it_was_asked_for(
    room: Room, scope: Scope, club: Document, register: Register
) -> None:
    ada = register("Ada", email="ada@mail.example", agreed=(NEWS,))
    bob = register("Bob", email="bob@mail.example", agreed=(NEWS,))
    at = room.clock.now()
    pressed = Evidence(wording="Unsubscribe: News", source="one_click", at=at, actor="member", detail="run_1")
    record_objection(room, scope, ada["_id"], purposes=[NEWS], channels=["email"], evidence=pressed)
    for _ in range(2):  # the gateway tells it directly too, before or after
        record_unsubscribe(
            room,
            scope,
            club["_id"],
            "evt-1",
            [ada["_id"], bob["_id"], "mbr_unknown"],
            channel="email",
            purposes=[NEWS],
            at=at,
            source="one_click",
            wording="Unsubscribe: News",
            campaign="cmp_1",
            run="run_1",
        )
        record_objection(room, scope, bob["_id"], purposes=[NEWS], channels=["email"], evidence=pressed)
    for member in (ada, bob):
        now = room.member(scope, member["_id"])
        assert now["permission"] == []
        assert [entry["act"] for entry in now["ledger"]] == ["grant", "objection"]
        assert now["ledger"][-1]["wording"] == "Unsubscribe: News"
        assert [entry["kind"] for entry in now["recent"]] == ["unsubscribed"]


def test_receipts_are_one_document_for_a_batch_and_one_line_for_each_member(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    members = [register(f"M{number}", email=f"m{number}@mail.example")["_id"] for number in range(4)]
    at = clock.now()
    first = Settled("run_1", "cmp_1", 1, 3, "email", NEWS, members[:2], [at, at + 5])
    again = Settled("run_1", "cmp_1", 1, 4, "email", NEWS, members[:3], [at, at + 5, at + 9])
    for settled in (first, first, again, first):
        record_receipts(room, scope, club["_id"], settled)
    assert room.receipts.count(scope) == 1
    for member, lines in zip(members, (1, 1, 1, 0), strict=True):
        record = room.member(scope, member)
        assert len(record["recent"]) == lines
        assert (record["engagement"].get("email") or {}).get("received", 0) == lines
        assert len(list_timeline(room, scope, member, 10, "").interactions) == lines
    assert list_timeline(room, scope, members[2], 10, "").interactions[0]["at"] == at + 9


def test_the_timeline_is_read_page_by_page(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    at = clock.now()
    reports = [Report(f"e{n}", "attended", at - n // 2, member=ada["_id"]) for n in range(7)]
    record_interactions(room, scope, club["_id"], reports)
    record_receipts(room, scope, club["_id"], Settled("run_1", "c", 1, 1, "email", NEWS, [ada["_id"]], [at - 2]))
    seen: list[str] = []
    after = ""
    while True:
        page = list_timeline(room, scope, ada["_id"], 3, after)
        seen += [entry["_id"] for entry in page.interactions]
        if page.next is None:
            break
        after = page.next
    assert len(seen) == len(set(seen)) == 8


def test_what_a_crash_left_unshown_is_taken_up(
    room: Room, scope: Scope, club: Document, register: Register, clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    record_interactions(room, scope, club["_id"], [Report("e1", "attended", clock.now(), member=ada["_id"])])
    room.members.patch(scope, [Patch(ada["_id"], set={"engagement": {}, "recent": []})])
    room.interactions.patch(scope, [Patch(f"{club['_id']}/e1", set={"waiting": clock.now()})])
    clock.advance(2 * MINUTE)
    assert take_up_waiting(room) == 1
    assert room.member(scope, ada["_id"])["engagement"]["score"] == 8
    assert take_up_waiting(room) == 0
