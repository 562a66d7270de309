"""Search for PII in many texts: a byte prefilter, then patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.checks.quality.pii.candidates import CANDIDATES
from tracekit.checks.quality.pii.numbers import card_like, luhn
from tracekit.checks.quality.pii.patterns import DETECTORS, masked

if TYPE_CHECKING:
    from tracekit.columns import Array

_ZERO, _NINE = 48, 57
_LONGEST = 19


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
