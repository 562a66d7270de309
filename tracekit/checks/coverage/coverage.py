"""Coverage: what part of the requests the traces show, and where the others are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.checks.case import build_case
from tracekit.checks.coverage.metrics import METRICS, Known, Measured, Metric
from tracekit.checks.coverage.result import Coverage
from tracekit.checks.quality.lag import lag
from tracekit.checks.sampling.funnel import funnel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.traces import Filter, TraceSet

_COLUMNS = ["metric", "name", "service_name", "http_route", "value", "unit", "low", "high", "n"]
_COLUMNS += ["target", "verdict", "meaning"]


def coverage(
    traces: TraceSet,
    *,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    rules: Any = None,
    expected: Mapping[str, Any] | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    success: Filter | None = None,
    prices: Mapping[str, float] | None = None,
    targets: Mapping[str, float] | None = None,
    confidence: float = 0.95,
) -> Coverage:
    """Return the ten metrics of a tracing system, and the funnel from request to searchable trace.

    Parameters
    ----------
    traces
        Any traces; weights that are known count.
    requests, log
        Counted requests and logged ones, as ``tk.read_requests`` reads them.
    rules, expected
        Sampling rules, and what other systems counted (``{"stages": {"instrumented": ..., "sampled": ...,
        "indexed": ...}}``), as ``tk.sampling`` takes them.
    received
        When traces could be found, as ``tk.quality`` takes it; what began too late to be whole is left out of all
        metrics but the lag.
    now
        When the traces were taken; the latest receipt unless given.
    success
        Which traces succeeded (M10), as ``traces.where`` takes it: those that hold a matching span.  Without, those
        whose root did not fail.
    prices
        US dollars for a million traces, as ``tk.quality`` takes them.
    targets
        By metric (``{"M1": 0.05, "M3": 500e6, "M10": 0.999}``), in the unit of the metric; others than the usual ones.
    confidence
        Confidence level.

    Returns
    -------
    Coverage
        ``.metrics``: one row a metric, for the whole and by service and route; ``.funnel``; ``.loses_most``.

    Raises
    ------
    ValueError
        Targets of metrics that there are not; counts, rules or expectations that hold what they should not.

    Notes
    -----
    M1 coverage, M2a share and M2b capture of errors, M3 p95 latency, M4 traffic on the twenty usual paths, M5 span
    error rate, M6 p95 ingestion lag, M7 sampling rate, M8 cost, M9 completeness, M10 successful traces.  A target is
    met where the whole interval meets it (``ok``), missed where none of it does (``failed``), else ``inconclusive``.
    Shares and latencies are weighted where weights are known, and say so where they are not.  M1 has no target by
    itself: sampling alone makes it small; the funnel tells what is lost beyond that.

    Source: ``trace_guide.md``, metrics M1 to M10; intervals as in the checks of ``sampling`` and ``quality``.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> ids = [f"{n:032x}" for n in range(1, 401)]
    >>> frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "GET /", "start_ns": 1, "end_ns": 6})
    >>> stages = {"instrumented": 16_000, "sampled": 800}
    >>> seen = coverage(
    ...     TraceSet.from_spans(frame),
    ...     requests=pd.DataFrame({"count": [16_000]}),
    ...     rules=0.05,
    ...     expected={"stages": stages},
    ... )
    >>> seen.summary
    '2.5 % of 16,000 requests have a searchable trace; most are lost at recording'
    >>> seen.metrics.set_index("metric").loc[["M7", "M6"], "verdict"].tolist()
    ['measured', 'not_assessable']
    """
    if strange := sorted(set(targets or ()) - set(METRICS)):
        raise ValueError(f"expected targets of {', '.join(METRICS)}, found {', '.join(strange)}")
    case = build_case(
        traces,
        rules=rules,
        requests=requests,
        log=log,
        expected=expected,
        received=received,
        now=now,
        prices=prices,
        confidence=confidence,
        count_log=True,
    )
    complete = case.complete.weighted
    succeeded = ~complete.failed
    if success is not None:
        chosen = complete.traces.where(success)
        succeeded = np.isin(np.array(complete.traces.trace_ids, str), np.array(chosen.trace_ids, str))
    known = Known(complete, succeeded, lag(case)[0])
    wanted = dict(targets or {})
    rows = [
        _row(number, metric, measured, wanted.get(number, metric.target))
        for number, metric in METRICS.items()
        for measured in metric.measure(known)
    ]
    stages = funnel(complete)[0].evidence
    return Coverage(pd.DataFrame(rows, columns=_COLUMNS), stages if "stage" in stages else stages.iloc[:0])


def _row(number: str, metric: Metric, measured: Measured, target: float | None) -> list[Any]:
    """Return one row of the frame."""
    verdict = _verdict(measured, target, more_is_better=metric.more_is_better)
    place = [measured.service, measured.route]
    values = [measured.value, metric.unit, measured.low, measured.high, measured.n]
    return [number, metric.name, *place, *values, target, verdict, measured.meaning]


def _verdict(measured: Measured, target: float | None, *, more_is_better: bool) -> str:
    """Return whether a target is met by the whole interval, missed by all of it, or neither."""
    if np.isnan(measured.value):
        return "not_assessable"
    if target is None:
        return "measured"
    near, far = (measured.low, measured.high) if more_is_better else (-measured.high, -measured.low)
    target = target if more_is_better else -target
    if near >= target:
        return "ok"
    return "failed" if far < target else "inconclusive"
