"""Lists of attributes by row: their codes one after the other, and where those of each row begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.stats.grouping import counted

if TYPE_CHECKING:
    from tracekit.schema import Array

_STEP = 65_536
_ROWS = 8192  # whose attributes are added up at once


@dataclass(frozen=True, slots=True)
class Ragged:
    """Attribute codes of each row: ``codes[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> Ragged(np.array([0, 2, 2]), np.array([7, 9])).of(0)
    array([7, 9])
    """

    offsets: Array
    codes: Array

    @classmethod
    def empty(cls, rows: int = 0) -> Ragged:
        """Return a table of rows without attributes."""
        return cls(np.zeros(rows + 1, np.int64), np.zeros(0, np.int32))

    @classmethod
    def from_counts(cls, counts: Array, codes: Array) -> Ragged:
        """Return the table in which row i has the next ``counts[i]`` codes."""
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return cls(offsets, codes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Array:
        """Number of attributes of each row."""
        return np.diff(self.offsets)

    def of(self, row: int) -> Array:
        """Return the codes of one row."""
        return self.codes[self.offsets[row] : self.offsets[row + 1]]

    def positions(self, rows: Array) -> Array:
        """Return the positions in ``codes`` of all attributes of these rows, row after row."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        before = np.cumsum(counts) - counts
        return np.asarray(np.arange(int(counts.sum()), dtype=np.int64) + np.repeat(self.offsets[rows] - before, counts))

    def take(self, rows: Array) -> Ragged:
        """Return the table of these rows, in this order."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        taken = Ragged.from_counts(counts, np.empty(int(counts.sum()), self.codes.dtype))
        for low in range(0, len(rows), _STEP):  # in steps: the positions are twice the size of the codes
            part = slice(taken.offsets[low], taken.offsets[min(low + _STEP, len(rows))])
            taken.codes[part] = self.codes[self.positions(rows[low : low + _STEP])]
        return taken

    def part(self, rows: slice) -> Ragged:
        """Return the table of adjacent rows, without copying codes.

        Examples
        --------
        >>> Ragged(np.array([0, 2, 2, 3]), np.array([7, 9, 8])).part(slice(1, 3))
        Ragged(offsets=array([0, 0, 1]), codes=array([8]))
        """
        offsets = self.offsets[rows.start : rows.stop + 1]
        return Ragged(offsets - offsets[0], self.codes[offsets[0] : offsets[-1]])

    def owners(self) -> Array:
        """Return the row of every code."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.counts)

    def owners_between(self, block: slice) -> Array:
        """Return the rows of adjacent codes.

        Examples
        --------
        >>> Ragged(np.array([0, 2, 2, 5]), np.array([7, 9, 8, 7, 9])).owners_between(slice(1, 4))
        array([0, 2, 2])
        """
        first, last = np.searchsorted(self.offsets, (block.start, block.stop - 1), "right") - 1
        ends = np.clip(self.offsets[first : last + 2], block.start, block.stop)
        return np.repeat(np.arange(first, last + 1), np.diff(ends))

    def pairs(self) -> tuple[Array, Array]:
        """Return row and code of every attribute, in any order: cheaper than by row where they are stored by key."""
        return self.owners(), self.codes

    def spread(self, values: Array) -> tuple[Array, Array]:
        """Return for every attribute the value of its row, and its code, in the order of ``pairs``.

        Examples
        --------
        >>> Ragged(np.array([0, 2, 2, 3]), np.array([7, 9, 8])).spread(np.array([5, 6, 4]))
        (array([5, 5, 4]), array([7, 9, 8]))
        """
        return np.repeat(values, self.counts), self.codes

    def often(self, size: int) -> Array:
        """Return how often each of so many codes occurs.

        Examples
        --------
        >>> Ragged(np.array([0, 2, 2, 3]), np.array([3, 1, 3])).often(5)
        array([0, 1, 0, 2, 0])
        """
        return counted(self.codes, size)

    def having(self, chosen: Array) -> tuple[Array, Array]:
        """Return row and code of the attributes whose codes are chosen, in any order; ``chosen``: bool, one per code.

        Examples
        --------
        >>> Ragged(np.array([0, 2, 2, 3]), np.array([1, 0, 1])).having(np.array([False, True]))
        (array([0, 2]), array([1, 1]))
        """
        at = np.flatnonzero(chosen[self.codes])
        return np.searchsorted(self.offsets, at, "right") - 1, self.codes[at]

    def sums(self, values: Array) -> Array:
        """Return for every row the sum of the values of its codes, modulo 2 ** 64; ``values``: uint64, one per code.

        Examples
        --------
        >>> Ragged(np.array([0, 2, 2, 3]), np.array([1, 0, 1])).sums(np.array([5, 6], np.uint64))
        array([11,  0,  6], dtype=uint64)
        """
        found = np.empty(len(self), np.uint64)
        for low in range(0, len(found), _ROWS):  # what is added up stays in the cache of a processor
            ends = self.offsets[low : low + _ROWS + 1]
            sums = np.zeros(int(ends[-1] - ends[0]) + 1, np.uint64)
            np.cumsum(values[self.codes[ends[0] : ends[-1]]], out=sums[1:])
            found[low : low + _ROWS] = sums[ends[1:] - ends[0]] - sums[ends[:-1] - ends[0]]
        return found

    def stored_of(self, key: int) -> tuple[Array, Array] | None:  # noqa: ARG002 - see ``loading/store/by_key.py``
        """Return rows and codes of the attributes with a key where they are stored by key, None elsewhere."""
        return None


class OutOfOrder(Ragged):
    """Attributes that are not stored by row: what is asked of all of them is worked out in the order of ``pairs``."""

    __slots__ = ()

    def spread(self, values: Array) -> tuple[Array, Array]:
        """Return for every attribute the value of its row, and its code, in the order of ``pairs``."""
        rows, codes = self.pairs()
        return values[rows], codes

    def often(self, size: int) -> Array:
        """Return how often each of so many codes occurs."""
        return counted(self.pairs()[1], size)

    def having(self, chosen: Array) -> tuple[Array, Array]:
        """Return row and code of the attributes whose codes are chosen, in any order."""
        rows, codes = self.pairs()
        at = np.flatnonzero(chosen[codes])
        return rows[at], codes[at]

    def sums(self, values: Array) -> Array:
        """Return for every row the sum of the values of its codes, modulo 2 ** 64."""
        rows, codes = self.pairs()
        found = np.zeros(len(self), np.uint64)
        for low in range(0, len(rows), _STEP):
            part = slice(low, low + _STEP)
            np.add.at(found, rows[part], values[codes[part]])
        return found
