"""What a recording contains: counts of requests and spans, and the examples that findings name; additive over parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.checks.names import KEYS
from tracekit.completeness import is_finished, is_open
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet
    from tracekit.weights.known import WeightTotals

SLOWEST: Final = 25  # traces that are listed
_EXAMPLES: Final = 10  # rows of evidence
_NAMES: Final = ("root_service_name", "root_name", "weight_source")
_NONE: Final = (np.inf, -np.inf)


class Counts(NamedTuple):
    """Numbers that are added up.

    Parameters
    ----------
    spans
        Spans without inferred ones.
    finished, failed
        Requests that have ended, and those of them that failed.
    inside
        Finished requests with spans that have not.
    partial, rootless, many_roots, limited
        Incomplete traces: all of them, without a root span, with several, truncated by X-Ray.
    orphans, unended, negative
        Spans without a parent, without an end, and that end before they start.
    """

    spans: int
    finished: int
    failed: int
    inside: int
    partial: int
    rootless: int
    many_roots: int
    limited: int
    orphans: int
    unended: int
    negative: int


@dataclass(frozen=True)
class Content:
    """What a recording contains; the size is that of its services and error origins, however many traces it has.

    Parameters
    ----------
    counts
        Numbers of requests and spans.
    services
        Names of the services with spans, sorted.
    period_ns
        Earliest and latest known time; None without times.
    weight_limits
        The smallest and the largest weight of the finished requests.
    least_weight
        The smallest weight above 0.
    partial, unfinished, failed, slowest
        Rows of ``traces.summary``: the first incomplete traces, those with an unfinished request or span, failed
        requests, and the slowest.
    origins
        Where errors originate: ``span_count`` and ``weight_sum`` of failed spans without a failed child in failed
        requests, by operation.
    weights
        What the sampling weights describe.
    """

    counts: Counts
    services: tuple[str, ...]
    period_ns: tuple[int, int] | None
    weight_limits: tuple[float, float]
    least_weight: float
    partial: pd.DataFrame
    unfinished: pd.DataFrame
    failed: pd.DataFrame
    slowest: pd.DataFrame
    origins: pd.DataFrame
    weights: WeightTotals

    def __add__(self, other: Content) -> Content:
        """Return what both contain."""
        limits = self.weight_limits, other.weight_limits
        return Content(
            Counts(*(one + more for one, more in zip(self.counts, other.counts, strict=True))),
            tuple(sorted({*self.services, *other.services})),
            _wider(self.period_ns, other.period_ns),
            (min(low for low, _ in limits), max(high for _, high in limits)),
            min(self.least_weight, other.least_weight),
            _first(_rows([self.partial, other.partial])),
            _first(_rows([self.unfinished, other.unfinished])),
            _first(_rows([self.failed, other.failed])),
            slowest_first(_rows([self.slowest, other.slowest])).head(SLOWEST),
            _summed(pd.concat([self.origins, other.origins])),
            self.weights + other.weights,
        )

    @property
    def trace_count(self) -> int:
        """Number of traces."""
        return self.weights.trace_count


def content_of(source: TraceSet | Parts) -> Content:
    """Return what traces or the parts of a store contain."""
    return over_parts(source, tabulate, Content.__add__).state


def tabulate(traces: TraceSet) -> Content:
    """Return what some traces contain."""
    look, forest, summary = traces.lookup, traces.forest, traces.summary
    finished, unended = is_finished(look, forest), is_open(look)
    inside = np.zeros(len(traces), bool)
    inside[forest.trace[unended]] = True
    inside &= finished
    partial, failed = summary["partial"].to_numpy(bool), summary["is_error"].to_numpy(bool) & finished
    roots, quality = summary["root_count"].to_numpy(), traces.columns.spans.quality
    counts = (
        ~traces.is_inferred, finished, failed, inside, partial, roots == 0, roots > 1, summary["limit_exceeded"],
        summary["orphan_count"], unended, (quality & Quality.DURATION_NEGATIVE) != 0,
    )  # fmt: skip
    value = traces.weights.value
    weights = value[finished]
    return Content(
        Counts(*(int(np.sum(each)) for each in counts)),
        _services(traces),
        _period(summary),
        (float(weights.min()), float(weights.max())) if len(weights) else _NONE,
        float(value[value > 0].min(initial=np.inf)),
        summary[partial].head(_EXAMPLES),
        summary[~finished | inside].head(_EXAMPLES),
        summary[failed].head(_EXAMPLES),
        slowest_first(summary).head(SLOWEST),
        _origins(traces, failed),
        traces.weights.totals,
    )


def slowest_first(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of requests with a latency, the slowest first, then by trace id."""
    known = summary[summary["root_duration_ns"].notna()]
    return known.sort_values("root_duration_ns", ascending=False, kind="stable")


def _services(traces: TraceSet) -> tuple[str, ...]:
    """Return the names of the services with spans, sorted."""
    codes, labels = traces.codes("service_name")
    used = np.unique(codes[~traces.is_inferred])
    return tuple(sorted(labels[code] for code in used if code >= 0))


def _period(summary: pd.DataFrame) -> tuple[int, int] | None:
    """Return the earliest and the latest known time; None without times."""
    times = np.concatenate([summary[name].dropna().to_numpy(np.int64) for name in ("start_ns", "end_ns")])
    return (int(times.min()), int(times.max())) if len(times) else None


def _wider(*periods: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the period of all; None without times."""
    known = [one for one in periods if one is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _origins(traces: TraceSet, of_requests: Array) -> pd.DataFrame:
    """Return where errors originate: failed spans of failed requests without a failed child, by operation."""
    parent, failed = traces.forest.parent_row, traces.is_error
    passed_on = np.zeros(len(parent), bool)
    passed_on[parent[failed & (parent >= 0)]] = True
    rows = np.flatnonzero(failed & ~passed_on & of_requests[traces.forest.trace])
    frame = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(str) for name in KEYS})
    return _summed(frame.assign(span_count=1, weight_sum=traces.weights.value[traces.forest.trace[rows]]))


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return sums by operation, the largest weight first."""
    counted = rows.groupby(list(KEYS)).sum().reset_index()
    return counted.sort_values(["weight_sum", *KEYS], ascending=[False, True, True], ignore_index=True)


def _rows(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return rows of summaries by trace id; names stay categories, and ``root_row``, a row of one part, is left out."""
    parts = [table.drop(columns="root_row", errors="ignore") for table in tables]
    whole = reduce(_joined, parts)
    return whole.sort_index(kind="stable")


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both."""
    whole = pd.concat([table.astype(dict.fromkeys(_NAMES, object)) for table in (first, second)])
    return whole.astype(dict.fromkeys(_NAMES, "category"))


def _first(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the first rows."""
    return rows.head(_EXAMPLES)


def volume_of(traces: TraceSet, first_ns: int, step_ns: int, bars: int) -> Array:
    """Return the weights of the requests by start, and of those of them that failed: float64, two rows."""
    root, spans, weights = traces.forest.root_row, traces.columns.spans, traces.weights.value
    known = (spans.quality[root] & Quality.NO_START) == 0
    bar = (spans.start_ns[root][known] - first_ns) // step_ns
    failed = traces.is_error[root] & is_finished(traces.lookup, traces.forest)
    return np.stack([np.bincount(bar, each[known], bars) for each in (weights, weights * failed)])
