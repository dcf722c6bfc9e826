"""Promise 1: nothing lost, nothing doubled, whichever process dies at whichever moment.

``make test-faults`` is the long form.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from demo.doors import Doors
from tests.faults.killing import Kills, kill_during_campaign, kill_during_import, members_of
from tests.faults.relay import Relay
from tests.faults.services import HANDFUL, Services

pytestmark = pytest.mark.slow
CONNECTIONS = 8  # of each sender


def test_promise_01_an_import_survives_the_death_of_every_service(
    services: Services, doors: Doors, folder: Path
) -> None:
    kills = Kills(seed=11)
    kill_during_import(services, doors, folder, rows=20_000, strikes=4, kills=kills, chance=random.Random(11))
    assert kills.total, "nothing was in flight when services were killed"


def test_promise_01_a_campaign_that_lists_the_unknown_doubles_nobody(
    services: Services, doors: Doors, relay: Relay, folder: Path
) -> None:
    community = members_of(services, doors, folder, rows=600)
    kills = Kills(seed=12)
    account, _ = kill_during_campaign(services, doors, community, relay, "LIST", 5, kills, random.Random(12))
    assert kills.total, "nothing was in flight when services were killed"
    assert account.doubled == 0
    assert account.missing <= account.counted()["unknown"]


def test_promise_01_a_campaign_that_tries_again_misses_nobody(
    services: Services, doors: Doors, relay: Relay, folder: Path
) -> None:
    community = members_of(services, doors, folder, rows=600)
    kills = Kills(seed=13)
    account, deaths = kill_during_campaign(services, doors, community, relay, "AGAIN", 4, kills, random.Random(13))
    assert kills.total, "nothing was in flight when services were killed"
    assert deaths > 1 or account.missing == 0, "only who was struck twice is listed instead"
    assert account.doubled <= HANDFUL * CONNECTIONS * deaths
    assert all(len(ids) == 1 for ids in relay.message_ids().values()), "a second try has the first one's Message-ID"
