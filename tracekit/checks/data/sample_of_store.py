"""Traces that are some of the parts of a store, chosen at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.columns import SAMPLE_OF_STORE
from tracekit.findings import Finding

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def sample_of_store(case: Case) -> list[Finding]:
    """Return which part of a store the traces are; nothing for a whole recording."""
    said = case.traces.columns.notes.get(SAMPLE_OF_STORE)
    if said is None:
        return []
    known = case.traces.weights.known.all()
    rest = "weighted figures estimate the whole store" if known else "weights are unknown, so no figure is scaled up"
    text = f"A random sample of a store: {said}. Counts are those of the sample; {rest}."
    remedy = "For figures of the whole store: store = tk.open(path), then tk.latency(store) and the other analyses."
    return [Finding("sample_of_store", "notice", text, remedy=remedy, code="len(traces)")]
