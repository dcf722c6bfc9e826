"""``python -m tests.faults [kills] [seed] [store-log]``: kill until so many deaths struck a job in flight, over all
services and both jobs. Each prints its seed and its moment; the last line is a summary in JSON."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from demo.doors import Doors
from tests.engines import ENGINES
from tests.engines.pairs import settings_of
from tests.faults.killing import VICTIMS, Kills, NothingInFlight, kill_during_campaign, kill_during_import, members_of
from tests.faults.relay import Relay
from tests.faults.services import HANDFUL, HASTY, Services

_USUAL = ("200", "0", "sqlite-sqlite")
_ROWS = 30_000
_RECIPIENTS = 3_000
_STRIKES = 10
_CONNECTIONS = 8  # of each sender


def main(wanted: int, seed: int, pair: str) -> int:
    store, _, log = pair.partition("-")
    seed = seed or time.time_ns() % 1_000_000
    chance = random.Random(seed)
    kills = Kills(seed, say=lambda line: print(line, flush=True))
    doubled = missing = unknown = recipients = rows = deaths = campaigns = imports = 0
    with tempfile.TemporaryDirectory(prefix="fanfare-faults-") as kept, Relay() as relay:
        folder = Path(kept)
        with Services(folder / "data", {**HASTY, **settings_of(store, log)}) as services:
            doors = Doors(services.address)
            doors.sign_in(services.operator())
            audience = members_of(services, doors, folder, _RECIPIENTS)
            while kills.total < wanted:
                kill_during_import(services, doors, folder, _ROWS, _STRIKES, kills, chance)
                imports, rows = imports + 1, rows + _ROWS
                policy = ("LIST", "AGAIN")[campaigns % 2]
                account, senders = kill_during_campaign(
                    services, doors, audience, relay, policy, _STRIKES, kills, chance
                )
                campaigns, deaths, recipients = campaigns + 1, deaths + senders, recipients + len(account.states)
                doubled, unknown = doubled + account.doubled, unknown + account.counted()["unknown"]
                if policy == "AGAIN":
                    missing += account.missing
                    assert senders > 1 or not account.missing, f"{account.missing} missing after one death of a sender"
                    most = HANDFUL * _CONNECTIONS * senders
                    assert account.doubled <= most, f"{account.doubled} doubled by {senders} deaths of senders"
                print(
                    f"{policy.lower()}: {dict(account.counted())}, {account.doubled} doubled by {senders} deaths of "
                    f"senders",
                    flush=True,
                )
    silent = [
        f"{job}/{victim}"
        for job in ("import", "campaign")
        for victim in VICTIMS
        if not kills.in_flight[f"{job}/{victim}"]
    ]
    if silent:
        raise NothingInFlight(f"Nothing was in flight when these were killed: {', '.join(silent)}.")
    print(
        json.dumps(
            {
                "seed": seed,
                "pair": pair,
                "kills": sum(kills.count.values()),
                "in_flight": dict(kills.in_flight),
                "imports": imports,
                "rows": rows,
                "campaigns": campaigns,
                "recipients": recipients,
                "sender_deaths": deaths,
                "lost": 0,
                "unknown_twice_under_again": missing,
                "doubled_under_again": doubled,
                "unknown_listed": unknown,
            }
        )
    )
    return 0


if __name__ == "__main__":
    try:
        kills, seed, pair = [*sys.argv[1:], *_USUAL[len(sys.argv) - 1 :]]
        sys.exit(main(int(kills), int(seed), pair))
    finally:
        for engine in ENGINES.values():
            engine.stop()
