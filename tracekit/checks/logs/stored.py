"""Log lines joined with the traces of a store: by trace id only, with the traces that the lines name.

A line without a trace id can be joined by time only if all requests that were open are known, which needs all traces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.logs.match import found_in
from tracekit.checks.drawn import Drawn, drawn_among
from tracekit.checks.logs.join import joined, sides_of
from tracekit.checks.overview import overview
from tracekit.weights.comparability import comparability

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.logs.result import Logs
    from tracekit.columns import Array
    from tracekit.loading.logs.table import LogLines
    from tracekit.traces import TraceSet


class StoredLogs(NamedTuple):
    """Log lines joined with traces of which some are in a store.

    Parameters
    ----------
    logs
        The lines, joined by id with the traces that they name.
    line_count, without_id_count
        Lines, and those of them without a trace id, which are not joined.
    current, baseline
        The traces that lines name; of more than a limit, a random sample of them.
    """

    logs: Logs
    line_count: int
    without_id_count: int
    current: Drawn
    baseline: Drawn | None


@dataclass(frozen=True, eq=False)
class Named:
    """Returns the traces that lines name: by whole ids, and by the lower half of those of 64 bits.

    Parameters
    ----------
    high, low
        The halves of the ids, each once.
    """

    high: Array
    low: Array

    @classmethod
    def by(cls, lines: LogLines) -> Named:
        """Return what chooses the traces of these lines."""
        high, low = (lines.frame[name].to_numpy(np.uint64) for name in ("trace_hi", "trace_lo"))
        both = np.unique(np.stack([high, low], axis=1)[(high != 0) | (low != 0)], axis=0)
        return cls(both[:, 0], both[:, 1])

    def __call__(self, traces: TraceSet) -> TraceSet:
        """Return those of some traces."""
        spans, first = traces.columns.spans, traces.forest.starts[:-1]
        high, low = spans.trace_hi[first], spans.trace_lo[first]
        is_named = found_in((self.high, self.low), (high, low)) >= 0
        is_named |= np.isin(low, self.low[self.high == 0])
        return traces.where(is_named[traces.forest.trace])


def stored_logs(case: Case, lines: LogLines) -> StoredLogs:
    """Return log lines joined with traces and a baseline of which at least one is a store.

    Parameters
    ----------
    case
        The traces, with their baseline if there is one.
    lines
        The log lines of both.
    """
    named, earlier = Named.by(lines), case.baseline
    now = drawn_among(case.source, named)
    before = None if earlier is None else drawn_among(earlier.source, named)
    join = partial(joined, tolerance_ns=0, by_time=False)
    frame = lines.frame
    without = int(((frame["trace_hi"] == 0) & (frame["trace_lo"] == 0)).sum())
    if earlier is None or before is None:
        return StoredLogs(join(now.traces, lines), len(frame), without, now, None)
    periods = case.result(overview).period_ns, earlier.result(overview).period_ns
    ours, theirs = sides_of(now.traces, before.traces, lines, periods)
    compared = comparability(earlier.source, case.source).is_comparable
    found = join(now.traces, ours, join(before.traces, theirs), is_comparable=compared)
    return StoredLogs(found, len(frame), without, now, before)
