"""Self time: the part of a span's duration during which none of its children ran.

Self time is the span's duration minus the union of its children's times, each clipped to the span.  If children run
within their parents and one after the other, the self times of a trace sum to its root's duration exactly; concurrent
children make the sum larger.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, overload

import numpy as np

from tracekit.analysis.partials import check_names, over_parts
from tracekit.arguments import check_traces
from tracekit.findings import Shown
from tracekit.forest import blocks, visible_parents
from tracekit.grouping import columns_of
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.text import duration
from tracekit.traces import TraceSet
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.columns import Array, SpanColumns
    from tracekit.forest import Forest
    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.weights.known import WeightTotals

_SAFE = 2.0**62
_BLOCK = 65_536  # spans; a block fits the second-level cache


@dataclass(frozen=True, repr=False)
class SelfTime(Weighted, Shown):
    """Self time of every span.

    Parameters
    ----------
    spans
        One row per span with a usable duration, indexed by ``span_row``: ``trace_id``, ``span_id``, ``service_name``,
        ``operation``, ``duration_ns`` and ``self_time_ns`` (int64), ``weight`` of its trace.
    excluded_count
        Spans without a start or end, or with the end before the start. Spans inferred by a backend are neither in
        ``spans`` nor in this count.
    source
        The traces.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.

    Examples
    --------
    >>> tk.self_time(shop)
    SelfTime(28 spans, 800 ms of self time; sampling weights unknown)
    """

    spans: pd.DataFrame
    excluded_count: int
    source: TraceSet
    statement: str = ""

    def by(self, by: By = "service_name") -> pd.DataFrame:
        """Return the self time by service, operation or any other column or attribute.

        Parameters
        ----------
        by
            Columns of ``spans``, attribute keys, ``resource.<key>``, ``request.<name>`` (one value per trace) or an
            aligned Series, see ``tracekit.grouping``.

        Returns
        -------
        pandas.DataFrame
            The keys; ``span_count`` (recorded); weighted: ``weight_sum``, ``duration_ns``, ``self_time_ns`` (sums) and
            ``self_time_ratio``, the share of total self time. Largest first.

        Raises
        ------
        ValueError
            A name that no column and no attribute has; the message lists similar ones.

        Examples
        --------
        >>> tk.self_time(shop).by("service_name")[["service_name", "self_time_ns"]].to_numpy().tolist()
        [['ledger', 470000000.0], ['shop', 230000000.0], ['cart', 100000000.0]]
        """
        return summarise(tabulate(self.source, by, self.spans["self_time_ns"].to_numpy()))

    def _line(self) -> str:
        """Return the counts in one line."""
        left_out = f", {self.excluded_count:,} excluded" * bool(self.excluded_count)
        return (
            f"SelfTime({len(self.spans):,} spans, {duration(self.spans['self_time_ns'].sum())} of self time{left_out})"
        )

    def _repr_html_(self) -> str:
        top = self.by(["service_name", "operation"]).head(10)
        return f"{self.heading()}{as_html(top)}"


@dataclass(frozen=True, repr=False)
class StoredSelfTime(Weighted, Shown):
    """Self time of the spans of a store, worked out part by part: what ``self_time(store)`` returns.

    Parameters
    ----------
    source
        The store.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    on
        Where parts are read; see ``TraceStore.reduce``.
    """

    source: Parts
    statement: str = ""
    on: On = None

    def by(self, by: By = "service_name") -> pd.DataFrame:
        """Return the self time by service, operation or any other column or attribute; see ``SelfTime.by``."""
        check_names(self.source, by)
        return summarise(over_parts(self.source, partial(tabulate, by=by), merged, on=self.on).state)

    def _line(self) -> str:
        """Return the store in one line."""
        return f"StoredSelfTime({self.source!r})"

    def _repr_html_(self) -> str:
        return self.heading()


@overload
def self_time(traces: TraceSet, *, on: On = None) -> SelfTime: ...
@overload
def self_time(traces: Parts, *, on: On = None) -> StoredSelfTime: ...
def self_time(traces: TraceSet | Parts, *, on: On = None) -> SelfTime | StoredSelfTime:
    """Return the self time of every span.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part when a table is asked for.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    SelfTime or StoredSelfTime
        ``.spans`` and ``.by(...)``; of a store, ``.by(...)``.

    Notes
    -----
    Only the part of a child that overlaps its parent is subtracted. A child without a usable duration is not
    subtracted. Spans inferred by a backend are ignored, so waiting for an uninstrumented dependency is self time of the
    caller.

    Examples
    --------
    >>> tk.self_time(shop.trace("a1")).by("operation")[["operation", "self_time_ns"]].to_numpy().tolist()
    [['GET /items', 20000000.0], ['GET', 10000000.0], ['GET /cart', 10000000.0]]
    """
    check_traces(traces, "self_time")
    if not isinstance(traces, TraceSet):
        return StoredSelfTime(traces, traces.reduce(_totals, operator.add, on=on).statement, on)
    live = ~traces.is_inferred
    measured = live & traces.has_duration
    rows = np.flatnonzero(measured)
    columns = ["trace_id", "span_id", "service_name", "operation"]
    frame = traces.spans.loc[rows, columns].assign(
        duration_ns=traces.duration_ns[rows],
        self_time_ns=self_times(traces)[rows],
        weight=traces.weights.value[traces.forest.trace[rows]],
    )
    return SelfTime(frame, int((live & ~measured).sum()), traces, traces.weights.statement)


def tabulate(traces: TraceSet, by: By, own_ns: Array | None = None) -> Aggregate:
    """Return the additive table behind ``SelfTime.by`` for whole traces; ``own_ns`` of its rows, where known."""
    rows = np.flatnonzero(~traces.is_inferred & traces.has_duration)
    group, keys = group_codes({name: codes.take(rows) for name, codes in columns_of(traces, by).items()}, len(rows))
    weight, count = traces.weights.value[traces.forest.trace[rows]], int(group.max(initial=-1)) + 1
    own = self_times(traces)[rows] if own_ns is None else own_ns
    times = {"duration_ns": traces.duration_ns[rows], "self_time_ns": own}
    sums = {"span_count": np.bincount(group, minlength=count), "weight_sum": sum_by(group, weight, count)}
    sums |= {name: sum_by(group, weight * values, count) for name, values in times.items()}
    return Aggregate(keys, sums, Histogram.empty())


def merged(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the sums of the spans of both."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def summarise(table: Aggregate) -> pd.DataFrame:
    """Return the rows of ``SelfTime.by``, the largest first, then by their names."""
    names = list(table.keys)
    frame = pd.DataFrame(table.keys | table.sums, index=pd.RangeIndex(len(table)))
    total = frame["self_time_ns"].sum()
    frame["self_time_ratio"] = frame["self_time_ns"] / (total if total > 0 else np.nan)
    is_ascending = [False, *(True for _ in names)]
    return frame.sort_values(["self_time_ns", *names], ascending=is_ascending, na_position="first", ignore_index=True)


def _totals(traces: TraceSet) -> WeightTotals:
    """Return the sampling weights of a part in numbers."""
    return traces.weights.totals


def self_times(traces: TraceSet) -> Array:
    """Return the self time of every span as an array, int64 ns."""
    inferred = traces.is_inferred
    return own_times(traces.columns.spans, traces.forest, inferred, traces.has_duration & ~inferred)


def own_times(spans: SpanColumns, forest: Forest, inferred: Array, usable: Array) -> Array:
    """Return self times of span columns, int64 ns."""
    parent, children, offsets = visible_parents(forest.parent_row, inferred), forest.children, forest.child_offsets
    if parent is not forest.parent_row:
        children = np.flatnonzero(parent >= 0)
        children = children[np.argsort(parent[children], kind="stable")]
        offsets = np.searchsorted(parent[children], np.arange(len(parent) + 1))
    own = np.empty(len(parent), np.int64)
    for low, high in blocks(forest.starts, _BLOCK):
        cut = offsets[low : high + 1]
        block = children[cut[0] : cut[-1]].astype(np.int64)
        start = spans.start_ns[low:high]
        end = np.where(usable[low:high], spans.end_ns[low:high], start)
        own[low:high] = end - start - covered_times(parent[block] - low, block - low, cut - cut[0], start, end)
    return own


def first_outside(up: Array, within: Array) -> Array:
    """Return for every span the nearest one, itself or an ancestor, that is not in ``within``."""
    top = np.where(within, up, np.arange(len(up)))
    rows = np.flatnonzero(within)
    while len(rows):
        beyond = top[top[rows]]
        moved = beyond != top[rows]
        top[rows] = beyond
        rows = rows[moved]
    return top


def covered_times(above: Array, children: Array, offsets: Array, start: Array, end: Array) -> Array:
    """Return how long children ran within each span, in ns: the union of their times, clipped to it.

    The times of different parents are shifted to disjoint ranges, so that one running maximum computes all unions.
    """
    covered = np.zeros(len(start), np.int64)
    width = end - start
    for low, high in _fitting(width):
        pairs = slice(offsets[low], offsets[high])
        reached = np.zeros(offsets[high] - offsets[low] + 1, np.int64)
        place = np.cumsum(width[low:high]) - width[low:high] - start[low:high]
        np.cumsum(_additions(above[pairs], children[pairs], place[above[pairs] - low], start, end), out=reached[1:])
        covered[low:high] = np.diff(reached[offsets[low : high + 1] - offsets[low]])
    return covered


def _fitting(width: Array) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows with a total duration below 2^62 ns, or single rows; usually one range."""
    reached, low = np.cumsum(width, dtype=np.float64), 0
    while low < len(width):
        before = reached[low] - width[low]
        high = max(low + 1, int(np.searchsorted(reached, before + _SAFE)))
        yield low, high
        low = high


def _additions(above: Array, children: Array, shift: Array, start: Array, end: Array) -> Array:
    """Return what each child adds to the union of those before it, in ns, with ranges of parents disjoint."""
    low = np.maximum(start[children], start[above])
    low += shift
    high = np.minimum(end[children], end[above])
    high += shift  # may be before the range of its parent: covers nothing then
    np.maximum(low[1:], np.maximum.accumulate(high)[:-1], out=low[1:])
    high -= low
    return np.asarray(np.maximum(high, 0, out=high))
