"""What the figures describe: all requests, the recorded traces, or a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.findings import Finding, Severity
from tracekit.text import count

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def weights(case: Case) -> list[Finding]:
    """Return what the figures describe."""
    return [_weights(case)] if len(case.traces) else []


def _weights(case: Case) -> Finding:
    """Return what the figures describe: all requests, the recorded traces, or a mixture."""
    weights = case.traces.weights
    text = f"{weights.statement[0].upper()}{weights.statement[1:]}."
    if weights.known.all():
        severity: Severity = "info" if weights.value.all() else "notice" if weights.value.any() else "warning"
        return Finding("weights", severity, text, code="traces.weights")
    if not weights.known.any() and not weights.refusal:
        which = "figures not marked as estimated" if case.weighted.weights_call else "figures"
        text = f"Sampling weights not set: {which} describe {_these(len(weights.value))}, not all requests."
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
