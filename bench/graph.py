"""Reading through the graph: a page of fifty members with permissions and timeline, against plain execution."""

from __future__ import annotations

import json

from bench.figure import Figure, tell
from bench.floors.graph import execute_plainly
from bench.lists import CITIES
from bench.load import ceiling, press, request
from bench.stage import stage

_CLIENTS = 4
_SECONDS = 15.0
_PAGE = """
query Page($community: ID!, $rule: Json) {
  community(id: $community) {
    members(first: 50, rule: $rule, order: "name") {
      edges { node {
        id displayName givenName familyName locale lifecycle standing tags
        permits { purpose channel allowed basis evidence since }
        latest(first: 3) { kind channel at subject }
      } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""


def bench_graphql(n: int) -> Figure:
    with stage("graphql") as on:
        tell(f"importing {n} members")
        on.bring(n)
        on.interact(n)
        headers = {"Content-Type": "application/json", "Authorization": on.doors.authorization}
        rules = [{"field": "attribute.city", "is": city} for city in CITIES]
        asked = [{"community": on.community, "rule": rule} for rule in rules]
        requests = [
            request("POST", "/graphql", json.dumps({"query": _PAGE, "variables": variables}).encode(), headers)
            for variables in asked
        ]
        where = ("127.0.0.1", int(on.house.http.rpartition(":")[2]))
        press(where, requests, _CLIENTS, 3.0)
        alone = press(where, requests, 1, 5.0)
        tell(f"one client: {alone.per_second:.0f} pages/s")
        load = press(where, requests, _CLIENTS, _SECONDS)
        tell(f"{_CLIENTS} clients: {load.per_second:.0f} pages/s")
        ready = on.doors.ask(_PAGE, **asked[0])
        if load.statuses.keys() != {200} or len(ready["community"]["members"]["edges"]) != 50:
            raise ValueError(f"Not every answer was a page of fifty: {load.statuses}")
        most = ceiling(requests, load, _CLIENTS)
        on.house.stop()
        floor, octets = execute_plainly(_PAGE, asked[0], ready, 8.0)
        return Figure(
            "graphql",
            n,
            load.per_second,
            "pages/s",
            floor,
            f"Wall clock over HTTP with {_CLIENTS} clients on kept connections, each with one request in flight, on "
            "the same machine; ten rules in turn, each on an indexed attribute, in the order of an indexed name. "
            "Floor: parse, validate and execute the query on ready dicts, in one process, without HTTP.",
            more={
                "p50_ms": load.p(0.50),
                "p99_ms": load.p(0.99),
                "one_client_pages_per_second": alone.per_second,
                "one_client_p50_ms": alone.p(0.50),
                "client_ceiling": most,
                "octets": octets,
            },
        )
