"""Objectives: counted from what happens, each thing once; honest about pace and forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanfare.gateway.v1.public_events_pb2 import LinksFollowed, Visit
from fanfare.members.v1.import_events_pb2 import ImportUndone
from fanfare.members.v1.member_events_pb2 import (
    InteractionRecorded,
    MemberRegistered,
    MembersImported,
    StandingChange,
    StandingsChanged,
)
from services.campaigns.domain.objective import Counted, Goal, Metric, Objective, Pace, day_of
from services.campaigns.use_cases.pursuing import create_objective, edit_objective, recount_objectives
from services.kit.clock import DAY
from services.kit.errors import Invalid
from services.kit.log.port import Event
from tests.campaigns.conftest import AGENCY, CLUB, NOW, WORKER, House
from tests.campaigns.neighbours import member_id

ADA, BOB, EVE = member_id(0), member_id(1), member_id(2)


def goal(metric: Metric, target: float = 100.0, **more: Any) -> Goal:
    usual: dict[str, Any] = {"name": "Objectif", "starts_at": NOW, "deadline": NOW + 40 * DAY, "target": target}
    return Goal(metric=metric, **{**usual, **more})


def stated(house: House, metric: Metric, target: float = 100.0, **more: Any) -> str:
    return create_objective(house.desk, WORKER, CLUB, goal(metric, target, **more)).id


def value(house: House, objective: str) -> float:
    recount_objectives(house.desk, AGENCY, CLUB)
    return house.desk.objectives.one(WORKER, objective).progress(house.clock.now()).value


def test_new_members_are_counted_by_standing_once_each(house: House, event: Callable[..., Event]) -> None:
    anybody, clients = stated(house, Metric.NEW_MEMBERS), stated(house, Metric.NEW_MEMBERS, standing="client")
    registered = event(MemberRegistered(member=ADA, standing=["prospect"]))
    imported = event(
        MembersImported(
            **{"import": "imp_1"},
            chunk=2,
            created=[BOB, EVE],
            standing_changes=[StandingChange(member=BOB, gained=["client"])],
        )
    )
    became = event(
        StandingsChanged(changes=[StandingChange(member=ADA, gained=["client"], lost=["prospect"], at=NOW + DAY)])
    )
    house.hear(registered, imported, became, registered, imported, became)
    assert (value(house, anybody), value(house, clients)) == (3.0, 2.0)
    assert house.recounts == [(AGENCY, CLUB)] * 3, "only what was new asks for a recount"


def test_members_of_an_import_taken_back_count_no_more(house: House, event: Callable[..., Event]) -> None:
    anybody, clients = stated(house, Metric.NEW_MEMBERS), stated(house, Metric.NEW_MEMBERS, standing="client")
    gained = [StandingChange(member=BOB, gained=["client"]), StandingChange(member=EVE, gained=["prospect"])]
    house.hear(
        event(MembersImported(**{"import": "imp_1"}, chunk=2, created=[BOB, EVE], standing_changes=gained), at=NOW)
    )
    lost = [StandingChange(member=BOB, lost=["client"])]
    undone = event(ImportUndone(**{"import": "imp_1"}, chunk=2, removed=[BOB], standing_changes=lost), at=NOW + 9 * DAY)
    house.hear(undone, undone)
    assert (value(house, anybody), value(house, clients)) == (1.0, 0.0)
    days = house.desk.objectives.one(WORKER, anybody).counted.days
    assert days == {day_of(NOW): 1.0}, "on the day they had come"


def test_a_standing_that_is_regained_makes_nobody_new(house: House, event: Callable[..., Event]) -> None:
    clients = stated(house, Metric.NEW_MEMBERS, standing="client")
    converted = stated(house, Metric.CONVERSIONS)
    imported = [StandingChange(member=BOB, gained=["client"])]
    house.hear(event(MembersImported(**{"import": "imp_1"}, chunk=2, created=[BOB], standing_changes=imported), at=NOW))
    for change in (
        StandingChange(member=BOB, gained=["prospect"], lost=["client"], at=NOW + 1),
        StandingChange(member=BOB, regained=["client"], lost=["prospect"], at=NOW + 2),
    ):
        house.hear(event(StandingsChanged(changes=[change])))
    assert (value(house, clients), value(house, converted)) == (1.0, 0.0)


def test_conversions_are_prospects_who_became_clients(house: House, event: Callable[..., Event]) -> None:
    objective = stated(house, Metric.CONVERSIONS, baseline=10.0)
    changes = [
        StandingChange(member=ADA, gained=["client"], lost=["prospect"], at=NOW + 1),
        StandingChange(member=BOB, gained=["client"], lost=["fan"], at=NOW + 1),
        StandingChange(member=EVE, gained=["client"], lost=["prospect"], at=NOW - 1),
    ]
    house.hear(event(StandingsChanged(changes=changes)))
    assert value(house, objective) == 11.0, "from the baseline, and since the start"


def test_revenue_and_attendance_follow_what_was_recorded(house: House, event: Callable[..., Event]) -> None:
    revenue = stated(house, Metric.REVENUE, 500.0, currency="EUR")
    of_one_offer = stated(house, Metric.REVENUE, 500.0, currency="EUR", subject="off_1")
    attendance = stated(house, Metric.ATTENDANCE, subject="act_1")

    def recorded(an_id: str, kind: str, **more: Any) -> Event:
        return event(InteractionRecorded(id=an_id, member=ADA, kind=kind, at=NOW + 5, **more))

    house.hear(
        recorded("p1", "purchased", currency="EUR", amount_units=40, amount_nanos=500_000_000, subject="off_1"),
        recorded("p2", "purchased", currency="EUR", amount_units=10, subject="off_2"),
        recorded("p3", "purchased", currency="USD", amount_units=99),
        recorded("a1", "attended", subject="act_1"),
        recorded("a1", "attended", subject="act_1"),
        recorded("a2", "attended", subject="act_2"),
    )
    assert (value(house, revenue), value(house, of_one_offer), value(house, attendance)) == (50.5, 40.5, 1.0)
    house.hear(recorded("r2", "purchased", reverses="p2"))
    assert value(house, revenue) == 40.5


def test_clicks_are_those_of_people_on_the_objectives_campaigns(house: House, event: Callable[..., Event]) -> None:
    objective = stated(house, Metric.CLICKS)
    serving, other = house.launch(objective=objective), house.launch()
    for run, member, machine in [
        (serving.run, ADA, ""),
        (serving.run, ADA, ""),
        (serving.run, BOB, "head"),
        (other.run, EVE, ""),
    ]:
        visit = Visit(id="v", run=run, member=member, at=NOW + 5, link=0, machine=machine)
        house.hear(event(LinksFollowed(visits=[visit])))
    assert value(house, objective) == 1.0


def test_an_objective_stated_late_counts_from_its_start(house: House, event: Callable[..., Event]) -> None:
    house.hear(event(MemberRegistered(member=ADA), at=NOW + 1))
    objective = create_objective(house.desk, WORKER, CLUB, goal(Metric.NEW_MEMBERS))
    assert objective.progress(NOW).value == 1.0


def test_an_edit_restates_the_target_but_never_the_metric(house: House) -> None:
    objective = stated(house, Metric.ATTENDANCE)
    assert edit_objective(house.desk, WORKER, objective, goal(Metric.ATTENDANCE, 50.0)).goal.target == 50.0
    with pytest.raises(Invalid):
        edit_objective(house.desk, WORKER, objective, goal(Metric.CLICKS, 50.0))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"target": 0.0}, "goal.target"),
        ({"deadline": NOW}, "goal.deadline"),
        ({"standing": "client"}, "goal.standing"),
        ({"currency": "EUR"}, "goal.currency"),
        ({"metric": Metric.REVENUE, "currency": "eur"}, "goal.currency"),
        ({"name": ""}, "goal.name"),
    ],
)
def test_a_goal_that_means_nothing_is_refused(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        goal(**{"metric": Metric.CLICKS, **wrong})
    assert refusal.value.field == field


def standing_at(elapsed: int, days: dict[str, float], metric: Metric = Metric.ATTENDANCE, **more: Any) -> Objective:
    objective = Objective("obj", "agy", "com", goal(metric, **more), NOW)
    objective.counted = Counted(sum(days.values()), days, NOW + elapsed)
    return objective


def test_the_forecast_says_when_there_is_too_little() -> None:
    early = standing_at(DAY, {day_of(NOW): 50.0}).progress(NOW + DAY).forecast
    assert early.value is None and "Too early" in early.assumption.en and "Trop tôt" in early.assumption.fr
    few = standing_at(10 * DAY, {day_of(NOW): 4.0}).progress(NOW + 10 * DAY).forecast
    assert few.value is None and "Too little" in few.assumption.en


def test_the_forecast_goes_on_as_it_went_and_says_so() -> None:
    days = {day_of(NOW + n * DAY): 2.0 for n in range(10)}
    progress = standing_at(10 * DAY, days).progress(NOW + 10 * DAY)
    forecast = progress.forecast
    assert forecast.value == pytest.approx(80.0, abs=2)
    assert forecast.low is not None and forecast.value is not None and forecast.high is not None
    assert 20.0 <= forecast.low < forecast.value < forecast.high
    assert "2.0 a day" in forecast.assumption.en and "2,0 par jour" in forecast.assumption.fr
    assert (progress.pace, progress.share, progress.time_share) == (Pace.BEHIND, 0.2, 0.25)


@given(st.lists(st.floats(0, 100), min_size=40, max_size=40), st.integers(-5, 60))
def test_pace_and_forecast_always_have_an_answer(amounts: list[float], day: int) -> None:
    days = {day_of(NOW + n * DAY): amount for n, amount in enumerate(amounts) if amount and n <= day}
    for metric, more in ((Metric.ATTENDANCE, {}), (Metric.REVENUE, {"currency": "EUR"})):
        progress = standing_at(day * DAY, days, metric, **more).progress(NOW + day * DAY)
        assert 0 <= progress.time_share <= 1
        assert (progress.pace is Pace.REACHED) == (progress.share >= 1)
        if progress.forecast.value is not None:
            assert progress.forecast.value >= progress.value - 1e-6
            assert progress.forecast.low is not None and progress.forecast.high is not None
            assert progress.forecast.low <= progress.forecast.value <= progress.forecast.high
