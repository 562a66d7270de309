"""Figures of the first screen and results shared by the sections; each analysis runs once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.critical_path.shares import shares
from tracekit.analysis.critical_path.stored import StoredPaths
from tracekit.analysis.errors import Errors, error_rates, errors, redacted_errors
from tracekit.analysis.latency import Latency, latency
from tracekit.analysis.partials import in_memory, over_parts
from tracekit.analysis.self_time import SelfTime, self_time
from tracekit.analysis.service_graph.build import ServiceGraph, calls_of, graph_of
from tracekit.checks.content import content_of, slowest_first, volume_of
from tracekit.checks.names import KEYS, WAITS
from tracekit.completeness import is_finished
from tracekit.findings import Estimate
from tracekit.self_description import names_of
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.analysis.critical_path.stored import ReadPaths
    from tracekit.analysis.partials import Part
    from tracekit.analysis.service_graph.tables import Tables
    from tracekit.checks.case import Case
    from tracekit.checks.content import Content
    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.redaction.policy import Policy
    from tracekit.weights.known import WeightTotals

ENOUGH = 20  # fewest traces for a usable p95; endpoints with fewer are shown, but never as the slowest


@dataclass(frozen=True)
class Overview:
    """A set of traces with the results of the analyses.

    Parameters
    ----------
    source
        Any set, also an empty one, or a store of traces.
    policy
        What becomes of personal data in exception messages of a store, before they become templates; None to keep it.
    """

    source: TraceSet | Parts
    policy: Policy | None = field(default=None, kw_only=True)

    @property
    def traces(self) -> TraceSet:
        """The traces in memory; TypeError for a store."""
        return in_memory(self.source)

    def having(self, trace_ids: Sequence[str]) -> TraceSet:
        """Return a set with these traces: all of them in memory, of a store those that are named."""
        return self.source if isinstance(self.source, TraceSet) else self.source.traces(trace_ids)

    @property
    def is_stored(self) -> bool:
        """Whether the traces are read part by part."""
        return not isinstance(self.source, TraceSet)

    @cached_property
    def content(self) -> Content:
        """Counts and examples of the recording."""
        return content_of(self.source)

    @property
    def trace_count(self) -> int:
        """Number of traces."""
        return self.weights.trace_count

    @cached_property
    def weights(self) -> WeightTotals:
        """What the sampling weights describe."""
        return self.content.weights if self.is_stored else self.traces.weights.totals

    @property
    def sources(self) -> pd.DataFrame:
        """One row per source."""
        return self.source.sources

    @property
    def issues(self) -> pd.DataFrame:
        """One row per issue."""
        return self.source.issues

    @property
    def source_names(self) -> list[str]:
        """Display names of the sources."""
        return names_of(self.sources)

    @property
    def span_count(self) -> int:
        """Number of spans without inferred ones."""
        return self.content.counts.spans

    @property
    def services(self) -> list[str]:
        """Names of the services with spans, sorted."""
        return list(self.content.services)

    @property
    def service_count(self) -> int:
        """Number of services with spans."""
        return len(self.services)

    @property
    def period_ns(self) -> tuple[int, int] | None:
        """Earliest and latest known time (ns); None without times."""
        return self.content.period_ns

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second of the period, weighted; None without a period."""
        period = self.period_ns
        if period is None or period[1] <= period[0]:
            return None
        return self.weights.weight_sum * 1e9 / (period[1] - period[0])

    @cached_property
    def requests(self) -> Latency:
        """Latency of the requests, all together: one row, or none."""
        return latency(self.source, by=(), roots=True)

    @cached_property
    def entries(self) -> Latency:
        """Latency of the requests by endpoint: service and operation of their root."""
        return latency(self.source, roots=True)

    @cached_property
    def operations(self) -> Latency:
        """Latency and errors of all spans by service and operation."""
        return latency(self.source)

    @cached_property
    def graph(self) -> ServiceGraph:
        """Services and their calls."""
        return self.graph_at(0.95)

    def graph_at(self, confidence: float) -> ServiceGraph:
        """Return services and their calls, with intervals at a confidence level."""
        return graph_of(self._calls, confidence=confidence)

    @cached_property
    def _calls(self) -> Part[Tables]:
        """What the graph is made of."""
        return calls_of(self.source)

    @cached_property
    def self_time(self) -> SelfTime:
        """Self time by operation."""
        return self_time(self.traces)

    @cached_property
    def errors(self) -> Errors:
        """Errors by operation."""
        return self._errors[0]

    @property
    def redacted_messages(self) -> list[str]:
        """Whole exception messages that something was removed from, one for each template."""
        return self._errors[1]

    @cached_property
    def _errors(self) -> tuple[Errors, list[str]]:
        """Errors by operation, and the messages that were redacted."""
        if isinstance(self.source, TraceSet):
            _ = self.paths  # the exceptions need them, too
        if self.policy is None or isinstance(self.source, TraceSet):
            return errors(self.source), []
        return redacted_errors(self.source, self.policy)

    @property
    def path(self) -> CriticalPath:
        """Critical path of every request, span by span; TypeError for a store."""
        if not isinstance(self.paths, CriticalPath):
            in_memory(self.source)
        assert isinstance(self.paths, CriticalPath)
        return self.paths

    @cached_property
    def paths(self) -> CriticalPath | StoredPaths:
        """Critical path of every request, to group by names."""
        return critical_path(self.source)

    @cached_property
    def _read(self) -> ReadPaths | None:
        """The critical paths of a store by operation and callee, read once; None for traces in memory."""
        return self.paths.read([WAITS]) if isinstance(self.paths, StoredPaths) else None

    @property
    def walked(self) -> CriticalPath | ReadPaths:
        """The critical paths of every request as they are compared: by operation and callee."""
        return self.path if self._read is None else self._read

    @cached_property
    def walked_by_service(self) -> CriticalPath | ReadPaths:
        """The critical paths of every request by service; the parts of a store are read for it."""
        return self.paths.read([KEYS[:1]]) if isinstance(self.paths, StoredPaths) else self.paths

    def path_of(self, trace_ids: Sequence[str]) -> CriticalPath:
        """Return critical paths span by span, of a store those of some traces, with the clock offsets of all."""
        if isinstance(self.paths, CriticalPath):
            return self.paths
        return critical_path(self.having(trace_ids), skew=self.paths.offsets or "off")

    @cached_property
    def waits(self) -> pd.DataFrame:
        """Critical-path time by operation and callee; see ``CriticalPath.by``."""
        return shares(self.walked, list(WAITS))

    @property
    def timed_count(self) -> int:
        """Number of requests with a latency, which have a critical path."""
        return len(self.path.latency_ns if self._read is None else self._read.weight)

    def volume(self, first_ns: int, step_ns: int, bars: int) -> tuple[Array, Array]:
        """Return the weights of the requests by start, and of those of them that failed, for bars of equal length."""
        both = over_parts(self.source, partial(volume_of, first_ns=first_ns, step_ns=step_ns, bars=bars), np.add).state
        return both[0], both[1]

    @cached_property
    def finished(self) -> Array:
        """bool, one per trace: its request has ended."""
        return is_finished(self.traces.lookup, self.traces.forest)

    @cached_property
    def failed(self) -> Estimate:
        """Error rate of the finished requests; NaN if all weights are 0."""
        return error_rate(self.source)

    @cached_property
    def slowest_entries(self) -> pd.DataFrame:
        """Rows of ``entries`` with enough traces (all, where none has), the highest p95 first."""
        table = self.entries.table
        table = table[table["p95_ns"].notna()]
        enough = table[table["span_count"] >= ENOUGH]
        return (table if enough.empty else enough).sort_values("p95_ns", ascending=False, kind="stable")

    @property
    def slowest_condition(self) -> str:
        """The condition that the requests of the first of ``slowest_entries`` meet."""
        entry = self.slowest_entries.iloc[0]
        return f"depth == 0 and service_name == {entry['service_name']!r} and operation == {entry['operation']!r}"

    @cached_property
    def slowest_requests(self) -> TraceSet | Parts:
        """The traces of these requests, of which several checks ask the same columns."""
        return self.source.where(self.slowest_condition)

    @cached_property
    def slowest_traces(self) -> pd.DataFrame:
        """``traces.summary`` of the requests with a latency, the slowest first; of a store, as many as are listed."""
        return self.content.slowest if self.is_stored else slowest_first(self.traces.summary)

    @property
    def recorded(self) -> str:
        """``recorded `` where some sampling weight is unknown, so that sentences say what they describe."""
        return "recorded " if self.weights.unknown_count else ""

    @property
    def counted(self) -> str:
        """``recorded `` before counts of requests unless each trace represents itself alone."""
        is_all = not self.weights.unknown_count and self.weights.one_count == self.trace_count
        return "" if is_all else "recorded "


def overview(case: Case) -> Overview:
    """Return the traces of a case with the results of the analyses."""
    return Overview(case.source, policy=case.policy)


def error_rate(traces: TraceSet | Parts, confidence: float = 0.95) -> Estimate:
    """Return the error rate of the finished requests; NaN if all weights are 0."""
    table = error_rates(traces, (), roots=True, confidence=confidence)
    if not len(table):
        return Estimate(np.nan, "ratio", np.nan, np.nan, 0)
    row = table.iloc[0]
    value = float(row["error_ratio"])
    return Estimate(
        value, "ratio", float(row["error_ratio_low"]), float(row["error_ratio_high"]), int(row["span_count"])
    )
