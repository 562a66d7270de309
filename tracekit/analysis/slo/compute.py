"""Service level objectives from traces."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.analysis.slo.burn_rates import SRE_WORKBOOK, Requests, alerts, times_of
from tracekit.analysis.slo.outcomes import Outcomes, merged, summed, tabulate
from tracekit.analysis.slo.result import Slo
from tracekit.arguments import check_traces
from tracekit.findings import Estimate
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.weighted_rates import rates
from tracekit.text import clean, duration
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.slo.burn_rates import BurnRule
    from tracekit.parts import On, Parts
    from tracekit.traces import Filter
    from tracekit.weights.known import WeightTotals

_DAY_NS: Final = 86_400_000_000_000
_MS: Final = 1_000_000
_NONE: Final = Requests(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0))


def slo(
    traces: TraceSet | Parts,
    *,
    objective: float = 0.999,
    success: Filter | None = None,
    latency_ms: float | None = None,
    period_days: float = 30,
    rules: Sequence[BurnRule] = SRE_WORKBOOK,
    confidence: float = 0.95,
    on: On = None,
) -> Slo:
    """Return the share of good requests, the error budget, its burn rates, and what spent it.

    Parameters
    ----------
    traces
        Traces with known sampling weights; one request each.  A store is read part by part, twice: the windows of the
        alerts need the first and the last request first.
    objective
        Share of requests that have to be good.
    success
        A good request: a condition as in ``TraceSet.where`` that a span of it matches (a mask not with a store);
        default: its root did not fail.
    latency_ms
        A good request also takes at most so long, in ms; without ``success``, failed ones are not good.
    period_days
        Length of the period of the error budget.
    rules
        Alerts on burn rates; default: the table of the SRE workbook.
    confidence
        Confidence level of the intervals.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Slo
        ``.sli``, ``.verdict``, ``.burn_rate``, ``.spent_ratio``, ``.alerts``, ``.spent(by)``.

    Raises
    ------
    ValueError
        An objective that is not between 0 and 1, a threshold or a period that is not positive, an unknown name in the
        condition.
    TypeError
        A mask with a store.

    Notes
    -----
    Requests without an end have no outcome yet and do not count, with ``latency_ms`` those without a duration neither.
    Without known sampling weights the indicator describes the recorded traces and not the requests: it is then ``not
    assessable``, and ``statement`` says what would make it known.

    Sources: Beyer et al., The Site Reliability Workbook (2018), chapters 2 and 5.

    Examples
    --------
    >>> found = tk.slo(shop.with_weights(1), objective=0.9, latency_ms=200)
    >>> found.sli.value, found.verdict
    (0.6, 'too few')
    >>> tk.slo(shop, objective=0.9)
    Slo(requests that did not fail: not assessable; sampling weights unknown)
    """
    check_traces(traces, "slo")
    _check(objective, latency_ms, period_days)
    if not isinstance(traces, TraceSet) and not (success is None or isinstance(success, str) or callable(success)):
        raise TypeError(f"expected an expression or a callable for a store, found {type(success).__name__}")
    outcomes = Outcomes(success, latency_ms)
    part = over_parts(traces, partial(tabulate, outcomes=outcomes, by=()), merged, on=on)
    found, weights = part.state, part.weights
    excluded = weights.trace_count - found.request_count
    definition = _definition(success, latency_ms)
    if missing := _missing(weights, found.request_count):
        nothing = Estimate(np.nan, "ratio", np.nan, np.nan, found.request_count)
        none = alerts(_NONE, (), 1.0)
        where = (traces, objective, nothing, "not assessable", np.nan, np.nan, period_days, none, definition, missing)
        return Slo(*where, outcomes, found.bad_count, excluded, on)
    fine = found.table.by([WEIGHT_CLASS])
    bad = rates(fine.sums, np.zeros(len(fine), np.int64), 1, confidence=confidence)
    sli = Estimate(1 - float(bad.ratio[0]), "ratio", 1 - float(bad.high[0]), 1 - float(bad.low[0]), found.request_count)
    times = times_of(rules, found.first_ns, found.last_ns)
    weight = over_parts(traces, partial(summed, outcomes=outcomes, times_ns=times), np.add, on=on).state
    requests = _NONE.moved_to(times)._replace(weight=weight)
    burn_rate = float(bad.ratio[0]) / (1 - objective)
    return Slo(
        traces,
        objective,
        sli,
        "met" if sli.low >= objective else "missed" if sli.high < objective else "too few",
        burn_rate,
        burn_rate * float(found.last_ns - found.first_ns) / (period_days * _DAY_NS),
        period_days,
        alerts(requests, rules, 1 - objective),
        definition,
        weights.statement,
        outcomes,
        found.bad_count,
        excluded,
        on,
    )


def _check(objective: float, latency_ms: float | None, period_days: float) -> None:
    """Refuse arguments out of range."""
    if not 0 < objective < 1:
        raise ValueError(f"expected an objective between 0 and 1, such as 0.999, found {objective!r}")
    if latency_ms is not None and not latency_ms > 0:
        raise ValueError(f"expected latency_ms above 0, such as 300, found {latency_ms!r}")
    if not period_days > 0:
        raise ValueError(f"expected period_days above 0, such as 30, found {period_days!r}")


def _definition(success: Filter | None, latency_ms: float | None) -> str:
    """Return what a good request is, in words."""
    what = "requests that did not fail"
    if success is not None:
        what = f"requests with {clean(success, limit=80)}" if isinstance(success, str) else "requests that match"
    return what if latency_ms is None else f"{what} and took at most {duration(latency_ms * _MS)}"


def _missing(weights: WeightTotals, count: int) -> str:
    """Return why the indicator cannot be known, and what would make it known; empty if it can."""
    if not count:
        return "no requests with an outcome"
    if weights.unknown_count:
        return (
            f"{weights.statement}; pass traces.with_weights('auto', rules=..., log=...), or with_weights(1) if every "
            "request was recorded"
        )
    if weights.is_one_kind or weights.zero_count == weights.trace_count:
        return f"{weights.statement}; traces of the other requests are needed"
    return ""
