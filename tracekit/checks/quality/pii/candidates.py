"""Fast prefilter: byte positions at which a PII pattern may match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.checks.quality.pii.numbers import IBAN_ALL_DIGITS, IBAN_LENGTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.columns import Array

_ZERO, _NINE = 48, 57
_LETTERS = 26


def _sequence(*steps: tuple[int, bytes | str]) -> Callable[[Array], Array]:
    """Return a search for positions that match all steps: (distance, allowed bytes), "0" for any digit."""

    def search(data: Array) -> Array:
        at = np.flatnonzero(_is(data, steps[0][1]))
        for distance, allowed in steps[1:]:
            there = at + distance
            at = at[(there >= 0) & (there < len(data))]
            at = at[_is(data[at + distance], allowed)]
        return at

    return search


def _word(word: bytes, rare: int = 0, behind: bytes = b"") -> Callable[[Array], Array]:
    """Return a case-insensitive search for a word followed by one of ``behind``, testing byte ``rare`` first."""
    steps = [(at - rare, bytes([letter]) + bytes([letter]).upper()) for at, letter in enumerate(word)]
    last = [(len(word) - rare, behind)] if behind else []
    return _sequence(steps[rare], *last, *steps[:rare], *steps[rare + 1 :])


def _is(data: Array, allowed: bytes | str) -> Array:
    """Return whether each byte is allowed."""
    if isinstance(allowed, str):
        return np.asarray((data >= _ZERO) & (data <= _NINE))
    found = data == allowed[0]
    for other in allowed[1:]:
        found = found | (data == other)
    return np.asarray(found)


def _pairs(names: Iterable[str]) -> Array:
    """Return which pairs of letters, as numbers to the base 26, are country codes."""
    known = np.zeros(_LETTERS**2, bool)
    known[[(ord(name[0]) - ord("A")) * _LETTERS + ord(name[1]) - ord("A") for name in names]] = True
    return known


_COUNTRIES, _IN_DIGITS = _pairs(IBAN_LENGTHS), _pairs(IBAN_ALL_DIGITS)


def _ibans(data: Array) -> Array:
    """Return positions of a country code, two check digits, and digits if the country uses only digits."""
    letter, digit = (data | 32) - ord("a"), _is(data, "0")
    found = (letter[:-7] < _LETTERS) & (letter[1:-6] < _LETTERS) & digit[2:-5] & digit[3:-4]
    at = np.flatnonzero(found)
    country = letter[at].astype(np.int64) * _LETTERS + letter[at + 1]
    return np.asarray(at[_COUNTRIES[country] & (~_IN_DIGITS[country] | (digit[at + 6] & digit[at + 7]))])


_BEHIND_KEY = b"=:\"' "
CANDIDATES: dict[str, tuple[Callable[[Array], Array], ...]] = {
    "email": (_sequence((0, b"@")), _sequence((0, b"%"), (1, b"4"), (2, b"0"))),
    "phone number": (_sequence((0, b"+"), (1, "0")),),
    "payment card": (
        _sequence((0, b" .-"), (-4, "0"), (-1, "0"), (1, "0"), (4, "0"), (-2, "0"), (2, "0"), (3, "0")),
        _sequence((0, b"\xc2"), (1, b"\xa0"), (-4, "0"), (-1, "0"), (2, "0"), (5, "0")),
    ),
    "IBAN": (_ibans,),
    "social security number": (_sequence((0, b"-"), (3, b"-"), (-3, "0"), (-1, "0"), (1, "0"), (2, "0"), (7, "0")),),
    "JSON web token": (_sequence((0, b"e"), (1, b"y"), (2, b"J")),),
    "AWS access key": (_sequence((0, b"A"), (1, b"KS"), (2, b"I"), (3, b"A")),),
    "API token": (
        _sequence((0, b"_"), (-3, b"g"), (-2, b"h")),
        _sequence((0, b"_"), (-1, b"b"), (-2, b"u"), (1, b"p")),
        _sequence((0, b"-"), (-1, b"t"), (-2, b"a"), (-3, b"p"), (-4, b"l")),
        _sequence((0, b"x"), (1, b"o"), (2, b"x")),
        _sequence((0, b"A"), (1, b"I"), (2, b"z")),
        _sequence((0, b"_"), (-1, b"k"), (1, b"l"), (2, b"i")),
        _sequence((0, b"_"), (-1, b"m"), (-2, b"p")),
    ),
    "private key": (_sequence((0, b"-"), (1, b"-"), (2, b"B"), (3, b"E")),),
    "secret in a parameter": (
        _word(b"token", 2, _BEHIND_KEY),
        _word(b"key", 0, _BEHIND_KEY),
        _word(b"secret", 2, _BEHIND_KEY),
        _word(b"password", 4, _BEHIND_KEY),
        _word(b"passwd", 4, _BEHIND_KEY),
        _word(b"pwd", 1, _BEHIND_KEY),
        _word(b"signature", 2, _BEHIND_KEY),
        _word(b"sig", 2, _BEHIND_KEY),
    ),
    "credentials": (_word(b"bearer", 0, b" "), _word(b"basic", 0, b" ")),
    "password in an address": (_sequence((0, b"@")),),
    "private address": (
        _sequence((0, b"."), (-1, "0"), (1, "0")),
        _sequence((0, b":"), (-4, b"fF"), (-3, b"cCdDeE")),
    ),
}
"""By kind: alternative searches."""
