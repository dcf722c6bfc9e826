"""What receiving servers do to us: each fault ends in one outcome for each recipient, with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.lists import address
from demo.doors import Doors
from services.channels.connectors.smtp.flight import WINDOW
from tests.faults.jobs import CampaignJob
from tests.faults.killing import members_of
from tests.faults.relay import Mood, Relay
from tests.faults.services import Services

pytestmark = pytest.mark.slow
ROWS = 150


@pytest.fixture
def community(services: Services, doors: Doors, folder: Path) -> str:
    return members_of(services, doors, folder, ROWS)


def _carry_out(doors: Doors, community: str, relay: Relay, mood: Mood, policy: str = "LIST") -> CampaignJob:
    job = CampaignJob(doors, community, relay, policy)
    relay.mood = mood
    job.launch()
    return job


def test_a_busy_relay_is_asked_again_until_it_takes_the_message(doors: Doors, relay: Relay, community: str) -> None:
    job = _carry_out(doors, community, relay, Mood(unavailable=0.3, later=0.2))
    job.wait(120)
    account = job.account_for()
    account.assert_settled("LIST")
    assert relay.faults["later"] > 0
    assert account.counted() == {"accepted": ROWS}


def test_an_address_that_does_not_exist_is_refused_with_its_reason(doors: Doors, relay: Relay, community: str) -> None:
    gone = frozenset(address(number) for number in range(0, ROWS, 10))
    job = _carry_out(doors, community, relay, Mood(no_such_user=gone))
    job.wait(60)
    account = job.account_for()
    account.assert_settled("LIST")
    assert account.counted() == {"accepted": ROWS - len(gone), "refused": len(gone)}
    assert {email for email, state in account.states.items() if state == "refused"} == gone
    assert {account.reasons[email] for email in gone} == {"bad-address"}


@pytest.mark.parametrize(("chunking", "at_most"), [(False, 1), (True, WINDOW)], ids=["data", "chunks"])
def test_a_connection_lost_as_a_message_comes_leaves_it_unknown_since_its_end_was_on_its_way(
    doors: Doors, relay: Relay, community: str, chunking: bool, at_most: int
) -> None:
    relay.offers_chunking = chunking
    job = _carry_out(doors, community, relay, Mood(mid_data=0.05))
    job.wait(120)
    account = job.account_for()
    account.assert_settled("LIST")
    lost = relay.faults["mid-data"]
    assert lost > 0
    unknown = account.counted()["unknown"]
    assert lost <= unknown <= lost * at_most
    assert account.counted() == {"accepted": ROWS - unknown, "unknown": unknown}


def test_a_relay_that_says_nothing_after_the_message_leaves_it_unknown(
    doors: Doors, relay: Relay, community: str
) -> None:
    job = _carry_out(doors, community, relay, Mood(drop_after_keeping=0.03, drop_before_reply=0.03))
    job.wait(120)
    account = job.account_for()
    account.assert_settled("LIST")
    assert relay.faults["drop-after-keeping"] + relay.faults["drop-before-reply"] > 0
    assert account.counted()["unknown"] > 0


def test_what_is_unknown_is_tried_once_more_where_the_campaign_says_so(
    doors: Doors, relay: Relay, community: str
) -> None:
    job = _carry_out(doors, community, relay, Mood(drop_after_keeping=0.02, drop_before_reply=0.02), "AGAIN")
    job.wait(120)
    account = job.account_for()
    account.assert_settled("AGAIN")
    twice = relay.faults["drop-before-reply"] + relay.faults["drop-after-keeping"]
    assert account.missing <= account.counted()["unknown"] <= twice
    assert all(len(ids) == 1 for ids in relay.message_ids().values())
