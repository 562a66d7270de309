"""Latency of the sample compared with that of all requests: two quantile curves with their limits."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_on, placed
from tracekit.arguments import check_traces
from tracekit.checks.case import build_case
from tracekit.checks.outcomes import OUTCOMES
from tracekit.checks.sampling.weights_used import weights_needed
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.stats.quantiles import quantile_limits, weighted_quantiles
from tracekit.text import count, duration, interval

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.stats.quantiles import Quantile
    from tracekit.stats.weighted_rates import Target
    from tracekit.traces import TraceSet

SHARES = (*(k / 100 for k in range(1, 100)), 0.995, 0.999)
"""Quantiles of the curves."""


@dataclass(frozen=True, repr=False)
class LatencyBias(Shown):
    """Latency quantiles of the sample and of all requests.

    Parameters
    ----------
    curve
        One row per quantile (0.01 to 0.999): ``quantile``; ``raw_ns``, that of the recorded traces, with ``raw_low_ns``
        and ``raw_high_ns``, its limits if the sample were unbiased; ``estimate_ns``, that of all requests, with
        ``low_ns`` and ``high_ns``; ``logged_ns``, that of the logged requests.  NaN where a limit is not estimable,
        where probabilities are unknown, and where nothing was logged.
    trace_count, n_effective
        Traces used for the estimate, and their effective sample size.
    weights_source
        Source of the sampling weights.
    missing
        The input that a correction needs; empty if the estimate is corrected.

    Examples
    --------
    >>> tk.latency_bias(shop).missing
    'sampling weights (pass rules= or log=, or use traces.with_weights)'
    """

    curve: pd.DataFrame
    trace_count: int
    n_effective: float
    weights_source: str
    missing: str = ""

    @property
    def summary(self) -> str:
        """p95 in one sentence: raw, corrected with its interval, and n."""
        row = self.curve[self.curve["quantile"] == 0.95].iloc[:1].to_dict("records")  # noqa: PLR2004 - p95
        if not row:
            return "no root span has a duration"
        raw = f"p95 {duration(row[0]['raw_ns'])} in the sample"
        if self.missing:
            return f"{raw}; not corrected: needs {self.missing}"
        limits = interval(row[0]["low_ns"], row[0]["high_ns"], duration, confidence="")
        counted = f"n = {count(self.trace_count)}, effective sample size {count(self.n_effective)}"
        return f"{raw}, {duration(row[0]['estimate_ns'])} for all requests ({limits}; {counted})"

    def __repr__(self) -> str:
        return f"LatencyBias({self.summary})"

    def _repr_html_(self) -> str:
        shown = self.curve[self.curve["quantile"].isin((0.5, 0.9, 0.95, 0.99))]
        return f"<p>{html.escape(repr(self))}</p>{as_html(shown)}"


def latency_bias(
    traces: TraceSet | Parts,
    *,
    rules: Any = None,
    log: pd.DataFrame | None = None,
    target: Target = "window",
    confidence: float = 0.95,
    on: On = None,
) -> LatencyBias:
    """Return the latency quantiles of the recorded traces, and those of the requests that they represent.

    Parameters
    ----------
    traces
        Any traces, or a store of them; their sampling weights are used, missing ones are resolved as in
        ``tk.sampling``, of a store with ``rules`` or ``log``.
    rules, log
        As for ``tk.sampling``; ``duration_ns`` of the log is the curve of the logged requests.
    target
        Target of the corrected curve: ``window`` (the requests of this window) or ``process`` (the process that
        generated them).
    confidence
        Confidence level of the limits, for each quantile separately.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    LatencyBias
        ``.curve`` and ``.summary``.

    Raises
    ------
    ValueError
        Unknown target, confidence outside 0 to 1, invalid rules, or ``on`` without a store.

    Notes
    -----
    Durations of root spans.  Corrected: the weighted quantile with limits by test inversion
    (``stats.quantiles``), as in check ``bias.tail``.  Raw: the same with equal weights, for the process; its
    limits are valid only if the sample is unbiased.  Of a store with more than 4,096 different durations, they are
    rounded, by 1/512 at most.

    Examples
    --------
    The requests above 150 ms were all recorded, and every twentieth of the others:

    >>> weight = np.where(shop.summary["duration_ns"] > 150_000_000, 1.0, 20.0)
    >>> seen = tk.latency_bias(shop.with_weights(weight))
    >>> seen.curve.set_index("quantile").loc[0.95, ["raw_ns", "estimate_ns"]].tolist()
    [400000000.0, 100000000.0]
    """
    check_traces(traces, "latency_bias")
    check_on(on, traces)
    if target not in ("window", "process"):
        raise ValueError(f"expected window or process as target, found {target!r}")
    case = build_case(placed(traces, on), rules=rules, log=log, confidence=confidence, count_log=True).weighted
    timed = case.result(OUTCOMES).dropna(subset="took_ns")
    every, base = timed["took_ns"].to_numpy(), timed[timed["is_base"]]
    raw = quantile_limits(np.ones(len(every)), every, SHARES, target="process", confidence=confidence)
    is_known = not weights_needed(case) and bool(len(base))
    pi, took = base["probability"].to_numpy(), base["took_ns"].to_numpy()
    right = quantile_limits(pi, took, SHARES, target=target, confidence=confidence)
    curve = pd.DataFrame({"quantile": SHARES} | _columns(raw, "raw_ns", "raw_low_ns", "raw_high_ns"))
    names = ("estimate_ns", "low_ns", "high_ns")
    curve = curve.assign(**(_columns(right, *names) if is_known else dict.fromkeys(names, np.nan)))
    curve["logged_ns"] = _logged(case)
    source, n_effective = (case.weights_source, right[0].n_effective) if is_known else ("", 0.0)
    missing = "" if is_known else weights_needed(case) or "root spans with a duration"
    trace_count = right[0].n if is_known else 0
    return LatencyBias(curve.iloc[: len(curve) * bool(len(every))], trace_count, n_effective, source, missing)


def _columns(quantiles: list[Quantile], value: str, low: str, high: str) -> dict[str, list[float]]:
    """Return quantiles as columns."""
    return {value: [q.value for q in quantiles], low: [q.low for q in quantiles], high: [q.high for q in quantiles]}


def _logged(case: Case) -> Array | float:
    """Return the quantiles of the logged durations, NaN without."""
    if case.log is None or "duration_ns" not in case.log:
        return np.nan
    took = pd.to_numeric(case.log["duration_ns"]).dropna().to_numpy(np.float64)
    return np.asarray(weighted_quantiles(took, np.ones(len(took)), SHARES)) if len(took) else np.nan
