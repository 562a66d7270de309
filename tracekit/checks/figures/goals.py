"""What to see in the sections on an objective and on costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.findings import Finding
from tracekit.text import factor, interval, plural, ratio, usd

if TYPE_CHECKING:
    from tracekit.analysis.cost.result import Cost
    from tracekit.analysis.slo.result import Slo

WORDS: Final = {"met": "met", "missed": "missed", "too few": "inconclusive, too few requests"}


def objective_figure(found: Slo, code: str) -> Finding:
    """Return indicator, objective and burn rate; without weights, what would make the indicator known."""
    what = f"{found.definition[:1].upper()}{found.definition[1:]}"
    if not found.is_assessable:
        text = f"{what}: not assessable; {found.statement}."
        return Finding("figure.objective", "info", text, status="not_assessable", code=code)
    text = (
        f"{what}: {ratio(found.sli.value)} of {plural(found.sli.n, 'request')} "
        f"({interval(found.sli.low, found.sli.high, ratio)}); objective {ratio(found.objective)}: "
        f"{WORDS[found.verdict]}. Burn rate {factor(found.burn_rate)}; {ratio(found.spent_ratio)} of the error budget "
        f"of {found.period_days:g} days spent."
    )
    values = {"verdict": found.verdict, "objective": found.objective, "burn_rate": found.burn_rate,
              "spent_ratio": found.spent_ratio}  # fmt: skip
    spent = found.spent()
    return Finding("figure.objective", "info", text, found.sli, spent[spent["bad_count"] > 0],
                   values={**found.sli.values, **values}, code=code)  # fmt: skip


def cost_figure(found: Cost, code: str) -> Finding:
    """Return the cost per request and per month."""
    each = found.per_request
    limits = f" ({interval(each.low, each.high, usd)})" if each.low <= each.high else ""
    text = (
        f"{usd(each.value)} per request{limits}; {usd(found.usd_per_month)} per month at this request rate. Recording "
        f"the traces: {usd(found.tracing_usd_per_month)} per month."
    )
    values = {**each.values, "usd_per_month": found.usd_per_month, "tracing_usd_per_month": found.tracing_usd_per_month}
    return Finding("figure.cost", "info", text, each, values=values, code=code)
