"""``tk.timeline``: requests, latency and errors over time.

A request is the root of a trace. Durations are counted in the logarithmic buckets of ``stats.histograms``, so the same
table yields percentiles by time and the cells of a heat map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.deployments import deployments_of, given_deployments
from tracekit.analysis.latency import error_columns, quantile_columns
from tracekit.analysis.timeline.result import Timeline
from tracekit.analysis.timeline.steps import MOST, places_of, step_of, steps_of
from tracekit.arguments import check_traces
from tracekit.completeness import is_open
from tracekit.grouping import columns_of
from tracekit.schema import Quality
from tracekit.stats.grouping import group_rows, sum_by
from tracekit.stats.histograms import Histogram, bucket_edges
from tracekit.stats.intervals import cluster_sums, effective_clusters
from tracekit.stats.mover import class_cells, weight_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import TraceSet


def timeline(
    traces: TraceSet,
    by: By = (),
    *,
    step_s: float | None = None,
    deployments: pd.DataFrame | Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> Timeline:
    """Return request counts, latency percentiles and error rates by start time.

    Parameters
    ----------
    traces
        The traces; not modified.
    by
        What to group requests by, in addition to the time: columns of ``spans``, attribute keys, ``resource.<key>`` (of
        the root span), ``request.<name>`` (one value per trace) or an aligned Series, see ``tracekit.grouping``.
    step_s
        Length of a step in seconds; default: a round number that results in at most 60 steps.
    deployments
        Deployments, instead of those in ``service.version``: a frame with ``service_name``, ``first_time`` (or
        ``first_ns``, in ns since the epoch) and optionally ``service_version`` and ``previous_version``; or a mapping
        from name to time.  Times are UTC if they have no time zone.
    confidence
        Confidence level of the intervals.

    Returns
    -------
    Timeline
        ``.table``, ``.cells``, ``.deployments``, ``.changes``, ``.affected`` and ``.cohorts()``.

    Raises
    ------
    ValueError
        A step that is not positive, or that results in more than a million rows; a name that no column and no attribute
        has; deployments without a service or with an invalid time.
    TypeError
        Deployments that are neither a frame nor a mapping.

    Notes
    -----
    Percentiles and ratios are weighted, with intervals as in ``latency``: each trace is one observation. Error counts
    and ratios include only requests that have ended. The first version of a service in the data is not a deployment.

    Examples
    --------
    >>> seen = tk.timeline(shop, step_s=1)
    >>> seen
    Timeline(5 requests in 5 steps of 1 s, 1 deployments; sampling weights unknown)
    >>> seen.table["p50_ns"].tolist()
    [40000000.0, 100000000.0, 400000000.0, 160000000.0, 60000000.0]
    >>> seen.deployments[["service_name", "service_version", "previous_version"]].to_numpy().tolist()
    [['ledger', '1.5.0', '1.4.0']]
    """
    check_traces(traces, "timeline")
    root = traces.forest.root_row
    spans = traces.columns.spans
    dated = np.flatnonzero((spans.quality[root] & Quality.NO_START) == 0)
    start = spans.start_ns[root[dated]]
    step = step_of(start, step_s)
    first, steps = steps_of(start, step)
    columns = {name: codes.take(root[dated]) for name, codes in columns_of(traces, by).items()}
    group, keys = group_rows(columns, len(dated))
    if len(keys) * steps > MOST:
        message = f"expected at most {MOST:,} rows of a timeline, found {len(keys):,} groups of {steps:,} steps"
        raise ValueError(f"{message}; group by a name with fewer values, or set a larger step_s")
    place = group * steps + places_of(start, first, step)
    measured = traces.has_duration[root[dated]]
    durations, weights = traces.duration_ns[root[dated]][measured], traces.weights.value[dated[measured]]
    histogram = Histogram.of(place[measured], durations, weights)
    counts = Histogram.of(place[measured], durations, 1.0).weight.astype(np.int64)
    starts = np.tile(first + np.arange(steps, dtype=np.int64) * step, len(keys))
    labels = keys.take(np.repeat(np.arange(len(keys)), steps)).reset_index(drop=True)
    return Timeline(
        pd.concat([labels, _table(traces, starts, place, dated, confidence)], axis=1),
        _cells(labels, starts, histogram, counts),
        deployments_of(traces) if deployments is None else given_deployments(deployments),
        step,
        int((~measured).sum()),
        len(root) - len(dated),
        traces.weights.statement,
        traces,
        confidence,
    )


def _table(traces: TraceSet, starts: Array, place: Array, trace: Array, confidence: float) -> pd.DataFrame:
    """Return one row per step; ``place`` is the step of each trace."""
    steps, row, weights = len(starts), traces.forest.root_row[trace], traces.weights.value
    codes, labels = weight_classes(weights)
    cell, owner, _ = class_cells(place, codes[trace], len(labels))
    measured, ended = np.flatnonzero(traces.has_duration[row]), ~is_open(traces.lookup)[row]
    sums = cluster_sums(cell, trace, traces.is_error[row], weights, len(owner))
    outcomes = cluster_sums(cell[ended], trace[ended], traces.is_error[row[ended]], weights, len(owner))
    timed = cluster_sums(cell[measured], trace[measured], np.zeros(len(measured), bool), weights, len(owner))
    cells = Histogram.of(cell[measured], traces.duration_ns[row[measured]], weights[trace[measured]])
    total = {name: sum_by(owner, values, steps) for name, values in sums.items()}
    columns = {
        "start_ns": starts,
        "start_time": pd.to_datetime(starts, utc=True),
        "trace_count": total["cluster_count"].astype(np.int64),
        "weight_sum": total["trial_sum"],
        "error_count": sum_by(owner, outcomes["event_sum"], steps),
    }
    columns |= error_columns(outcomes, owner, steps, confidence=confidence)
    columns |= quantile_columns(cells, owner, effective_clusters(timed), steps, confidence=confidence)
    return pd.DataFrame(columns | {"n_effective": effective_clusters(total)})


def _cells(labels: pd.DataFrame, starts: Array, histogram: Histogram, counts: Array) -> pd.DataFrame:
    """Return one row per group, step and bucket."""
    low, high = bucket_edges(histogram.bucket)
    keys = labels.take(histogram.group).reset_index(drop=True)
    found = pd.DataFrame(
        {
            "start_ns": starts[histogram.group],
            "bucket": histogram.bucket,
            "bucket_low_ns": low,
            "bucket_high_ns": high,
            "weight_sum": histogram.weight,
            "trace_count": counts,
        }
    )
    return pd.concat([keys, found], axis=1)
