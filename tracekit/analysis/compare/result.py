"""The result of ``tk.compare``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tracekit.analysis.compare.gates import evaluate
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import duration, from_to, plural
from tracekit.weights.comparability import on_both_sides
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.weights.comparability import Comparability

_SHOWN: Final = (
    "verdict", "contribution_ns", "baseline_calls_per_request", "current_calls_per_request", "baseline_error_ratio",
    "current_error_ratio", "baseline_p50_ns", "current_p50_ns", "baseline_p95_ns", "current_p95_ns", "q_value",
)  # fmt: skip
_REGRESSIONS: Final = ("error_rate rises", "calls_per_request of any operation rises", "mean_ms rises 10%")
_QUIET: Final = {"no significant change", "too few", "not comparable"}


@dataclass(frozen=True, repr=False)
class Comparison(Weighted, Shown):
    """Two sets of traces compared by group, by call between services, and by endpoint.

    Parameters
    ----------
    table
        One row per group of ``by``, the largest contribution to the change of the mean latency first: the keys;
        ``verdict`` (new, gone, more errors, slower, more, faster, fewer, fewer errors, no significant change, too few,
        not comparable) and ``reason`` for the last two; ``contribution_ns``, an integer: change of critical-path time
        per request, with ``contribution_low_ns`` and ``contribution_high_ns``; for each side, ``baseline_`` and
        ``current_``: ``trace_count`` (recorded), ``calls_per_s``, ``calls_per_request``, ``error_ratio``, ``mean_ns``,
        ``p50_ns``, ``p90_ns``, ``p95_ns``, ``p99_ns`` of durations; ``rate_factor``, how many times as many calls per
        second, with ``rate_factor_low`` and ``rate_factor_high``; ``q_value``, the smallest of its metrics.  The
        contributions sum to ``path.change``.
    edges
        The same for calls between services: ``caller_service`` (missing for requests that enter a service without a
        recorded call), ``callee_service``, ``callee_type``, ``call_type``.  Contributions: critical-path time in the
        callee and on the way to it and back; they sum to ``path.change`` as well.
    endpoints
        The same for root spans by ``service_name`` and ``operation``.  Contributions include those of a different mix
        of endpoints.
    requests
        The same for all root spans together: one row.
    effects
        One row per row of these tables and metric: ``level`` (group, edge, endpoint, request), ``row`` of the table,
        ``name``, ``metric``, ``unit``, ``baseline_value`` and ``current_value`` with limits (``baseline_low``, ...),
        ``change`` with ``change_low`` and ``change_high``, ``p_value``, ``q_value`` (over all tables),
        ``is_significant``, ``baseline_trace_count`` and ``current_trace_count`` (recorded).
    path
        Change of the mean latency in parts that sum to it; None if one side has no finished request.
    names, trace_counts
        Names of the two sides, and their numbers of traces.
    comparability
        What the comparison describes: ``basis`` and ``statement``.
    shared_trace_count
        Traces on both sides; the intervals assume that there are none.

    Examples
    --------
    >>> tk.compare(baseline, shop)
    Comparison(baseline 5 traces, current 5 traces, mean latency 88.0 → 152 ms; sampling weights unknown)
    """

    table: pd.DataFrame
    edges: pd.DataFrame
    endpoints: pd.DataFrame
    requests: pd.DataFrame
    effects: pd.DataFrame
    path: PathComparison | None
    names: tuple[str, str]
    trace_counts: tuple[int, int]
    comparability: Comparability
    shared_trace_count: int

    @property
    def statement(self) -> str:  # type: ignore[override]  # computed
        """What is compared: all traffic, or the recorded traces, or why the two sides are not comparable."""
        return self.comparability.statement

    def assert_no_regression(self, *conditions: str) -> None:
        """Raise AssertionError if a condition is met, significantly; warn of those that the data cannot decide.

        Parameters
        ----------
        conditions
            As for ``tracekit diff --fail-if``: ``"p95_ms of POST /checkout rises 10%"``, ``"new edge"``.  By default:
            a higher error rate, more calls per request of any operation, and a mean latency higher by more than 10%.

        Examples
        --------
        >>> before, during = tk.load_sample("checkout-regression")
        >>> tk.compare(before, during).assert_no_regression("p50_ms rises 50%", "error_rate rises 5 points")
        >>> tk.compare(before, during).assert_no_regression("p95_ms of POST /checkout rises 10%")
        Traceback (most recent call last):
        AssertionError: p95_ms of POST /checkout rises 10%: p95 of storefront POST /checkout 100 → 256 ms (+156 ms; ...
        """
        gates = [evaluate(condition, self) for condition in conditions or _REGRESSIONS]
        for gate in gates:
            if gate.outcome == "inconclusive":
                warnings.warn(f"inconclusive: {gate.condition}: {gate.sentence}", stacklevel=2)
        failed = [f"{gate.condition}: {gate.sentence}" for gate in gates if gate.outcome == "failed"]
        if failed:
            raise AssertionError("\n".join(failed))

    def _line(self) -> str:
        """Return the counts in one line."""
        sides = (f"{name} {plural(n, 'trace')}" for name, n in zip(self.names, self.trace_counts, strict=True))
        parts = [*sides]
        if self.path is not None:
            before, now = (float(value) for value in self.path.sides["mean_latency_ns"])
            parts.append(f"mean latency {from_to(before, now, duration)}")
        verdicts = self.table["verdict"].value_counts()
        parts += [f"{n:,} {name}" for name, n in verdicts.items() if name not in _QUIET]
        parts.append(on_both_sides(self.shared_trace_count, self.trace_counts))
        return f"Comparison({', '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        keys = list(self.table.columns[: self.table.columns.get_loc("verdict")])
        tables = (self.table[[*keys, *_SHOWN]], self.edges[["caller_service", "callee_service", *_SHOWN]],
                  self.endpoints[["service_name", "operation", *_SHOWN]])  # fmt: skip
        return f"{self.heading()}{''.join(as_html(table.head(10)) for table in tables)}"
