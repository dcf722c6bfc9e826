"""Amounts, exact: currency (ISO 4217), whole units and nano units of the same sign. Never converted silently."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.kit.errors import Invalid

_NANOS = 1_000_000_000
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount. Raises Invalid where it is not one."""

    currency: str
    units: int
    nanos: int = 0

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise Invalid(
                "Write the currency as three letters: EUR.",
                field="currency",
                message_fr="Écrivez la devise en trois lettres : EUR.",
            )
        if abs(self.nanos) >= _NANOS or (self.units and self.nanos and (self.units > 0) != (self.nanos > 0)):
            raise Invalid(
                "Units and nanos have one sign, and nanos stay below one unit.",
                field="amount",
                message_fr="Unités et nanos ont un même signe, et les nanos restent sous une unité.",
            )

    @property
    def all_nanos(self) -> int:
        return self.units * _NANOS + self.nanos

    def __float__(self) -> float:
        return self.all_nanos / _NANOS

    def times(self, count: int) -> Money:
        return of_nanos(self.currency, self.all_nanos * count)

    def shared_by(self, count: int) -> Money | None:
        """What each of so many bears, rounded towards zero; None where there is nobody."""
        return of_nanos(self.currency, int(self.all_nanos / count)) if count > 0 else None


def of_nanos(currency: str, nanos: int) -> Money:
    units, rest = divmod(abs(nanos), _NANOS)
    sign = -1 if nanos < 0 else 1
    return Money(currency, sign * units, sign * rest)


def sums(amounts: Iterable[tuple[str, int]]) -> list[Money]:
    """The sum for each currency of (currency, nanos), by currency."""
    totals: dict[str, int] = {}
    for currency, nanos in amounts:
        totals[currency] = totals.get(currency, 0) + nanos
    return [of_nanos(currency, nanos) for currency, nanos in sorted(totals.items())]
