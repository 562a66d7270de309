"""Numbers in JSON, within bounds: a number far beyond the range of a double is rejected.

Every loader turns a JSON number, or digits in a text, into an integer or a double here and nowhere else, so that
``1e999999999`` and numbers of thousands of digits cost as little as any other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

MOST_DIGITS = 400  # of an integer; a double has 309
_LEAST_EXPONENT, _MOST_EXPONENT = -400, 308
_DOUBLES = {"nan": float("nan"), "infinity": float("inf"), "inf": float("inf"), "+inf": float("inf")}
_DOUBLES |= {"-infinity": float("-inf"), "-inf": float("-inf")}


def exact_number(digits: str) -> Decimal | float:
    """Return a number with point or exponent exactly, or as a float beyond the range of floats.

    For ``parse_float``.
    """
    try:
        number = Decimal(digits)
    except ArithmeticError:  # its exponent is beyond Decimal
        return float(digits)
    return number if _LEAST_EXPONENT <= number.adjusted() <= _MOST_EXPONENT else float(digits)


def whole(value: Any) -> int | None:
    """Return the integer value of a JSON number or of digits in a text, None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if -(10**MOST_DIGITS) < value < 10**MOST_DIGITS else None
    if isinstance(value, str):
        text = value.strip()
        if is_digits(text):
            return int(text) if len(text) <= MOST_DIGITS else None
        value = _of_text(text)
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() <= _MOST_EXPONENT:
        number = int(value)
        return number if number == value else None
    return None


def is_digits(text: str) -> bool:
    """Return whether a text is an integer in decimal digits, of any length."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()


def real(value: Any) -> float:
    """Return the double value of a JSON number, of digits in a text, or of protobuf's or Go's NaN and Infinity."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _DOUBLES:
            return _DOUBLES[word]
        value = _of_text(word)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise ValueError(f"expected a number, found {value!r:.80}")


def _of_text(text: str) -> Decimal | float | None:
    """Return the number in a text; None for any other text, including notations of Python only."""
    if not text.isascii() or "_" in text:
        return None
    try:
        number = exact_number(text)
    except ValueError:
        return None
    return None if isinstance(number, Decimal) and not number.is_finite() else number
