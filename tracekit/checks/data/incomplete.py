"""Traces that are incomplete, and spans that end before they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.overview import Overview, overview
from tracekit.findings import Estimate, Finding
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def incomplete(case: Case) -> list[Finding]:
    """Return how many traces are incomplete and why, and how many spans end before they start."""
    found = _partial(case.result(overview)) if case.result(overview).trace_count else None
    return [] if found is None else [found]


def _partial(seen: Overview) -> Finding | None:
    """Return how many traces are incomplete and why, and how many spans end before they start."""
    content, total = seen.content, seen.trace_count
    found = content.counts
    if not found.partial and not found.negative:
        return None
    sentences = []
    if found.partial:
        reasons = (
            (found.orphans, "orphan span", ""),
            (found.rootless, "trace", " without a root span"),
            (found.many_roots, "trace", " with several root spans"),
            (found.unended, "span", " without an end time"),
            (found.limited, "trace", " truncated by X-Ray"),
        )
        why = ", ".join(f"{plural(number, noun)}{rest}" for number, noun, rest in reasons if number)
        verb = "is" if found.partial == 1 else "are"
        sentences.append(f"{count(found.partial)} of {plural(total, 'trace')} {verb} incomplete: {why}.")
    if found.negative:
        late = "ends before it starts" if found.negative == 1 else "end before they start"
        sentences.append(f"{plural(found.negative, 'span')} {late}.")
    value = found.partial / total
    share = Estimate(value, "ratio", value, value, total)
    code = 'traces.summary["partial"].mean()'
    return Finding("incomplete", "notice", " ".join(sentences), share, content.partial, code=code)
