"""Promise 1, the half that campaigns keeps: nothing is planned twice or left out, whatever crashes, and nothing is
marked finished that is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanfare.campaigns.v1.campaign_events_pb2 import BatchPlanned, RunPlanned
from fanfare.channels.v1.delivery_events_pb2 import BatchProgressed, Totals
from services.campaigns.domain.campaign import State
from services.campaigns.domain.checks import Sender
from services.campaigns.use_cases.counting import figures
from services.campaigns.use_cases.launching import launch_campaign
from services.campaigns.use_cases.opening import open_runs
from services.campaigns.use_cases.planning import plan_run, plan_runs
from services.campaigns.wiring import desk_over
from services.kit.clock import ManualClock
from services.kit.log.port import Event
from services.kit.scope import Scope
from services.kit.store.port import Collection, Document
from tests.campaigns.conftest import ACCOUNT, CLUB, NOW, House, house_at
from tests.campaigns.neighbours import ChannelsNextDoor, MembersNextDoor, member_id


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """A collection whose process dies at the nth write, before or after it is done."""

    def __init__(self, inner: Collection, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def insert(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        return self._fuse.around(lambda: self._inner.insert(scope, documents))

    def replace(self, scope: Scope, documents: Sequence[Document]) -> set[str]:
        return self._fuse.around(lambda: self._inner.replace(scope, documents))

    def patch(self, scope: Scope, patches: Sequence[Any]) -> set[str]:
        return self._fuse.around(lambda: self._inner.patch(scope, patches))


class Fuse:
    def __init__(self, at: int, *, after: bool) -> None:
        self.left = at
        self.after = after

    def around(self, write: Callable[[], set[str]]) -> set[str]:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        done = write()
        if self.left == 0:
            raise Killed
        return done


class DyingStore:
    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def collection(self, document_class: type) -> Any:
        return Dying(self._inner.collection(document_class), self._fuse)

    def close(self) -> None:
        self._inner.close()


def published(house: House) -> tuple[list[BatchPlanned], list[RunPlanned]]:
    house.relayed()
    reader = house.log.reader(("campaigns",), "witness")
    events: list[Event] = []
    while page := reader.poll(1_000):
        events += [received.event for received in page]
        reader.commit()
    reader.close()
    return (
        [BatchPlanned.FromString(each.data) for each in events if each.type.endswith("BatchPlanned")],
        [RunPlanned.FromString(each.data) for each in events if each.type.endswith("RunPlanned")],
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=4), size=st.integers(0, 130))
def test_promise_01_a_planner_killed_at_any_moment_plans_everybody_once(
    tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[int, bool]], size: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("planner")
    members, channels = MembersNextDoor(page_size=20), ChannelsNextDoor()
    channels.senders[ACCOUNT] = Sender(ACCOUNT, CLUB, "email", "active", True)
    members.holds(size + 1)
    clock = ManualClock(NOW)
    with house_at(folder, clock, members, channels) as house:
        campaign = house.launch()
        members.holds(size)
        house.relayed()
    for at, after in kills:
        with house_at(folder, clock, members, channels) as house:
            desk = desk_over(DyingStore(house.store, Fuse(at, after=after)), members, channels, clock)
            try:
                plan_runs(desk, lambda: True)
                house.relayed()
            except Killed:
                pass
    with house_at(folder, clock, members, channels) as house:
        plan_runs(house.desk, lambda: True)
        batches, ends = published(house)
        by_sequence = {batch.sequence: batch for batch in batches}
        assert sorted(by_sequence) == list(range(len(by_sequence)))
        planned = [member for number in sorted(by_sequence) for member in by_sequence[number].members]
        assert planned == [member_id(number) for number in range(size)]
        assert all(by_sequence[batch.sequence] == batch for batch in batches), "a batch is republished as it was"
        assert {(end.batches, end.members) for end in ends} == {(len(by_sequence), size)}
        run = house.desk.runs.one(house.scope, campaign.run)
        assert (run.plan.is_closed, run.plan.members) == (True, size)


def test_promise_01_a_launch_killed_before_its_run_is_there_is_carried_through(tmp_path: Path) -> None:
    members, channels = MembersNextDoor(), ChannelsNextDoor()
    channels.senders[ACCOUNT] = Sender(ACCOUNT, CLUB, "email", "active", True)
    members.holds(5)
    clock = ManualClock(NOW)
    for at, after in [(1, False), (1, True), (2, False), (2, True), (3, False), (3, True), (4, False), (4, True)]:
        with house_at(tmp_path / f"{at}{after}", clock, members, channels) as house:
            draft = house.create()
            desk = desk_over(DyingStore(house.store, Fuse(at, after=after)), members, channels, clock)
            with pytest.raises(Killed):
                launch_campaign(desk, house.scope, draft.id)
        with house_at(tmp_path / f"{at}{after}", clock, members, channels) as house:
            campaign = house.campaign(draft.id)
            if campaign.state is State.DRAFT:
                assert not campaign.run
                campaign = launch_campaign(house.desk, house.scope, draft.id)
            open_runs(house.desk)
            house.relayed()
            assert plan_runs(house.desk, lambda: True) == 1
            assert house.desk.runs.one(house.scope, campaign.run).plan.members == 5
            assert house.desk.revisions.find(house.scope, campaign.run, 1) is not None
            assert open_runs(house.desk) == 0


def test_promise_01_a_second_planner_is_fenced_off(house: House) -> None:
    house.members.page_size = 10
    house.members.holds(35)
    campaign = house.launch()
    house.relayed()
    run = house.desk.runs.one(house.scope, campaign.run)
    other_went_first = False

    def sleeps_after_the_second_batch() -> bool:
        nonlocal other_went_first
        if house.desk.batches.count(house.scope) == 2 and not other_went_first:
            other_went_first = True
            house.members.holds(20)  # to whom the rule reaches fewer members now
            assert plan_run(house.desk, run, lambda: True)
            house.members.holds(60)
        return True

    assert not plan_run(house.desk, run, sleeps_after_the_second_batch), "the sleeper finds its place taken"
    batches, ends = published(house)
    assert [batch.sequence for batch in batches] == [0, 1]
    assert [(end.batches, end.members) for end in ends] == [(2, 20)], "and nothing stands behind the end"


def test_promise_01_a_planner_without_its_lease_stops(house: House) -> None:
    house.members.page_size = 10
    house.members.holds(35)
    campaign = house.launch()
    house.relayed()
    turns = iter([True, True, False])
    assert plan_runs(house.desk, lambda: next(turns)) == 0
    assert not house.desk.runs.one(house.scope, campaign.run).plan.is_closed
    assert plan_runs(house.desk, lambda: True) == 1
    assert house.desk.runs.one(house.scope, campaign.run).plan.members == 35


def test_a_large_audience_does_not_keep_a_small_one_waiting(house: House) -> None:
    house.members.page_size = 1
    house.members.holds(9)
    house.members.by_rule["{}"] = [[member_id(1)]]
    large, small = house.launch(), house.launch(rule="{}")
    house.relayed()

    def closed() -> list[bool]:
        return [house.desk.runs.one(house.scope, each.run).plan.is_closed for each in (large, small)]

    assert (plan_runs(house.desk, lambda: True, most=4), closed()) == (1, [False, True])
    assert (plan_runs(house.desk, lambda: True, most=9), closed()) == (1, [True, True])


def progressed(run: str, sequence: int, version: int, *, settled: bool, **counts: int) -> BatchProgressed:
    totals = Totals(members=sum(counts.values()), addresses=sum(counts.values()))
    totals.handed_off = sum(counts.get(name, 0) for name in ("in_flight", "accepted", "refused", "unknown"))
    for name, count in counts.items():
        if name in ("accepted", "refused", "unknown", "waiting"):
            setattr(totals, name, count)
        elif name != "in_flight":
            totals.skipped[name] = count
    return BatchProgressed(run=run, sequence=sequence, version=version, totals=totals, settled=settled)


def test_promise_01_nothing_is_finished_while_anyone_waits(house: House, event: Callable[..., Event]) -> None:
    house.members.page_size = 2
    house.members.holds(4)
    campaign = house.launch()
    house.hear(event(progressed(campaign.run, 0, 3, settled=True, accepted=2)))
    assert house.campaign(campaign.id).state is State.RUNNING, "the plan is open"
    house.relayed()
    plan_runs(house.desk, lambda: True)
    assert house.campaign(campaign.id).state is State.RUNNING, "a batch has not been heard of"
    house.hear(event(progressed(campaign.run, 1, 1, settled=False, accepted=1, in_flight=1)))
    assert house.campaign(campaign.id).state is State.RUNNING, "one is in flight"
    (counted,) = figures(house.desk, house.scope, [campaign.id])
    assert (counted.planned, counted.totals.accepted, counted.totals.in_flight, counted.waiting) == (4, 3, 1, 0)
    house.hear(event(progressed(campaign.run, 1, 2, settled=True, accepted=1, unknown=1)))
    assert house.campaign(campaign.id).state is State.FINISHED
    (counted,) = figures(house.desk, house.scope, [campaign.id])
    assert (counted.totals.accepted, counted.totals.unknown, counted.handed_off) == (3, 1, 4)
    assert counted.add_up


def test_promise_01_what_does_not_add_up_is_not_finished(house: House, event: Callable[..., Event]) -> None:
    house.members.holds(4)
    campaign = house.launch()
    house.relayed()
    plan_runs(house.desk, lambda: True)
    house.hear(event(progressed(campaign.run, 0, 1, settled=True, accepted=3)))
    assert house.campaign(campaign.id).state is State.RUNNING


def test_promise_01_the_last_report_may_come_before_the_plan_is_closed(
    house: House, event: Callable[..., Event]
) -> None:
    house.members.holds(2)
    campaign = house.launch()
    house.relayed()
    house.hear(event(progressed(campaign.run, 0, 1, settled=True, accepted=2)))
    plan_runs(house.desk, lambda: True)
    assert house.campaign(campaign.id).state is State.FINISHED


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_promise_01_reports_in_any_order_and_any_number_give_the_same_figures(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with house_at(
        tmp_path_factory.mktemp("reports"), ManualClock(NOW), MembersNextDoor(page_size=3), _senders()
    ) as house:
        house.members.holds(6)
        campaign = house.launch()
        house.relayed()
        plan_runs(house.desk, lambda: True)
        reports = [
            progressed(campaign.run, sequence, version, settled=version == 3, **counts)
            for sequence in (0, 1)
            for version, counts in enumerate(
                [{"waiting": 3}, {"accepted": 1, "in_flight": 2}, {"accepted": 1, "refused": 1, "unknown": 1}], start=1
            )
        ]
        order = data.draw(st.permutations(reports + data.draw(st.lists(st.sampled_from(reports), max_size=4))))
        for number, report in enumerate(order):
            house.hear(_event(report, number))
        (counted,) = figures(house.desk, house.scope, [campaign.id])
        assert (counted.totals.accepted, counted.totals.refused, counted.totals.unknown) == (2, 2, 2)
        assert counted.add_up
        assert house.campaign(campaign.id).state is State.FINISHED


def _senders() -> ChannelsNextDoor:
    return ChannelsNextDoor(senders={ACCOUNT: Sender(ACCOUNT, CLUB, "email", "active", True)})


def _event(message: BatchProgressed, number: int) -> Event:
    return Event(
        id=f"evt_{number}",
        type="fanfare.channels.v1.BatchProgressed",
        source="channels",
        subject=f"{message.run}.{message.sequence}",
        sequence=message.version,
        at=NOW,
        agency="agy_1",
        community=CLUB,
        data=message.SerializeToString(),
    )
