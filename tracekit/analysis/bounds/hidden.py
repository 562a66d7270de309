"""The hidden requests at their worst: how many of each source of doubt there can be, and the value of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.bounds.limits import EMPTY, NO_ROOT, UNFINISHED, UNTRACED
from tracekit.analysis.bounds.tables import counts_at_worst, most_and_least
from tracekit.stats.worst_case import Masses

if TYPE_CHECKING:
    from tracekit.analysis.bounds.claims import Claim
    from tracekit.analysis.bounds.limits import Limits
    from tracekit.analysis.bounds.unseen import Counted, Unseen
    from tracekit.columns import Array
    from tracekit.stats.worst_case import Figure

_NEAR = 1e-6  # a count so near below an integer is that integer


class Hidden(NamedTuple):
    """What can be hidden.

    Parameters
    ----------
    figure
        Of the recorded requests.
    claim, limits
        The claim, and what is stated about lost requests.
    without_outcome
        Requests without a recorded outcome by their least duration: of the endpoint, and without a root span.
    unseen
        The requests without a usable trace; None if every request has a trace.
    """

    figure: Figure
    claim: Claim
    limits: Limits
    without_outcome: Masses
    unseen: Unseen | None

    def worst(self, *, highest: bool) -> Masses:
        """Return the hidden requests that make the figure as high, or as low, as it can be."""
        fixed, optional = self._recorded(highest=highest)
        if self.unseen is None:
            return self.figure.worst(fixed, optional, highest=highest)
        if len(self.unseen.frames) > 1:
            return self._coupled(fixed, highest=highest)
        more = _separate(self, self.unseen.frames[0], highest=highest)
        return self.figure.worst(fixed + more[0], optional + more[1], highest=highest)

    @property
    def has_status(self) -> bool:
        """Whether requests were counted by status, so that unknown outcomes are not separable from losses."""
        return self.unseen is not None and any(frame.has_status for frame in self.unseen.frames)

    @property
    def pools(self) -> tuple[tuple[int, float], ...]:
        """Recorded requests among those that have no usable trace: source of doubt, and their number."""
        unfinished, rootless = (
            float(self.without_outcome.of_sources([one]).size.sum()) for one in (UNFINISHED, NO_ROOT)
        )
        return (UNFINISHED, unfinished if self.has_status else 0.0), (NO_ROOT, rootless)

    def _recorded(self, *, highest: bool) -> tuple[Masses, Masses]:
        """Return recorded requests of unknown outcome: those of the endpoint, and those that may not be."""
        every = [UNFINISHED, NO_ROOT]
        if self.unseen is not None:
            every = [] if self.has_status else every[:1]
        found = []
        for source in every:
            own = self.without_outcome.of_sources([source])
            low, high = self.limits.value(self.claim, own.value, self.limits.longest_ns)
            value = np.full(len(low), high) if highest else low
            found.append(own._replace(value=value.astype(float)))
        empty = Masses.of([])
        certain = sum(found[:1] if self.claim.place is not None else found, empty)
        return certain, sum(found[1:] if self.claim.place is not None else [], empty)

    def _coupled(self, fixed: Masses, *, highest: bool) -> Masses:
        """Return the hidden requests at their worst where several frames of counts constrain each other."""
        assert self.unseen is not None
        pool = sum(number for _, number in self.pools)
        if self.claim.metric == "failed":
            events = self.figure.sum + float(fixed.value @ fixed.size)
            known = events, self.figure.count + float(fixed.size.sum())
            return fixed + _from_pools(
                counts_at_worst(self.unseen.frames, self.limits, known, pool, highest=highest), self.pools
            )
        most, apart = most_and_least(self.unseen.frames)
        lost, empty = (self.limits.of(self.claim, source)[highest] for source in (UNTRACED, EMPTY))
        every = math.floor(most.sum() + _NEAR)
        if lost != empty:
            return self.figure.worst(*self._apart(fixed, apart, every, pool), highest=highest)
        gone = min(math.floor(most[1] + _NEAR), every)
        found = Masses.of([(lost, every - gone, UNTRACED), (lost, gone, EMPTY)])
        return fixed + _from_pools(found, self.pools)

    def _apart(self, fixed: Masses, apart: Array, every: int, pool: float) -> tuple[Masses, Masses]:
        """Return the hidden requests that make the figure high where ``always_recorded`` limits most, but not all.

        The fewest that it limits count in any case, and the most that it does not: each number is extreme by itself.
        """
        lost, empty = (self.limits.of(self.claim, source)[1] for source in (UNTRACED, EMPTY))
        gone, free = min(every, math.floor(apart[1] + _NEAR)), min(pool, every)
        rest = max(math.ceil(apart[0] - _NEAR) - free, 0.0)
        certain = Masses.of([(empty, gone, EMPTY), (lost, rest, UNTRACED)]) + _pool_masses(self.pools, free, empty)
        others = Masses.of([(lost, max(every - gone - free - rest, 0.0), UNTRACED)])
        return fixed + certain, others


def _separate(hidden: Hidden, frame: Counted, *, highest: bool) -> tuple[Masses, Masses]:
    """Return the hidden requests of one frame that count in any case, and those that may not be of the endpoint."""
    left = dict(hidden.pools)
    groups: tuple[list[tuple[float, float, int]], ...] = ([], [])
    for is_5xx, is_certain, is_empty, count in unseen_groups(frame):
        rest = count
        for source in () if is_empty or (is_5xx and hidden.claim.metric == "failed") else (UNFINISHED, NO_ROOT):
            part = min(rest, left[source])
            left[source] -= part
            rest -= part
            groups[not is_certain].append((hidden.limits.of(hidden.claim, source)[highest], part, source))
        source = EMPTY if is_empty else UNTRACED
        value = hidden.limits.of(hidden.claim, source, is_5xx=is_5xx)[highest]
        groups[not is_certain].append((value, rest, source))
    return Masses.of(groups[0]), Masses.of(groups[1])


def unseen_groups(frame: Counted) -> list[tuple[bool, bool, bool, float]]:
    """Return the requests without a usable trace: status 5xx, certainly of the endpoint, in a window without traces."""
    rows = frame.rows[frame.rows["may_be_in_place"].to_numpy(bool)]
    sums = rows.groupby(["is_failed", "is_empty"])["unseen_count"].sum()
    return [(bool(key[0]), frame.is_determined, bool(key[1]), float(many)) for key, many in sums.items()]  # type: ignore[index]  # pairs


def _from_pools(masses: Masses, pools: tuple[tuple[int, float], ...]) -> Masses:
    """Return masses of which some requests are those that were recorded without an outcome, the most extreme first."""
    found = masses
    for source, number in pools:
        left, rows = number, []
        for value, count, own in zip(*(column.tolist() for column in found), strict=True):
            part = min(left, count) if own == UNTRACED else 0.0
            left -= part
            rows += [(value, part, source), (value, count - part, own)]
        found = Masses.of(rows)
    return found


def _pool_masses(pools: tuple[tuple[int, float], ...], most: float, value: float) -> Masses:
    """Return up to so many of the requests that were recorded without an outcome."""
    rows, left = [], most
    for source, number in pools:
        part = min(left, number)
        left -= part
        rows.append((value, part, source))
    return Masses.of(rows)


def strata(unseen: Unseen) -> pd.DataFrame:
    """Return requests and traces by stratum and window of each frame that may be of the endpoint."""
    found = []
    for number, frame in enumerate(unseen.frames, 1):
        rows = frame.rows[frame.rows["may_be_in_place"].to_numpy(bool)]
        times = rows[["start_ns", "end_ns"]] if frame.has_time else rows[[]]
        counts = rows[["request_count", "trace_count", "unseen_count"]]
        found.append(pd.concat([rows[list(frame.dimensions)], times, counts], axis=1).assign(frame=number))
    table = pd.concat(found, ignore_index=True)
    table = table.drop(columns="frame") if len(unseen.frames) == 1 else table
    return table.sort_values("unseen_count", ascending=False, kind="stable", ignore_index=True)
