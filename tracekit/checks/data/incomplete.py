"""Traces that are incomplete, and spans that end before they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.overview import Overview, overview
from tracekit.completeness import is_open
from tracekit.findings import Estimate, Finding
from tracekit.schema import Quality
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def incomplete(case: Case) -> list[Finding]:
    """Return how many traces are incomplete and why, and how many spans end before they start."""
    found = _partial(case.result(overview)) if len(case.traces) else None
    return [] if found is None else [found]


def _partial(seen: Overview) -> Finding | None:
    """Return how many traces are incomplete and why, and how many spans end before they start."""
    traces, summary = seen.traces, seen.traces.summary
    partial = summary["partial"].to_numpy(bool)
    negative = int(((traces.columns.spans.quality & Quality.DURATION_NEGATIVE) != 0).sum())
    if not partial.any() and not negative:
        return None
    sentences = []
    if partial.any():
        reasons = (
            (summary["orphan_count"].sum(), "orphan span", ""),
            ((summary["root_count"] == 0).sum(), "trace", " without a root span"),
            ((summary["root_count"] > 1).sum(), "trace", " with several root spans"),
            (is_open(traces.lookup).sum(), "span", " without an end time"),
            (summary["limit_exceeded"].sum(), "trace", " truncated by X-Ray"),
        )
        why = ", ".join(f"{plural(int(number), noun)}{rest}" for number, noun, rest in reasons if number)
        verb = "is" if partial.sum() == 1 else "are"
        sentences.append(f"{count(partial.sum())} of {plural(len(summary), 'trace')} {verb} incomplete: {why}.")
    if negative:
        sentences.append(
            f"{plural(negative, 'span')} {'ends before it starts' if negative == 1 else 'end before they start'}."
        )
    value = float(partial.mean())
    share = Estimate(value, "ratio", value, value, len(summary))
    code = 'traces.summary["partial"].mean()'
    return Finding("incomplete", "notice", " ".join(sentences), share, summary[partial].head(10), code=code)
