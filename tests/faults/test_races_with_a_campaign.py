"""Members who leave, are merged or are erased while a campaign runs."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx2
import pytest

from demo.catcher import Caught
from demo.doors import Doors, wait_until
from tests.faults.jobs import CampaignJob, emails
from tests.faults.killing import members_of
from tests.faults.relay import Mood, Relay
from tests.faults.services import SENDERS, Services

pytestmark = pytest.mark.slow
ROWS = 400
HONOURED_WITHIN_SECONDS = 5.0
MERGE = """mutation ($survivor: ID!, $absorbed: ID!) {
  mergeMembers(input: {survivor: $survivor, absorbed: $absorbed}) { errors { field code message } } }"""
ERASE = "mutation ($member: ID!) { eraseMember(input: {member: $member}) { errors { field code message } } }"
OBJECT = """mutation ($member: ID!) {
  recordObjection(input: {member: $member, purposes: [NEWS], channels: ["email"], evidence: {wording: "Stop"}}) {
    errors { field code message } } }"""


@pytest.fixture
def running(services: Services, doors: Doors, relay: Relay, folder: Path) -> CampaignJob:
    """A campaign under way, slowly, with most of its recipients still to come."""
    community = members_of(services, doors, folder, ROWS)
    job = CampaignJob(doors, community, relay, "LIST")
    relay.mood = Mood(pace=0.06)
    job.launch()
    wait_until(lambda: relay.count > 0, "the first message", 30, 0.01)
    return job


def _those_to_come(doors: Doors, job: CampaignJob, relay: Relay) -> list[tuple[str, str]]:
    """Address and id of the members whose turn is far, the last first."""
    kept = relay.times_kept()
    return [each for each in reversed(list(emails(doors, job.community))) if not kept[each[0]]]


def test_promise_02_whoever_objects_while_it_runs_is_honoured_within_five_seconds(
    doors: Doors, relay: Relay, running: CampaignJob
) -> None:
    left = _those_to_come(doors, running, relay)[:20]
    for _, member in left:
        doors.do(OBJECT, member=member)
    at = time.monotonic() + HONOURED_WITHIN_SECONDS
    running.wait(120)
    account = running.account_for()
    account.assert_settled("LIST")
    for email, _ in left:
        if account.states[email] == "skipped":
            assert account.reasons[email] == "objection"
        else:
            assert relay.kept_at[email] <= at, "a message left more than five seconds after the objection"
    assert any(account.states[email] == "skipped" for email, _ in left)


def test_whoever_presses_the_button_of_the_mail_program_gets_nothing_more(
    services: Services, doors: Doors, relay: Relay, running: CampaignJob
) -> None:
    assert relay.last is not None
    message = Caught(1, 0, "", "", relay.last)
    (recipient,) = re.findall(r"user\d+@members\.example", message.header("To"))
    assert httpx2.post(message.one_click, content=b"List-Unsubscribe=One-Click", timeout=20).status_code == 200
    running.wait(120)
    running.account_for().assert_settled("LIST")
    relay.mood = Mood()
    second = CampaignJob(doors, running.community, relay, "LIST")
    second.launch()
    second.wait(60)
    account = second.account_for()
    account.assert_settled("LIST")
    assert account.states[recipient] == "skipped"
    assert account.reasons[recipient] in ("objection", "suppressed")
    assert all(services.alive(sender) for sender in SENDERS)


def test_members_merged_while_it_runs_are_written_to_once(doors: Doors, relay: Relay, running: CampaignJob) -> None:
    left = _those_to_come(doors, running, relay)[:20]
    pairs = list(zip(left[::2], left[1::2], strict=True))
    for (_, survivor), (_, absorbed) in pairs:
        doors.do(MERGE, survivor=survivor, absorbed=absorbed)
    running.wait(120)
    figures = running.look()["figures"]
    assert figures["planned"] == sum(figures[state] for state in ("skipped", "accepted", "refused", "unknown"))
    kept = relay.times_kept()
    assert max(kept.values()) == 1
    for (_, _), (absorbed_email, absorbed) in pairs:
        (told,) = running.explained([absorbed])
        if told["state"] == "skipped":
            assert told["reason"] == "merged"
            assert not kept[absorbed_email]


def test_the_erased_are_not_written_to_once_their_erasure_is_known(
    doors: Doors, relay: Relay, running: CampaignJob
) -> None:
    left = _those_to_come(doors, running, relay)[:10]
    for _, member in left:
        doors.do(ERASE, member=member)
    at = time.monotonic() + HONOURED_WITHIN_SECONDS
    running.wait(120)
    figures = running.look()["figures"]
    assert figures["planned"] == sum(figures[state] for state in ("skipped", "accepted", "refused", "unknown"))
    kept = relay.times_kept()
    assert max(kept.values()) == 1
    late = [email for email, _ in left if kept[email] and relay.kept_at[email] > at]
    assert not late, "a message left more than five seconds after the erasure"
    assert any(not kept[email] for email, _ in left)
