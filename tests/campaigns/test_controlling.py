"""Pause, resume and cancel reach the senders, and are repeated until they do; edits while paused make revisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.campaigns.domain.campaign import AlreadyPaused, NotPaused, RevisionBlocked, State
from services.campaigns.use_cases.controlling import (
    cancel_campaign,
    confirm_controls,
    pause_campaign,
    resume_campaign,
)
from services.campaigns.use_cases.drafting import edit_campaign
from services.campaigns.use_cases.launching import fire_due, schedule_campaign, unschedule_campaign
from services.campaigns.use_cases.planning import plan_runs
from services.campaigns.use_cases.previewing import get_revision, links_of_run, send_test
from services.campaigns.use_cases.previewing import preview_campaign as preview
from services.kit.clock import HOUR, MINUTE
from services.kit.errors import Conflict, Invalid, NotFound, Unavailable
from services.kit.scope import Scope, everywhere
from tests.campaigns.conftest import ACCOUNT, DRAFT, MESSAGE, NOW, House
from tests.campaigns.neighbours import member_id


def test_pausing_and_resuming_reach_the_senders(house: House) -> None:
    campaign = house.launch()
    assert pause_campaign(house.desk, house.scope, campaign.id).state is State.PAUSED
    with pytest.raises(AlreadyPaused):
        pause_campaign(house.desk, house.scope, campaign.id)
    assert resume_campaign(house.desk, house.scope, campaign.id).state is State.RUNNING
    with pytest.raises(NotPaused):
        resume_campaign(house.desk, house.scope, campaign.id)
    assert house.channels.controls == [(campaign.run, "paused", 1), (campaign.run, "running", 1)]


def test_a_pause_that_the_senders_did_not_hear_is_repeated(house: House) -> None:
    campaign = house.launch()
    house.channels.away = True
    paused = pause_campaign(house.desk, house.scope, campaign.id)
    assert (paused.state, paused.control_pending) == (State.PAUSED, True)
    assert confirm_controls(house.desk) == 0
    house.channels.away = False
    assert confirm_controls(house.desk) == 1
    assert house.channels.controls == [(campaign.run, "paused", 1)]
    assert not house.campaign(campaign.id).control_pending
    assert confirm_controls(house.desk) == 0


def test_cancelling_ends_the_plan_where_it_stands(house: House) -> None:
    house.members.holds(900)
    campaign = house.launch()
    house.relayed()
    cancelled = cancel_campaign(house.desk, house.scope, campaign.id)
    assert cancelled.state is State.CANCELLED
    assert house.channels.controls == [(campaign.run, "cancelled", 1)]
    plan_runs(house.desk, lambda: True)
    assert house.desk.runs.one(house.scope, campaign.run).plan.members == 0
    assert house.campaign(campaign.id).state is State.CANCELLED, "what is cancelled is never called finished"


def test_an_edit_while_paused_makes_a_revision_for_those_not_yet_handed_off(house: House) -> None:
    campaign = house.launch()
    pause_campaign(house.desk, house.scope, campaign.id)
    longer = replace(MESSAGE, body=MESSAGE.body + '<p><a href="https://judo.example/plus">plus</a></p>')
    edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, messages=(longer,)), ["messages"])
    first, second = (get_revision(house.desk, house.scope, campaign.run, number) for number in (1, 0))
    assert (first.number, second.number) == (1, 2)
    assert first.links == ("https://judo.example/stage", "https://judo.example/tarifs")
    assert second.links == (*first.links, "https://judo.example/plus")
    assert house.channels.controls[-1] == (campaign.run, "paused", 2)
    assert links_of_run(house.desk, everywhere("service:gateway"), campaign.run)[-1] == list(second.links)


def test_a_revision_that_could_not_be_sent_is_refused(house: House) -> None:
    campaign = house.launch()
    pause_campaign(house.desk, house.scope, campaign.id)
    no_way_out = replace(MESSAGE, body="<p>Bonjour</p>")
    with pytest.raises(RevisionBlocked):
        edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, messages=(no_way_out,)), ["messages"])
    assert house.campaign(campaign.id).revision == 1


def test_a_schedule_fires_late_or_not_and_once(house: House) -> None:
    campaign = schedule_campaign(house.desk, house.scope, house.create().id, NOW + HOUR)
    assert fire_due(house.desk) == 0
    house.clock.advance(5 * HOUR)
    assert house.campaign(campaign.id).is_overdue(house.clock.now())
    assert fire_due(house.desk) == 1
    assert house.campaign(campaign.id).state is State.RUNNING
    assert fire_due(house.desk) == 0


def test_a_blocked_schedule_stays_overdue_says_why_and_is_tried_again(house: House) -> None:
    campaign = schedule_campaign(house.desk, house.scope, house.create().id, NOW + HOUR)
    house.channels.senders[ACCOUNT] = replace(house.channels.senders[ACCOUNT], verified=False)
    house.clock.advance(HOUR)
    assert fire_due(house.desk) == 0
    blocked = house.campaign(campaign.id)
    assert blocked.state is State.SCHEDULED
    assert [problem.reason for problem in blocked.problems] == ["sender-not-verified"]
    house.channels.senders[ACCOUNT] = replace(house.channels.senders[ACCOUNT], verified=True)
    assert fire_due(house.desk) == 0, "not at once"
    house.clock.advance(2 * MINUTE)
    assert fire_due(house.desk) == 1


def test_a_schedule_waits_for_members_that_are_away(house: House) -> None:
    schedule_campaign(house.desk, house.scope, house.create().id, NOW + HOUR)
    house.clock.advance(HOUR)
    house.members.away = True
    with pytest.raises(Unavailable):
        fire_due(house.desk)
    house.members.away = False
    assert fire_due(house.desk) == 1


def test_whatever_stops_a_scheduled_launch_is_said(house: House) -> None:
    campaign = schedule_campaign(house.desk, house.scope, house.create().id, NOW + HOUR)
    house.members.gone = True
    house.clock.advance(HOUR)
    assert fire_due(house.desk) == 0
    (problem,) = house.campaign(campaign.id).problems
    assert (problem.reason, problem.field) == ("not-found", "community")


def test_a_schedule_can_be_taken_back_and_lies_ahead(house: House) -> None:
    campaign = schedule_campaign(house.desk, house.scope, house.create().id, NOW + HOUR)
    assert unschedule_campaign(house.desk, house.scope, campaign.id).state is State.DRAFT
    with pytest.raises(Invalid):
        schedule_campaign(house.desk, house.scope, campaign.id, NOW)
    house.clock.advance(2 * HOUR)
    assert fire_due(house.desk) == 0


def test_a_test_message_goes_out_with_links_that_lead_somewhere(house: House) -> None:
    campaign = house.create()
    assert send_test(house.desk, house.scope, campaign.id, member_id(1), "me@agency.example").outcome == "accepted"
    ((run, to),) = house.channels.tests
    assert to == "me@agency.example"
    behind, launched, links = links_of_run(house.desk, everywhere("service:gateway"), run)
    assert (behind.id, launched, links) == (
        campaign.id,
        None,
        ["https://judo.example/stage", "https://judo.example/tarifs"],
    )
    assert "{{ given_name" in preview(house.desk, house.scope, campaign.id, member_id(1)).html


def test_a_foreign_campaign_does_not_exist(house: House) -> None:
    campaign = house.launch()
    for stranger in (
        Scope("agy_other", None, "operator:eve"),
        Scope("agy_1", frozenset({"com_other"}), "operator:bob"),
    ):
        with pytest.raises(NotFound):
            pause_campaign(house.desk, stranger, campaign.id)
    assert house.campaign(campaign.id).state is State.RUNNING


def test_an_edit_of_a_version_read_before_somebody_elses_is_refused(house: House) -> None:
    campaign = house.create()
    edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, name="Autre"), ["name"], campaign.version)
    with pytest.raises(Conflict):
        edit_campaign(house.desk, house.scope, campaign.id, DRAFT, ["name"], campaign.version)
    kept = house.campaign(campaign.id)
    assert (kept.draft.name, kept.draft.messages) == ("Autre", DRAFT.messages)
