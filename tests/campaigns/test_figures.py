"""The law of figures: every member planned is in exactly one place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.figures import COUNTS, Figures, Reactions, sum_of
from services.campaigns.domain.money import Money, of_nanos, sums

counts = st.integers(0, 50)
batches = st.lists(
    st.fixed_dictionaries(
        {
            "in_flight": counts,
            "accepted": counts,
            "refused": counts,
            "unknown": counts,
            "waiting": counts,
            "skipped": st.dictionaries(st.sampled_from(["objection", "cap", "suppressed"]), counts),
        }
    ),
    max_size=6,
)


def figures(parts: list[dict[str, object]], unheard: int, *, closed: bool) -> Figures:
    for part in parts:
        skipped = sum(part["skipped"].values())  # type: ignore[attr-defined]
        part["handed_off"] = sum(part[name] for name in ("in_flight", "accepted", "refused", "unknown"))  # type: ignore[misc]
        part["members"] = skipped + part["handed_off"] + part["waiting"]  # type: ignore[operator]
    totals = sum_of(parts)
    return Figures("cmp", "run", totals.members + unheard, closed, 0, totals, Reactions(), 0, (), None, 0)


@given(batches, st.integers(0, 30), st.booleans())
def test_whoever_is_planned_is_skipped_or_waits_or_was_handed_off(
    parts: list[dict[str, object]], unheard: int, closed: bool
) -> None:
    it = figures(parts, unheard, closed=closed)
    assert it.planned == it.skipped + it.waiting + it.handed_off
    assert it.handed_off == it.totals.in_flight + it.totals.accepted + it.totals.refused + it.totals.unknown


@given(batches, st.booleans())
def test_at_the_end_planned_is_skipped_accepted_refused_and_unknown(
    parts: list[dict[str, object]], closed: bool
) -> None:
    it = figures(parts, 0, closed=closed)
    terminal = it.skipped + it.totals.accepted + it.totals.refused + it.totals.unknown
    assert it.add_up == (closed and it.planned == terminal and it.totals.in_flight == 0)
    if it.add_up:
        assert it.waiting == 0


@given(batches)
def test_the_sum_does_not_depend_on_the_order_of_batches(parts: list[dict[str, object]]) -> None:
    assert sum_of(parts) == sum_of(list(reversed(parts)))
    assert set(COUNTS) >= {"members", "accepted"}


def test_money_is_exact() -> None:
    cent = Money("EUR", 0, 12_500_000)  # an e-mail for 1.25 cents
    assert cent.times(1_000) == Money("EUR", 12, 500_000_000)
    assert Money("EUR", 10).shared_by(3) == Money("EUR", 3, 333_333_333)
    assert Money("EUR", 10).shared_by(0) is None
    assert sums([("EUR", 1_500_000_000), ("USD", 5), ("EUR", -500_000_000)]) == [Money("EUR", 1), of_nanos("USD", 5)]
