"""What the figures describe: all requests, the recorded traces, or a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.overview import overview
from tracekit.findings import Finding, Severity
from tracekit.text import count

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def weights(case: Case) -> list[Finding]:
    """Return what the figures describe."""
    return [_weights(case)] if case.result(overview).trace_count else []


def _weights(case: Case) -> Finding:
    """Return what the figures describe: all requests, the recorded traces, or a mixture."""
    weights = case.result(overview).weights
    text = f"{weights.statement[0].upper()}{weights.statement[1:]}."
    if not weights.unknown_count:
        is_any = weights.zero_count < weights.trace_count
        severity: Severity = "info" if not weights.zero_count else "notice" if is_any else "warning"
        return Finding("weights", severity, text, code="traces.weights")
    if weights.unknown_count == weights.trace_count and not weights.refusals:
        which = "figures not marked as estimated" if case.weighted.weights_call else "figures"
        text = f"Sampling weights not set: {which} describe {_these(weights.trace_count)}, not all requests."
    return Finding("weights", "warning", text, remedy=weights_remedy(case, "traces"), code="traces.weights")


def weights_remedy(case: Case, name: str) -> str:
    """Return how to set the missing weights of a set of traces with this name."""
    if call := case.weighted.weights_call:
        return f"Use the sampling weights from {case.weighted.weights_source}: {name}.{call}."
    return (
        f"If every request was recorded: {name}.with_weights(1). "
        f"Otherwise pass the sampling rules or a request log: {name}.with_weights(rules)."
    )


def _these(total: int) -> str:
    """Return the recorded traces as the object of a sentence."""
    return "this recorded trace" if total == 1 else f"these {count(total)} recorded traces"
