"""Sending: a campaign to everybody through a fast local sink, against a blast of one ready-made message."""

from __future__ import annotations

import os
import statistics
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.figure import Figure, tell
from bench.floors.blast import CONNECTIONS, blast
from bench.floors.signing import signer
from bench.lists import address
from bench.processes import Spent
from bench.sink import Sink
from bench.stage import stage

_PATIENCE_SECONDS = 900.0
_FLOORS = 3


def bench_send(n: int) -> Figure:
    """``DKIM=1`` signs every message, here and in the floor; ``CHUNKING=0``: the sink takes them by DATA alone."""
    dkim = _private_key() if os.environ.get("DKIM") == "1" else ""
    chunking = os.environ.get("CHUNKING") != "0"
    with stage("send") as on, Sink(on.folder, chunking=chunking) as sink:
        tell(f"importing {n} members; the sink is in {sink.name}")
        on.bring(n)
        campaign = on.campaign(on.account(sink, dkim))
        spent, began = Spent(on.house.pid), time.time_ns()
        tell("launching")
        on.launch(campaign)
        complete = sink.wait_for(n, _PATIENCE_SECONDS)
        cpu = spent.by_process()
        figures = on.wait_until_finished(campaign, 60)
        received = sink.received({address(number) for number in range(n)})
        wall = (received.last_ns - began) / 1e9
        tell(f"{received.messages} messages in {wall:.1f} s; all came: {complete}")
        message = sink.sample()
        on.house.stop()
        sink.reset()
        tell(f"floor: {_FLOORS} times {n} times one message of {len(message)} octets")
        floors = [blast(sink.port, n, message, address, signer(dkim) if dkim else None) for _ in range(_FLOORS)]
        return Figure(
            "send-dkim" if dkim else "send",
            n,
            received.messages / wall,
            "messages/s",
            statistics.median(floors),
            "Wall clock from launchCampaign to the last message in the sink's record, the sink on the same machine. "
            f"The sink {'offers CHUNKING' if chunking else 'knows DATA alone'}. Floor, the middle one of {_FLOORS}: "
            f"one Python process, {CONNECTIONS} connections, one ready-made message of the same size by DATA"
            f"{', signed anew each time' if dkim else ''}.",
            more={
                "sink": sink.name,
                "chunking": chunking,
                "floors": floors,
                "lost": received.lost,
                "doubled": received.doubled,
                "octets": received.mean_octets,
                "between_first_and_last": received.messages * 1e9 / max(1, received.last_ns - received.first_ns),
                "cpu_seconds": sum(cpu.values()),
                "cpu_by_process": cpu,
                "accepted": figures["accepted"],
                "unknown": figures["unknown"],
                "refused": figures["refused"],
            },
        )


def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
