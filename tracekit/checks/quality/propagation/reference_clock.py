"""Times of spans on a reference clock, from the clock skew that calls prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.columns import Array

_CENTRAL = (0.05, 0.95)  # quantiles over time: drift widens the interval, a few wrong windows do not


class ReferenceClock(NamedTuple):
    """Limits of the offset of every span's clock from the reference, in ns; positive if it is ahead."""

    low: Array
    high: Array

    def widest(self, rows: Array, start: Array, end: Array) -> tuple[Array, Array]:
        """Return the earliest starts and the latest ends of spans."""
        return start - self.high[rows], end - self.low[rows]

    def narrowest(self, rows: Array, start: Array, end: Array) -> tuple[Array, Array]:
        """Return the latest starts and the earliest ends of spans."""
        return start - self.low[rows], end - self.high[rows]


def reference_clock(skew: ClockSkew) -> ReferenceClock:
    """Return the offset of every span's clock.

    A pair of clocks with an interval that includes 0 counts as synchronous, any other has the offset of its interval
    (the central 90% of its limits over time).  Offsets are summed along the pairs with the narrowest intervals.  Clocks
    without calls between them count as synchronous.

    Source: a minimum spanning tree of the widths of ``tk.clock_skew(traces).pairs``.
    """
    clock, names = skew.estimate.clock, {name: at for at, name in enumerate(skew.estimate.clock.labels)}
    size = len(names) + 1  # the last entry: spans without a clock
    low, high = np.zeros((2, size), np.int64)
    known = skew.pairs[skew.pairs["is_pooled"] & skew.pairs["low_ns"].notna()]
    if len(known):
        by = known.groupby(["host", "peer_host"])
        least, most = by["low_ns"].quantile(_CENTRAL[0]), by["high_ns"].quantile(_CENTRAL[1])
        one, other = (np.array([names[name] for name in least.index.get_level_values(at)]) for at in (0, 1))
        limits = np.stack((least.to_numpy(np.float64), most.to_numpy(np.float64))).astype(np.int64)
        limits[:, (limits[0] <= 0) & (limits[1] >= 0)] = 0
        low, high = _summed(size, one, other, limits)
    return ReferenceClock(low[clock.codes], high[clock.codes])


def _summed(size: int, one: Array, other: Array, limits: Array) -> tuple[Array, Array]:
    """Return the limits of each clock's offset (ns) from the first clock that it is connected with."""
    low, high = np.zeros((2, size), np.int64)
    width = sparse.csr_matrix((limits[1] - limits[0] + 1.0, (one, other)), shape=(size, size))
    tree = minimum_spanning_tree(width)
    edge = {(int(a), int(b)): limits[:, at] for at, (a, b) in enumerate(zip(one, other, strict=True))}
    _, member = connected_components(tree, directed=False)
    for begin in np.unique(member, return_index=True)[1]:
        order, before = breadth_first_order(tree, int(begin), directed=False)
        for node in order[1:].tolist():
            above = int(before[node])
            least, most = edge[above, node] if (above, node) in edge else -edge[node, above][::-1]
            low[node], high[node] = low[above] + least, high[above] + most
    return low, high
