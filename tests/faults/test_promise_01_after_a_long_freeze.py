"""A sender that was frozen past its lease finds its work taken over, and sends nothing of it again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from demo.doors import Doors, wait_until
from tests.faults.jobs import CampaignJob
from tests.faults.killing import members_of
from tests.faults.relay import Mood, Relay
from tests.faults.services import LEASE_SECONDS, SENDERS, Services

pytestmark = pytest.mark.slow
SKEW_SECONDS = 5  # what leases allow two clocks to differ by


def test_promise_01_a_frozen_sender_loses_its_lease_and_doubles_nobody(
    services: Services, doors: Doors, relay: Relay, folder: Path
) -> None:
    community = members_of(services, doors, folder, rows=500)
    job = CampaignJob(doors, community, relay, "LIST")
    relay.mood = Mood(pace=0.05)
    job.launch()
    wait_until(lambda: relay.count > 60, "some messages under way", 30, 0.01)
    services.freeze("channels")
    try:
        assert relay.count < 500, "nothing was in flight when the sender froze"
        time.sleep(LEASE_SECONDS + SKEW_SECONDS + 1.5)
        relay.mood = Mood()
    finally:
        services.thaw("channels")
    job.wait(90)
    account = job.account_for()
    account.assert_settled("LIST")
    assert all(services.alive(sender) for sender in SENDERS)
