"""Timeline: requests, latency and errors over time, and deployments.

A request is the root of a trace. Durations are counted in the logarithmic buckets of ``stats.histograms``, so the same
table yields percentiles by time and the cells of a heat map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.change_points import ONSET, PATH_TIME, RATE, RECOVERY, change_points
from tracekit.analysis.deployments import coinciding, deployments_of, given_deployments, labels_of
from tracekit.analysis.latency import error_columns, quantile_columns
from tracekit.arguments import check_traces
from tracekit.completeness import is_open
from tracekit.findings import Shown
from tracekit.grouping import columns_of
from tracekit.readable_tables import as_html
from tracekit.schema import Quality
from tracekit.stats.grouping import group_rows, sum_by
from tracekit.stats.histograms import Histogram, bucket_edges
from tracekit.stats.intervals import cluster_sums, effective_clusters
from tracekit.stats.mover import class_cells, weight_classes
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.analysis.change_points import Found
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import TraceSet

_BINS = 60
_MOST = 1_000_000  # rows, as in the messages
_SECOND = 1_000_000_000
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)  # s


class Cohorts(NamedTuple):
    """Traces before, during and after a change; together, every trace with a start once."""

    before: TraceSet
    during: TraceSet
    after: TraceSet


@dataclass(frozen=True, repr=False)
class Timeline(Weighted, Shown):
    """Requests over time.

    Parameters
    ----------
    table
        One row per group of ``by`` and time step, including empty ones: the keys; ``start_ns`` and ``start_time``
        (UTC) of the step; ``trace_count``
        (recorded); ``weight_sum``, the estimated number of requests; ``error_count``, ``error_ratio`` with
        ``error_ratio_low`` and ``error_ratio_high``; ``p50_ns``, ``p50_low_ns``, ``p50_high_ns`` and the same for p90,
        p95, p99; ``n_effective``.  NaN for steps without requests and for bounds that are not estimable.
    cells
        One row per group, step and duration bucket: the keys; ``start_ns``, ``bucket``, ``bucket_low_ns``
        (included), ``bucket_high_ns``
        (excluded), ``weight_sum``, ``trace_count``.
    deployments
        One row per version that appeared after another version of the same service: ``service_name``,
        ``service_version``, ``previous_version``, ``first_ns`` and ``first_time`` (UTC) of its first span.  Or those
        given to ``timeline``.
    step_ns
        Length of a step.
    excluded_count
        Requests without a usable duration: counted in ``table``, but not in percentiles and ``cells``.
    undated_count
        Requests without a start: not counted anywhere else.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    source
        The traces; None in a pickled timeline, which has its changes but cannot return cohorts.
    confidence
        Confidence level of the intervals.

    Examples
    --------
    >>> tk.timeline(shop)
    Timeline(5 requests in 41 steps of 0.1 s, 1 deployments; sampling weights unknown)
    """

    table: pd.DataFrame
    cells: pd.DataFrame
    deployments: pd.DataFrame
    step_ns: int
    excluded_count: int = 0
    undated_count: int = 0
    statement: str = ""
    source: TraceSet | None = None
    confidence: float = 0.95

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Onset, peak and recovery of every metric that changed, in the order of time; computed on first access.

        Columns: ``metric`` (``request_rate`` in requests per second, ``error_rate`` of finished requests, ``latency``
        of requests in ns, ``critical_path_time`` per request in ns); ``service_name`` of the critical-path time,
        otherwise missing; ``kind``; ``time_ns`` with ``low_ns`` and ``high_ns``; the means ``before_value`` and
        ``after_value``; ``p_value``, adjusted for all metrics and services (Holm 1979); ``deployment``.

        ``onset`` and ``recovery`` are the steps at which the mean changes, with the interval of the time of the step;
        requests are placed by their start.  A change that lasts to the end has no recovery.  ``peak`` is the part of
        the change (one of about 60 parts of the recording) with the largest deviation: ``after_value`` is its mean, as
        the largest of several too large on average, and the interval is the period of all parts that are not
        significantly lower.

        ``deployment`` names the deployments in the interval, or at most two steps of the timeline before it: that both
        coincide is no proof that one caused the other.

        At most one change per metric is found, the largest; it lasts at least a twelfth of the recording.  It must be
        abrupt: slow swings of the load are not reported.  Not reported either: changes of the mean by less than 10% of
        the latency or the critical-path time, which hosts and caches cause all the time, 25% of the request rate, or
        one percentage point of the error rate.  Times are tested as logarithms above their median, so that few very
        slow requests are no change.  Groups of ``by`` are not distinguished.  Empty if nothing changed; ``tested``
        lists what could not be tested.  See ``stats.change_points`` for the method.

        Examples
        --------
        >>> tk.timeline(shop).changes.empty
        True
        """
        found = self._found.changes
        steps = found["kind"].isin([ONSET, RECOVERY]).to_numpy()
        near = pd.Series(coinciding(found, self.deployments, self.step_ns), found.index, dtype=object)
        return found.assign(deployment=near.where(steps, ""))

    @property
    def tested(self) -> pd.DataFrame:
        """One row per metric and service: ``metric``, ``service_name``, ``request_count``, ``status``, ``p_value``.

        ``status``: ``changed``; ``no significant change``; ``change below the minimum effect``; ``not estimable`` with
        fewer than 200 requests (10 that failed, for the error rate; 200 that wait for the service).  Services
        with less than 1% of all critical-path time are left out.

        Examples
        --------
        >>> tk.timeline(shop).tested["status"].unique().tolist()
        ['not estimable: too few requests']
        """
        return self._found.tested

    @property
    def affected(self) -> pd.DataFrame:
        """Services whose critical-path time per request changed, by the time of the onset.

        Columns: ``service_name``; ``onset_ns`` with ``low_ns`` and ``high_ns``; ``before_value`` and ``after_value`` in
        ns per request; ``p_value``; ``first_position`` and ``last_position``, the positions in the order of onsets that
        the intervals allow, from 1; ``overlaps``, the services whose intervals overlap, which cannot be ordered.

        Examples
        --------
        >>> tk.timeline(shop).affected.empty
        True
        """
        rows = self.changes
        mine = rows[(rows["metric"] == PATH_TIME) & (rows["kind"] == ONSET)].reset_index(drop=True)
        low, high = mine["low_ns"].to_numpy(np.int64), mine["high_ns"].to_numpy(np.int64)
        names = mine["service_name"]
        is_earlier = high[None, :] < low[:, None]  # of the column than of the row
        together = ~(is_earlier | is_earlier.T | np.eye(len(mine), dtype=bool))
        found = mine.rename(columns={"time_ns": "onset_ns"}).drop(columns=["metric", "kind", "deployment"])
        return found.assign(
            first_position=1 + is_earlier.sum(1),
            last_position=len(mine) - is_earlier.sum(0),
            overlaps=pd.Series([tuple(names[each]) for each in together], mine.index, dtype=object),
        )

    def cohorts(self) -> Cohorts:
        """Return the traces before the onset, during the change, and after the recovery.

        With several changes, from the first onset to the last recovery; ``after`` has no traces if any of them lasts to
        the end.  Changes of the request rate count only if nothing else changed, because load varies on its own.

        Returns
        -------
        Cohorts
            ``before``, ``during`` and ``after``; together, every trace with a start once.

        Raises
        ------
        ValueError
            No change was found.

        Notes
        -----
        The steps are estimates: near them, some traces are in the wrong cohort, see ``low_ns`` and ``high_ns``.

        Examples
        --------
        >>> tk.timeline(shop).cohorts()
        Traceback (most recent call last):
        ValueError: expected a change, found none in 5 requests; choose the periods: traces.between(start, end)
        """
        traces = self._traces
        if self.changes.empty:
            message = f"expected a change, found none in {self.table['trace_count'].sum():,} requests"
            raise ValueError(f"{message}; choose the periods: traces.between(start, end)")
        onset, recovery = (None if at is None else pd.Timestamp(at, tz="UTC") for at in self._during)
        before, during = traces.between(None, onset), traces.between(onset, recovery)
        return Cohorts(before, during, traces.head(0) if recovery is None else traces.between(recovery))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the changes and without the traces, which may be large."""
        _ = self.changes
        return {**self.__dict__, "source": None}

    @property
    def _during(self) -> tuple[int, int | None]:
        """The first onset and the last recovery, None without a recovery; there has to be a change."""
        rows = self.changes
        rows = rows[rows["metric"] != RATE] if (rows["metric"] != RATE).any() else rows
        onsets, recoveries = (rows.loc[rows["kind"] == kind, "time_ns"] for kind in (ONSET, RECOVERY))
        return int(onsets.min()), int(recoveries.max()) if len(recoveries) == len(onsets) else None

    @property
    def during_ns(self) -> tuple[int, int]:
        """The first onset and the last recovery, or the end of the last step, in ns since the epoch; 0, 0 for none."""
        if self.changes.empty:
            return 0, 0
        onset, recovery = self._during
        return onset, int(self.table["start_ns"].max()) + self.step_ns if recovery is None else recovery

    @property
    def deployment_names(self) -> list[str]:
        """Name of each deployment: service and version."""
        return labels_of(self.deployments)

    @property
    def is_of_all_traffic(self) -> bool:
        """Whether the sampling weights of all traces are known, so that figures describe all traffic."""
        return self.source is not None and bool(self.source.weights.known.all())

    @cached_property
    def _found(self) -> Found:
        """Changes and the status of every metric."""
        return change_points(self._traces, confidence=self.confidence)

    @property
    def _traces(self) -> TraceSet:
        """The traces; ValueError in a pickled timeline."""
        if self.source is None:
            message = "expected a timeline with its traces, found one without (pickled)"
            raise ValueError(f"{message}; call tk.timeline(traces)")
        return self.source

    @property
    def keys(self) -> list[str]:
        """Names of the groups, the first columns of ``table``; empty without ``by``."""
        return [str(name) for name in self.table.columns[: list(self.table.columns).index("start_ns")]]

    def _line(self) -> str:
        """Return the counts in one line."""
        left_out, count = self.excluded_count + self.undated_count, self.table["trace_count"].sum()
        words = (
            f"{count:,} requests in {self.table['start_ns'].nunique():,} steps of {self.step_ns / _SECOND:g} s",
            *([f"{len(self.table.groupby(self.keys, dropna=False)):,} groups"] if self.keys else []),
            f"{len(self.deployments):,} deployments",
            *([f"{left_out:,} without a start or a duration"] if left_out else []),
        )
        return f"Timeline({', '.join(words)})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(10))}"


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
    step = _step(start, step_s)
    first, steps = _span(start, step)
    columns = {name: codes.take(root[dated]) for name, codes in columns_of(traces, by).items()}
    group, keys = group_rows(columns, len(dated))
    if len(keys) * steps > _MOST:
        message = f"expected at most {_MOST:,} rows of a timeline, found {len(keys):,} groups of {steps:,} steps"
        raise ValueError(f"{message}; group by a name with fewer values, or set a larger step_s")
    place = group * steps + (start - first) // step
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


def _step(start: Array, step_s: float | None) -> int:
    """Return the length of a step in ns."""
    duration = int(start.max() - start.min()) if len(start) else 0
    step_s = _round_step(duration / (_BINS - 1) / _SECOND) if step_s is None else step_s
    if not step_s > 0:
        raise ValueError(f"expected step_s above 0, found {step_s!r}")
    step = max(1, round(step_s * _SECOND))
    if duration // step >= _MOST:
        raise ValueError(
            f"expected step_s that divides {duration / _SECOND:g} s into at most a million steps, found {step_s!r}"
        )
    return step


def _round_step(wanted: float) -> float:
    """Return the next round number of seconds; one second if all requests began at once."""
    if wanted == 0:
        return 1
    power = 10.0 ** np.floor(np.log10(wanted))
    rounds = [power * k for k in (1, 2, 5, 10)] if wanted < 1 else _STEPS
    return float(next((step for step in rounds if step >= wanted), -(-wanted // _STEPS[-1]) * _STEPS[-1]))


def _span(start: Array, step: int) -> tuple[int, int]:
    """Return the start of the first step in ns, and the number of steps."""
    if not len(start):
        return 0, 0
    first = int(start.min()) // step * step
    return first, (int(start.max()) - first) // step + 1


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
