"""What is wrong, in one sentence: the endpoint, the metric, the baseline and the current value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.changes.endpoints import most_regressed
from tracekit.checks.changes.variation import METHOD, VARIES
from tracekit.checks.names import name_of
from tracekit.checks.overview import ENOUGH, overview
from tracekit.checks.screen.course import course_of
from tracekit.checks.screen.period import rates_apart
from tracekit.findings import Finding
from tracekit.stats.differences import Limited, difference_limits
from tracekit.text import count, factor, from_to, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.comparison import Changes
    from tracekit.checks.screen.made import Made, Regression
    from tracekit.findings import Severity

_FELT: Final = 0.1  # of the p95 of the baseline: added beyond doubt, it hurts users
_POINTS: Final = 0.01  # added to the error rate, it hurts users
_SURE: Final = 0.001  # p-value of the variation between stretches of time
_ALONE: Final = ("failures", "over_time", "tail", "slowest")


def headline(made: Made) -> Finding | None:
    """Return what is wrong: what became worse, or that nothing did; without a baseline, what stands out."""
    changes = made.changes
    if (empty := _empty(made)) is not None:
        return empty
    if changes is None:
        one = made.first("comparable") or made.warning(*_ALONE) or made.first("slowest")
        return None if one is None else replace(one, check="screen.headline", remedy="", method="")
    if (regression := made.regression) is None:
        return _nothing(made, changes) if made.change is None else _varying(made.change)
    if regression.metric == "mean":
        return replace(regression.finding, check="screen.headline", remedy="", method="")
    is_urgent = _is_hurting(made, regression, changes) and rates_apart(made) is None
    severity: Severity = "critical" if is_urgent else "warning"
    texts = [_errors(changes)] if regression.metric == "error_rate" else []
    if most_regressed(changes) is not None:
        texts.append(_latency(changes))
    values = (_error_values if regression.metric == "error_rate" else _latency_values)(changes)
    return replace(
        regression.finding,
        check="screen.headline",
        severity=severity,
        status="failed" if severity == "critical" else "warning",
        headline=" ".join(f"{text}." for text in texts),
        values={"metric": regression.metric, **values},
        remedy="",
        method="",
    )


def _empty(made: Made) -> Finding | None:
    """Return that a side has no traces; None where both have some."""
    sides = (
        (made.case, "The data contain no traces."),
        (made.case.baseline, "The baseline contains no traces: there is nothing to compare with."),
    )
    for case, text in sides:
        if case is not None and not case.result(overview).trace_count:
            values = {"metric": None, "endpoint_count": 0}
            return Finding("screen.headline", "notice", text, values=values, status="inconclusive", code="len(traces)")
    return None


def _is_hurting(made: Made, regression: Regression, changes: Changes) -> bool:
    """Return whether users are hurt now: by enough, and still when the data end."""
    row = most_regressed(changes)
    if regression.metric == "error_rate":
        rates = (Limited(one.value, one.low, one.high) for one in (changes.before.failed, changes.now.failed))
        is_felt = difference_limits(*rates).low >= _POINTS
    else:
        is_felt = row is not None and row["p95_change_low_ns"] >= _FELT * row["baseline_p95_ns"]
    is_sure = regression.p_value <= _SURE
    return bool(is_felt) and is_sure and course_of(made, regression).is_ongoing is True


def _errors(changes: Changes) -> str:
    """Return the change of the error rate."""
    rates = from_to(changes.before.failed.value, changes.now.failed.value, ratio)
    return f"Error rate{changes.recorded} rose {rates}"


def _error_values(changes: Changes) -> dict[str, Any]:
    """Return the numbers of the error rate."""
    before, now = changes.before.failed.value, changes.now.failed.value
    return {"baseline": before, "current": now, "unit": "ratio", "factor": now / before if before else float("inf")}


def _latency(changes: Changes) -> str:
    """Return the change of the p95 of the endpoint that regressed most."""
    row = most_regressed(changes)
    assert row is not None
    before, now = row["baseline_p95_ns"], row["current_p95_ns"]
    times = f" {factor(now / before)}" * bool(before)
    return f"{name_of(row)} p95 regressed{times}: {from_to(before, now)}"


def _latency_values(changes: Changes) -> dict[str, Any]:
    """Return the numbers of the p95 of the endpoint that regressed most."""
    row = most_regressed(changes)
    assert row is not None
    before, now = float(row["baseline_p95_ns"]), float(row["current_p95_ns"])
    place = {"service_name": str(row["service_name"]), "operation": str(row["operation"])}
    return {**place, "baseline": before, "current": now, "unit": "ns", "factor": now / before if before else None}


def _varying(change: Regression) -> Finding:
    """Return that something is worse, and varies as much between stretches of time, or has no place."""
    text = f"No regression beyond what varies over time: {change.finding.headline.removesuffix(VARIES)}"
    values = {"metric": None, "p_value": change.p_value}
    return replace(change.finding, check="screen.headline", severity="notice", status="inconclusive", headline=text,
                   values=values, remedy="", method=METHOD)  # fmt: skip


def _nothing(made: Made, changes: Changes) -> Finding | None:
    """Return that nothing regressed, with what was compared; None where a comparison could not be made."""
    if made.first("change") is None or made.first("failing") is None:
        return None
    entries = changes.entries
    tested = int(entries["p95_change_low_ns"].notna().sum())
    sizes = changes.before.trace_count, changes.now.trace_count
    traces = from_to(*sizes, count)
    if min(sizes) < ENOUGH:
        text = f"Too few traces to compare (n = {traces}): no statement on a regression."
        values = {"metric": None, "endpoint_count": 0}
        return Finding("screen.headline", "notice", text, values=values, status="inconclusive", code="len(traces)")
    if (better := made.first("improved")) is not None and rates_apart(made) is None:
        text = f"No significant regression. {better.headline}"
        return replace(better, check="screen.headline", headline=text, values={"metric": None, **better.values})
    p95 = f"the p95 of {plural(tested, 'endpoint')}, " * bool(tested)
    untested = "; too few traces for an interval of the p95" * (not tested)
    text = f"No significant regression of {p95}the mean latency and the error rate (n = {traces} traces){untested}."
    values = {"metric": None, "endpoint_count": tested}
    return Finding("screen.headline", "info", text, values=values, code="tk.compare(before, traces)")
