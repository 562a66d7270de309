"""Search for PII in many texts: a byte prefilter, then patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.redaction.numbers import IBAN_ALL_DIGITS, IBAN_LENGTHS, card_like, luhn
from tracekit.redaction.patterns import DETECTORS, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from tracekit.columns import Array

_ZERO, _NINE = 48, 57
_LONGEST = 19
_LETTERS = 26


class Blob(NamedTuple):
    """Concatenated texts: text i is ``data[offsets[i]:offsets[i + 1]]`` in UTF-8."""

    data: Array
    offsets: Array

    def text(self, row: int) -> str:
        """Return one text."""
        return bytes(self.data[self.offsets[row] : self.offsets[row + 1]]).decode("utf-8", "replace")

    def rows(self, positions: Array) -> Array:
        """Return the distinct texts at these positions."""
        return np.unique(np.searchsorted(self.offsets, positions, "right") - 1)


def blob(texts: list[str]) -> Blob:
    """Return concatenated texts."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in encoded]))).astype(np.int64)
    return Blob(np.frombuffer(b"".join(encoded), np.uint8), offsets)


def blob_of(texts: pa.LargeStringArray) -> Blob:
    """Return the texts of an Arrow array, without a copy; a null is empty."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return Blob(whole[ends[0] : ends[-1]], ends - ends[0])


class Hit(NamedTuple):
    """PII in one text: row, kind and match."""

    row: int
    kind: str
    match: str


def labels_shown(labels: list[str]) -> list[str]:
    """Return labels; those with PII are masked."""
    private = {hit.row for hit in hits(blob(labels)) if hit.kind != "private address"}
    return [masked(label) if at in private else label for at, label in enumerate(labels)]


class Digits(NamedTuple):
    """Runs of 13 to 19 digits: row, whether they start like an issuer, whether the check digit is valid."""

    row: Array
    is_card_like: Array
    is_valid: Array
    begin: Array
    length: Array


def digit_runs(texts: Blob) -> Digits:
    """Return the runs of 13 to 19 digits that are not part of a longer word."""
    data, n = texts.data, len(texts.data)
    is_digit = np.zeros(n + 2, bool)
    is_digit[1:-1] = (data >= _ZERO) & (data <= _NINE)
    edge = np.zeros(n + 1, bool)
    edge[texts.offsets] = True
    begin = np.flatnonzero(is_digit[1:] & (~is_digit[:-1] | edge))
    end = np.flatnonzero(is_digit[:-1] & (~is_digit[1:] | edge))
    length = end - begin
    long = (length >= 13) & (length <= _LONGEST)  # noqa: PLR2004 - the shortest cards
    begin, end, length = begin[long], end[long], length[long]
    row = np.searchsorted(texts.offsets, begin, "right") - 1
    before = np.where(begin > texts.offsets[row], data[np.maximum(begin - 1, 0)], 0)
    behind = np.where(end < texts.offsets[row + 1], data[np.minimum(end, n - 1)] if n else 0, 0)
    alone = ~_joins(before) & ~_joins(behind)
    row, begin, length = row[alone], begin[alone], length[alone]
    at = begin[:, None] + np.arange(_LONGEST) - (_LONGEST - length)[:, None]
    inside = np.arange(_LONGEST) >= (_LONGEST - length)[:, None]
    digits = (
        np.where(inside, data[np.clip(at, 0, max(n - 1, 0))] - _ZERO, 0) if n else np.zeros((0, _LONGEST), np.uint8)
    )
    return Digits(row, card_like(digits, length), luhn(digits), begin, length)


def _joins(byte: Array) -> Array:
    """Return whether a byte next to a digit run makes it part of a longer word or number."""
    letter = ((byte | 32) >= ord("a")) & ((byte | 32) <= ord("z"))
    return np.asarray(letter | np.isin(byte, np.frombuffer(b"._-", np.uint8)) | (byte >= 128))  # noqa: PLR2004 - beyond ASCII


def hits(texts: Blob) -> list[Hit]:
    """Return the PII in every text, at most one hit per kind; plain digit runs are not included."""
    found = []
    for kind, searches in CANDIDATES.items():
        detector = DETECTORS[kind]
        for row in texts.rows(np.concatenate([search(texts.data) for search in searches])):
            match = detector.found_in(texts.text(row))
            if match is not None:
                found.append(Hit(int(row), kind, match))
    return found


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
