"""Frequency caps: however many runs write to the same members at once, none writes more than its cap allows."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.channels.domain import reasons
from services.channels.domain.handing_off import ACCEPTED, Answer, Outcome
from services.channels.domain.ledger import Patience
from services.channels.domain.run import RunOrder
from services.channels.use_cases import claiming
from services.channels.use_cases.claiming import Claim, Terms
from services.channels.use_cases.gating import gate_members
from services.kit.clock import DAY, SECOND, ManualClock
from tests.channels.smtp_server import SmtpServer
from tests.channels.stage import Stage


def test_the_frequency_cap_reads_the_ledger_of_other_runs(stage: Stage) -> None:
    with SmtpServer() as server:
        account = stage.account(server.port)
        people = stage.people(25)
        first = stage.order(account, cap_count=1, cap_window_days=7)
        stage.launch(first, people[:10])
        stage.send()
        stage.wait_settled(first.run)
        second = stage.order(account, cap_count=1, cap_window_days=7)
        stage.launch(second, people)
        assert stage.wait_settled(second.run)["skipped"] == {"cap": 10}
        service = stage.order(account, cap_count=1, cap_window_days=7, purpose="service")
        stage.launch(service, people)
        assert stage.wait_settled(service.run)["accepted"] == 25


def test_two_senders_that_race_over_the_same_members_keep_the_cap(stage: Stage) -> None:
    together = threading.Barrier(2)

    def meet() -> None:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)

    stage.members.before_answering = meet  # so that two ask for the ledgers at the same moment
    with SmtpServer() as server:
        account = stage.account(server.port)
        people = stage.people(60)
        runs = [stage.order(account, cap_count=1, cap_window_days=7) for _ in range(3)]
        stage.send()
        stage.send()
        for order in runs:
            stage.launch(order, people)
        totals = [stage.wait_settled(order.run, 40) for order in runs]
        assert server.recipients() == sorted(person.address for person in people)
        assert sum(total["accepted"] for total in totals) == 60
        assert sum(total["skipped"]["cap"] for total in totals if total["skipped"]) == 120


def steps_of(stage: Stage, order: RunOrder, sent: Counter[str], answer: Answer = ACCEPTED) -> Iterator[None]:
    """What a lane does for the run's batch, stopping wherever another may come in between. Ends when it is settled."""
    room, terms = stage.room, Terms(order.run, 60 * SECOND, Patience())
    while not stage.is_settled(order.run):
        run = room.runs.get(stage.scope, [order.run])[order.run]
        for claim in claiming.claim(room, run, claiming.due_ledgers(room, run, 1), terms):
            while groups := claim.ledger.due(room.clock.now(), 10):
                gated = gate_members(room, stage.scope, order, 1, groups, claim.ledger.members)
                claiming.keep_verdicts(room, claim, gated)
                yield
                claiming.hand_off(room, claim, gated.letters, 1)
                write(stage, claim, terms)
                yield
                letters = claiming.give_way(room, claim, gated.letters)
                yield
                write(stage, claim, terms)
                yield
                sent.update(letter.recipient.member for letter in letters)
                claiming.apply_answers(room, claim, letters, [answer] * len(letters), terms)
                write(stage, claim, terms)
                yield
            claiming.give_back(room, claim)
            claiming.write(room, claim)
        yield


def write(stage: Stage, claim: Claim, terms: Terms) -> None:
    claiming.keep(stage.room, claim, terms)
    claiming.write(stage.room, claim)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 3), st.integers(1, 2), st.lists(st.integers(0, 2), max_size=30))
def test_runs_that_mark_the_same_member_in_any_order_keep_the_cap_and_use_it_up(
    tmp_path_factory: pytest.TempPathFactory, runs: int, cap: int, turns: list[int]
) -> None:
    clock = ManualClock()
    stage = Stage(tmp_path_factory.mktemp("caps"), clock)
    people, sent = stage.people(2), Counter[str]()
    lanes: list[Iterator[None]] = []
    for _ in range(runs):
        order = stage.order("acc_1", cap_count=cap, cap_window_days=7)
        stage.launch(order, people)
        lanes.append(steps_of(stage, order, sent))
    for turn in turns:
        next(lanes[turn % runs], None)
    for _ in range(200):  # what gave way asks again, until every run is settled
        lanes = [lane for lane in lanes if next(lane, lanes) is None]
        clock.advance(SECOND // 4)
    assert not lanes, "every run comes to its end"
    assert sent == {person.member: min(cap, runs) for person in people}
    stage.close()


def test_promise_02_who_waits_for_another_campaign_is_told_so(stage: Stage) -> None:
    account, (person,), sent = stage.account(25), stage.people(1), Counter[str]()
    runs = [stage.order(account, cap_count=1, cap_window_days=7) for _ in range(2)]
    lanes = [steps_of(stage, order, sent) for order in runs]
    for order in runs:
        stage.launch(order, [person])
    for _ in ("gated", "marked", "looked", "written"):
        for lane in lanes:
            next(lane)
    said = [stage.explain(order.run, person) for order in runs]
    assert {(each.state, each.reason) for each in said} == {("waiting", reasons.CAP_TURN)}
    assert "Another campaign is writing" in said[0].message
    first, second = (stage.ledgers(order.run)[0].standing(0).next_at for order in runs)
    assert first < second, "the earlier run asks again first"
    assert not sent


def test_what_may_have_been_sent_counts_towards_the_cap_while_it_waits_to_be_sent_again(stage: Stage) -> None:
    (person,) = stage.people(1)
    first = stage.order("acc_1", cap_count=1, cap_window_days=7, unknown_policy="again")
    stage.launch(first, [person])
    lane = steps_of(stage, first, Counter(), Answer(Outcome.UNKNOWN))
    for _ in range(5):
        next(lane)
    assert stage.explain(first.run, person).state == "waiting"
    second = stage.order("acc_1", cap_count=1, cap_window_days=7)
    stage.launch(second, [person])
    list(steps_of(stage, second, sent := Counter[str]()))
    assert not sent and stage.totals(second.run)["skipped"] == {"cap": 1}


def test_a_run_that_was_launched_long_ago_and_still_sends_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    stage = Stage(tmp_path_factory.mktemp("long"), clock := ManualClock())
    (person,) = stage.people(1)
    old = stage.order("acc_1", send_until=clock.now() + 300 * DAY)
    over = stage.order("acc_1", send_until=clock.now() + 10 * DAY)
    clock.advance(200 * DAY)
    for order, count in ((old, 1), (over, 0)):
        stage.launch(order, [person])
        list(steps_of(stage, order, sent := Counter[str]()))
        assert sent.total() == count
    capped = stage.order("acc_1", cap_count=1, cap_window_days=7)
    stage.launch(capped, [person])
    list(steps_of(stage, capped, sent := Counter[str]()))
    assert not sent and stage.totals(capped.run)["skipped"] == {"cap": 1}
    stage.close()
