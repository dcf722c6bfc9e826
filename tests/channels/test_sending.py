"""A run, from planned batches to a settled ledger, against a real SMTP server."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from services.channels.delivery.sender import Ways
from services.channels.domain.ledger import Patience
from services.channels.domain.run import RunState
from services.channels.use_cases import accounts, controlling, planning, suppressing
from services.kit.scope import Scope
from tests.channels.smtp_server import HANG_UP, Script, Session, SmtpServer, wait_until
from tests.channels.stage import SHORT, Person, Stage


def addresses(people: list[Person]) -> list[str]:
    return sorted(person.address for person in people)


def test_promise_01_every_recipient_gets_one_message_and_the_ledger_accounts_for_each(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(53)
        stage.launch(order, people)
        stage.send()
        totals = stage.wait_settled(order.run)
        assert server.recipients() == addresses(people)
        assert totals == {
            "members": 53,
            "addresses": 53,
            "handed_off": 53,
            "accepted": 53,
            "refused": 0,
            "unknown": 0,
            "skipped": {},
            "waiting": 0,
            "messages": 53,
        }
        told = stage.events("BatchSettled")
        assert sorted(member for each in told for member in each["accepted"]) == sorted(p.member for p in people)
        assert sum(each["totals"]["accepted"] for each in stage.events("BatchProgressed") if each["settled"]) == 53
        wait_until(lambda: not stage.room.runs.get(stage.scope, [order.run])[order.run]["active"])


def test_promise_01_planning_the_same_batch_again_sends_nothing_twice(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(12)
        stage.launch(order, people)
        stage.send()
        stage.wait_settled(order.run)
        stage.launch(order, people)
        stage.wait_settled(order.run)
        assert server.recipients() == addresses(people)


def test_promise_02_everyone_left_out_has_a_reason(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(10)
        left_out = {
            "objection": {"permitted": False, "permission_reason": "objection"},
            "merged": {"state": "merged"},
            "erased": {"state": "erased"},
            "restricted": {"state": "restricted"},
            "no-contact-point": {"address": ""},
            "bounced-contact": {"contact_state": "bounced"},
            "joined-after-launch": {"registered_at": order.launched_at + 1},
        }
        for person, changes in zip(people, left_out.values(), strict=False):
            for name, value in changes.items():
                setattr(person, name, value)
        suppressing.suppress_member(
            stage.room, stage.scope, stage.community, "email", people[7].member, ["news"], "page", 1
        )
        suppressing.suppress_addresses(stage.room, stage.scope, stage.community, "email", [people[8].address.upper()])
        stage.launch(order, people)
        stage.send()
        totals = stage.wait_settled(order.run)
        assert totals["skipped"] == {**dict.fromkeys(left_out, 1), "suppressed": 2}
        assert server.recipients() == [people[9].address]
        for person, reason in zip(people, left_out, strict=False):
            said = stage.explain(order.run, person)
            assert (said.state, said.reason) == ("skipped", reason)
            assert said.message and stage.explain(order.run, person, "fr").message not in ("", said.message)
        assert stage.explain(order.run, people[9]).state == "accepted"
        stranger = stage.people(1)[0]
        assert stage.explain(order.run, stranger).state == "absent"


def test_a_member_who_unsubscribed_from_news_still_gets_service_messages(stage: Stage) -> None:
    with SmtpServer() as server:
        people = stage.people(1)
        suppressing.suppress_member(
            stage.room, stage.scope, stage.community, "email", people[0].member, ["news"], "page", 1
        )
        order = stage.order(stage.account(server.port), purpose="service")
        stage.launch(order, people)
        stage.send()
        assert stage.wait_settled(order.run)["accepted"] == 1
        assert b"List-Unsubscribe" not in server.took[0].source


def test_one_message_goes_to_a_household_and_names_everyone_permitted(stage: Stage) -> None:
    with SmtpServer() as server:
        people = stage.people(5)
        for person, name in zip(people[:3], ("Léa", "Tom", "Zoé"), strict=True):
            person.address, person.display_name = "mother@example.org", name
        people[1].permitted, people[1].permission_reason = False, "objection"
        members = [person.member for person in people]
        order = stage.order(stage.account(server.port))
        stage.launch(order, people, groups=[members[:3], members[3:4], members[4:]])
        stage.send()
        totals = stage.wait_settled(order.run)
        assert server.recipients() == sorted(["mother@example.org", people[3].address, people[4].address])
        mothers = next(took for took in server.took if took.recipient == "mother@example.org")
        assert "Pour Léa et Zoé".replace("é", "=C3=A9").encode() in mothers.source
        assert (totals["members"], totals["accepted"], totals["messages"], totals["addresses"]) == (5, 4, 3, 3)
        assert totals["skipped"] == {"objection": 1}
        assert stage.explain(order.run, people[2]).shared_with == (people[0].member,)
        assert stage.explain(order.run, people[2]).message_id == mothers.message_id


def test_a_bad_address_bounces_is_suppressed_and_told_of(stage: Stage) -> None:
    def rcpt(address: str, _: Session) -> str:
        return "550 5.1.1 no such user" if "x1@" in address else "250 ok"

    with SmtpServer(Script(rcpt=rcpt)) as server:
        account = stage.account(server.port)
        people = stage.people(3)
        first = stage.order(account)
        stage.launch(first, people)
        stage.send()
        totals = stage.wait_settled(first.run)
        assert (totals["accepted"], totals["refused"]) == (2, 1)
        assert stage.explain(first.run, people[1]).reason == "bad-address"
        (told,) = stage.events("ContactPointBounced")
        assert (told["member"], told["status"], told["run"]) == (people[1].member, "5.1.1", first.run)
        second = stage.order(account, purpose="service")
        stage.launch(second, people)
        assert stage.wait_settled(second.run)["skipped"] == {"suppressed": 1}


def test_a_temporary_refusal_is_tried_again_and_the_tries_end(stage: Stage) -> None:
    tries: dict[str, int] = {}

    def rcpt(address: str, _: Session) -> str:
        tries[address] = tries.get(address, 0) + 1
        if "x0@" in address and tries[address] < 3:
            return "451 4.7.1 greylisted"
        return "451 4.3.0 never" if "x1@" in address else "250 ok"

    with SmtpServer(Script(rcpt=rcpt)) as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(3)
        stage.launch(order, people)
        stage.send()
        totals = stage.wait_settled(order.run)
        assert (totals["accepted"], totals["refused"]) == (2, 1)
        assert server.recipients() == addresses([people[0], people[2]])
        said = stage.explain(order.run, people[1])
        assert (said.reason, said.attempts) == ("temporary", 4)
        assert tries[people[1].address] == 3


@pytest.mark.parametrize("policy", ["list", "again"])
def test_promise_01_an_unread_reply_is_unknown_and_settled_by_the_runs_policy(stage: Stage, policy: str) -> None:
    dropped: list[str] = []

    def end(recipient: str, _: Session) -> str:
        if "x3@" in recipient and len(dropped) < 1:
            dropped.append(recipient)
            return HANG_UP
        return "250 ok"

    with SmtpServer(Script(end=end)) as server:
        order = stage.order(stage.account(server.port), unknown_policy=policy)
        people = stage.people(8)
        stage.launch(order, people)
        stage.send()
        totals = stage.wait_settled(order.run)
        twice = [took for took in server.seen if took.recipient == people[3].address]
        if policy == "list":
            assert (totals["accepted"], totals["unknown"]) == (7, 1)
            assert len(server.seen) == 8
            assert stage.explain(order.run, people[3]).state == "unknown"
        else:
            assert (totals["accepted"], totals["unknown"]) == (8, 0)
            assert len(server.seen) == 9 and len({took.message_id for took in twice}) == 1


def test_promise_01_again_is_once_then_it_is_listed(stage: Stage) -> None:
    with SmtpServer(Script(end=lambda recipient, _: HANG_UP if "x0@" in recipient else "250 ok")) as server:
        order = stage.order(stage.account(server.port), unknown_policy="again")
        stage.launch(order, stage.people(2))
        stage.send()
        totals = stage.wait_settled(order.run)
        assert (totals["accepted"], totals["unknown"]) == (1, 1)
        assert len(server.seen) == 3


def test_members_away_means_that_sending_waits(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(30)
        stage.members.away = True
        stage.launch(order, people)
        stage.send()
        wait_until(lambda: stage.members.asked > 2)
        assert not server.seen and stage.totals(order.run)["waiting"] == 30
        stage.members.away = False
        assert stage.wait_settled(order.run)["accepted"] == 30
        assert stage.members.asked < 100, "it is not asked without end"


def test_pausing_resuming_and_cancelling_act_within_a_second(stage: Stage) -> None:
    def slowly(_: str, __: Session) -> str:
        time.sleep(0.02)
        return "250 ok"

    with SmtpServer(Script(end=slowly)) as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(400)
        stage.launch(order, people)
        stage.send()
        wait_until(lambda: len(server.took) > 10)
        controlling.control_run(stage.room, stage.scope, order.run, RunState.PAUSED)
        time.sleep(1.0)  # the promise
        paused_at = len(server.took)
        time.sleep(0.5)
        assert len(server.took) == paused_at < 400
        assert stage.explain(order.run, people[-1]).reason == "paused"
        controlling.control_run(stage.room, stage.scope, order.run, RunState.RUNNING)
        wait_until(lambda: len(server.took) > paused_at + 10)
        controlling.control_run(stage.room, stage.scope, order.run, RunState.CANCELLED)
        totals = stage.wait_settled(order.run)
        assert totals["accepted"] == len(server.took) < 400
        assert totals["skipped"] == {"cancelled": 400 - totals["accepted"]}
        assert totals["unknown"] == 0
        with pytest.raises(controlling.RunCancelled):
            controlling.control_run(stage.room, stage.scope, order.run, RunState.RUNNING)


def test_an_unsubscribe_is_honoured_five_seconds_later_however_slow_the_server(stage: Stage) -> None:
    def slowly(_: str, __: Session) -> str:
        time.sleep(0.15)
        return "250 ok"

    with SmtpServer(Script(end=slowly)) as server:
        people = stage.people(60)
        order = stage.order(stage.account(server.port))
        stage.launch(order, people, batch=60)
        stage.send(Ways(handful=60, lanes=1, lease=60_000, patience=Patience()))
        wait_until(lambda: len(server.took) >= 3)
        people[-1].permitted, people[-1].permission_reason = False, "objection"
        totals = stage.wait_settled(order.run)
        assert (totals["accepted"], totals["skipped"]) == (59, {"objection": 1})
        assert people[-1].address not in server.recipients()
        assert server.connections == 1


def test_progress_is_told_while_a_slow_server_takes_its_time(stage: Stage) -> None:
    def slowly(_: str, __: Session) -> str:
        time.sleep(0.05)
        return "250 ok"

    with SmtpServer(Script(end=slowly)) as server:
        order = stage.order(stage.account(server.port))
        stage.launch(order, stage.people(60), batch=60)
        stage.send()

        def on_the_way() -> bool:
            return any(0 < told["totals"]["accepted"] < 60 for told in stage.events("BatchProgressed"))

        wait_until(on_the_way)
        assert stage.wait_settled(order.run)["accepted"] == 60
        last = max(stage.events("BatchProgressed"), key=lambda told: told["version"])
        assert last["settled"]
        assert last["totals"]["accepted"] == 60


@pytest.mark.parametrize("whole_agency", [True, False])
def test_stop_everything_holds_and_releasing_lets_it_go_on(stage: Stage, whole_agency: bool) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(20)
        place = "" if whole_agency else stage.community
        scope = stage.scope if not whole_agency else type(stage.scope)(stage.agency, None, "operator:opr_1")
        controlling.hold_outgoing(stage.room, scope, place, "a wrong price")
        stage.launch(order, people)
        stage.send()
        time.sleep(0.7)  # nothing may happen, however long we look
        assert not server.seen
        assert stage.explain(order.run, people[0]).reason == "held"
        controlling.release_outgoing(stage.room, scope, place)
        assert stage.wait_settled(order.run)["accepted"] == 20


def test_promise_12_another_agency_cannot_stand_in_the_way_of_a_hold(stage: Stage) -> None:
    community = "cmt_ours"
    stranger = Scope("agy_other", None, "operator:eve")
    ours = Scope(stage.scope.agency, None, "operator:ada")
    controlling.hold_outgoing(stage.room, stranger, community, "mischief")
    assert not controlling.is_held(stage.room, ours.agency, community, ours)
    controlling.hold_outgoing(stage.room, ours, community, "a wrong price")
    assert controlling.is_held(stage.room, ours.agency, community, ours)
    controlling.release_outgoing(stage.room, stranger, community)
    assert controlling.is_held(stage.room, ours.agency, community, ours)


def test_an_edit_while_paused_reaches_those_not_handed_off(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(30)
        controlled = stage.order(order.account, run=order.run)
        stage.launch(controlled, people[:10], batch=10)
        stage.send()
        stage.wait_settled(order.run)
        controlling.control_run(stage.room, stage.scope, order.run, RunState.PAUSED)
        batches = [planning.PlannedBatch(order.run, 1, [person.member for person in people[10:]])]
        planning.add_batches(stage.room, stage.agency, stage.community, batches)
        controlling.control_run(stage.room, stage.scope, order.run, RunState.RUNNING, 2)
        stage.wait_settled(order.run)
        assert stage.explain(order.run, people[0]).revision == 1
        assert stage.explain(order.run, people[-1]).revision == 2
        assert sum(b"Subject: Revision 2" in took.source for took in server.took) == 20


def test_quiet_hours_defer_and_never_skip(stage: Stage) -> None:
    with SmtpServer() as server:
        people = stage.people(2)
        people[0].zone, people[1].zone = "UTC", "Pacific/Kiritimati"  # fourteen hours ahead
        minute = stage.clock.now() // 60_000 % 1440
        order = stage.order(
            stage.account(server.port), quiet_from=(minute - 5) % 1440, quiet_until=(minute + 60) % 1440
        )
        stage.launch(order, people)
        stage.send()
        wait_until(lambda: len(server.took) == 1)
        wait_until(lambda: stage.explain(order.run, people[0]).reason == "quiet-hours")
        wait_until(lambda: stage.totals(order.run)["accepted"] == 1)
        totals = stage.totals(order.run)
        assert (totals["accepted"], totals["waiting"], totals["skipped"]) == (1, 1, {})
        wait_until(lambda: stage.ledgers(order.run)[0].document["owner"] is None)
        (ledger,) = stage.ledgers(order.run)
        assert 50 * 60_000 < ledger.document["next_at"] - stage.clock.now() <= 60 * 60_000


def test_quiet_hours_wait_no_longer_than_the_end_of_the_sending_time(stage: Stage) -> None:
    with SmtpServer() as server:
        now = stage.clock.now()
        minute = now // 60_000 % 1440
        order = stage.order(
            stage.account(server.port),
            quiet_from=(minute - 5) % 1440,
            quiet_until=(minute + 60) % 1440,
            send_until=now + 3_000,
        )
        people = stage.people(2)
        for person in people:
            person.zone = "UTC"
        stage.launch(order, people)
        stage.send()
        wait_until(lambda: stage.totals(order.run)["skipped"] == {"expired": 2})
        assert server.took == []


def test_what_is_left_at_the_end_of_the_sending_time_is_expired(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port), send_until=stage.clock.now() - 1)
        stage.launch(order, stage.people(3))
        stage.send()
        assert stage.wait_settled(order.run)["skipped"] == {"expired": 3}
        assert not server.seen


def test_a_rate_is_kept_by_all_senders_together(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port, rate_per_minute=600))
        people = stage.people(40)
        stage.launch(order, people)
        stage.send()
        stage.send()
        began = time.monotonic()
        stage.wait_settled(order.run)
        assert time.monotonic() - began > 2.5, "ten a second, and a second's worth at once"
        assert server.recipients() == addresses(people)


def test_a_refused_password_alarms_the_account_and_nothing_is_lost(stage: Stage) -> None:
    script = Script(capabilities=("PIPELINING", "AUTH PLAIN"), auth=lambda *_: "535 5.7.8 bad credentials")
    with SmtpServer(script) as server:
        account = stage.account(server.port, username="me", password="wrong")
        order = stage.order(account)
        people = stage.people(12)
        stage.launch(order, people)
        stage.send()
        wait_until(lambda: accounts.get_accounts(stage.room, stage.scope, [account])[0].state.value == "alarmed")
        wait_until(lambda: stage.totals(order.run)["waiting"] == 12)
        assert stage.explain(order.run, people[0]).reason == "account"
        (told,) = stage.events("AccountAlarmed")
        assert "535" in told["reason"]
        script.auth = lambda *_: "235 ok"
        accounts.change_account(stage.room, stage.scope, account, accounts.AccountChange("active", password="right"))
        assert stage.wait_settled(order.run)["accepted"] == 12


def test_a_server_that_always_hangs_up_is_not_hammered_and_the_tries_end(stage: Stage) -> None:
    with SmtpServer(Script(mail=lambda *_: HANG_UP)) as server:
        order = stage.order(stage.account(server.port), send_until=stage.clock.now() + 4_000)
        stage.launch(order, stage.people(30))
        stage.send()
        totals = stage.wait_settled(order.run)
        assert totals["accepted"] == 0 and totals["unknown"] == 0
        assert totals["skipped"].get("expired", 0) + totals["refused"] == 30
        assert server.connections < 60


def test_a_long_stretch_of_dead_addresses_is_worked_off_though_the_server_hangs_up_again_and_again(
    stage: Stage,
) -> None:
    refused_by_session: Counter[int] = Counter()

    def rcpt(_: str, session: Session) -> str:
        refused_by_session[session.number] += 1
        return "550 5.1.1 no such user" if refused_by_session[session.number] < 4 else HANG_UP

    with SmtpServer(Script(rcpt=rcpt)) as server:
        order = stage.order(stage.account(server.port))
        stage.launch(order, stage.people(120))
        stage.send(Ways(handful=5, lanes=4, lease=60_000, patience=Patience((100,) * 50, 100)))
        assert stage.wait_settled(order.run)["refused"] == 120
        assert len(stage.events("ContactPointBounced")) == 120


def test_twenty_refusals_by_policy_stop_the_account(stage: Stage) -> None:
    with SmtpServer(Script(end=lambda *_: "554 5.7.1 looks like spam")) as server:
        account = stage.account(server.port)
        order = stage.order(account)
        stage.launch(order, stage.people(200))
        stage.send()
        wait_until(lambda: accounts.get_accounts(stage.room, stage.scope, [account])[0].state.value == "alarmed")
        wait_until(lambda: stage.totals(order.run)["handed_off"] == stage.totals(order.run)["refused"])
        assert 20 <= stage.totals(order.run)["refused"] < 100
        assert not stage.events("ContactPointBounced"), "the members are not to blame"


def test_two_agencies_share_the_sender_fairly(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> None:
    with SmtpServer() as server:
        large, small = stage.order(stage.account(server.port)), stage.order(stage.account(server.port))
        many, few = stage.people(1_500), stage.people(20)
        stage.launch(large, many)
        stage.launch(small, few)
        stage.send(Ways(handful=5, lanes=2, lease=60_000, patience=Patience()))
        stage.wait_settled(small.run)
        assert stage.totals(large.run)["accepted"] < 1_000, "the small one did not wait for the large one"
        stage.stop()


def test_stopping_a_sender_leaves_nothing_unknown(stage: Stage) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(600)
        stage.launch(order, people)
        stage.send(SHORT)
        wait_until(lambda: len(server.took) > 20)
        stage.stop()
        totals = stage.totals(order.run)
        assert totals["accepted"] == len(server.took) < 600
        assert (totals["unknown"], totals["handed_off"] - totals["accepted"]) == (0, 0)
        stage.send(SHORT)
        assert stage.wait_settled(order.run)["accepted"] == 600
        assert server.recipients() == addresses(people)
