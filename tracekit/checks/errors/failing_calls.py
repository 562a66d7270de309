"""Calls between services that fail although few requests do, as retries and fallbacks hide them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.comparison import family_level
from tracekit.checks.overview import ENOUGH, overview
from tracekit.findings import Estimate, Finding, Severity
from tracekit.text import clean, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_HIGH: Final = 0.05  # error rate of calls that is a warning; from a fifth of it on it is a notice
_KEYS: Final = ["caller_service", "callee_service", "call_type"]


def failing_calls(case: Case) -> list[Finding]:
    """Return the calls that fail more often than the requests; of calls that pass an error on, the origin.

    Limits are those of the service graph at a level at which all edges together have one false finding in fifty.
    """
    seen = case.result(overview)
    shown = seen.graph.calls
    tried = int((shown["trace_count"] >= ENOUGH).sum())
    if not tried or np.isnan(seen.failed.high):
        return []
    strict = seen.graph_at(family_level(tried)).calls
    hidden = strict[
        (strict["trace_count"] >= ENOUGH)
        & (strict["error_ratio_low"] >= _HIGH / 5)
        & (strict["error_ratio_low"] > seen.failed.high)
    ]
    origins = hidden[~hidden["callee_service"].isin(hidden["caller_service"])]
    if hidden.empty:
        return []
    row = (hidden if origins.empty else origins).sort_values("error_ratio_low", ascending=False, kind="stable").iloc[0]
    edge = shown.merge(row[_KEYS].to_frame().T, on=_KEYS).iloc[0]  # with limits of 95%
    value, low, high = (float(edge[name]) for name in ("error_ratio", "error_ratio_low", "error_ratio_high"))
    ends = " to ".join(clean(row[end], limit=80) for end in _KEYS[:2])
    headline = (
        f"Error rate of calls from {ends}: {ratio(value)} ({interval(low, high, ratio)}; "
        f"{plural(edge['trace_count'], 'trace')}), vs {ratio(seen.failed.value)} for all {seen.recorded}requests."
    )
    if len(hidden) > 1:
        verb = "also has" if len(hidden) == 2 else "also have"  # noqa: PLR2004 - this one and one other
        others = f"{plural(len(hidden) - 1, 'other edge')} of the service map"
        headline += f" {others} {verb} a higher error rate than requests."
    severity: Severity = "warning" if row["error_ratio_low"] >= _HIGH else "notice"
    estimate = Estimate(value, "ratio", low, high, int(edge["trace_count"]))
    evidence = hidden.sort_values("error_ratio_low", ascending=False, kind="stable").head(10)
    return [Finding("failing_calls", severity, headline, estimate, evidence, code="tk.service_graph(traces).calls")]
