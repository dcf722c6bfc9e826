"""Promise 2, the half that campaigns keeps: why did she not get it? The ledger answers, or else the plan does."""

from __future__ import annotations

import pytest

from services.campaigns.domain.explanation import Explanation
from services.campaigns.use_cases.controlling import cancel_campaign
from services.campaigns.use_cases.explaining import explain_recipient
from services.campaigns.use_cases.planning import plan_runs
from tests.campaigns.conftest import House
from tests.campaigns.neighbours import member_id

JOINED_LATER = "mbr_ffffffff" + "0" * 24


def explained(house: House, campaign: str, member: str, locale: str = "en") -> tuple[str, str, str]:
    answer, _ = explain_recipient(house.desk, house.scope, campaign, member, locale)
    return answer.state, answer.reason, answer.in_language(locale)


def test_promise_02_the_ledger_answers_first(house: House) -> None:
    campaign = house.launch()
    house.channels.answers[member_id(1)] = Explanation("skipped", "objection", "A objecté.", at=5)
    assert explained(house, campaign.id, member_id(1)) == ("skipped", "objection", "A objecté.")


def test_promise_02_before_the_launch_nobody_got_it(house: House) -> None:
    state, _, said = explained(house, house.create().id, member_id(1), "fr-BE,fr;q=0.9")
    assert state == "not_launched"
    assert said == "La campagne n’a pas été lancée : personne ne l’a reçue."


def test_promise_02_the_plan_answers_for_whom_the_senders_have_not_heard_of(house: House) -> None:
    house.members.page_size = 2
    house.members.holds(5)
    house.members.groups[1].append(member_id(77))
    campaign = house.launch()
    house.members.standing = {member_id(4): "in", member_id(77): "in"}
    assert explained(house, campaign.id, member_id(4))[:2] == ("not_planned_yet", "")
    house.relayed()
    plan_runs(house.desk, lambda: True)
    assert explained(house, campaign.id, member_id(4))[:2] == ("planned", "")
    assert explained(house, campaign.id, member_id(1))[:2] == ("planned", "")
    assert explained(house, campaign.id, member_id(77))[:2] == ("planned", ""), "where the one with the same address is"


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        ("out", "not-in-segment"),
        ("unmeasurable", "unmeasurable"),
        ("missing", "no-member"),
        ("merged", "merged"),
        ("restricted", "restricted"),
        ("in", "entered-later"),
    ],
)
def test_promise_02_the_absent_are_told_why(house: House, standing: str, reason: str) -> None:
    campaign = house.launch()
    house.relayed()
    plan_runs(house.desk, lambda: True)
    house.members.standing = {member_id(900): standing}
    state, why, said = explained(house, campaign.id, member_id(900))
    assert (state, why) == ("absent", reason)
    assert said


def test_promise_02_who_joined_later_is_told_so(house: House) -> None:
    campaign = house.launch()
    house.relayed()
    plan_runs(house.desk, lambda: True)
    assert explained(house, campaign.id, JOINED_LATER)[:2] == ("absent", "joined-after-launch")


def test_promise_02_a_cancelled_plan_says_where_it_ended(house: House) -> None:
    campaign = house.launch()
    house.relayed()
    cancel_campaign(house.desk, house.scope, campaign.id)
    plan_runs(house.desk, lambda: True)
    house.members.standing = {member_id(1): "in"}
    assert explained(house, campaign.id, member_id(1))[:2] == ("absent", "plan-ended")
