"""The policy gate: a verdict for every recipient, and never a message to whom it may not go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channels.domain import reasons
from services.channels.domain.account import pace
from services.channels.domain.gate import SEND, Decision, Gate, quiet_until
from services.channels.domain.run import RunOrder
from tests.channels.stage import Person

NOW = 1_764_000_000_000
ORDER = RunOrder(
    "run_1", "cmp_1", "agn_1", "com_1", "email", "news", "acc_1", launched_at=NOW - 1_000, id_ceiling="mbr_9"
)

people = st.builds(
    Person,
    member=st.sampled_from(["mbr_1", "mbr_8", "mbr_9", "mbr_99"]),
    address=st.sampled_from(["", "ada@example.org"]),
    state=st.sampled_from(["active", "merged", "erased", "restricted", "missing", "something-new"]),
    contact_state=st.sampled_from(["", "unverified", "active", "bounced", "complained", "invalid"]),
    permitted=st.booleans(),
    permission_reason=st.sampled_from(["", "consent", "objection", "no-basis"]),
    zone=st.sampled_from(["", "UTC", "Europe/Paris", "America/New_York", "Not/AZone"]),
    registered_at=st.sampled_from([0, NOW - 2_000, NOW]),
)
orders = st.builds(
    replace,
    st.just(ORDER),
    purpose=st.sampled_from(["news", "service"]),
    send_until=st.sampled_from([0, NOW - 1, NOW + 1]),
    quiet_from=st.integers(0, 1439),
    quiet_until=st.integers(0, 1439),
    cap_count=st.integers(0, 2),
)


@given(people, orders, st.booleans(), st.integers(0, 3))
def test_promise_02_the_gate_opens_only_when_nothing_stands_in_the_way(
    person: Person, order: RunOrder, suppressed: bool, received: int
) -> None:
    verdict = Gate(order, NOW).judge(person, suppressed=suppressed, received=received)
    quiet = order.quiet_from != order.quiet_until and quiet_until(NOW, person.zone, order.quiet_from, order.quiet_until)
    barred = (
        order.send_until == NOW - 1
        or person.state != "active"
        or person.registered_at > order.launched_at
        or person.member > order.id_ceiling
        or not person.address
        or person.contact_state in ("bounced", "complained", "invalid")
        or not person.permitted
        or suppressed
        or (order.cap_count and received >= order.cap_count and order.purpose == "news")
    )
    if barred:
        assert verdict.decision is Decision.SKIP and verdict.reason
        assert reasons.message_for(verdict.reason, "en") and reasons.message_for(verdict.reason, "fr")
    elif quiet:
        assert verdict.decision is Decision.DEFER and verdict.until == min(quiet, order.send_until or quiet)
    else:
        assert verdict is SEND


@given(
    st.integers(0, 3 * 366 * 24 * 60).map(lambda minutes: NOW + minutes * 60_000),
    st.sampled_from(["UTC", "Europe/Brussels", "America/St_Johns", "Asia/Kathmandu"]),
    st.integers(0, 1439),
    st.integers(0, 1439),
)
def test_quiet_hours_end_when_the_clock_on_the_members_wall_says_so(now: int, zone: str, start: int, end: int) -> None:
    if start == end:
        return
    until = quiet_until(now, zone, start, end)
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    inside = (start <= minute < end) if start < end else (minute >= start or minute < end)
    assert bool(until) == inside
    if until:
        assert now < until <= now + timedelta(days=1) / timedelta(milliseconds=1)
        ended = datetime.fromtimestamp(until / 1000, UTC).astimezone(ZoneInfo(zone))
        if ended.utcoffset() == local.utcoffset():
            assert ended.hour * 60 + ended.minute == end


@given(
    st.integers(1, 100_000), st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 200)), min_size=1, max_size=40)
)
def test_a_rate_is_never_exceeded_by_more_than_a_seconds_worth(rate: int, asks: list[tuple[int, int]]) -> None:
    now, free_at, sent = NOW, 0, 0
    for pause, wanted in asks:
        now += pause
        allowed, free_at = pace(free_at, now, rate, wanted)
        assert 0 <= allowed <= wanted
        sent += allowed
        assert sent <= (now - NOW) * rate / 60_000 + max(1, rate // 60) + 1
        if not allowed:
            assert free_at > now, "it says when to ask again"


@pytest.mark.parametrize("rate", [1, 60, 600, 60_000])
def test_a_rate_is_used_up(rate: int) -> None:
    now, free_at, sent = NOW, 0, 0
    for _ in range(600):
        allowed, free_at = pace(free_at, now, rate, 200)
        sent += allowed
        now += 100
    assert sent >= min(rate, 200 * 600) * 0.95
