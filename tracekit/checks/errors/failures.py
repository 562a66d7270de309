"""The error rate of finished requests, and where errors originate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.overview import Overview, overview
from tracekit.findings import Finding, Severity
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_CODE: Final = "tk.errors(traces, by=(), roots=True)"
_FAILING: Final = 0.01


def failures(case: Case) -> list[Finding]:
    """Return the error rate of finished requests, and where errors originate."""
    return [_failures(case.result(overview))] if case.result(overview).trace_count else []


def _failures(seen: Overview) -> Finding:
    """Return the error rate of finished requests, and where errors originate."""
    content, share = seen.content, seen.failed
    finished, failed = content.counts.finished, content.counts.failed
    unfinished = seen.trace_count - finished
    total = plural(share.n, f"{seen.counted}request")
    of = f"{count(failed)} of {total}"
    left_out = f"; {plural(unfinished, 'unfinished request')} left out" * bool(unfinished)
    if not finished:
        text = f"The error rate is not estimable: {_none_of(seen.trace_count)} finished, so there are no outcomes."
        return Finding("failures", "notice", text, code=_CODE)
    if np.isnan(share.value):
        text = f"The error rate is not estimable: all sampling weights are 0; {of} failed{left_out}."
        return Finding("failures", "notice", text, code=_CODE)
    limits = interval(share.low, share.high, ratio)
    if not failed:
        text = f"No errors in {total} (error rate {limits}{left_out})."
        return Finding("failures", "info", text, share, code=_CODE)
    is_even = content.weight_limits[0] == content.weight_limits[1]
    subject = f"Error rate{' of recorded requests' * (seen.recorded != '')}"
    counted = f"{count(failed)} of {count(share.n)}" if seen.recorded else of if is_even else "weighted"
    text = f"{subject} {ratio(share.value)} ({counted}; {limits}{left_out})."
    origin = content.origins
    if not origin.empty:
        top, weight = origin.iloc[0], origin["weight_sum"].sum()
        spans = plural(origin["span_count"].sum(), "error span")
        spans = "weighted" if not is_even else spans if len(origin) == 1 else f"{count(top['span_count'])} of {spans}"
        part = "All" if len(origin) == 1 else f"{ratio(top['weight_sum'] / weight)} of the errors"
        text += f" {part} originate in {name_of(top)} ({spans})."
    severity: Severity = "warning" if share.low >= _FAILING else "notice"
    first = tuple(content.failed.index[:1])
    return Finding("failures", severity, text, share, origin.head(10), first, code=_CODE)


def _none_of(total: int) -> str:
    """Return the subject of a sentence about requests of which none did something."""
    return "the only request has not" if total == 1 else f"none of {count(total)} requests has"
