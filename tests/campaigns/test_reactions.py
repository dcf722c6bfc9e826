"""What members do with a message is counted in members, people and programs apart, each once."""

from __future__ import annotations

from collections.abc import Callable

from fanfare.gateway.v1.public_events_pb2 import LinksFollowed, UnsubscribeRequested, Visit
from fanfare.members.v1.member_events_pb2 import InteractionRecorded, MemberErased
from services.campaigns.domain.figures import Reactions
from services.campaigns.domain.money import Money
from services.campaigns.domain.run import test_run as run_of_tests
from services.campaigns.use_cases.counting import figures, link_clicks, list_reactions
from services.kit.log.port import Event
from tests.campaigns.conftest import NOW, WORKER, House
from tests.campaigns.neighbours import member_id

ADA, BOB, EVE = member_id(0), member_id(1), member_id(2)


def followed(run: str, *visits: tuple[str, int, str]) -> LinksFollowed:
    return LinksFollowed(
        visits=[
            Visit(id=f"v{number}", run=run, member=member, at=NOW + number, link=link, machine=machine)
            for number, (member, link, machine) in enumerate(visits)
        ]
    )


def reactions(house: House, campaign: str) -> Reactions:
    return figures(house.desk, WORKER, [campaign])[0].reactions


def test_people_and_programs_are_counted_apart_and_members_once(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    told = followed(
        campaign.run,
        (ADA, -1, ""),
        (ADA, 0, ""),
        (ADA, 1, ""),
        (BOB, -1, "user-agent"),
        (BOB, 0, "too-soon"),
        (BOB, -1, ""),
        (EVE, 1, ""),
    )
    house.hear(event(told), event(told))
    assert reactions(house, campaign.id) == Reactions(opened=3, clicked=2, machine_opened=1, machine_clicked=1)
    _, people, machines = link_clicks(house.desk, WORKER, campaign.id)
    assert (people, machines) == ({0: 1, 1: 2}, {0: 1})
    clicked = list_reactions(house.desk, WORKER, campaign.id, "clicked", size=1, after="")
    assert [each["member"] for each in clicked.items] == [EVE]
    assert clicked.next is not None
    further = list_reactions(house.desk, WORKER, campaign.id, "clicked", size=1, after=clicked.next)
    assert [each["member"] for each in further.items] == [ADA]
    (bob,) = list_reactions(house.desk, WORKER, campaign.id, "machine_clicked", size=9, after="").items
    assert sorted(bob["causes"]) == ["too-soon", "user-agent"]


def test_an_unsubscribe_counts_for_everyone_it_was_asked_for(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    asked = UnsubscribeRequested(run=campaign.run, member=ADA, at=NOW, source="page", also=[BOB])
    house.hear(event(asked), event(asked))
    assert reactions(house, campaign.id).unsubscribed == 2


def test_links_of_test_messages_count_for_nothing(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    house.hear(event(followed(run_of_tests(campaign.id), (ADA, 0, ""))))
    assert reactions(house, campaign.id) == Reactions()


def test_events_of_another_community_touch_nothing(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    house.hear(event(followed(campaign.run, (ADA, 0, "")), community="com_other"))
    house.hear(event(followed(campaign.run, (ADA, 0, "")), agency="agy_other"))
    assert reactions(house, campaign.id) == Reactions()


def test_what_messages_cost_is_shared_by_those_who_clicked(house: House, event: Callable[..., Event]) -> None:
    from tests.campaigns.test_promise_01_finished import progressed

    campaign = house.launch(message_cost=Money("EUR", 0, 20_000_000))
    report = progressed(campaign.run, 0, 1, settled=True, accepted=3)
    report.totals.messages = 3
    house.hear(event(report), event(followed(campaign.run, (ADA, 0, ""), (BOB, 0, ""))))
    (it,) = figures(house.desk, WORKER, [campaign.id])
    assert (it.cost, it.cost_per_click, it.cost_per_conversion) == (
        Money("EUR", 0, 60_000_000),
        Money("EUR", 0, 30_000_000),
        None,
    )


def test_erasing_a_member_leaves_counts_and_nothing_else(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    house.hear(event(followed(campaign.run, (ADA, 0, ""), (BOB, 0, ""))))
    house.hear(
        event(InteractionRecorded(id="p1", member=ADA, kind="purchased", at=NOW + 9, currency="EUR", amount_units=5))
    )
    erased = event(MemberErased(member=ADA, erasure="ers_1"))
    house.hear(erased, erased)
    (it,) = figures(house.desk, WORKER, [campaign.id])
    assert (it.reactions.clicked, it.conversions, it.reactions.converted) == (2, 1, 1)
    house.hear(
        event(InteractionRecorded(id="p2", member=BOB, kind="purchased", at=NOW + 9, currency="EUR", amount_units=5))
    )
    (it,) = figures(house.desk, WORKER, [campaign.id])
    assert it.conversions == 2, "what was owed stays owed"
    for collection in (house.desk.reactions, house.desk.conversions):
        for page in collection.stream(WORKER):
            assert all(each["member"] != ADA for each in page)
    emptied = house.desk.reactions.get(WORKER, [f"{campaign.run}:{ADA}"])[f"{campaign.run}:{ADA}"]
    assert (emptied["clicks"], emptied["links"]) == ({}, {})
    house.relayed()
    reader = house.log.reader(("campaigns",), "members")
    told = [received.event for received in reader.poll(100) if received.event.type.endswith("ErasureAcknowledged")]
    reader.close()
    assert len(told) == 1
