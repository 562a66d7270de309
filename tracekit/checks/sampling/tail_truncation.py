"""S12: slow traces truncated or missed by the tail sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.checks.expectations import EVICTED, LATE, LOSSES, RECEIVED, Loss
from tracekit.checks.merged import Merged
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.schema import ParentState, Quality
from tracekit.stats.proportions import share_interval
from tracekit.text import count, plural, ratio, ratio_range, round_duration
from tracekit.weights.tail_policies import trace_duration_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.traces import TraceSet

_MOST_CUT, _ALPHA, _FEWEST = 0.01, 0.01, 20
_LOG_DURATIONS = ("duration_ns", "duration_ms", "duration_s")
CHECK = "tail.truncation"
_MOST_LOST = 0.01
_SHOWN = 5


def tail_truncation(case: Case) -> list[Finding]:
    """Return the number of traces truncated by a collector's decision, and whether longer ones are missing.

    Truncated: a trace without a root, or with a span that starts later than ``decision_wait`` after the root.  Missing:
    with c1, c2, c3 traces that last 0.6 to 0.8, 0.8 to 1 and 1 to 1.2 of the wait, a smooth tail has about c2^2 / c1 in
    the third; the test is the beta-binomial probability of c3 or fewer given c2 (half a trace is added to c1 and c2).
    Not valid if clients time out at the same age: compare with the durations of a log.  Source: the collector's
    tail_sampling processor; our own test.
    """
    return [*evictions(case), *_by_durations(case)]


def _by_durations(case: Case) -> list[Finding]:
    """Return the findings from the durations of the traces."""
    subject = "Slow traces truncated by the tail sampler"
    wait = case.rules.decision_wait_ns if case.rules is not None else None
    if wait is None:
        return [not_assessable(CHECK, subject, "a collector configuration with tail_sampling")]
    seen: _Lasting = case.result(Merged(_LastingOf(wait), _Lasting.plus))
    if not seen.trace_count:
        return [not_assessable(CHECK, subject, "traces")]
    c1, c2, c3 = seen.near
    missing = drop_p(c1, c2, c3) < _ALPHA and c3 < c2
    low, high = share_interval(seen.cut_count, seen.trace_count, confidence=case.confidence)
    share = seen.cut_count / seen.trace_count
    table = pd.DataFrame(
        {"decision_wait_ns": [wait], "estimate": share, "estimate_low": float(low), "estimate_high": float(high),
         "trace_count": seen.trace_count, "from_0.6": c1, "from_0.8": c2, "beyond": c3, "longest_ns": seen.longest_ns}
    )  # fmt: skip
    exemplars = seen.cut_ids
    estimate = Estimate(share, "ratio", float(low), float(high), seen.trace_count)
    limits = ratio_range(float(low), float(high))
    truncated = (
        f"{plural(seen.cut_count, 'trace')} of {count(seen.trace_count)} truncated ({ratio(share)}, {case.ci} {limits})"
    )
    limit = round_duration(wait)
    if missing and not _clients_stop(case, wait):
        text = (
            f"Tail sampling loses slow traces: at the decision after {limit} durations stop, {count(c2)}"
            f" traces last 0.8 to 1 of that, {count(c3)} longer, about {count((c2 + 0.5) ** 2 / (c1 + 0.5))}"
            f" expected; {truncated}. Quantiles near {limit} are lower bounds."
        )
        remedy = "Raise decision_wait above the slowest request."
        return [finding(CHECK, "failed", text, table, estimate=estimate, remedy=remedy, exemplars=exemplars,
                      assumptions=("the distribution of durations is smooth there",), is_critical=False)]  # fmt: skip
    if share > _MOST_CUT:
        text = f"Tail sampling: {truncated} at the decision after {limit}."
        remedy = "Raise decision_wait, or find out what delays the late spans."
        return [
            finding(
                CHECK, "warning", text, table, estimate=estimate, remedy=remedy, exemplars=exemplars, is_critical=False
            )
        ]
    if missing:
        text = (
            f"Tail sampling loses no slow traces: durations stop at {limit}, but so do those of the logged"
            " requests (clients time out)."
        )
        return [finding(CHECK, "ok", text, table, estimate=estimate, is_critical=False)]
    if c1 + c2 < _FEWEST and seen.longest_ns > wait / 2:
        text = (
            f"Tail sampling: {truncated}. Too few traces last nearly {limit} to decide whether longer ones are missing."
        )
        return [finding(CHECK, "inconclusive", text, table, estimate=estimate, is_critical=False)]
    text = f"Tail sampling: {truncated} at {limit}; no sign that longer traces are missing."
    return [finding(CHECK, "ok", text, table, estimate=estimate, is_critical=False)]


class _Lasting(NamedTuple):
    """Traces compared with the wait: those that are truncated, with the first ids, and those that last about as long.

    ``near``: traces that last 0.6 to 0.8, 0.8 to 1 and 1 to 1.2 of the wait.
    """

    trace_count: int
    cut_count: int
    cut_ids: tuple[str, ...]
    near: tuple[int, int, int]
    longest_ns: int

    def plus(self, other: _Lasting) -> _Lasting:
        """Return those of two parts."""
        c1, c2, c3 = (one + two for one, two in zip(self.near, other.near, strict=True))
        return _Lasting(
            self.trace_count + other.trace_count,
            self.cut_count + other.cut_count,
            tuple(sorted(self.cut_ids + other.cut_ids)[:_SHOWN]),
            (c1, c2, c3),
            max(self.longest_ns, other.longest_ns),
        )


@dataclass(frozen=True)
class _LastingOf:
    """Returns how the traces of a part compare with a wait, in ns."""

    wait: int

    def __call__(self, case: Case) -> _Lasting:
        """Return that of a case."""
        took, cut = trace_duration_ns(case.traces), np.flatnonzero(_cut(case.traces, self.wait))
        ids = tuple(case.traces.trace_ids[row] for row in cut[:_SHOWN])
        return _Lasting(len(took), len(cut), ids, _near(took, self.wait), int(took.max(initial=-1)))


def _near(took: Array, wait: int) -> tuple[int, int, int]:
    """Return how many durations are 0.6 to 0.8, 0.8 to 1 and 1 to 1.2 of the wait."""
    c1, c2, c3 = (int(((took > low * wait) & (took <= low * wait + 0.2 * wait)).sum()) for low in (0.6, 0.8, 1.0))
    return c1, c2, c3


def _cut(traces: TraceSet, wait: int) -> Array:
    """Return which traces have no root, or a span that starts after the decision."""
    spans, forest = traces.columns.spans, traces.forest
    rootless = np.ones(len(traces), bool)
    rootless[forest.trace[forest.state == ParentState.ROOT]] = False
    began = spans.start_ns[forest.root_row[forest.trace]]
    late = (spans.start_ns > began + wait) & ((spans.quality & Quality.NO_START) == 0)
    return rootless | (np.bincount(forest.trace[late], minlength=len(traces)) > 0)


def drop_p(c1: int, c2: int, c3: int) -> float:
    """Return the probability of as few traces beyond the edge, if the tail is smooth.

    c2 / c1 has a log standard error of sqrt(1/c1 + 1/c2); c3 is negative binomial around c2^2 / c1 with that spread.
    """
    if c1 + c2 < _FEWEST or not c2:
        return 1.0
    due = (c2 + 0.5) ** 2 / (c1 + 0.5)
    spread = 1 / (c1 + 0.5) + 4 / (c2 + 0.5)
    size = 1 / spread
    return float(scipy.stats.nbinom.cdf(c3, size, size / (size + due)))


def _clients_stop(case: Case, wait: int) -> bool:
    """Return whether the durations of logged requests stop at the same age."""
    if case.log is None:
        return False
    column = next((name for name in _LOG_DURATIONS if name in case.log), None)
    if column is None:
        return False
    unit = {"duration_ns": 1.0, "duration_ms": 1e6, "duration_s": 1e9}[column]
    c1, c2, c3 = _near(case.log[column].to_numpy(np.float64) * unit, wait)
    return drop_p(c1, c2, c3) < _ALPHA or (c2 > _FEWEST and c3 * 10 < c2)


def evictions(case: Case) -> list[Finding]:
    """Return the traces that the collector evicted and the spans that it lost, from its metrics.

    Share = lost over all, both counted, so without an interval.  With ``num_traces`` traces in memory a collector
    removes the oldest for each new one, before any policy is applied: failing and slow traces too, mostly at high load.
    Weights do not represent them, totals are too low by that share, and a policy that keeps every error misses some.
    Spans that arrived after the decision are reported, not assessed: a decision cache may have kept them.  Assumes that
    the counters increased by these values in the period of the traces.  Source: the collector's tail_sampling processor
    and its own telemetry.
    """
    counted = case.expected.collector
    if not counted:
        return []
    rows = [_row(loss, counted, case.margin) for loss in LOSSES if loss.counter in counted or loss.counter == EVICTED]
    table = pd.DataFrame(rows, columns=["loss", "count", "of", "estimate", "status"])
    evicted, status = table.iloc[0], worst_status(table["status"].tolist())
    table["late_spans"] = counted.get(LATE, math.nan)
    parts = [_evicted(evicted), *(_lost(row) for _, row in table.iloc[1:].iterrows() if row["count"])]
    if late := counted.get(LATE):
        parts.append(f"{count(late)} spans arrived after the decision")
    share = float(evicted["estimate"])
    known = Estimate(share, "ratio", share, share, int(evicted["of"])) if share <= 1 else None
    return [
        finding(CHECK, status, "; ".join(parts) + ".", table, estimate=known, remedy=_remedy(table),
              assumptions=("the counters increased by these values in the period of the traces",), is_critical=False)
    ]  # fmt: skip


def _row(loss: Loss, counted: Mapping[str, float], margin: float) -> tuple[str, float, float, float, Status]:
    """Return one loss with its share and status."""
    lost, base = counted.get(loss.counter, math.nan), counted.get(loss.of, math.nan)
    whole = base if loss.is_within else base + lost
    share = lost / whole if whole else 0.0 if not lost else math.inf
    if math.isnan(lost):
        return loss.words, lost, whole, lost, "not_assessable"
    if math.isnan(share):
        return loss.words, lost, whole, share, "inconclusive" if lost else "ok"
    status: Status = "failed" if share > max(margin, _MOST_LOST) else "warning" if share > _MOST_LOST else "ok"
    return loss.words, lost, whole, share, status


def _evicted(row: pd.Series) -> str:
    """Return the clause about evictions."""
    lost, whole = row["count"], row["of"]
    if math.isnan(lost):
        return f"Collector evictions not assessable: needs {EVICTED}"
    if lost > whole:
        return (
            f"Collector evictions: {count(lost)} traces of {count(whole)} received; the counters cover different"
            " periods"
        )
    if not lost:
        return f"Collector evictions: none of {'its' if math.isnan(whole) else count(whole)} traces"
    of = "" if math.isnan(whole) else f" of {count(whole)}"
    share = f"share unknown, needs {RECEIVED}" if math.isnan(whole) else ratio(row["estimate"])
    missing = "these traces are missing, and no sampling weight represents them"
    return f"Collector evictions: {count(lost)}{of} traces ({share}) before the sampling decision; {missing}"


def _lost(row: pd.Series) -> str:
    """Return the clause about lost spans."""
    share = f" ({ratio(row['estimate'])})" if math.isfinite(row["estimate"]) else ""
    return f"{count(row['count'])} {row['loss']}{share}"


def _remedy(table: pd.DataFrame) -> str:
    """Return the remedy."""
    bad = table["status"].isin(["warning", "failed", "inconclusive"])
    advice = "Raise num_traces above the number of traces within decision_wait at peak load, or add collectors behind a"
    parts = [f"{advice} load balancer that routes by trace ID."] if bad.iloc[0] else []
    parts += ["Increase the memory of the collector and the queue of its exporter."] if bad.iloc[1:].any() else []
    return " ".join(parts)
