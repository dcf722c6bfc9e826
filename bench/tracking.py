"""Tracking: the redirect behind a link, against a bare Flask redirect on the same server."""

from __future__ import annotations

import subprocess
import sys
import time
from urllib.parse import urlsplit

from bench.figure import Figure, tell
from bench.load import Load, ceiling, press, request
from bench.sink import Sink
from bench.stage import stage
from demo.catcher import Caught
from services.gateway.settings import GatewaySettings

_CLIENTS = 16
_SECONDS = 10.0
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def bench_tracking(n: int) -> Figure:
    """``n`` members receive the letter; the links of the messages that the sink kept are then followed in turn."""
    with stage("tracking") as on, Sink(on.folder, samples=min(n, 2_000)) as sink:
        on.bring(n)
        campaign = on.campaign(on.account(sink))
        on.launch(campaign)
        sink.wait_for(n, 300)
        on.wait_until_finished(campaign, 60)
        paths = [
            urlsplit(link).path
            for source in sink.samples()
            for link in Caught(1, 0, "", "", source).visible_links
            if "/l/" in link
        ]
        tell(f"{len(paths)} links of {n} members")
        time.sleep(2.5)  # what follows within two seconds of the launch is marked, and that is another path
        requests = [request("GET", path, headers={"User-Agent": _AGENT}) for path in paths]
        where = ("127.0.0.1", int(on.house.http.rpartition(":")[2]))
        press(where, requests, _CLIENTS, 2.0)
        load = press(where, requests, _CLIENTS, _SECONDS)
        if load.statuses.keys() != {302}:
            raise ValueError(f"Not every link led on: {load.statuses}")
        tell(f"{load.per_second:,.0f} redirects/s")
        most = ceiling(requests, load, _CLIENTS)
        on.house.stop()
        floor = _bare(requests)
        tell(f"floor: {floor.per_second:,.0f} redirects/s")
        return Figure(
            "tracking",
            n,
            load.per_second,
            "redirects/s",
            floor.per_second,
            f"Wall clock over HTTP with {_CLIENTS} clients on kept connections, each with one request in flight, on "
            "the same machine; every visit is gathered, marked and told to the log meanwhile. Floor: a bare Flask "
            "redirect on the same server with as many threads.",
            more={
                "p50_ms": load.p(0.50),
                "p99_ms": load.p(0.99),
                "floor_p99_ms": floor.p(0.99),
                "client_ceiling": most,
            },
        )


def _bare(requests: list[bytes]) -> Load:
    threads = GatewaySettings().http_threads
    with subprocess.Popen(
        [sys.executable, "-m", "bench.floors.redirect", str(threads)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        host, _, port = server.stdout.readline().strip().rpartition(":")
        press((host, int(port)), requests, _CLIENTS, 2.0)
        load = press((host, int(port)), requests, _CLIENTS, _SECONDS)
        server.terminate()
    return load
