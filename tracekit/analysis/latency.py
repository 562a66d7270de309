"""Latency: percentiles of durations by operation, with confidence intervals.

Durations are counted in logarithmic buckets of 2% (``stats.histograms``), weighted by trace, so that tables of blocks,
files and machines can be summed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_names, over_parts
from tracekit.arguments import check_traces
from tracekit.columns import where
from tracekit.findings import Shown
from tracekit.grouping import columns_of, named
from tracekit.readable_tables import as_html
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram, bucket_edges
from tracekit.stats.intervals import cluster_sums, effective_clusters
from tracekit.stats.mover import WEIGHT_CLASS, weight_classes
from tracekit.stats.quantiles import histogram_limits
from tracekit.stats.weighted_rates import rates
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, repr=False)
class Latency(Weighted, Shown):
    """Latency by group.

    Parameters
    ----------
    table
        One row per group, the largest first: the keys; ``span_count`` (recorded); ``weight_sum``, the estimated number
        of spans; ``error_ratio`` of these (``errors`` includes the excluded ones) with ``error_ratio_low`` and
        ``error_ratio_high``; ``p50_ns``, ``p50_low_ns``, ``p50_high_ns`` and the same for p90, p95, p99; ``mean_ns``
        and ``max_ns``; ``n_effective``, the effective sample size in traces; ``excluded_count``, spans without a start
        or end, or with the end before the start. Intervals are 95% CIs unless ``confidence`` is given; NaN where a
        bound is not estimable.
    histogram
        One row per group and bucket: the keys, ``bucket``, ``bucket_low_ns`` (included), ``bucket_high_ns`` (excluded),
        ``weight_sum``.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    recorded_services
        All services of the recording, which views give their colours: those of a subset are the same.

    Examples
    --------
    >>> tk.latency(shop)
    Latency(8 groups, 28 spans; sampling weights unknown)
    """

    table: pd.DataFrame
    histogram: pd.DataFrame
    statement: str = ""
    recorded_services: tuple[str, ...] = ()

    def _line(self) -> str:
        """Return the counts in one line."""
        excluded = self.table["excluded_count"].sum()
        left_out = f", {excluded:,} excluded" * bool(excluded)
        return f"Latency({len(self.table):,} groups, {self.table['span_count'].sum():,} spans{left_out})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(10))}"


def latency(
    traces: TraceSet | Parts,
    by: By = ("service_name", "operation"),
    *,
    roots: bool = False,
    confidence: float = 0.95,
    on: On = None,
) -> Latency:
    """Return latency percentiles by service and operation, or by any other column or attribute.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part.
    by
        Columns of ``spans``, attribute keys, ``resource.<key>``, ``request.<name>`` (one value per trace) or an aligned
        Series (not with a store), see ``tracekit.grouping``; empty for one group of all spans.
    roots
        Use only root spans: latency of requests, by endpoint.
    confidence
        Confidence level of the intervals.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Latency
        ``.table``, ``.histogram``, ``.statement``.

    Raises
    ------
    ValueError
        A name that no column and no attribute has; the message lists similar ones.

    Notes
    -----
    Spans without a usable duration are excluded and counted; spans inferred by a backend are excluded.
    Percentiles are weighted and accurate to 2%, exact if a bucket contains one distinct value. Intervals treat each
    trace as one observation, however many spans of the group it has, because durations within a trace are correlated:
    they are conservative. They combine the weight classes (``stats.weighted_rates.rates``, ``stats.quantiles``) and are
    never narrower than a bucket. A bound is not estimable if there are too few traces for the percentile, or if more
    than half of the total weight comes from groups of equal sampling weight with an effective sample size below 3.
    Requests of which no trace was kept are not represented. Intervals estimate the latency of the service, not only of
    the recorded window, so they are not zero even if every request was recorded.

    Examples
    --------
    >>> row = tk.latency(shop, roots=True).table.iloc[0]
    >>> row["operation"], row["p50_ns"].item(), row["p99_ns"].item(), row["error_ratio"].item()
    ('POST /pay', 100000000.0, 400000000.0, 0.25)

    Four traces are too few for an upper bound of p99:

    >>> print(row["p99_high_ns"])
    nan
    """
    check_traces(traces, "latency")
    check_names(traces, by)
    part = over_parts(traces, partial(tabulate, by=by, roots=roots), merged, on=on)
    found = summarise([part.state], list(named(by)), confidence=confidence, statement=part.weights.statement)
    return replace(found, recorded_services=part.services)


def tabulate(traces: TraceSet, by: By, *, roots: bool = False) -> Aggregate:
    """Return the additive table behind ``latency`` for whole traces."""
    is_counted = ~traces.is_inferred
    rows = where(is_counted) if not roots else traces.forest.root_row[is_counted[traces.forest.root_row]]
    trace, measured = traces.forest.trace[rows], traces.has_duration[rows]
    columns = {name: codes.take(rows) for name, codes in columns_of(traces, by).items()}
    group, keys = group_codes({**columns, **class_column(traces, trace)}, len(trace))
    groups, kept = int(group.max(initial=-1)) + 1, where(measured)
    excluded = np.bincount(group[~measured], minlength=groups)
    group, trace = group[kept], trace[kept]
    sums = cluster_sums(group, trace, traces.is_error[rows][kept], traces.weights.value, groups)
    histogram = Histogram.of(group, traces.duration_ns[rows][kept], traces.weights.at(trace))
    return Aggregate(keys, sums | {"excluded_count": excluded}, histogram)


def merged(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the table of the traces of both."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def summarise(
    tables: Sequence[Aggregate], by: Sequence[str], *, confidence: float = 0.95, statement: str = ""
) -> Latency:
    """Return the latencies from the tables of one or more blocks."""
    fine = Aggregate.concatenate(tables).by([*by, WEIGHT_CLASS])
    total, owner = fine.by(by), fine.groups(by)[0]
    order = np.argsort(-total.sums["trial_sum"], kind="stable")
    table = _table(fine, total, owner, confidence).take(order).reset_index(drop=True)
    return Latency(table, _histogram(total.ordered(order)), statement)


def _table(fine: Aggregate, total: Aggregate, owner: Array, confidence: float) -> pd.DataFrame:
    """Return one row per group."""
    groups, sums, cells = len(total), total.sums, total.histogram
    columns = {"span_count": sums["trial_count"], "weight_sum": sums["trial_sum"]}
    columns |= error_columns(fine.sums, owner, groups, confidence=confidence)
    columns |= quantile_columns(fine.histogram, owner, effective_clusters(fine.sums), groups, confidence=confidence)
    columns |= {"mean_ns": cells.means(groups), "max_ns": cells.maxima(groups)}
    columns |= {"n_effective": effective_clusters(sums), "excluded_count": sums["excluded_count"]}
    return pd.DataFrame(total.keys | columns)


def class_column(traces: TraceSet, trace: Array) -> dict[str, tuple[Array, list[int]]]:
    """Return the weight class of rows as a column for ``group_codes``."""
    codes, labels = weight_classes(traces.weights.value)
    one = len(labels) == 1 and bool((codes == 0).all())
    return {WEIGHT_CLASS: (np.zeros(1, np.int64) if one else codes[trace], labels)}


def error_columns(sums: Mapping[str, Array], owner: Array, groups: int, *, confidence: float) -> dict[str, Array]:
    """Return the error ratio of every group with its interval, as columns."""
    found = rates(sums, owner, groups, confidence=confidence)
    return {"error_ratio": found.ratio, "error_ratio_low": found.low, "error_ratio_high": found.high}


def quantile_columns(
    cells: Histogram, owner: Array, n: Array, groups: int, *, confidence: float, shares: Mapping[str, float] = SHARES
) -> dict[str, Array]:
    """Return the percentiles of every group with their intervals, as columns, in ns."""
    values = cells.regroup(owner).quantiles(tuple(shares.values()), groups)
    low, high = histogram_limits(cells, owner, n, tuple(shares.values()), groups, confidence=confidence)
    columns: dict[str, Array] = {}
    for at, name in enumerate(shares):
        columns |= {f"{name}_ns": values[:, at], f"{name}_low_ns": low[:, at], f"{name}_high_ns": high[:, at]}
    return columns


def _histogram(total: Aggregate) -> pd.DataFrame:
    """Return one row per group and bucket."""
    cells = total.histogram
    low, high = bucket_edges(cells.bucket)
    keys = {name: pd.Series(labels).array.take(cells.group) for name, labels in total.keys.items()}
    numbers = {"bucket": cells.bucket, "bucket_low_ns": low, "bucket_high_ns": high, "weight_sum": cells.weight}
    return pd.DataFrame(keys | numbers)
