"""Starts of traces within the second: a reservoir keeps the first of each second."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.analysis.partials import check_on, placed
from tracekit.arguments import check_traces
from tracekit.checks.case import build_case
from tracekit.checks.merged import Merged
from tracekit.checks.sampling.kept_traces import kept_traces
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.stats.second_reservoir import SECOND_NS, phase_in_bins, phase_in_second
from tracekit.text import ratio
from tracekit.weights.xray_reservoir import weights_by_decision

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.stats.second_reservoir import Phase
    from tracekit.traces import TraceSet

_FEWEST = 2
_MOST: Final = 4096  # distinct starts within the second that are kept exactly
_BINS: Final = 10_000
_BIN_NS: Final = SECOND_NS // _BINS


@dataclass(frozen=True, repr=False)
class StartPhases(Shown):
    """Starts of traces by position in the second.

    Parameters
    ----------
    table
        One row per part of the second: ``start_ms`` and ``end_ms``; ``trace_count``; ``reservoir_count``, the reservoir
        traces (NaN without rules); ``request_count``, logged requests with a time (NaN without a log); ``even_count``,
        ``even_low`` and ``even_high``: the expected traces for even starts, with simultaneous limits of all parts.
    strength
        Concentration of the starts from 0 (even) to 1 (all at one instant); NaN below two traces.
    p_value
        Probability of starts as uneven, if starts are even (Kuiper test).
    missing
        The input needed to identify reservoir traces; empty if they are known.

    Examples
    --------
    >>> tk.start_phases(shop)
    StartPhases(5 traces begin unevenly: 100% in one of 50 parts of the second)
    """

    table: pd.DataFrame
    strength: float
    p_value: float
    missing: str = ""

    @property
    def is_even(self) -> bool:
        """Whether the starts are not significantly uneven (1 in 1,000)."""
        return not self.p_value < 0.001  # noqa: PLR2004 - as check bias.reservoir

    @property
    def reservoir_ratio(self) -> float:
        """Share of reservoir traces; NaN where unknown."""
        total = float(self.table["trace_count"].sum())
        return float(self.table["reservoir_count"].sum(skipna=False)) / total if total else np.nan

    def __repr__(self) -> str:
        total = int(self.table["trace_count"].sum())
        if self.is_even:
            return f"StartPhases({total:,} traces begin evenly over the second)"
        most = ratio(int(self.table["trace_count"].max()) / total)
        return f"StartPhases({total:,} traces begin unevenly: {most} in one of {len(self.table)} parts of the second)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{as_html(self.table.head(10))}"


class _Starts(NamedTuple):
    """Starts within the second, and how often each occurs; those of parts add, in any order.

    ``is_rounded``: the starts are those of ``_BINS`` equal parts of the second, because there would be too many.
    """

    counted: Array
    start_ns: Array
    often: Array
    is_rounded: bool = False

    def plus(self, other: _Starts) -> _Starts:
        """Return those of two parts."""
        start, often = (np.concatenate([self[at], other[at]]) for at in (1, 2))
        return _Starts(self.counted + other.counted, start, often, self.is_rounded or other.is_rounded).limited()

    def limited(self) -> _Starts:
        """Return the distinct ones; too many as those of parts of the second."""
        start = self.start_ns // _BIN_NS * _BIN_NS if self.is_rounded else self.start_ns
        distinct, at = np.unique(start, return_inverse=True)
        often = np.zeros(len(distinct), np.int64)
        np.add.at(often, at, self.often)
        found = _Starts(self.counted, distinct, often, self.is_rounded)
        return found._replace(is_rounded=True).limited() if len(distinct) > _MOST and not self.is_rounded else found

    @property
    def phase(self) -> Phase:
        """Their phase; at least two starts."""
        if not self.is_rounded:
            return phase_in_second(np.repeat(self.start_ns, self.often))
        return phase_in_bins(np.bincount(self.start_ns // _BIN_NS, self.often, _BINS))


@dataclass(frozen=True)
class _StartsOf:
    """Returns the starts within the second of the traces of a part."""

    parts: int

    def __call__(self, case: Case) -> _Starts:
        """Return those of a case."""
        start = case.start_ns % SECOND_NS
        return _Starts(_counted(start, self.parts), start, np.ones(len(start), np.int64))


def start_phases(
    traces: TraceSet | Parts,
    *,
    rules: Any = None,
    log: pd.DataFrame | None = None,
    parts: int = 50,
    confidence: float = 0.95,
    on: On = None,
) -> StartPhases:
    """Return the number of traces that start in each part of the second, and of the reservoir traces among them.

    Parameters
    ----------
    traces
        Any traces, or a store of them.
    rules
        Sampling rules, as for ``tk.sampling``, to identify reservoir traces.
    log
        One row per request with its ``time``, for the starts of all requests.
    parts
        Number of parts of the second.
    confidence
        Simultaneous confidence level of ``even_low`` and ``even_high`` over all parts.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    StartPhases
        ``.table``, ``.strength``, ``.p_value``, ``.reservoir_ratio``.

    Raises
    ------
    ValueError
        Fewer than two parts, invalid rules or times, or ``on`` without a store.

    Notes
    -----
    Starts of root spans.  Classic X-Ray SDKs keep the first requests of each second, so their traces cluster at its
    beginning; so do clients synchronised to the second, which the log distinguishes.  The limits are binomial, each
    part at ``level ** (1 / parts)``.  Of a store with more than 4,096 different starts, strength and p-value are those
    of starts in 0.1 ms, which errs towards even ones.  Source: ``stats.second_reservoir``, check ``bias.reservoir``.

    Examples
    --------
    The five requests start at the beginning of a second:

    >>> phases = tk.start_phases(shop, parts=2)
    >>> phases.table["trace_count"].tolist(), phases.is_even
    ([5, 0], False)
    """
    check_traces(traces, "start_phases")
    check_on(on, traces)
    if parts < _FEWEST:
        raise ValueError(f"expected at least {_FEWEST} parts of a second, found {parts}")
    case = build_case(placed(traces, on), rules=rules, log=log, confidence=confidence, count_log=True)
    edges = np.arange(parts + 1) * 1000 / parts
    starts: _Starts = case.result(Merged(_StartsOf(parts), _Starts.plus, limit=_Starts.limited))
    n, tail = int(starts.often.sum()), (1 - confidence ** (1 / parts)) / 2
    reservoir, missing = _reservoir(case)
    table = pd.DataFrame({"start_ms": edges[:-1], "end_ms": edges[1:], "trace_count": starts.counted})
    table["reservoir_count"] = np.nan if missing else _counted(reservoir, parts).astype(np.float64)
    table["request_count"] = _logged(log, parts)
    table["even_count"] = n / parts
    table["even_low"], table["even_high"] = (scipy.stats.binom.ppf(q, n, 1 / parts) for q in (tail, 1 - tail))
    if n < _FEWEST:
        return StartPhases(table, np.nan, np.nan, missing)
    phase = starts.phase
    return StartPhases(table, phase.strength, phase.p_kuiper, missing)


def _counted(start_ns: Array, parts: int) -> Array:
    """Return the number of starts in each part of the second."""
    return np.bincount(start_ns % SECOND_NS * parts // SECOND_NS, minlength=parts)


def _logged(log: pd.DataFrame | None, parts: int) -> Array | float:
    """Return the number of logged requests in each part of the second, NaN without times."""
    if log is None or "time" not in log or not len(log):
        return np.nan
    times = pd.to_datetime(log["time"], utc=True).dropna().astype("datetime64[ns, UTC]").astype(np.int64)
    return _counted(times.to_numpy(), parts).astype(np.float64)


def _reservoir(case: Case) -> tuple[Array, str]:
    """Return the starts of the traces that the reservoir kept, in ns, or the missing input."""
    none = np.zeros(0, np.int64)
    if case.rules is None:
        return none, "sampling rules"
    if not any(rule.quota for rule in case.rules.head):
        return none, ""
    kept = kept_traces(case, case.rules)
    shares = weights_by_decision(kept.decisions, case.rules)
    if np.isnan(shares.weight).any():
        reasons = "; ".join(f"{why} ({count:,} traces)" for why, count in shares.obstacles.items())
        return none, f"more about the decisions: {reasons}"
    return kept.start_ns[(shares.weight == 0) | (shares.weight == 1)], ""
