"""Short sequences of bytes, searched for in many texts at once: no text becomes one of Python.

Of each sequence several bytes may be allowed at every place.  With the extension all are searched for in one pass, and
otherwise with numpy one after the other: the rows are the same.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracekit.schema import Array

DIGIT = b"0123456789"
ANY = bytes(range(256))
Steps = tuple[tuple[int, bytes], ...]
"""Distances from the place of a sequence, and the bytes that are allowed there; one distance is 0.

The extension looks at all steps where the first one fits, and the next later one that is one byte behind it: rare bytes
come first.
"""


class Search(NamedTuple):
    """A search for places in bytes: with numpy, and as the sequences that are at these places."""

    positions: Callable[[Array], Array]
    sequences: tuple[Steps, ...]


def sequence(*steps: tuple[int, bytes]) -> Search:
    """Return the search for a sequence whose first step has the distance 0.

    Examples
    --------
    >>> search = sequence((0, b"-"), (-1, DIGIT), (1, DIGIT))
    >>> search.positions(np.frombuffer(b"1-2 a-3 4-", np.uint8))
    array([1])
    """

    def positions(data: Array) -> Array:
        at = np.flatnonzero(is_in(data, steps[0][1]))
        for distance, allowed in steps[1:]:
            there = at + distance
            at = at[(there >= 0) & (there < len(data))]
            at = at[is_in(data[at + distance], allowed)]
        return at

    return Search(positions, (steps,))


def word(letters: bytes, rare: int = 0, behind: bytes = b"") -> Search:
    """Return the search for a word in capitals or not, followed by one of ``behind``; ``rare``: where a rare letter is.

    Examples
    --------
    >>> word(b"pwd", 1, b"=").positions(np.frombuffer(b"pwd pwd=x PWD=y", np.uint8))
    array([ 5, 11])
    """
    steps = [(at - rare, both_cases(letter)) for at, letter in enumerate(letters)]
    last = [(len(letters) - rare, behind)] if behind else []
    return sequence(steps[rare], *last, *steps[:rare], *steps[rare + 1 :])


def both_cases(letter: int) -> bytes:
    """Return a letter as a small one and as a capital."""
    return bytes([letter]).lower() + bytes([letter]).upper()


def is_in(data: Array, allowed: bytes) -> Array:
    """Return whether each byte is allowed."""
    if allowed == DIGIT:
        return np.asarray((data >= allowed[0]) & (data <= allowed[-1]))
    found = data == allowed[0]
    for other in allowed[1:]:
        found = found | (data == other)
    return np.asarray(found)


class ByteSearches:
    """Searches for several kinds of sequences.

    Parameters
    ----------
    searches
        By kind, up to 64, the searches of which one suffices.

    Examples
    --------
    >>> searches = ByteSearches({"mail": (sequence((0, b"@")),), "number": (sequence((0, DIGIT)),)})
    >>> data = np.frombuffer(b"a@ba17", np.uint8)
    >>> searches.rows(data, np.array([0, 3, 4, 6]))
    {'mail': array([0]), 'number': array([2])}
    """

    def __init__(self, searches: Mapping[str, tuple[Search, ...]]) -> None:
        self._searches = searches

    def rows(self, data: Array, offsets: Array) -> dict[str, Array]:
        """Return by kind the texts in which a sequence has its place, ascending; a sequence may go beyond its text.

        Parameters
        ----------
        data
            uint8: the bytes of all texts.
        offsets
            int64: where each text begins, and the number of bytes.

        Returns
        -------
        dict
            An array of rows for every kind.
        """
        from tracekit.loading.native import compiled  # noqa: PLC0415 - the loaders build on this module

        extension = compiled()
        if extension is None:
            return {
                kind: np.unique(np.searchsorted(offsets, np.concatenate(places), "right") - 1)
                for kind, searches in self._searches.items()
                for places in [[search.positions(data) for search in searches]]
            }
        marks = np.empty(len(offsets) - 1, np.uint64)
        extension.sequences(*self._table, offsets, data, marks)
        found = np.flatnonzero(marks)
        marks = marks[found]
        return {kind: found[(marks & np.uint64(1 << bit)) != 0] for bit, kind in enumerate(self._searches)}

    @cached_property
    def _table(self) -> tuple[Array, Array, Array, Array]:
        """The sequences for the extension: sets of allowed bytes, steps, their number by sequence, and its kind."""
        sets: dict[bytes, int] = {}
        steps, counts, marks = [], [], []
        for bit, searches in enumerate(self._searches.values()):
            for one in (one for search in searches for one in search.sequences):
                steps += [(distance, sets.setdefault(allowed, len(sets))) for distance, allowed in one]
                counts.append(len(one))
                marks.append(1 << bit)
        flags = np.zeros((len(sets), 256), np.uint8)
        for allowed, number in sets.items():
            flags[number, list(allowed)] = 1
        return flags, np.array(steps, np.int32), np.array(counts, np.int32), np.array(marks, np.uint64)
