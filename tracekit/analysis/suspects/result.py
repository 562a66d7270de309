"""Result of ``tk.suspects``: services ranked by how well they explain the difference between two sets of traces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracekit.analysis.suspects.ranking import LIKELY, NOT_SIGNIFICANT
from tracekit.findings import Findings, Shown
from tracekit.readable_tables import as_html
from tracekit.text import clean, plural
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.what_if import WhatIf
    from tracekit.findings import Estimate
    from tracekit.weights.comparability import Comparability


@dataclass(frozen=True, repr=False, eq=False)
class Suspects(Weighted, Shown):
    """Services ranked by how well they explain the difference between two sets of traces.

    Parameters
    ----------
    table
        One row per service with evidence, the strongest first: ``rank``, ``service_name``; ``verdict`` (``likely``,
        ``possible``, ``not significant``); ``kind`` of evidence: ``own`` (self time), ``way in`` (calls to it are
        slower before or after its own spans), ``way out`` (calls from it), ``starved`` (self time and calls), ``more
        calls`` (it calls others more often), ``shape`` (other child operations than before), ``failing``; ``operation``
        with the most of it; ``score``, 0 to 1.5; ``excess_ns`` per affected trace; ``excess_ratio``, the share of the
        excess of all elements; ``affected_count``, current traces that are slower because of it (estimated) or
        deviate; ``p_value``; ``confined_to``, a version, host, pod or instance that has nearly all of it;
        ``not_separable_from``, another service with the same evidence (one caller, one callee); ``exemplar_trace_id``,
        ``exemplar_span_id``.
    evidence
        One row per suspect (the first five) and element at it: self time, gap of calls (client span minus callee's
        span), number of calls (as time, at the mean duration in the baseline), or a deviation. ``caller_service``,
        ``callee_service``, ``operation``; capped means ``baseline_ns`` and ``current_ns``; ``excess_ns`` per call and
        its ``way_there_excess_ns``, ``way_back_excess_ns``; for deviations ``baseline_ratio`` and ``current_ratio`` of
        the traces with the operation; ``baseline_count``, ``current_count`` (traces), ``p_value``; ``is_changed``,
        false for elements that did not change: evidence against the suspect; exemplar ids.
    path
        One row per suspect (the first three) and step of the chain of calls from the entry of the requests to it:
        ``position``, ``step`` (``self time`` of a service, its ``other calls``, the ``gap of the next call``: client
        span without the callee's span), ``service_name``, ``operation``, ``callee_service``, mean ``baseline_ns`` and
        ``current_ns``, ``excess_ns`` (integers; the steps sum to the change of the duration of the entry span), its
        95% CI ``excess_low_ns`` to ``excess_high_ns`` (missing with fewer than 20 requests), ``baseline_count``,
        ``current_count``, exemplar ids.
    breakdown
        One row per suspect (the first three), attribute (operation, version, pod, host, instance) and value:
        ``baseline_count``, ``current_count`` (traces), ``excess_ns`` per trace, ``deviating_count``, ``excess_ratio``,
        ``p_value`` against the other values, ``is_confined``, ``is_new`` (absent from the baseline), ``first_time``
        (UTC) of the current calls with it.
    comparability
        Whether the two sides may be compared, given how they were sampled.
    tested_count
        Elements and operations with enough traces on both sides.
    new_operation_count
        Operations with enough current traces and too few baseline traces: not tested.
    baseline_count, current_count, shared_trace_count
        Traces of each side, and traces that are on both.
    recovery
        How much lower the mean latency of the current requests would be without the first suspect (ns), simulated; None
        unless asked for, and where a simulation is not possible.
    without
        Predicted latency of the current requests without the first suspect, as of ``what_if``; None as ``recovery``.
    findings
        The same in sentences.
    recorded_services
        Names of all services of both sides, for their colours.
    sample
        Of which traces of a large store all counts and figures are, in words; empty if they are of all traces.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = tk.suspects(before, during)
    >>> found.table.loc[0, ["service_name", "verdict", "kind", "operation"]].tolist()
    ['ledger', 'likely', 'own', 'POST /v1/authorizations']
    >>> tk.suspects(before, before).is_no_change
    True
    """

    table: pd.DataFrame
    evidence: pd.DataFrame
    path: pd.DataFrame
    breakdown: pd.DataFrame
    comparability: Comparability
    tested_count: int
    new_operation_count: int
    baseline_count: int
    current_count: int
    shared_trace_count: int
    recovery: Estimate | None = None
    without: WhatIf | None = None
    findings: Findings = field(default_factory=Findings)
    recorded_services: tuple[str, ...] = ()
    sample: str = ""

    @property
    def statement(self) -> str:  # type: ignore[override]  # computed
        """What is compared: all traffic, or the recorded traces, or why the two sides are not comparable."""
        return self.comparability.statement

    @property
    def is_assessable(self) -> bool:
        """Whether the sides are comparable and have something in common that was tested."""
        return self.comparability.is_comparable and self.tested_count > 0

    @property
    def is_no_change(self) -> bool:
        """Whether the sides were compared and no service has significant evidence."""
        return self.is_assessable and not (self.table["verdict"] != NOT_SIGNIFICANT).any()

    def _line(self) -> str:
        """Return the first suspect in one line."""
        named = self.table[self.table["verdict"] != NOT_SIGNIFICANT]
        if not self.is_assessable:
            return "Suspects(not assessable)"
        if named.empty:
            return f"Suspects(no significant change, {self.tested_count:,} elements tested)"
        first = named.iloc[0]
        others = f", {plural(len(named) - 1, 'other')}" * (len(named) > 1)
        sure = "" if first["verdict"] == LIKELY else f"{first['verdict']}: "
        return f"Suspects({sure}{clean(first['service_name'], limit=80)}, {first['kind']}{others})"

    def _repr_html_(self) -> str:
        shown = [as_html(self.table.head(10))] if len(self.table) else []
        named = self.path[self.path["rank"] == 1]
        shown += [as_html(named)] if len(named) and not self.is_no_change else []
        said = self.findings._repr_html_() if len(self.findings) else ""
        return f"{self.heading()}{said}{''.join(shown)}"
