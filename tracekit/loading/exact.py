"""Decimal numbers exactly as JSON spells them: X-Ray's times need every digit."""

from __future__ import annotations

from decimal import Decimal


def exact_number(digits: str) -> Decimal | float:
    """Return a number with point or exponent exactly; as a float where its exponent is beyond ``Decimal``.

    For ``parse_float``: ``Decimal`` itself raises for a number such as 1e9999999999999999999.

    Examples
    --------
    >>> exact_number("1.568835610432E9"), exact_number("1e9999999999999999999")
    (Decimal('1568835610.432'), inf)
    """
    try:
        return Decimal(digits)
    except ArithmeticError:
        return float(digits)
