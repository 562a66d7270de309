"""Where in the second requests begin: a reservoir keeps the first of each second, and that shows."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.case import build_case
from tracekit.checks.sampling.words import percent
from tracekit.findings import Shown
from tracekit.stats.second_reservoir import SECOND_NS, phase_in_second
from tracekit.weights.xray_reservoir import rule_weights

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_FEWEST = 2


@dataclass(frozen=True, repr=False)
class StartPhases(Shown):
    """Starts by their place in the second.

    Parameters
    ----------
    table
        One row a part of the second: ``start_ms`` and ``end_ms``; ``trace_count``; ``reservoir_count``, those that were
        kept for being the first of their second (NaN where no rule tells); ``request_count``, logged requests that have
        a time (NaN without a log); ``even_count``, ``even_low`` and ``even_high``: how many of the traces are due where
        starts are even, and between which limits all parts stay together.
    strength
        From 0 (even) to 1 (all at one instant); NaN below two traces.
    p_value
        How often even starts are as uneven (Kuiper).
    missing
        What telling the reservoir's traces apart needs; empty where they are.

    Examples
    --------
    >>> StartPhases(pd.DataFrame({"trace_count": [9, 1]}), 0.81, 1e-6, "")
    StartPhases(10 traces begin unevenly: 90 % in one of 2 parts of the second)
    """

    table: pd.DataFrame
    strength: float
    p_value: float
    missing: str = ""

    @property
    def is_even(self) -> bool:
        """Whether nothing says that some parts of the second are preferred, at 1 in 1,000."""
        return not self.p_value < 0.001  # noqa: PLR2004 - as check bias.reservoir

    @property
    def reservoir_ratio(self) -> float:
        """Share of the traces that the reservoir kept; NaN where unknown."""
        total = float(self.table["trace_count"].sum())
        return float(self.table["reservoir_count"].sum(skipna=False)) / total if total else np.nan

    def __repr__(self) -> str:
        total = int(self.table["trace_count"].sum())
        if self.is_even:
            return f"StartPhases({total:,} traces begin evenly over the second)"
        most = percent(int(self.table["trace_count"].max()) / total)
        return f"StartPhases({total:,} traces begin unevenly: {most} in one of {len(self.table)} parts of the second)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.table.head(10).to_html(index=False, border=0)}"


def start_phases(
    traces: TraceSet, *, rules: Any = None, log: pd.DataFrame | None = None, parts: int = 50, confidence: float = 0.95
) -> StartPhases:
    """Return how many traces begin in each part of the second, and which of them a reservoir kept.

    Parameters
    ----------
    traces
        Any traces.
    rules
        Sampling rules, as ``tk.sampling`` takes them: they tell the reservoir's traces apart.
    log
        One row a request with its ``time``: how all requests begin.
    parts
        Into how many the second is cut.
    confidence
        With which all parts together stay within ``even_low`` and ``even_high`` where starts are even.

    Returns
    -------
    StartPhases
        ``.table``, ``.strength``, ``.p_value``, ``.reservoir_ratio``.

    Raises
    ------
    ValueError
        Fewer than two parts, rules that do not parse, a time that is none.

    Notes
    -----
    Starts of root spans.  Classic X-Ray SDKs keep the first requests of each second, so their traces crowd at its
    beginning; clients that are locked to the second do so as well, which the log tells.  The limits are binomial, each
    part at ``level ** (1 / parts)``.  Source: ``stats.second_reservoir``, and check ``bias.reservoir``.

    Examples
    --------
    Of 200 traces every other is the first of its second:

    >>> from tracekit import TraceSet
    >>> begun = [n * 10**9 + (5_000_000 if n % 2 else n * 5_000_000) for n in range(200)]
    >>> frame = pd.DataFrame({"span_id": "1", "name": "x", "start_ns": begun, "end_ns": begun})
    >>> phases = start_phases(TraceSet.from_spans(frame.assign(trace_id=[f"{n + 1:032x}" for n in range(200)])))
    >>> phases.table["trace_count"].head(3).tolist(), phases.is_even
    ([102, 2, 2], False)
    """
    if parts < _FEWEST:
        raise ValueError(f"expected a second in at least {_FEWEST} parts, found {parts}")
    case = build_case(traces, rules=rules, log=log, confidence=confidence, count_log=True).weighted
    edges = np.arange(parts + 1) * 1000 / parts
    n, tail = len(case.start_ns), (1 - confidence ** (1 / parts)) / 2
    reservoir, missing = _reservoir(case)
    table = pd.DataFrame({"start_ms": edges[:-1], "end_ms": edges[1:], "trace_count": _counted(case.start_ns, parts)})
    table["reservoir_count"] = np.nan if missing else _counted(case.start_ns[reservoir], parts).astype(np.float64)
    table["request_count"] = _logged(log, parts)
    table["even_count"] = n / parts
    table["even_low"], table["even_high"] = (stats.binom.ppf(q, n, 1 / parts) for q in (tail, 1 - tail))
    if n < _FEWEST:
        return StartPhases(table, np.nan, np.nan, missing)
    phase = phase_in_second(case.start_ns)
    return StartPhases(table, phase.strength, phase.p_kuiper, missing)


def _counted(start_ns: Array, parts: int) -> Array:
    """Return how many begin in each part of the second."""
    return np.bincount(start_ns % SECOND_NS * parts // SECOND_NS, minlength=parts)


def _logged(log: pd.DataFrame | None, parts: int) -> Array | float:
    """Return how many logged requests begin in each part of the second, NaN without times."""
    if log is None or "time" not in log or not len(log):
        return np.nan
    times = pd.to_datetime(log["time"], utc=True).dropna().astype("datetime64[ns, UTC]").astype(np.int64)
    return _counted(times.to_numpy(), parts).astype(np.float64)


def _reservoir(case: Case) -> tuple[Array, str]:
    """Return which traces the reservoir kept, or what telling them apart needs."""
    if case.rules is None:
        return np.zeros(0, bool), "sampling rules"
    shares = rule_weights(case.traces, case.rules)
    if not any(rule.quota for rule in case.rules.head):
        return np.zeros(len(case.start_ns), bool), ""
    if np.isnan(shares.weight).any():
        reasons = "; ".join(f"{why} ({count:,} traces)" for why, count in shares.obstacles.items())
        return np.zeros(0, bool), f"more about the decisions: {reasons}"
    return (shares.weight == 0) | (shares.weight == 1), ""
