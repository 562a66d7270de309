"""Latency: how long operations take, with limits that say how much the traces in hand can tell.

Durations go into logarithmic buckets of 2 % (``stats.histograms``), weighted by their trace, so that tables of blocks,
files and machines add up to the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.findings import Shown
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram, bucket_edges
from tracekit.stats.intervals import cluster_sums, clustered_ratio, effective_clusters
from tracekit.stats.quantiles import share_limits
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.traces import TraceSet

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, repr=False)
class Latency(Weighted, Shown):
    """Durations by group.

    Parameters
    ----------
    table
        One row a group, the heaviest first: the keys; ``span_count`` in hand; ``weight_sum``, the spans they stand for;
        ``error_ratio`` of these (``errors`` counts those left out as well) with ``error_ratio_low`` and ``_high``;
        ``p50_ns``, ``p50_low_ns``, ``p50_high_ns`` and the same for p90, p95, p99; ``mean_ns`` and ``max_ns``;
        ``n_effective``, the effective number of traces behind the limits; ``excluded_count``, spans without an end,
        without a start or with the end before the start.
        Limits are for 95 % unless ``level`` says otherwise; NaN where the traces cannot limit that side.
    histogram
        One row a group and bucket: the keys, ``bucket``, ``bucket_low_ns`` (included), ``bucket_high_ns`` (excluded),
        ``weight_sum``.
    statement
        What the weighted figures are about: where the weights came from, or that they are unknown.

    Examples
    --------
    >>> Latency(pd.DataFrame({"span_count": [9], "excluded_count": [1]}), pd.DataFrame())
    Latency(1 groups, 9 spans, 1 excluded)
    """

    table: pd.DataFrame
    histogram: pd.DataFrame
    statement: str = ""

    def __repr__(self) -> str:
        excluded = self.table["excluded_count"].sum()
        left_out = f", {excluded:,} excluded" * bool(excluded)
        return f"Latency({len(self.table):,} groups, {self.table['span_count'].sum():,} spans{left_out})"

    def _repr_html_(self) -> str:
        return f"{self.heading(repr(self))}{self.table.head(10).to_html(index=False, border=0)}"


def latency(
    traces: TraceSet, by: str | Sequence[str] = ("service_name", "operation"), *, level: float = 0.95
) -> Latency:
    """Return quantiles of the durations of spans, by service and operation or any other category.

    Parameters
    ----------
    traces
        Any traces; unchanged.
    by
        Category columns of ``spans``; none for one group of all spans.
    level
        Confidence level of the limits.

    Returns
    -------
    Latency
        ``.table``, ``.histogram``, and in ``.statement`` what the figures are about.

    Raises
    ------
    ValueError
        A column that is no category of ``spans``.

    Notes
    -----
    Spans that cannot be measured are left out and counted; rows that a backend inferred are left out.  Quantiles are
    weighted and at most 2 % off, exact where a bucket holds one distinct value.  Every trace counts as one observation,
    however many spans of the group it has, because spans of a trace are slow together: limits are rather too wide than
    too narrow.  They are order statistics (``stats.quantiles.share_limits``) and never narrower than a bucket.
    The target is the process behind the window: even a complete recording leaves limits.

    Examples
    --------
    Three calls of one ledger: 60 and 80 ns, and one that failed after 400.

    >>> from tracekit import TraceSet
    >>> shop = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": ["a1", "b2", "c3"],
    ...             "span_id": ["1", "2", "3"],
    ...             "service_name": "ledger",
    ...             "name": "charge",
    ...             "status_code": ["OK", "OK", "ERROR"],
    ...             "start_ns": 0,
    ...             "end_ns": [60, 80, 400],
    ...         }
    ...     )
    ... )
    >>> row = latency(shop).table.iloc[0]
    >>> row["p50_ns"].item(), row["p99_ns"].item(), row["max_ns"].item(), round(row["error_ratio"].item(), 2)
    (80.0, 400.0, 400.0, 0.33)

    Three traces cannot limit a p99 from above, and it says so:

    >>> print(row["p99_high_ns"])
    nan
    """
    columns = [by] if isinstance(by, str) else list(by)
    whole = [tabulate(traces, columns)]
    return summarise(whole, columns, level=level, statement=traces.weights.statement)


def tabulate(traces: TraceSet, by: Sequence[str]) -> Aggregate:
    """Return the additive table behind ``latency`` for whole traces.

    Parameters
    ----------
    traces
        A set, or one block of a larger one.
    by
        Category columns of ``spans``.

    Returns
    -------
    Aggregate
        Counts, sums and histogram by these columns.
    """
    rows = np.flatnonzero(~traces.is_inferred)
    group, keys = group_codes({name: traces.codes(name).take(rows) for name in by}, len(rows))
    groups, measured = int(group.max(initial=-1)) + 1, traces.has_duration[rows]
    excluded = np.bincount(group[~measured], minlength=groups)
    group, rows = group[measured], rows[measured]
    trace, weights = traces.forest.trace[rows], traces.weights.value
    sums = cluster_sums(group, trace, traces.is_error[rows], weights, groups)
    histogram = Histogram.of(group, traces.duration_ns[rows], weights[trace])
    return Aggregate(keys, sums | {"excluded_count": excluded}, histogram)


def summarise(tables: Sequence[Aggregate], by: Sequence[str], *, level: float = 0.95, statement: str = "") -> Latency:
    """Return the latencies from the tables of one or more blocks.

    Parameters
    ----------
    tables
        As ``tabulate`` makes them, of disjoint traces.
    by
        The same columns.
    level
        Confidence level.
    statement
        What is known of the weights of all blocks.

    Returns
    -------
    Latency
        As ``latency`` gives it.
    """
    total = Aggregate.concatenate(tables).by(by)
    total = total.ordered(np.argsort(-total.sums["trial_sum"], kind="stable"))
    return Latency(_table(total, level), _histogram(total), statement)


def _table(total: Aggregate, level: float) -> pd.DataFrame:
    """Return one row a group."""
    groups, sums, cells = len(total), total.sums, total.histogram
    ratio, quantiles = limited(sums, cells, groups, level)
    columns = {"span_count": sums["trial_count"], "weight_sum": sums["trial_sum"]} | ratio | quantiles
    columns |= {"mean_ns": cells.means(groups), "max_ns": cells.maxima(groups)}
    columns |= {"n_effective": effective_clusters(sums), "excluded_count": sums["excluded_count"]}
    return pd.DataFrame(total.keys | columns)


def limited(
    sums: Mapping[str, Array], cells: Histogram, groups: int, level: float
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the error ratio and the quantiles of every group, each with its limits, as columns.

    Parameters
    ----------
    sums
        As ``stats.intervals.cluster_sums`` makes them, of traces.
    cells
        Durations of the same groups.
    groups
        Their number.
    level
        Confidence level.

    Returns
    -------
    tuple of dict
        ``error_ratio`` and ``p50_ns`` to ``p99_ns``, each with ``_low`` and ``_high``; as in ``Latency``.
    """
    ratio, n = clustered_ratio(sums, level=level), effective_clusters(sums)
    errors = {"error_ratio": ratio.ratio, "error_ratio_low": ratio.low, "error_ratio_high": ratio.high}
    quantiles: dict[str, Array] = {}
    for (name, share), value in zip(SHARES.items(), cells.quantiles(tuple(SHARES.values()), groups).T, strict=True):
        low, high = cells.limits(*share_limits(share, n, level=level))
        quantiles |= {f"{name}_ns": value, f"{name}_low_ns": low, f"{name}_high_ns": high}
    return errors, quantiles


def _histogram(total: Aggregate) -> pd.DataFrame:
    """Return one row a cell."""
    cells = total.histogram
    low, high = bucket_edges(cells.bucket)
    keys = {name: labels[cells.group] for name, labels in total.keys.items()}
    numbers = {"bucket": cells.bucket, "bucket_low_ns": low, "bucket_high_ns": high, "weight_sum": cells.weight}
    return pd.DataFrame(keys | numbers)
