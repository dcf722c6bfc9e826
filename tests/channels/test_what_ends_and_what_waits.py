"""What may not be sent any more ends, and what stands in the way of one run does not stand in the way of others."""

from __future__ import annotations

from services.channels.domain.handing_off import Answer, Cause, Outcome
from services.channels.domain.ledger import Ledger, Patience, new_ledger
from services.channels.domain.run import RunState
from services.channels.use_cases import controlling
from services.kit.clock import SECOND, SystemClock
from tests.channels.smtp_server import SmtpServer, wait_until
from tests.channels.stage import Stage


class ClockAhead(SystemClock):
    """The time, and what a test lets pass at once."""

    passed = 0

    def now(self) -> int:
        return super().now() + self.passed


def test_a_run_that_is_paused_when_its_time_is_over_ends_all_the_same(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port), send_until=stage.clock.now() + 1_500)
        controlling.control_run(stage.room, stage.scope, order.run, RunState.PAUSED)
        stage.launch(order, stage.people(3))
        stage.send()
        assert stage.wait_settled(order.run)["skipped"] == {"expired": 3}
        assert not server.seen


def test_a_secret_that_no_key_opens_stops_its_account_and_no_other(stage: Stage) -> None:
    with SmtpServer() as server:
        broken, whole = stage.account(server.port, password="secret"), stage.account(server.port)
        found = stage.room.accounts.get(stage.scope, [broken])[broken]
        stage.room.accounts.replace(stage.scope, [{**found, "sealed_password": "gibberish"}])
        people = stage.people(4)
        stuck, free = stage.order(broken), stage.order(whole)
        stage.launch(stuck, people[:2])
        stage.launch(free, people[2:])
        stage.send()
        assert stage.wait_settled(free.run)["accepted"] == 2
        wait_until(lambda: stage.room.accounts.get(stage.scope, [broken])[broken]["state"] == "alarmed")
        assert stage.totals(stuck.run)["waiting"] == 2
        assert server.recipients() == sorted(person.address for person in people[2:])


def test_an_answer_that_came_too_late_is_asked_for_again_before_anything_is_sent(stage: Stage) -> None:
    clock = ClockAhead()
    slow = Stage(stage.folder / "slow", clock)
    with SmtpServer() as server:
        order = slow.order(slow.account(server.port))

        def take_six_seconds_once() -> None:
            if slow.members.asked == 1:
                clock.passed = 6 * SECOND
                people[0].permitted = False

        slow.members.before_answering = take_six_seconds_once
        people = slow.people(3)
        for person in people:
            slow.members.people[person.member] = person
        slow.launch(order, people)
        slow.send()
        totals = slow.wait_settled(order.run)
        assert (totals["accepted"], sum(totals["skipped"].values())) == (2, 1)
        assert slow.members.asked >= 2
        assert len(server.recipients()) == len(set(server.recipients())) == 2
        slow.close()


def test_what_may_have_been_sent_before_is_unknown_when_the_second_try_is_refused() -> None:
    batch = {
        "_id": "bat_1", "agency": "agn_1", "community": "com_1", "run": "run_1", "sequence": 0,
        "members": ["mbr_1", "mbr_2"],
    }  # fmt: skip
    ledger = Ledger(new_ledger(batch, 0), batch)
    ledger.hand_off([[0], [1]], 1, 1)
    assert ledger.settle_lost(again=True, now=2, patience=Patience()) == 2
    for place, cause in ((0, Cause.POLICY), (1, Cause.BAD_ADDRESS)):
        ledger.hand_off([[place]], 1, 3)
        ledger.answered([place], Answer(Outcome.REFUSED, cause, 550), again=True, now=4, patience=Patience())
    assert ledger.standing(0).state == "unknown", "the first may have arrived"
    assert ledger.standing(1).state == "refused", "nobody is there to have got it"
