"""The error rate of finished requests, and where errors originate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.checks.names import KEYS, name_of
from tracekit.checks.overview import Overview, overview
from tracekit.findings import Finding, Severity
from tracekit.text import count, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_CODE: Final = "tk.errors(traces, by=(), roots=True)"
_FAILING: Final = 0.01


def failures(case: Case) -> list[Finding]:
    """Return the error rate of finished requests, and where errors originate."""
    return [_failures(case.result(overview))] if len(case.traces) else []


def _failures(seen: Overview) -> Finding:
    """Return the error rate of finished requests, and where errors originate."""
    summary, share, finished = seen.traces.summary, seen.failed, seen.finished
    failed = summary["is_error"].to_numpy(bool) & finished
    total = plural(share.n, f"{seen.counted}request")
    of = f"{count(failed.sum())} of {total}"
    left_out = f"; {plural(int((~finished).sum()), 'unfinished request')} left out" * (not finished.all())
    if not finished.any():
        text = f"The error rate is not estimable: {_none_of(len(summary))} finished, so there are no outcomes."
        return Finding("failures", "notice", text, code=_CODE)
    if np.isnan(share.value):
        text = f"The error rate is not estimable: all sampling weights are 0; {of} failed{left_out}."
        return Finding("failures", "notice", text, code=_CODE)
    limits = interval(share.low, share.high, ratio)
    if not failed.any():
        text = f"No errors in {total} (error rate {limits}{left_out})."
        return Finding("failures", "info", text, share, code=_CODE)
    is_even = np.ptp(seen.traces.weights.value[finished]) == 0
    subject = f"Error rate{' of recorded requests' * (seen.recorded != '')}"
    counted = f"{count(failed.sum())} of {count(share.n)}" if seen.recorded else of if is_even else "weighted"
    text = f"{subject} {ratio(share.value)} ({counted}; {limits}{left_out})."
    origin = _origins(seen, failed)
    if not origin.empty:
        top, weight = origin.iloc[0], origin["weight_sum"].sum()
        spans = plural(origin["span_count"].sum(), "error span")
        spans = "weighted" if not is_even else spans if len(origin) == 1 else f"{count(top['span_count'])} of {spans}"
        part = "All" if len(origin) == 1 else f"{ratio(top['weight_sum'] / weight)} of the errors"
        text += f" {part} originate in {name_of(top)} ({spans})."
    severity: Severity = "warning" if share.low >= _FAILING else "notice"
    first = tuple(summary.index[failed][:1])
    return Finding("failures", severity, text, share, origin.head(10), first, code=_CODE)


def _none_of(total: int) -> str:
    """Return the subject of a sentence about requests of which none did something."""
    return "the only request has not" if total == 1 else f"none of {count(total)} requests has"


def _origins(seen: Overview, of_requests: Array) -> pd.DataFrame:
    """Return where errors originate: failed spans of failed requests without a failed child, by operation."""
    traces = seen.traces
    parent, failed = traces.forest.parent_row, traces.is_error
    passed_on = np.zeros(len(parent), bool)
    passed_on[parent[failed & (parent >= 0)]] = True
    rows = np.flatnonzero(failed & ~passed_on & of_requests[traces.forest.trace])
    frame = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(str) for name in KEYS})
    frame = frame.assign(span_count=1, weight_sum=traces.weights.value[traces.forest.trace[rows]])
    counted = frame.groupby(list(KEYS)).sum().reset_index()
    return counted.sort_values(["weight_sum", *KEYS], ascending=[False, True, True], ignore_index=True)
