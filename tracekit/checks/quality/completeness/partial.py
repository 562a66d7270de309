"""S23: truncated and unfinished traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.quality.completeness.xray_truncation import xray_signs
from tracekit.checks.verdicts import finding, not_assessable, status_of_low_share, without_weighted_traces
from tracekit.checks.words import counted, percent, percents
from tracekit.completeness import is_open
from tracekit.findings import Estimate
from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "partial", "Incomplete traces"
_MOST, _PILE, _PILE_FEWEST, _LONG = 0.01, 5.0, 5, 50
_REMEDY = "Read unfinished traces again after they have ended; raise the limit that truncates the others."


def partial(case: Case) -> list[Finding]:
    """Return the share of truncated or unfinished traces, by sign.

    Signs: spans still in progress or without an end, those of X-Ray (``xray_signs``), dropped attributes, events or
    links, and a pile-up of traces at the largest number of spans (more than five times as many as just below: a
    limit).  The share is weighted, with a Wilson interval on the effective number of traces.  Above 1%: warning.
    Sources that were not read to their end are counted.  Assumes that limits apply to entire services.  Does not detect
    late spans of tracers that complete a trace when no known span is open.

    Source: limits of X-Ray (10,000 spans, 64 kB documents) and of OpenTelemetry SDKs.
    """
    total = len(case.traces)
    if not total:
        return [not_assessable(CHECK, _SUBJECT, "traces")]
    signs = _signs(case)
    unread = int((~case.traces.columns.sources["complete"].astype(bool)).sum())
    evidence = _evidence(case, signs, unread)
    any_cut = np.any(list(signs.values()), axis=0)
    whole = case.ratio(np.arange(total), any_cut)
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if np.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    status = status_of_low_share(low, high, warn=_MOST) if any_cut.any() else "ok"
    why = f", most often with {evidence['sign'].iloc[0]}" if any_cut.any() else ""
    also = f" {unread} of {len(case.traces.columns.sources)} sources were not read to their end." if unread else ""
    meaning = {
        "ok": "Totals over their spans are complete.",
        "inconclusive": "Too few traces to decide whether more than 1% are affected.",
    }
    be = "is" if total == 1 else "are"
    some = (
        f"{percent(value)} ({case.ci} {percents(low, high)}) of {counted(total, 'trace')} {be} truncated or unfinished"
    )
    none = f"none of {counted(total, 'trace')} shows a sign of truncation"
    many = some if any_cut.any() else none
    text = f"{_SUBJECT}: {many}{why}. {meaning.get(status, 'Totals over their spans are lower bounds.')}{also}"
    return [
        finding(
            CHECK,
            "warning" if unread and status == "ok" else status,
            text,
            evidence,
            estimate=Estimate(value, "ratio", low, high, total, float(whole.n_effective[0])),
            assumptions=("limits apply to entire services; a trace without a sign may still be truncated",),
            remedy=_REMEDY if status == "warning" or unread else "",
            exemplars=case.exemplars(np.flatnonzero(any_cut)),
        )
    ]


def _evidence(case: Case, signs: dict[str, Array], unread: int) -> pd.DataFrame:
    """Return one row per sign with the share of its traces, and one if sources were not read to their end."""
    rows = []
    for sign, cut in signs.items():
        found = case.ratio(np.arange(len(cut)), cut)
        low, high = float(found.low[0]), float(found.high[0])
        verdict = status_of_low_share(low, high, warn=_MOST) if cut.any() else "ok"
        rows.append((sign, int(cut.sum()), float(found.ratio[0]), low, high, verdict))
    if unread:
        rows.append(("sources not read to their end", 0, np.nan, np.nan, np.nan, "warning"))
    names = ["sign", "trace_count", "ratio", "low", "high", "status"]
    return pd.DataFrame(rows, columns=names).sort_values("trace_count", ascending=False, ignore_index=True)


def _signs(case: Case) -> dict[str, Array]:
    """Return the traces with each sign."""
    traces, spans = case.traces, case.traces.columns.spans
    total, trace = len(traces), traces.forest.trace

    def any_span(mask: Array) -> Array:
        found = np.zeros(total, bool)
        found[trace[mask]] = True
        return found

    in_progress = (spans.quality & Quality.IN_PROGRESS) != 0
    without_end = is_open(traces.lookup) & ~in_progress
    return {
        "spans in progress": any_span(in_progress),
        "spans without an end": any_span(without_end),
        **xray_signs(traces),
        "dropped attributes": any_span(spans.dropped_attributes > 0),
        "dropped events": any_span(spans.dropped_events > 0),
        "dropped links": any_span(spans.dropped_links > 0),
        "as many spans as a limit allows": _at_a_limit(np.diff(traces.forest.starts)),
    }


def _at_a_limit(span_count: Array) -> Array:
    """Return the traces with the largest number of spans, if they pile up there."""
    most = int(span_count.max())
    at_most = span_count == most
    neighbours = ((span_count < most) & (span_count >= 0.9 * most)).sum() / max(most - np.ceil(0.9 * most), 1)
    piled = most >= _LONG and at_most.sum() >= _PILE_FEWEST and at_most.sum() > _PILE * neighbours
    varied = len(np.unique(span_count)) > 1
    return np.asarray(at_most & (piled and varied))
