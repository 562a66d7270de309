"""``tk.timeline``: requests, latency and errors over time.

A request is the root of a trace. Durations are counted in the logarithmic buckets of ``stats.histograms``, so the same
table yields percentiles by time and the cells of a heat map.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.deployments import deployments_in, earliest, first_versions, given_deployments
from tracekit.analysis.latency import class_column, error_columns, quantile_columns
from tracekit.analysis.partials import check_names, over_parts
from tracekit.analysis.timeline.result import Timeline
from tracekit.analysis.timeline.steps import MOST, period_of, places_of, step_of, steps_of
from tracekit.arguments import check_traces
from tracekit.completeness import is_open
from tracekit.grouping import columns_of, named
from tracekit.schema import Quality
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram, bucket_edges
from tracekit.stats.intervals import cluster_sums, effective_clusters
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.parts import On, Parts


_STEP = "\0step"  # the key column of the steps; no name of a user


def timeline(
    traces: TraceSet | Parts,
    by: By = (),
    *,
    step_s: float | None = None,
    deployments: pd.DataFrame | Mapping[str, Any] | None = None,
    confidence: float = 0.95,
    on: On = None,
) -> Timeline:
    """Return request counts, latency percentiles and error rates by start time.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part.
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
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

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
    check_names(traces, by)
    period = started_between(traces)
    step = step_of(period, step_s)
    first, steps = steps_of(period, step)
    part = over_parts(traces, partial(tabulate, by=by, first=first, step_ns=step), merged, on=on)
    found, names = part.state, list(named(by))
    keys = pd.DataFrame(found.table.by(names).keys, index=pd.RangeIndex(len(found.table.by(names))), dtype=object)
    if len(keys) * steps > MOST:
        message = f"expected at most {MOST:,} rows of a timeline, found {len(keys):,} groups of {steps:,} steps"
        raise ValueError(f"{message}; group by a name with fewer values, or set a larger step_s")
    starts = np.tile(first + np.arange(steps, dtype=np.int64) * step, len(keys))
    labels = keys.take(np.repeat(np.arange(len(keys)), steps)).reset_index(drop=True)
    return Timeline(
        pd.concat([labels, _table(found.table, names, starts, steps, confidence)], axis=1),
        _cells(labels, starts, *(_by_step(each, names, steps)[1] for each in (found.table, found.counts))),
        deployments_in(found.versions) if deployments is None else given_deployments(deployments),
        step,
        found.excluded_count,
        found.undated_count,
        part.weights.statement,
        traces,
        confidence,
        not part.weights.unknown_count,
        on,
    )


class TimelineSums(NamedTuple):
    """Requests by group and step, in sums.

    Parameters
    ----------
    table
        By group, step and weight class; sums of all requests, of those that have ended, and of those with a duration.
    counts
        Recorded requests with a duration, by the same and duration.
    versions
        First time of each version of each service.
    excluded_count, undated_count
        Requests without a duration, and without a start.
    """

    table: Aggregate
    counts: Aggregate
    versions: pd.DataFrame
    excluded_count: int
    undated_count: int


def tabulate(traces: TraceSet, by: By, first: int, step_ns: int) -> TimelineSums:
    """Return the additive table behind ``timeline`` for whole traces."""
    root, spans, weights = traces.forest.root_row, traces.columns.spans, traces.weights.value
    trace = np.flatnonzero((spans.quality[root] & Quality.NO_START) == 0)
    row = root[trace]
    number, place = np.unique(places_of(spans.start_ns[row], first, step_ns), return_inverse=True)
    columns = {name: codes.take(row) for name, codes in columns_of(traces, by).items()}
    by_step = {_STEP: (place, number.tolist())}
    group, keys = group_codes({**columns, **by_step, **class_column(traces, trace)}, len(row))
    groups = int(group.max(initial=-1)) + 1
    timed, ended = np.flatnonzero(traces.has_duration[row]), np.flatnonzero(~is_open(traces.lookup)[row])
    of_kind = {"": np.arange(len(row)), "ended_": ended, "timed_": timed}
    sums = {
        f"{kind}{name}": values
        for kind, at in of_kind.items()
        for name, values in cluster_sums(group[at], trace[at], traces.is_error[row[at]], weights, groups).items()
    }
    durations = traces.duration_ns[row[timed]]
    return TimelineSums(
        Aggregate(keys, sums, Histogram.of(group[timed], durations, weights[trace[timed]])),
        Aggregate(keys, {"n": np.bincount(group, minlength=groups)}, Histogram.of(group[timed], durations, 1.0)),
        first_versions(traces),
        len(row) - len(timed),
        len(root) - len(trace),
    )


def merged(first: TimelineSums, second: TimelineSums) -> TimelineSums:
    """Return the sums of the requests of both."""
    names = list(first.table.keys)
    return TimelineSums(
        Aggregate.concatenate([first.table, second.table]).by(names),
        Aggregate.concatenate([first.counts, second.counts]).by(names),
        earliest([first.versions, second.versions]),
        first.excluded_count + second.excluded_count,
        first.undated_count + second.undated_count,
    )


def started_between(traces: TraceSet | Parts) -> tuple[int, int] | None:
    """Return the first and the last start of a request, None without any."""
    if not isinstance(traces, TraceSet):
        return traces.period_ns
    root, spans = traces.forest.root_row, traces.columns.spans
    return period_of(spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0])


def _by_step(table: Aggregate, names: Sequence[str], steps: int) -> tuple[Array, Histogram]:
    """Return the row of the timeline that each group of a table belongs to, and the histogram of the rows."""
    group, _ = table.groups(names)
    place = group * steps + table.keys[_STEP].astype(np.int64)
    return place, table.histogram.regroup(place)


def _table(fine: Aggregate, names: Sequence[str], starts: Array, steps: int, confidence: float) -> pd.DataFrame:
    """Return one row per group and step."""
    fine = fine.by([*names, _STEP, WEIGHT_CLASS])
    owner, _ = _by_step(fine, names, steps)
    of_kind = {
        kind: {name.removeprefix(kind): values for name, values in fine.sums.items() if name.startswith(kind)}
        for kind in ("ended_", "timed_")
    }
    total = {name: sum_by(owner, values, len(starts)) for name, values in fine.sums.items()}
    columns = {
        "start_ns": starts,
        "start_time": pd.to_datetime(starts, utc=True),
        "trace_count": total["cluster_count"].astype(np.int64),
        "weight_sum": total["trial_sum"],
        "error_count": total["ended_event_sum"],
    }
    columns |= error_columns(of_kind["ended_"], owner, len(starts), confidence=confidence)
    n = effective_clusters(of_kind["timed_"])
    columns |= quantile_columns(fine.histogram, owner, n, len(starts), confidence=confidence)
    return pd.DataFrame(columns | {"n_effective": effective_clusters(total)})


def _cells(labels: pd.DataFrame, starts: Array, histogram: Histogram, counts: Histogram) -> pd.DataFrame:
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
            "trace_count": counts.weight.astype(np.int64),
        }
    )
    return pd.concat([keys, found], axis=1)
