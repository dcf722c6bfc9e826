"""Values that every room uses: money, text as it is stored and searched, locales and zones."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, total_ordering
from typing import Any
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError

from services.kit.errors import Invalid

_NANOS = 1_000_000_000
_UNITS_LIMIT = 2**63
_AMOUNT = re.compile(r"[+-]?\d{1,19}(\.\d{1,30})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


class CurrenciesDiffer(Invalid):
    """Two amounts of different currencies never meet: convert one at a stated rate first."""

    reason = "currencies-differ"


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency (ISO 4217), as ``google.type.Money``: units and billionths, of one sign."""

    currency: str
    units: int
    nanos: int = 0

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise Invalid("A currency is three capital letters (ISO 4217), such as EUR.", field="currency")
        if abs(self.nanos) >= _NANOS or self.units * self.nanos < 0:
            raise Invalid("nanos are less than one unit, and have its sign.", field="nanos")
        if not -_UNITS_LIMIT <= self.units < _UNITS_LIMIT:
            raise Invalid("The amount is too large: units fit in 64 bits.", field="units")

    @classmethod
    def of(cls, currency: str, amount: str) -> Money:
        """From a decimal text, as ``Money.of("EUR", "-12.50")``; up to nine decimals, with a point."""
        if not _AMOUNT.fullmatch(amount.strip()):
            raise Invalid("An amount is written in digits with a point, as 12.50.", field="amount")
        total = Fraction(amount.strip()) * _NANOS
        if total.denominator != 1:
            raise Invalid("An amount has at most nine decimals.", field="amount")
        return cls._from_nanos(currency, total.numerator)

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(currency, 0)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Money:
        return cls(document["currency"], document["units"], document.get("nanos") or 0)

    @classmethod
    def _from_nanos(cls, currency: str, total: int) -> Money:
        units, nanos = divmod(abs(total), _NANOS)
        return cls(currency, -units, -nanos) if total < 0 else cls(currency, units, nanos)

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return {"currency": self.currency, "units": self.units, "nanos": self.nanos}

    @property
    def amount(self) -> str:
        """As a decimal text: at least two decimals, no more than it takes."""
        whole, nanos = abs(self.units), f"{abs(self.nanos):09}".rstrip("0").ljust(2, "0")
        return f"{'-' if self._total() < 0 else ''}{whole}.{nanos}"

    def __add__(self, other: Money) -> Money:
        return self._from_nanos(self.currency, self._total() + self._same(other))

    def __sub__(self, other: Money) -> Money:
        return self._from_nanos(self.currency, self._total() - self._same(other))

    def __neg__(self) -> Money:
        return Money(self.currency, -self.units, -self.nanos)

    def __lt__(self, other: Money) -> bool:
        return self._total() < self._same(other)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def times(self, count: int) -> Money:
        """The price of that many."""
        return self._from_nanos(self.currency, self._total() * count)

    def _total(self) -> int:
        return self.units * _NANOS + self.nanos

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrenciesDiffer(
                f"{self.currency} and {other.currency} cannot be reckoned together.", field="currency"
            )
        return other._total()  # another of our own


def nfc(text: str) -> str:
    """Text as it is stored (Unicode NFC)."""
    return unicodedata.normalize("NFC", text)


_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})


def folded(text: str) -> str:
    """Text as it is searched: without case and accents, so that ``Œuvre Élodie`` is found as ``oeuvre elodie``."""
    parts = unicodedata.normalize("NFD", unicodedata.normalize("NFC", text).casefold())
    bare = "".join(char for char in parts if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare.translate(_LIGATURES))


_WORD = re.compile(r"\w+")


def search_tokens(text: str) -> tuple[str, ...]:
    """The words of a text as they are indexed and searched: folded, each once, in their order."""
    return tuple(dict.fromkeys(_WORD.findall(folded(text))))


@lru_cache(maxsize=1_024)
def checked_locale(tag: str) -> str:
    """A BCP 47 tag in its usual form (``fr-BE``). Raises Invalid for what is no known locale."""
    try:
        return str(Locale.parse(tag.strip().replace("_", "-"), sep="-")).replace("_", "-")
    except (ValueError, TypeError, UnknownLocaleError) as error:
        raise Invalid("This is no known locale: use a BCP 47 tag, such as fr-BE.", field="locale") from error


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def checked_zone(name: str) -> str:
    """An IANA zone. Raises Invalid for what is none."""
    if name not in _zones():
        raise Invalid("This is no known time zone: use an IANA name, such as Europe/Brussels.", field="zone")
    return name
