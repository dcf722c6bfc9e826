"""Kill -9 at random moments: of each service, during an import and during a campaign, until all is accounted for."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from demo.doors import Doors
from tests.faults.jobs import Account, CampaignJob, Flight, ImportJob, found_community
from tests.faults.relay import Mood, Relay
from tests.faults.services import COMMANDS, SENDERS, Services

VICTIMS = tuple(COMMANDS)
Say = Callable[[str], None]


class NothingInFlight(AssertionError):
    """The run proved nothing: whenever a service was killed, the job had not begun or was over."""


@dataclass(slots=True)
class Kills:
    """What was killed, and when."""

    seed: int
    say: Say = print
    count: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.in_flight.values())

    def record(self, job: str, victim: str, seconds: float, flight: Flight) -> None:
        self.count[f"{job}/{victim}"] += 1
        if flight.in_flight:
            self.in_flight[f"{job}/{victim}"] += 1
        self.say(
            f"kill {sum(self.count.values())}: seed {self.seed}, {victim} at {seconds:.3f} s of the {job}, "
            f"{flight.done} of {flight.total} done{'' if flight.in_flight else ' (nothing in flight)'}"
        )


def strike(
    services: Services,
    flight: Callable[[], Flight],
    job: str,
    victims: Sequence[str],
    kills: Kills,
    chance: random.Random,
    pause: tuple[float, float],
    strikes: int,
) -> int:
    """Kill the victims in turn at random moments while the job is in flight; how many strikes found it so."""
    began = time.monotonic()
    struck = 0
    for victim in victims[:strikes]:
        time.sleep(chance.uniform(*pause))
        now = flight()
        if not now.in_flight:
            break
        services.kill(victim)
        kills.record(job, victim, time.monotonic() - began, now)
        struck += 1
        services.start(victim)
    return struck


def kill_during_import(
    services: Services, doors: Doors, folder: Path, rows: int, strikes: int, kills: Kills, chance: random.Random
) -> str:
    """One import, struck; afterwards every row is one member. Returns the community."""
    community = found_community(doors, f"Import {kills.seed}-{chance.randrange(10**6)}")
    job = ImportJob(doors, community, rows, folder)
    victims = _in_turn(chance, strikes, often="members")
    strike(services, job.flight, "import", victims, kills, chance, (0.05, 0.9), strikes)
    job.wait(120)
    job.assert_nothing_lost_or_doubled()
    return community


def kill_during_campaign(
    services: Services,
    doors: Doors,
    community: str,
    relay: Relay,
    policy: str,
    strikes: int,
    kills: Kills,
    chance: random.Random,
) -> tuple[Account, int]:
    """One campaign, struck; afterwards every recipient is accounted for. Returns the account, and the deaths of
    senders."""
    job = CampaignJob(doors, community, relay, policy)
    relay.mood = Mood(pace=0.03)
    before = _deaths_of_senders(kills)
    job.launch()
    victims = _in_turn(chance, strikes, often="channels")
    strike(services, job.flight, "campaign", victims, kills, chance, (0.1, 1.2), strikes)
    relay.mood = Mood()
    job.wait(180)
    account = job.account_for()
    account.assert_settled(policy)
    return account, _deaths_of_senders(kills) - before


def _deaths_of_senders(kills: Kills) -> int:
    return sum(kills.count[f"campaign/{sender}"] for sender in SENDERS)


def members_of(services: Services, doors: Doors, folder: Path, rows: int) -> str:
    """A community of so many, imported in peace."""
    community = found_community(doors, f"Peace {time.time_ns()}")
    job = ImportJob(doors, community, rows, folder)
    job.wait(60)
    assert services.alive("members")
    return community


def _in_turn(chance: random.Random, strikes: int, often: str) -> list[str]:
    """Every process, and the one at work twice as often."""
    bag: list[str] = []
    while len(bag) < strikes:
        some = [*VICTIMS, often]
        chance.shuffle(some)
        bag += some
    return bag[:strikes]
