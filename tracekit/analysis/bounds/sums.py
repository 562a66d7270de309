"""What bounds need of the recorded requests, in sums that parts add up to: traces in memory are one part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.bounds.limits import NO_ROOT, UNFINISHED
from tracekit.analysis.bounds.recorded import recorded
from tracekit.analysis.bounds.statements import Longer, NotAsStated, longer_in, not_as_stated_in
from tracekit.analysis.bounds.unseen import seen
from tracekit.analysis.trace_rows import OFTEN, TOOK, Rows
from tracekit.schema import Quality
from tracekit.stats.worst_case import Figure, Masses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.bounds.claims import Claim
    from tracekit.analysis.bounds.limits import Limits
    from tracekit.analysis.bounds.recorded import Endpoints, Recorded
    from tracekit.analysis.bounds.unseen import Seen
    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.counts import Counts

_LATEST: Final = int(np.iinfo(np.int64).max)
_MINUTE_NS: Final = 6e10
_DOWN: Final = 1 - 1 / 512  # a least duration that was rounded may have been rounded up by so much


class RequestSums(NamedTuple):
    """Recorded requests in sums; those of parts add.

    Parameters
    ----------
    values
        Requests that the figure is of: value (``TOOK``), ``side`` of the limits that are asked about, ``weight``.
    without_outcome
        Requests without a recorded outcome: least duration (``TOOK``), ``side``, ``source`` of doubt.
    total, most
        Exact sum of the values, and the largest one.
    first_ns, last_ns
        First and last start of the requests that the figure is of.
    seen
        What the traces say of each frame of request counts.
    left_out_count
        Traces outside of them.
    has_doubt, has_outcome
        Whether any request has no recorded outcome; and any of the endpoint has one.
    endpoints
        What the traces say of the endpoint of the claim.
    longer, otherwise
        Requests that contradict what is stated.
    """

    values: Rows
    without_outcome: Rows
    total: int
    most: float
    first_ns: int
    last_ns: int
    seen: tuple[Seen, ...]
    left_out_count: int
    has_doubt: bool
    has_outcome: bool
    endpoints: Endpoints
    longer: Longer
    otherwise: NotAsStated

    def plus(self, other: RequestSums) -> RequestSums:
        """Return the sums of two parts."""
        return RequestSums(
            self.values.plus(other.values),
            self.without_outcome.plus(other.without_outcome),
            self.total + other.total,
            max(self.most, other.most),
            min(self.first_ns, other.first_ns),
            max(self.last_ns, other.last_ns),
            tuple(one.plus(two) for one, two in zip(self.seen, other.seen, strict=True)),
            self.left_out_count + other.left_out_count,
            self.has_doubt or other.has_doubt,
            self.has_outcome or other.has_outcome,
            self.endpoints.plus(other.endpoints),
            self.longer.plus(other.longer),
            self.otherwise.plus(other.otherwise),
        )

    @property
    def span_ns(self) -> float:
        """Time from the first to the last request that the figure is of; a minute without two."""
        return float(max(self.last_ns - self.first_ns, 0)) or _MINUTE_NS

    def requests(self, claim: Claim) -> pd.DataFrame:
        """Return the requests that the figure is of: distinct ``value`` and ``weight``, with their number."""
        frame = self.values.frame
        value = frame[TOOK].to_numpy(np.float64)
        if self.values.is_rounded:
            value = np.minimum(_clipped(value, frame["side"].to_numpy(), claim.edges), self.most)
            value[value.argmax()] = self.most
        return pd.DataFrame({"value": value, "weight": frame["weight"], OFTEN: frame[OFTEN]})

    def figure(self, claim: Claim) -> Figure:
        """Return the figure of the recorded requests."""
        frame = self.requests(claim).sort_values("value", kind="stable")
        value, often = frame["value"].to_numpy(np.float64), frame[OFTEN].to_numpy(np.int64)
        return Figure(value, claim.share, None if (often == 1).all() else often, float(self.total))

    def masses(self, claim: Claim) -> Masses:
        """Return the requests without a recorded outcome by their least duration, at most too small if rounded."""
        frame = self.without_outcome.frame
        least = frame[TOOK].to_numpy(np.float64)
        if self.without_outcome.is_rounded:
            least = _clipped(least * _DOWN, frame["side"].to_numpy(), claim.edges)
        return Masses(least, frame[OFTEN].to_numpy(np.float64), frame["source"].to_numpy(np.int64))


def _sides(value: Array, edges: Array) -> Array:
    """Return on which side of all edges each value is: even numbers are between two, odd ones on one."""
    return np.asarray(np.searchsorted(edges, value, "left") + np.searchsorted(edges, value, "right"))


def _clipped(value: Array, side: Array, edges: Array) -> Array:
    """Return rounded whole values on the side of the edges where they were before."""
    low = np.append(-math.inf, edges)[(side + 1) // 2]
    high = np.append(edges, math.inf)[side // 2]
    is_on = side % 2 == 1
    return np.where(is_on, low, np.clip(value, np.floor(low) + 1, np.ceil(high) - 1))


@dataclass(frozen=True, eq=False)
class RequestSumsOf:
    """Returns the requests of a part in sums.

    Parameters
    ----------
    claim, limits
        The claim, and what is stated.
    counts
        Request counts.
    ends_last
        As for ``bounds``.
    is_part
        Whether the traces are a part of a store, so that the state is limited in size.
    """

    claim: Claim
    limits: Limits
    counts: Sequence[Counts]
    ends_last: bool
    is_part: bool

    def __call__(self, traces: TraceSet) -> RequestSums:
        """Return those of some traces."""
        found = recorded(traces, self.claim, ends_last=self.ends_last)
        said, is_counted = seen(traces, found, self.counts)
        own = np.flatnonzero(found.is_known & found.in_place & is_counted)
        value, start = found.value[own], traces.columns.spans.start_ns[found.root[own]]
        dated = start[(traces.columns.spans.quality[found.root[own]] & Quality.NO_START) == 0]
        columns = {"weight": traces.weights.value[own], "side": _sides(value, self.claim.edges), TOOK: value}
        known = np.flatnonzero(found.is_known & is_counted)
        return RequestSums(
            self._rows(columns),
            self._rows(self._without_outcome(found, is_counted)),
            int(value.astype(np.int64).sum()),
            float(value.max(initial=0.0)),
            int(dated.min(initial=_LATEST)),
            int(dated.max(initial=-_LATEST)),
            said,
            int((~is_counted).sum()),
            bool((found.is_unfinished | ~found.has_root).any()),
            bool((found.is_known & found.in_place).any()),
            found.endpoints,
            longer_in(traces, found.root[known], known, self.limits),
            not_as_stated_in(traces, found.root[known], known, self.limits),
        )

    def _rows(self, columns: dict[str, Array]) -> Rows:
        """Return rows, distinct ones of a part."""
        rows = Rows.of(columns)
        return rows.distinct() if self.is_part else rows

    def _without_outcome(self, found: Recorded, is_counted: Array) -> dict[str, Array]:
        """Return the requests without a recorded outcome: of the endpoint, and without a root span."""
        unfinished, rootless = np.flatnonzero(found.is_unfinished & found.in_place & is_counted), ~found.has_root
        rows = np.concatenate([unfinished, np.flatnonzero(rootless)])
        source = np.repeat([UNFINISHED, NO_ROOT], [len(unfinished), int(rootless.sum())])
        least = found.least_ns[rows] if self.claim.metric != "failed" else np.zeros(len(rows))
        return {"source": source, "side": _sides(least, self.claim.edges), TOOK: least}
