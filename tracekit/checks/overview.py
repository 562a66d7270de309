"""Figures of the first screen and results shared by the sections; each analysis runs once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.errors import Errors, errors
from tracekit.analysis.latency import Latency, latency
from tracekit.analysis.self_time import SelfTime, self_time
from tracekit.analysis.service_graph.build import ServiceGraph, service_graph
from tracekit.completeness import is_finished
from tracekit.findings import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

ENOUGH = 20  # fewest traces for a usable p95; endpoints with fewer are shown, but never as the slowest


@dataclass(frozen=True)
class Overview:
    """A set of traces with the results of the analyses.

    Parameters
    ----------
    traces
        Any set, also an empty one.
    """

    traces: TraceSet

    @property
    def span_count(self) -> int:
        """Number of spans without inferred ones."""
        return int((~self.traces.is_inferred).sum())

    @cached_property
    def services(self) -> list[str]:
        """Names of the services with spans, sorted."""
        codes, labels = self.traces.codes("service_name")
        used = np.unique(codes[~self.traces.is_inferred])
        return sorted(labels[code] for code in used if code >= 0)

    @property
    def service_count(self) -> int:
        """Number of services with spans."""
        return len(self.services)

    @cached_property
    def period_ns(self) -> tuple[int, int] | None:
        """Earliest and latest known time (ns); None without times."""
        summary = self.traces.summary
        times = np.concatenate([summary[name].dropna().to_numpy(np.int64) for name in ("start_ns", "end_ns")])
        return (int(times.min()), int(times.max())) if len(times) else None

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second of the period, weighted; None without a period."""
        period = self.period_ns
        if period is None or period[1] <= period[0]:
            return None
        return float(self.traces.weights.value.sum()) * 1e9 / (period[1] - period[0])

    @cached_property
    def requests(self) -> Latency:
        """Latency of the requests, all together: one row, or none."""
        return latency(self.traces, by=(), roots=True)

    @cached_property
    def entries(self) -> Latency:
        """Latency of the requests by endpoint: service and operation of their root."""
        return latency(self.traces, roots=True)

    @cached_property
    def operations(self) -> Latency:
        """Latency and errors of all spans by service and operation."""
        return latency(self.traces)

    @cached_property
    def graph(self) -> ServiceGraph:
        """Services and their calls."""
        return service_graph(self.traces)

    @cached_property
    def self_time(self) -> SelfTime:
        """Self time by operation."""
        return self_time(self.traces)

    @cached_property
    def errors(self) -> Errors:
        """Errors by operation."""
        return errors(self.traces)

    @cached_property
    def path(self) -> CriticalPath:
        """Critical path of every request."""
        return critical_path(self.traces)

    @cached_property
    def finished(self) -> Array:
        """bool, one per trace: its request has ended."""
        return is_finished(self.traces.lookup, self.traces.forest)

    @cached_property
    def failed(self) -> Estimate:
        """Error rate of the finished requests; NaN if all weights are 0."""
        return error_rate(self.traces)

    @cached_property
    def slowest_entries(self) -> pd.DataFrame:
        """Rows of ``entries`` with enough traces (all, where none has), the highest p95 first."""
        table = self.entries.table
        table = table[table["p95_ns"].notna()]
        enough = table[table["span_count"] >= ENOUGH]
        return (table if enough.empty else enough).sort_values("p95_ns", ascending=False, kind="stable")

    @cached_property
    def slowest_traces(self) -> pd.DataFrame:
        """``traces.summary`` of the requests with a latency, the slowest first."""
        summary = self.traces.summary
        known = summary[summary["root_duration_ns"].notna()]
        return known.sort_values("root_duration_ns", ascending=False, kind="stable")

    @property
    def recorded(self) -> str:
        """``recorded `` where some sampling weight is unknown, so that sentences say what they describe."""
        return "" if self.traces.weights.known.all() else "recorded "

    @property
    def counted(self) -> str:
        """``recorded `` before counts of requests unless each trace represents itself alone."""
        is_all = self.traces.weights.known.all() and (self.traces.weights.value == 1).all()
        return "" if is_all else "recorded "


def overview(case: Case) -> Overview:
    """Return the traces of a case with the results of the analyses."""
    return Overview(case.traces)


def error_rate(traces: TraceSet, confidence: float = 0.95) -> Estimate:
    """Return the error rate of the finished requests; NaN if all weights are 0."""
    table = errors(traces, by=(), roots=True, confidence=confidence).operations
    if not len(table):
        return Estimate(np.nan, "ratio", np.nan, np.nan, 0)
    row = table.iloc[0]
    value = float(row["error_ratio"])
    return Estimate(
        value, "ratio", float(row["error_ratio_low"]), float(row["error_ratio_high"]), int(row["span_count"])
    )
