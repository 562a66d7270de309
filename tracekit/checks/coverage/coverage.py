"""Trace coverage: the metrics M1 to M10, and losses from request to searchable trace."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_on, placed
from tracekit.arguments import check_traces, is_store
from tracekit.checks.case import build_case
from tracekit.checks.coverage.metrics import METRICS, Known, Measured, Metric
from tracekit.checks.coverage.result import Coverage
from tracekit.checks.quality.lag import lag
from tracekit.checks.sampling.funnel import funnel
from tracekit.checks.together import read_by
from tracekit.loading.store.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.parts import On, Parts
    from tracekit.traces import Filter, TraceSet

_COLUMNS = ["metric", "name", "service_name", "http_route", "value", "unit", "low", "high", "n"]
_COLUMNS += ["target", "verdict", "meaning"]


def coverage(
    traces: TraceSet | Parts,
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
    on: On = None,
) -> Coverage:
    """Return the ten metrics of a tracing system, and the funnel from request to searchable trace.

    Parameters
    ----------
    traces
        Any traces, or a store of them; known sampling weights are used, missing ones are resolved as in
        ``tk.sampling``.
    requests, log
        Request counts and request log, from ``tk.read_requests``.
    rules, expected
        Sampling rules, and counts of other systems (``{"stages": {"instrumented": ..., "sampled": ...,
        "indexed": ...}}``), as for ``tk.sampling``.
    received
        Arrival times, as for ``tk.quality``; traces that started too late to be complete are excluded from all metrics
        except ingestion lag (M6).
    now
        Time of the export; default: the latest arrival.
    success
        Filter of the successful traces (M10), as for ``traces.where``: traces with a matching span.  Default: traces
        with a root that did not fail.
    prices
        US dollars per million traces, as for ``tk.quality``.
    targets
        Targets by metric (``{"M1": 0.05, "M3": 500e6, "M10": 0.999}``), in the unit of the metric, to replace the
        default ones.
    confidence
        Confidence level.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Coverage
        ``.metrics``: one row per metric, in total and by service and route; ``.funnel``; ``.loses_most``.

    Raises
    ------
    ValueError
        Targets of unknown metrics; invalid counts, rules or expectations; a store with rows of spans as ``success``;
        ``on`` without a store.

    Notes
    -----
    M1 trace coverage, M2a error rate and M2b error capture, M3 p95 latency, M4 traffic on the twenty most frequent
    paths, M5 span error rate, M6 p95 ingestion lag, M7 sampling rate, M8 cost, M9 completeness, M10 successful traces.
    A target is met if the entire interval meets it (``ok``), missed if the entire interval misses it (``failed``), else
    ``inconclusive``.  Shares and latencies are weighted if weights are known; otherwise ``meaning`` says so.  M1 has no
    default target, because sampling reduces it by design; the funnel shows losses beyond sampling.

    Of a store with more than 4,096 different latencies, they are rounded, by 1/512 at most.

    Source: intervals as in the checks of ``sampling`` and ``quality``.

    Examples
    --------
    >>> seen = tk.coverage(shop, requests=pd.DataFrame({"count": [100]}))
    >>> seen.summary
    '5.0% of 100 requests have a searchable trace; most are lost at recording'
    >>> seen.metrics.set_index("metric").loc[["M1", "M7"], "verdict"].tolist()
    ['measured', 'not_assessable']
    """
    check_traces(traces, "coverage")
    check_on(on, traces)
    if is_store(traces) and not (success is None or isinstance(success, str) or callable(success)):
        raise ValueError(f"expected an expression or a function as success= with a store, found {type(success)}")
    if unknown := sorted(set(targets or ()) - set(METRICS)):
        raise ValueError(f"expected targets of {', '.join(METRICS)}, found {', '.join(unknown)}")
    case = build_case(
        placed(traces, on),
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
    rounds = Rounds()
    case = read_by(rounds, case)
    complete = case.complete.weighted
    known = Known(complete, success, lag(case)[0])
    rounds.run([*(partial(metric.measure, known) for metric in METRICS.values()), partial(funnel, complete)])
    wanted = dict(targets or {})
    rows = [
        _row(number, metric, measured, wanted.get(number, metric.target))
        for number, metric in METRICS.items()
        for measured in metric.measure(known)
    ]
    stages = funnel(complete)[0].evidence
    return Coverage(pd.DataFrame(rows, columns=_COLUMNS), stages if "stage" in stages else stages.iloc[:0])


def _row(number: str, metric: Metric, measured: Measured, target: float | None) -> list[Any]:
    """Return one row of ``Coverage.metrics``."""
    verdict = _verdict(measured, target, more_is_better=metric.more_is_better)
    place = [measured.service, measured.route]
    values = [measured.value, metric.unit, measured.low, measured.high, measured.n]
    return [number, metric.name, *place, *values, target, verdict, measured.meaning]


def _verdict(measured: Measured, target: float | None, *, more_is_better: bool) -> str:
    """Return whether the entire interval meets the target, misses it, or neither."""
    if np.isnan(measured.value):
        return "not_assessable"
    if target is None:
        return "measured"
    near, far = (measured.low, measured.high) if more_is_better else (-measured.high, -measured.low)
    target = target if more_is_better else -target
    if near >= target:
        return "ok"
    return "failed" if far < target else "inconclusive"
