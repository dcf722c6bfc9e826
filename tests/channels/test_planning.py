"""What campaigns planned becomes work here, whatever else happens to the run at the same moment."""

from __future__ import annotations

import threading

import pytest

from services.channels.domain import reasons
from services.channels.domain.gate import Decision, Verdict
from services.channels.domain.handing_off import Answer, Cause, Outcome
from services.channels.domain.ledger import Ledger, Patience
from services.channels.domain.run import RunState
from services.channels.use_cases import controlling, planning
from services.channels.use_cases.planning import PlannedBatch
from services.channels.use_cases.room import UnknownRun
from services.kit.store.rule import Equals
from tests.channels.stage import IDS, Stage


def test_a_pause_at_the_moment_of_a_new_revision_loses_neither(stage: Stage) -> None:
    order = stage.order(stage.account(25))
    planning.record_launch(stage.room, order)

    def pause_and_resume() -> None:
        for _ in range(40):
            for state in (RunState.PAUSED, RunState.RUNNING):
                controlling.control_run(stage.room, stage.scope, order.run, state)

    controlling_it = threading.Thread(target=pause_and_resume)
    controlling_it.start()
    for number in range(2, 42):
        planning.make_revision(stage.room, stage.scope, order.run, number)
        planning.close_plan(stage.room, stage.scope, order.run, number)
        document = stage.room.run(stage.scope, order.run)
        assert (document["revision"], document["batches"]) == (number, number)
    controlling_it.join()
    assert stage.room.run(stage.scope, order.run)["revision"] == 41


def test_what_concerns_a_run_that_is_not_known_yet_is_not_passed_over(stage: Stage) -> None:
    """It is parked behind the launch, and replayed after it."""
    unknown = IDS.new("run")
    with pytest.raises(UnknownRun):
        planning.make_revision(stage.room, stage.scope, unknown, 2)
    with pytest.raises(UnknownRun):
        planning.close_plan(stage.room, stage.scope, unknown, 1)


def test_a_batch_that_comes_as_its_cancelled_run_retires_is_closed_all_the_same(stage: Stage) -> None:
    order = stage.order(stage.account(25))
    planning.record_launch(stage.room, order)
    controlling.control_run(stage.room, stage.scope, order.run, RunState.CANCELLED)
    seen_with_nothing_left = stage.room.run(stage.scope, order.run)
    (person,) = stage.people(1)
    planning.add_batches(stage.room, stage.agency, stage.community, [PlannedBatch(order.run, 0, [person.member])])
    assert not stage.room.runs.replace(stage.scope, [{**seen_with_nothing_left, "active": None}])
    stage.send()
    assert stage.wait_settled(order.run)["skipped"] == {"cancelled": 1}


def test_a_batch_is_explained_from_the_moment_it_is_written(stage: Stage) -> None:
    order = stage.order(stage.account(25))
    (person,) = stage.people(1)
    stage.launch(order, [person])
    (ledger,) = stage.ledgers(order.run)
    stage.room.ledgers.delete(stage.scope, [ledger.document["_id"]])  # as after a crash between the two writes
    assert stage.explain(order.run, person).state == "planned"


def test_promise_02_quiet_hours_after_a_first_try_are_told_as_quiet_hours(stage: Stage) -> None:
    order = stage.order(stage.account(25))
    (person,) = stage.people(1)
    stage.launch(order, [person])
    (document,) = stage.room.ledgers.find(stage.scope, Equals("run", order.run)).documents
    ledger = Ledger(document, stage.room.batches.get(stage.scope, [document["_id"]])[document["_id"]])
    now = stage.clock.now()
    ledger.hand_off([[0]], 1, now)
    ledger.answered([0], Answer(Outcome.RETRY, Cause.TEMPORARY), again=False, now=now, patience=Patience())
    ledger.release(0)
    assert stage.room.ledgers.replace(stage.scope, [document])
    assert stage.explain(order.run, person).reason == reasons.RETRY
    ledger.judged(0, Verdict(Decision.DEFER, reasons.QUIET_HOURS, now + 1), now)
    ledger.release(0)
    assert stage.room.ledgers.replace(stage.scope, [document])
    assert stage.explain(order.run, person).reason == reasons.QUIET_HOURS
