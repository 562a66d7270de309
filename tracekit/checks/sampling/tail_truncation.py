"""S12, did the tail sampler cut or miss the slow ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.sampling.collector_counters import CHECK, evictions
from tracekit.checks.sampling.words import counted, duration, number, percent, percents
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.schema import ParentState, Quality
from tracekit.stats.proportions import share_interval
from tracekit.weights.tail_policies import trace_duration_ns

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

_MOST_CUT, _ALPHA, _FEWEST = 0.01, 0.01, 20
_LOG_DURATIONS = ("duration_ns", "duration_ms", "duration_s")


def tail_truncation(case: Case) -> list[Finding]:
    """Return how many traces a collector's decision cut, and whether longer ones are missing altogether.

    Cut: a trace without a root, or with a span that starts later than ``decision_wait`` after the root.  Missing: with
    c1, c2, c3 the traces that last 0.6 to 0.8, 0.8 to 1 and 1 to 1.2 of the wait, a smooth tail has about c2^2 / c1 in
    the third; that fewer are there is tested by the beta-binomial chance of c3 or fewer given c2 (half a trace is added
    to c1 and c2).  Fails where clients give up at the same age: compare with the durations of a log.  Source: the
    collector's tail_sampling processor; our own test.
    """
    return [*evictions(case), *_by_durations(case)]


def _by_durations(case: Case) -> list[Finding]:
    """Return what the traces themselves tell of the decision."""
    subject = "Whether the tail sampler cuts slow traces"
    wait = case.rules.decision_wait_ns if case.rules is not None else None
    if wait is None:
        return [not_assessable(CHECK, subject, "a collector configuration with tail_sampling")]
    if not len(case.traces):
        return [not_assessable(CHECK, subject, "traces")]
    took = trace_duration_ns(case.traces)
    cut = _cut(case, wait)
    c1, c2, c3 = (int(((took > low * wait) & (took <= low * wait + 0.2 * wait)).sum()) for low in (0.6, 0.8, 1.0))
    missing = drop_p(c1, c2, c3) < _ALPHA and c3 < c2
    low, high = share_interval(cut.sum(), len(took), confidence=case.confidence)
    share = float(cut.mean())
    table = pd.DataFrame(
        {"decision_wait_ns": [wait], "estimate": share, "estimate_low": float(low), "estimate_high": float(high),
         "trace_count": len(took), "from_0.6": c1, "from_0.8": c2, "beyond": c3, "longest_ns": int(took.max())}
    )  # fmt: skip
    exemplars = [case.traces.trace_ids[n] for n in np.flatnonzero(cut)[:5]]
    estimate = Estimate(share, "ratio", float(low), float(high), len(took))
    limits = percents(float(low), float(high))
    said = f"{counted(int(cut.sum()), 'trace')} of {number(len(took))} ({percent(share)}, {limits})"
    if missing and not _clients_stop(case, wait):
        text = (
            f"Traces stop at {duration(wait)}, where the collector decides: {number(c2)} last 0.8 to 1 of that,"
            f" {number(c3)} longer, where about {number((c2 + 0.5) ** 2 / (c1 + 0.5))} would be due; {said} are cut."
        )
        remedy = "Raise decision_wait above the slowest request; until then quantiles near it are lower limits."
        return [finding(CHECK, "failed", text, table, estimate=estimate, remedy=remedy, exemplars=exemplars,
                      assumptions=("the distribution of durations is smooth there",), is_critical=False)]  # fmt: skip
    if share > _MOST_CUT:
        text = f"{said} are cut at the decision of the collector after {duration(wait)}."
        remedy = "Raise decision_wait, or find what delays the late spans."
        return [
            finding(
                CHECK, "warning", text, table, estimate=estimate, remedy=remedy, exemplars=exemplars, is_critical=False
            )
        ]
    if missing:
        text = f"Traces stop at {duration(wait)}, but so do the requests of the log: clients give up, nothing is cut."
        return [finding(CHECK, "ok", text, table, estimate=estimate, is_critical=False)]
    if c1 + c2 < _FEWEST and took.max() > wait / 2:
        text = f"{said} are cut; too few traces last nearly {duration(wait)} to tell whether longer ones are missing."
        return [finding(CHECK, "inconclusive", text, table, estimate=estimate, is_critical=False)]
    text = f"{said} are cut at {duration(wait)}, and nothing is missing beyond."
    return [finding(CHECK, "ok", text, table, estimate=estimate, is_critical=False)]


def _cut(case: Case, wait: int) -> Array:
    """Return which traces lack a root or have a span that starts after the decision."""
    traces = case.traces
    spans, forest = traces.columns.spans, traces.forest
    rootless = np.ones(len(traces), bool)
    rootless[forest.trace[forest.state == ParentState.ROOT]] = False
    began = spans.start_ns[forest.root_row[forest.trace]]
    late = (spans.start_ns > began + wait) & ((spans.quality & Quality.NO_START) == 0)
    return rootless | (np.bincount(forest.trace[late], minlength=len(traces)) > 0)


def drop_p(c1: int, c2: int, c3: int) -> float:
    """Return the chance of so few beyond the edge, if the tail goes on as it came.

    c2 / c1 has a log standard error of sqrt(1/c1 + 1/c2); c3 is negative binomial around c2^2 / c1 with that spread.
    """
    if c1 + c2 < _FEWEST or not c2:
        return 1.0
    due = (c2 + 0.5) ** 2 / (c1 + 0.5)
    spread = 1 / (c1 + 0.5) + 4 / (c2 + 0.5)
    size = 1 / spread
    return float(stats.nbinom.cdf(c3, size, size / (size + due)))


def _clients_stop(case: Case, wait: int) -> bool:
    """Return whether the requests of a log, sampled or not, stop at the same age."""
    if case.log is None:
        return False
    column = next((name for name in _LOG_DURATIONS if name in case.log), None)
    if column is None:
        return False
    unit = {"duration_ns": 1.0, "duration_ms": 1e6, "duration_s": 1e9}[column]
    took = case.log[column].to_numpy(np.float64) * unit
    c1, c2, c3 = (int(((took > low * wait) & (took <= low * wait + 0.2 * wait)).sum()) for low in (0.6, 0.8, 1.0))
    return drop_p(c1, c2, c3) < _ALPHA or (c2 > _FEWEST and c3 * 10 < c2)
