"""A conversion goes to the last campaign whose link the person clicked within the window; reversals undo it; and
nothing depends on what arrived first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanfare.gateway.v1.public_events_pb2 import LinksFollowed, Visit
from fanfare.members.v1.member_events_pb2 import InteractionRecorded, MemberMerged, MemberUnmerged
from services.campaigns.domain.attribution import CampaignSettings, Click, Conversion, owed_to, settle
from services.campaigns.domain.figures import Figures
from services.campaigns.domain.money import Money
from services.campaigns.use_cases.adjusting import change_settings
from services.campaigns.use_cases.counting import figures
from services.kit.clock import DAY, ManualClock
from services.kit.errors import Invalid
from services.kit.log.port import Event
from tests.campaigns.conftest import CLUB, DRAFT, NOW, WORKER, House, house_at
from tests.campaigns.neighbours import MembersNextDoor, member_id
from tests.campaigns.test_promise_01_finished import _senders

ADA, BOB, EVE = member_id(0), member_id(1), member_id(2)
clicks = st.lists(
    st.builds(Click, st.integers(0, 100), st.sampled_from(["run_a", "run_b"]), st.just("cmp")), max_size=6
)


@given(clicks, st.integers(0, 100), st.integers(0, 100))
def test_the_last_click_within_the_window_is_owed(known: list[Click], at: int, window: int) -> None:
    found = owed_to(at, known, window)
    eligible = [click for click in known if 0 <= at - click.at <= window]
    assert (found is None) == (not eligible)
    assert found is None or found.at == max(click.at for click in eligible)


@given(clicks, st.permutations(range(6)), st.lists(st.integers(0, 30), max_size=3))
def test_what_is_owed_depends_on_no_order(known: list[Click], order: list[int], reversals: list[int]) -> None:
    shuffled = [known[place] for place in order if place < len(known)]
    conversion = Conversion("cnv", 50, 20)
    assert settle(conversion, known, reversals, 40) == settle(conversion, shuffled, list(reversed(reversals)), 40)


def test_a_reversal_takes_back_everything_or_a_part() -> None:
    conversion = Conversion("cnv", 50, 20)
    assert settle(conversion, [], [0], 40).stands is False
    assert settle(conversion, [], [20], 40).stands is False
    partly = settle(conversion, [], [5], 40)
    assert (partly.stands, partly.nanos) == (True, 15)


def click(run: str, member: str, at: int, machine: str = "", link: int = 0) -> LinksFollowed:
    return LinksFollowed(visits=[Visit(id="v", run=run, member=member, at=at, link=link, machine=machine)])


def bought(an_id: str, member: str, at: int, units: int = 30, reverses: str = "") -> InteractionRecorded:
    return InteractionRecorded(
        id=an_id, member=member, kind="purchased", at=at, currency="EUR", amount_units=units, reverses=reverses
    )


def counted(house: House, campaign: str) -> Figures:
    return figures(house.desk, WORKER, [campaign])[0]


def test_a_conversion_goes_to_the_last_campaign_clicked(house: House, event: Callable[..., Event]) -> None:
    first, last = house.launch(), house.launch(replace(DRAFT, name="Rappel"))
    house.hear(event(click(first.run, ADA, NOW)), event(click(last.run, ADA, NOW + 5_000)))
    house.hear(event(bought("p1", ADA, NOW + 9_000)), event(bought("p1", ADA, NOW + 9_000)))
    assert (counted(house, first.id).conversions, counted(house, first.id).reactions.converted) == (0, 0)
    it = counted(house, last.id)
    assert (it.conversions, it.reactions.converted, it.revenue) == (1, 1, (Money("EUR", 30),))

    house.hear(event(bought("p2", ADA, NOW + 20_000, units=0, reverses="p1")))
    it = counted(house, last.id)
    assert (it.conversions, it.reactions.converted, it.revenue) == (0, 0, ())


def test_a_click_of_a_program_or_outside_the_window_earns_nothing(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    house.hear(event(click(campaign.run, ADA, NOW, machine="user-agent")), event(click(campaign.run, BOB, NOW)))
    house.hear(event(bought("p1", ADA, NOW + 1)), event(bought("p2", BOB, NOW + 30 * DAY + 1)))
    assert counted(house, campaign.id).conversions == 0
    change_settings(house.desk, WORKER, CampaignSettings(CLUB, attribution_days=60))
    house.hear(event(bought("p3", BOB, NOW + 31 * DAY)))
    assert counted(house, campaign.id).conversions == 2, "a wider window counts once more arrives"
    with pytest.raises(Invalid):
        CampaignSettings(CLUB, attribution_days=0)
    with pytest.raises(Invalid):
        CampaignSettings(CLUB, message_cost=Money("EUR", -1))


def test_a_later_click_does_not_hide_the_one_that_led_there(house: House, event: Callable[..., Event]) -> None:
    campaign = house.launch()
    house.hear(event(click(campaign.run, ADA, NOW)), event(click(campaign.run, ADA, NOW + DAY)))
    house.hear(event(bought("p1", ADA, NOW + 1_000)))
    assert counted(house, campaign.id).conversions == 1


def test_what_a_merged_member_clicked_counts_for_the_one_that_goes_on(
    house: House, event: Callable[..., Event]
) -> None:
    campaign = house.launch()
    house.hear(event(click(campaign.run, ADA, NOW)), event(bought("p1", EVE, NOW + 5)))
    assert counted(house, campaign.id).conversions == 0
    house.hear(event(MemberMerged(member=ADA, into=BOB)), event(MemberMerged(member=BOB, into=EVE)))
    it = counted(house, campaign.id)
    assert (it.conversions, it.reactions.converted) == (1, 1)
    house.hear(event(bought("p2", EVE, NOW + 9)))
    assert counted(house, campaign.id).conversions == 2
    house.hear(event(MemberUnmerged(**{"member": BOB, "from": EVE})))
    it = counted(house, campaign.id)
    assert (it.conversions, it.reactions.converted) == (0, 0)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_figures_do_not_depend_on_the_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with house_at(tmp_path_factory.mktemp("owed"), ManualClock(NOW), MembersNextDoor(), _senders()) as house:
        house.members.holds(2)
        first, last = house.launch(), house.launch()
        told = [
            click(first.run, ADA, NOW + 1_000),
            click(last.run, ADA, NOW + 5_000),
            click(last.run, ADA, NOW + 90_000),
            click(first.run, BOB, NOW + 1_000, machine="too-soon"),
            bought("p1", ADA, NOW + 3_000, 10),
            bought("p2", ADA, NOW + 8_000, 20),
            bought("p3", ADA, NOW + 9_000, 40),
            bought("p4", BOB, NOW + 9_000, 80),
            bought("r3", ADA, NOW + 9_500, 0, reverses="p3"),
            bought("r2", ADA, NOW + 9_600, 5, reverses="p2"),
        ]
        order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
        for number, message in enumerate(order):
            name = message.DESCRIPTOR.full_name
            house.hear(Event(f"e{number}", name, "x", f"s{number}", 1, NOW, "agy_1", CLUB, message.SerializeToString()))
        one, two = counted(house, first.id), counted(house, last.id)
        assert (one.conversions, one.revenue) == (1, (Money("EUR", 10),))
        assert (two.conversions, two.revenue, two.reactions.converted) == (1, (Money("EUR", 15),), 1)
        assert (one.reactions.machine_clicked, one.reactions.clicked, two.reactions.clicked) == (1, 1, 1)
