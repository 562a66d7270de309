"""Search for PII in many texts: a byte prefilter, then patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.byte_sequences import ANY, DIGIT, ByteSearches, Search, Steps, both_cases, is_in, sequence, word
from tracekit.redaction.numbers import IBAN_ALL_DIGITS, IBAN_LENGTHS, card_like, luhn
from tracekit.redaction.patterns import DETECTORS, masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from tracekit.columns import Array

_ZERO = 48
_SHORTEST, _LONGEST = 13, 19  # digits of a card
_LETTERS = 26


class Blob(NamedTuple):
    """Concatenated texts: text i is ``data[offsets[i]:offsets[i + 1]]`` in UTF-8."""

    data: Array
    offsets: Array

    def text(self, row: int) -> str:
        """Return one text."""
        return bytes(self.data[self.offsets[row] : self.offsets[row + 1]]).decode("utf-8", "replace")


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
    begin, end = _long_runs(texts)
    length = end - begin
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


def _long_runs(texts: Blob) -> tuple[Array, Array]:
    """Return begin and end of all runs of 13 to 19 digits, of which each covers a multiple of 13."""
    data = texts.data
    at = _SHORTEST * np.flatnonzero(is_in(data[::_SHORTEST], DIGIT))
    at = at[_are_digits(data, at, -1) | _are_digits(data, at, 1)]
    begin, end = _run_around(data, at, np.zeros_like(at), np.full_like(at, len(data)))
    at = at[end - begin >= _SHORTEST]  # few, of which the texts are looked up
    row = np.searchsorted(texts.offsets, at, "right") - 1
    begin, end = _run_around(data, at, texts.offsets[row], texts.offsets[row + 1])
    is_one = (end - begin >= _SHORTEST) & (end - begin <= _LONGEST)
    begin, first = np.unique(begin[is_one], return_index=True)
    return begin, end[is_one][first]


def _are_digits(data: Array, at: Array, step: int) -> Array:
    """Return whether every other one of the six bytes before or behind a position is a digit, as in half of a run."""
    places = (np.clip(at + step * distance, 0, len(data) - 1) for distance in range(2, _SHORTEST // 2 + 1, 2))
    return np.asarray(np.logical_and.reduce([is_in(data[there], DIGIT) for there in places]))


def _run_around(data: Array, at: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return where the digits around some digits begin and end, not beyond limits, nor by more than 19 to each side."""
    return _reached(data, at, low, -1), _reached(data, at, high - 1, 1) + 1


def _reached(data: Array, at: Array, last: Array, step: int) -> Array:
    """Return the last digit that only digits are before, from some positions on in one direction."""
    reached, going = at.copy(), np.arange(len(at))
    for _ in range(_LONGEST):
        going = going[reached[going] != last[going]]
        going = going[is_in(data[reached[going] + step], DIGIT)]
        reached[going] += step
        if not len(going):
            break
    return reached


def _joins(byte: Array) -> Array:
    """Return whether a byte next to a digit run makes it part of a longer word or number."""
    letter = ((byte | 32) >= ord("a")) & ((byte | 32) <= ord("z"))
    return np.asarray(letter | np.isin(byte, np.frombuffer(b"._-", np.uint8)) | (byte >= 128))  # noqa: PLR2004 - beyond ASCII


def hits(texts: Blob) -> list[Hit]:
    """Return the PII in every text, at most one hit per kind; plain digit runs are not included."""
    found = []
    for kind, rows in candidates(texts).items():
        detector = DETECTORS[kind]
        for row in rows:
            match = detector.found_in(texts.text(row))
            if match is not None:
                found.append(Hit(int(row), kind, match))
    return found


def candidates(texts: Blob) -> dict[str, Array]:
    """Return by kind the texts that may contain it, ascending: a fast search that misses none."""
    return _CANDIDATES.rows(texts.data, texts.offsets)


def _pairs(names: Iterable[str]) -> Array:
    """Return which pairs of letters, as numbers to the base 26, are country codes."""
    known = np.zeros(_LETTERS**2, bool)
    known[[(ord(name[0]) - ord("A")) * _LETTERS + ord(name[1]) - ord("A") for name in names]] = True
    return known


_COUNTRIES, _IN_DIGITS = _pairs(IBAN_LENGTHS), _pairs(IBAN_ALL_DIGITS)


def _ibans(data: Array) -> Array:
    """Return positions of a country code, two check digits, and digits if the country uses only digits."""
    letter, digit = (data | 32) - ord("a"), is_in(data, DIGIT)
    found = (letter[:-7] < _LETTERS) & (letter[1:-6] < _LETTERS) & digit[2:-5] & digit[3:-4]
    at = np.flatnonzero(found)
    country = letter[at].astype(np.int64) * _LETTERS + letter[at + 1]
    return np.asarray(at[_COUNTRIES[country] & (~_IN_DIGITS[country] | (digit[at + 6] & digit[at + 7]))])


def _iban(country: str) -> Steps:
    """Return the sequence of which ``_ibans`` finds the positions, of one country."""
    first, second = (both_cases(ord(letter)) for letter in country)
    digits = ((6, DIGIT), (7, DIGIT)) if country in IBAN_ALL_DIGITS else ((7, ANY),)
    return ((1, second), (2, DIGIT), (0, first), (3, DIGIT), *digits)


_BEHIND_KEY = b"=:\"' "
_CANDIDATES = ByteSearches(
    {
        "email": (sequence((0, b"@")), sequence((0, b"%"), (1, b"4"), (2, b"0"))),
        "phone number": (sequence((0, b"+"), (1, DIGIT)),),
        "payment card": (
            sequence(
                (0, b" .-"), (-4, DIGIT), (-1, DIGIT), (1, DIGIT), (4, DIGIT), (-2, DIGIT), (2, DIGIT), (3, DIGIT)
            ),
            sequence((0, b"\xc2"), (1, b"\xa0"), (-4, DIGIT), (-1, DIGIT), (2, DIGIT), (5, DIGIT)),
        ),
        "IBAN": (Search(_ibans, tuple(map(_iban, IBAN_LENGTHS))),),
        "social security number": (
            sequence((0, b"-"), (3, b"-"), (-3, DIGIT), (-1, DIGIT), (1, DIGIT), (2, DIGIT), (7, DIGIT)),
        ),
        "JSON web token": (sequence((0, b"e"), (1, b"y"), (2, b"J")),),
        "AWS access key": (sequence((0, b"A"), (1, b"KS"), (2, b"I"), (3, b"A")),),
        "API token": (
            sequence((0, b"_"), (-3, b"g"), (-2, b"h")),
            sequence((0, b"_"), (-1, b"b"), (-2, b"u"), (1, b"p")),
            sequence((0, b"-"), (-1, b"t"), (-2, b"a"), (-3, b"p"), (-4, b"l")),
            sequence((0, b"x"), (1, b"o"), (2, b"x")),
            sequence((0, b"A"), (1, b"I"), (2, b"z")),
            sequence((0, b"_"), (-1, b"k"), (1, b"l"), (2, b"i")),
            sequence((0, b"_"), (-1, b"m"), (-2, b"p")),
        ),
        "private key": (sequence((0, b"-"), (1, b"-"), (2, b"B"), (3, b"E")),),
        "secret in a parameter": (
            word(b"token", 2, _BEHIND_KEY),
            word(b"key", 0, _BEHIND_KEY),
            word(b"secret", 2, _BEHIND_KEY),
            word(b"password", 4, _BEHIND_KEY),
            word(b"passwd", 4, _BEHIND_KEY),
            word(b"pwd", 1, _BEHIND_KEY),
            word(b"signature", 2, _BEHIND_KEY),
            word(b"sig", 2, _BEHIND_KEY),
        ),
        "credentials": (word(b"bearer", 0, b" "), word(b"basic", 0, b" ")),
        "password in an address": (sequence((0, b"@")),),
        "private address": (
            sequence((0, b"."), (-1, DIGIT), (1, DIGIT)),
            sequence((0, b":"), (-4, b"fF"), (-3, b"cCdDeE")),
        ),
    }
)
"""By kind: alternative searches; none misses a text with the kind."""
