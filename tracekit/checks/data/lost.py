"""Spans and sources that could not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.overview import Overview, overview
from tracekit.findings import Finding
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_NOTHING: Final = "See traces.issues for files and records that could not be used."


def lost(case: Case) -> list[Finding]:
    """Return how many spans could not be used, and whether there is any trace."""
    found = _lost(case.result(overview))
    empty = Finding("empty", "warning", "The data contain no traces.", remedy=_NOTHING)
    return [*([] if found is None else [found]), *([] if case.result(overview).trace_count else [empty])]


def _lost(seen: Overview) -> Finding | None:
    """Return what could not be used."""
    sources = seen.sources
    lost, total = int(sources["quarantined_count"].sum()), int(sources["span_count"].sum())
    cut = int((~sources["complete"].astype(bool)).sum())
    if not lost and not cut:
        return None
    parts = [f"{count(lost)} of {plural(total, 'span')} could not be used"] if lost else []
    parts += [f"{plural(cut, 'source')} {'was' if cut == 1 else 'were'} not read to the end"] if cut else []
    text = f"{' and '.join(parts)}; figures describe the rest."
    return Finding("lost", "warning", text[0].upper() + text[1:], evidence=sources, code="traces.issues")
