"""The result of ``tk.timeline``: requests over time, what changed and when, and the traces of each period."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.change_points import ONSET, PATH_TIME, RATE, RECOVERY, change_points
from tracekit.analysis.deployments import coinciding, labels_of
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from tracekit.analysis.change_points import Found
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

_SECOND = 1_000_000_000


class Cohorts(NamedTuple):
    """Traces before, during and after a change; together, every trace with a start once.  Of a store: stores."""

    before: Any
    during: Any
    after: Any


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
    is_of_all_traffic
        Whether the sampling weights of all traces are known, so that figures describe all traffic.
    on
        Where the parts of a store are read for changes.

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
    source: TraceSet | Parts | None = None
    confidence: float = 0.95
    is_of_all_traffic: bool = False
    on: On = None

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
        with less than 1% of all critical-path time are left out.  Of more than 131,072 traces, those that a hash of the
        id selects are examined, in memory and in a store; ``request_count`` is their number, and ``sampled`` says so.

        Examples
        --------
        >>> tk.timeline(shop).tested["status"].unique().tolist()
        ['not estimable: too few requests']
        """
        return self._found.tested

    @property
    def sampled(self) -> tuple[str, ...]:
        """What ``changes`` and ``tested`` are estimated from; empty if from all traces."""
        return self._found.sampled

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
        return {**self.__dict__, "source": None, "on": None}

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

    @cached_property
    def _found(self) -> Found:
        """Changes and the status of every metric."""
        return change_points(self._traces, confidence=self.confidence, on=self.on)

    @property
    def _traces(self) -> Any:
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
