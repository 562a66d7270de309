"""Traces that are some of the parts of a store, chosen at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.columns import SAMPLE_OF_STORE, SCALE_OF_SAMPLE
from tracekit.findings import Finding

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_ROUNDED: Final = 1 - 1e-6


def sample_of_store(case: Case) -> list[Finding]:
    """Return which part of a store the traces are; nothing for a whole recording."""
    said = case.traces.columns.notes.get(SAMPLE_OF_STORE)
    if said is None:
        return []
    weights, scale = case.traces.weights, float(case.traces.columns.notes.get(SCALE_OF_SAMPLE, "nan"))
    is_scaled = not (weights.value[weights.value > 0] < scale * _ROUNDED).any()  # they were at least 1 before
    if not weights.known.all():
        rest = "weights are unknown, so no figure is scaled up"
    elif is_scaled:
        rest = "weighted figures estimate the whole store"
    else:
        rest = "weights were set after sampling, so weighted figures are those of the sample"
    text = f"A random sample of a store: {said}. Counts are those of the sample; {rest}."
    remedy = "For figures of the whole store: store = tk.open(path), then tk.latency(store) and the other analyses."
    return [Finding("sample_of_store", "notice", text, remedy=remedy, code="len(traces)")]
