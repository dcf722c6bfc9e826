"""Counting: a rule's live count through gRPC, against the same count written by hand in SQL on the same file."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

from bench.figure import Figure, percentile, tell
from bench.lists import CITIES, TAGS
from bench.stage import stage
from fanfare.members.v1 import segment_service_pb2 as pb
from fanfare.members.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.kit.clock import DAY, SystemClock
from services.kit.rpc.client import Peer
from services.kit.rpc.trust import WHOLE_AGENCY, Signer
from services.kit.settings import Settings

_TIMES = 200
# Standing, city, tag, permission, and the last open of those who may be tracked.
_BY_HAND = """
SELECT count(*) FROM members m
WHERE m._scope = :scope
  AND m._n IN (SELECT _n FROM "members/permission" WHERE _scope = :scope AND value = 'news:email')
  AND m._n IN (SELECT _n FROM "members/permission" WHERE _scope = :scope AND value = 'tracking:email')
  AND m._n IN (SELECT _n FROM "members/standing" WHERE _scope = :scope AND value = 'prospect')
  AND m._n IN (SELECT _n FROM "members/tags" WHERE _scope = :scope AND value = :tag)
  AND m._n IN (SELECT _n FROM "members/attributes.key+value"
               WHERE _scope = :scope AND key = 'city' AND value = :city)
  AND m."engagement.last_opened_at" > :since
"""


def bench_count(n: int) -> Figure:
    with stage("count") as on:
        tell(f"importing {n} members")
        on.bring(n)
        on.interact(n)
        asked = [(CITIES[number % len(CITIES)], TAGS[number % len(TAGS)]) for number in range(_TIMES)]
        answers, times = _ask(on.house.data, on.agency(), on.community, asked)
        by_hand, floor = _by_hand(on.house.data / "members.sqlite", on.community, asked)
        if answers != by_hand:
            wrong = next(place for place, pair in enumerate(zip(answers, by_hand, strict=True)) if pair[0] != pair[1])
            raise ValueError(f"Counted {answers[wrong]}, by hand {by_hand[wrong]}, for {asked[wrong]}.")
        tell(f"p50 {percentile(times, 0.5):.1f} ms, by hand {percentile(floor, 0.5):.1f} ms")
        return Figure(
            "count",
            n,
            percentile(times, 0.5),
            "ms (p50)",
            percentile(floor, 0.5),
            "Wall clock of PreviewSegment through gRPC with one client: in, out and unmeasurable. Floor: one hand-"
            "written SQL count of those who are in, on a connection of its own to the same file, warm.",
            higher_is_better=False,
            more={
                "p99_ms": percentile(times, 0.99),
                "floor_p99_ms": percentile(floor, 0.99),
                "counted": sum(answers) / len(answers),
                "mean_ratio": sum(floor) / sum(times),
            },
        )


def _rule(city: str, tag: str) -> str:
    return json.dumps(
        {
            "all": [
                {"field": "standing", "is": "prospect"},
                {"field": "attribute.city", "is": city},
                {"field": "tag", "is": tag},
                {"field": "permission", "is": "news:email"},
                {"field": "last_opened", "within_days": 30},
            ]
        }
    )


def _ask(data: Path, agency: str, community: str, asked: list[tuple[str, str]]) -> tuple[list[int], list[float]]:
    settings = Settings(data=data)
    peer = Peer(settings.address("members"), Signer(settings.keys_folder, "gateway", SystemClock()))
    try:
        service = peer.stub(SegmentServiceStub)
        metadata = peer.on_behalf_of("operator:bench", agency, {WHOLE_AGENCY: frozenset(("members.read",))})
        answers, times = [], []
        for city, tag in [*asked[:20], *asked]:
            request = pb.PreviewSegmentRequest(community=community, rule=_rule(city, tag))
            began = time.perf_counter()
            answer = service.PreviewSegment(request, metadata=metadata)
            times.append((time.perf_counter() - began) * 1_000)
            answers.append(int(answer.within))
        return answers[20:], times[20:]
    finally:
        peer.close()


def _by_hand(file: Path, community: str, asked: list[tuple[str, str]]) -> tuple[list[int], list[float]]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        (scope,) = store.execute("SELECT n FROM _scopes WHERE community = ?", (community,)).fetchone()
        since = SystemClock().now() - 30 * DAY
        answers, times = [], []
        for city, tag in [*asked[:20], *asked]:
            given = {"scope": scope, "city": city, "tag": tag, "since": since}
            began = time.perf_counter()
            (count,) = store.execute(_BY_HAND, given).fetchone()
            times.append((time.perf_counter() - began) * 1_000)
            answers.append(int(count))
        return answers[20:], times[20:]
