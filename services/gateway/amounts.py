"""Amounts of money as text: exact decimal numbers, down to a billionth, as ``google.type.Money`` holds them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from services.kit.errors import Invalid

_NANOS = 1_000_000_000
_MOST = 10**15


class NotAnAmount(Invalid):
    reason = "not-an-amount"


def nanos_of(text: str, field: str = "amount") -> tuple[int, int, int]:
    """Sign, whole units and billionths of a decimal text. Raises NotAnAmount naming the field."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise NotAnAmount("An amount is a decimal number such as 12.50.", field=field) from None
    if not amount.is_finite() or abs(amount) >= _MOST or amount != amount.quantize(Decimal("1e-9")):
        raise NotAnAmount("An amount has at most 15 digits and nine decimals.", field=field)
    nanos = int(abs(amount) * _NANOS)
    return (-1 if amount < 0 else 1), nanos // _NANOS, nanos % _NANOS
