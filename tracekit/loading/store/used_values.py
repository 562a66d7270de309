"""The distinct attributes that the spans of a piece of a part have: numbered anew, and of each column only theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.columns import Array


@dataclass(frozen=True)
class UsedValues:
    """Some of the distinct attributes of a part.

    Parameters
    ----------
    codes
        Their codes in the part, ascending.
    new
        int32, one per distinct attribute of the part: the code in the piece, -1 for those that are not used.
    groups
        By row group of the distinct attributes that has any of them: its number, and their rows in it.
    """

    codes: Array
    new: Array
    groups: list[tuple[int, Array]]

    @classmethod
    def of(cls, used: Iterable[Array], group_starts: Array) -> UsedValues:
        """Return them from the codes of attributes, and the first code of each row group with their number at the end.

        Examples
        --------
        >>> found = UsedValues.of([np.array([7, 1]), np.array([4, 7])], np.array([0, 4, 6, 8]))
        >>> found.codes.tolist(), found.new.tolist()
        ([1, 4, 7], [-1, 0, -1, -1, 1, -1, -1, 2])
        >>> [(number, rows.tolist()) for number, rows in found.groups]
        [(0, [1]), (1, [0]), (2, [1])]
        """
        is_used = np.zeros(int(group_starts[-1]), bool)
        for each in used:
            is_used[each] = True
        codes = np.flatnonzero(is_used)
        new = np.full(len(is_used), -1, np.int32)
        new[codes] = np.arange(len(codes), dtype=np.int32)
        cuts = np.searchsorted(codes, group_starts)
        groups = [
            (number, codes[low:high] - group_starts[number])
            for number, (low, high) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
            if high > low
        ]
        return cls(codes, new, groups)

    def column(self, read: Callable[[list[int]], pa.ChunkedArray]) -> pa.ChunkedArray:
        """Return a column of theirs from what returns it of row groups, which are read one after the other."""
        found = [read([number]).take(rows) for number, rows in self.groups] or [read([])]
        return pa.chunked_array([chunk for each in found for chunk in each.chunks], found[0].type)
