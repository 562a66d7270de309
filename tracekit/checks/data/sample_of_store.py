"""Traces that are some of the parts of a store, chosen at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.overview import overview
from tracekit.columns import SAMPLE_OF_STORE, SCALE_OF_SAMPLE
from tracekit.findings import Finding
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.parts import Parts

_ROUNDED: Final = 1 - 1e-6


def sample_of_store(case: Case) -> list[Finding]:
    """Return which part of a store the traces are; nothing for a whole recording."""
    sample = _sample(case.source)
    if sample is None:
        return []
    said, scale = sample
    content = case.result(overview).content
    is_scaled = not content.least_weight < scale * _ROUNDED  # they were at least 1 before
    if content.weights.unknown_count:
        rest = "weights are unknown, so no figure is scaled up"
    elif is_scaled:
        rest = "weighted figures estimate the whole store"
    else:
        rest = "weights were set after sampling, so weighted figures are those of the sample"
    text = f"A random sample of a store: {said}. Counts are those of the sample; {rest}."
    remedy = "For figures of the whole store: store = tk.open(path), then tk.latency(store) and the other analyses."
    return [Finding("sample_of_store", "notice", text, remedy=remedy, code="len(traces)")]


def _sample(source: TraceSet | Parts) -> tuple[str, float] | None:
    """Return which part of a store was chosen, and what weights were multiplied by; None for a whole recording."""
    if not isinstance(source, TraceSet):
        return source.sampled
    said = source.columns.notes.get(SAMPLE_OF_STORE)
    return None if said is None else (said, float(source.columns.notes.get(SCALE_OF_SAMPLE, "nan")))
