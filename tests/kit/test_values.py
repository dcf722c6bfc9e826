"""Money is exact and never mixed; text is stored in one form and found without case and accents."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import Invalid
from services.kit.values import CurrenciesDiffer, Money, checked_locale, checked_zone, folded, nfc, search_tokens


def _money(total: int) -> Money:
    return Money.of("EUR", f"{Decimal(total).scaleb(-9):f}")


@given(st.integers(-(10**14), 10**14), st.integers(-(10**14), 10**14))
def test_money_is_reckoned_exactly(one: int, other: int) -> None:
    assert _money(one) + _money(other) == _money(one + other)
    assert _money(one) - _money(other) == _money(one - other)
    assert (_money(one) < _money(other)) == (one < other)
    assert -_money(one) == _money(-one)
    assert Money.of("EUR", _money(one).amount) == _money(one)
    assert Money.from_document(_money(one).document()) == _money(one)


def test_an_sms_costs_a_fraction_of_a_cent_and_a_thousand_of_them_their_sum() -> None:
    price = Money.of("EUR", "0.0475")
    assert (price.units, price.nanos) == (0, 47_500_000)
    assert price.times(1_000) == Money.of("EUR", "47.50")
    assert str(price.times(1_000)) == "47.50 EUR"
    assert Money.of("EUR", "-0.5").amount == "-0.50"


def test_currencies_are_never_mixed() -> None:
    euro, franc = Money.of("EUR", "1"), Money.of("CHF", "1")
    assert euro != franc
    for mix in (lambda: euro + franc, lambda: euro - franc, lambda: euro < franc):
        with pytest.raises(CurrenciesDiffer) as refused:
            mix()
        assert refused.value.field == "currency"


@pytest.mark.parametrize("text", ["", "12,50", "1e3", "NaN", "Infinity", "0.0000000001", "1 000", "٣", "--1", "9" * 19])
def test_an_amount_that_is_not_exact_decimal_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Money.of("EUR", text)


@pytest.mark.parametrize(("currency", "units", "nanos"), [("eur", 1, 0), ("EUR", 1, -1), ("EUR", 0, 10**9), ("", 0, 0)])
def test_money_that_makes_no_sense_cannot_be_made(currency: str, units: int, nanos: int) -> None:
    with pytest.raises(Invalid):
        Money(currency, units, nanos)


def test_text_is_found_without_case_and_accents() -> None:
    assert folded("Élodie ŒUVRE Straße Łódź") == "elodie oeuvre strasse lodz"
    assert folded("e\u0301") == folded("é") == "e"
    assert nfc("e\u0301") == "é"
    assert search_tokens("Zoë-Anne  d'Hôte, zoe@example.org ZOË") == ("zoe", "anne", "d", "hote", "example", "org")


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(nfc(text)) == folded(text)


def test_locales_and_zones_are_checked() -> None:
    assert checked_locale("fr_be") == "fr-BE"
    assert checked_locale("zh-hant-tw") == "zh-Hant-TW"
    assert checked_zone("Europe/Brussels") == "Europe/Brussels"
    for check, wrong, field in ((checked_locale, "klingon!", "locale"), (checked_zone, "Europe/Atlantis", "zone")):
        with pytest.raises(Invalid) as refused:
            check(wrong)
        assert refused.value.field == field
