"""S23: truncated and unfinished traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.verdicts import status_of_low_share, without_weighted_traces
from tracekit.completeness import is_open
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.schema import Quality, RecordKind
from tracekit.text import plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.traces import TraceSet

CHECK, _SUBJECT = "partial", "Incomplete traces"
_MOST, _PILE, _PILE_FEWEST, _LONG = 0.01, 5.0, 5, 50
_REMEDY = "Read unfinished traces again after they have ended; raise the limit that truncates the others."
_NEAR_BYTES = 62_259  # 95% of 64 kB
_STREAMING_LIMITS = (20, 30, 100)  # Go; Python; Java, Node and .NET
_FEWEST, _WIDTH = 5, 0.1


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
        "ok": "Span counts and totals are complete.",
        "inconclusive": "Too few traces to decide whether more than 1% are affected.",
    }
    be = "is" if total == 1 else "are"
    some = (
        f"{ratio(value)} ({case.ci} {ratio_range(low, high)}) of {plural(total, 'trace')} {be} truncated or unfinished"
    )
    none = f"no signs of truncation in {plural(total, 'trace')}"
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


def xray_signs(traces: TraceSet) -> dict[str, Array]:
    """Return the traces with each sign of X-Ray that is detectable in these data.

    ``LimitExceeded`` of the response; segment documents of at least 95% of 64 kB, the limit of X-Ray (only where every
    line is one document: otherwise their size is unknown); segments with exactly as many subsegments as an SDK keeps
    before it streams them separately (20, 30 or 100 by default), where at least five segments of a service have that
    many, none has more, and it is over five times as many as for each of the numbers up to 10% below.

    Assumes default streaming limits.  ``IsPartial`` occurs only in trace summaries, which contain no spans: see
    ``tracekit.aws``.

    Source: X-Ray quotas (64 kB a segment document); streaming defaults of the X-Ray SDKs.
    """
    spans = traces.columns.spans
    segment = np.flatnonzero(spans.record_kind == RecordKind.SEGMENT)
    signs = {"X-Ray's limit exceeded": _limited(traces)}
    if not len(segment):
        return signs
    large = segment[_document_bytes(traces, segment) >= _NEAR_BYTES]
    streamed = segment[_at_streaming_limit(traces, segment)]
    for sign, rows in (
        ("a segment document near 64 kB", large),
        ("as many subsegments as a streaming limit keeps", streamed),
    ):
        signs[sign] = np.zeros(len(traces), bool)
        signs[sign][traces.forest.trace[rows]] = True
    return signs


def _limited(traces: TraceSet) -> Array:
    """Return the traces to which X-Ray stopped adding segments."""
    facts, spans = traces.columns.facts, traces.columns.spans
    if not len(facts) or not facts.limit_exceeded.any():
        return np.zeros(len(traces), bool)
    first = traces.forest.starts[:-1]
    own = pd.MultiIndex.from_arrays([spans.trace_hi[first], spans.trace_lo[first]])
    limited = pd.MultiIndex.from_arrays([facts.trace_hi, facts.trace_lo])[np.asarray(facts.limit_exceeded, bool)]
    return np.asarray(own.isin(limited))


def _document_bytes(traces: TraceSet, segment: Array) -> Array:
    """Return the size of each segment's document in bytes; 0 where it is unknown."""
    spans, sources = traces.columns.spans, traces.columns.sources
    plain = sources["dialects"].map(lambda text: bool(re.fullmatch(r"segment_documents=\d+", text))).to_numpy(bool)
    size = np.zeros(len(segment), np.int64)
    for source in np.flatnonzero(plain):
        record, first = np.unique(np.where(spans.source == source, spans.record_number, -1), return_index=True)
        offset, known = spans.byte_offset[first], record >= 0
        record, offset = record[known], offset[known]
        ends = np.append(offset[1:], sources["byte_count"].iloc[source])
        is_next = np.append(np.diff(record) == 1, record[-1:] == sources["record_count"].iloc[source])
        own = np.flatnonzero(spans.source[segment] == source)
        line = np.searchsorted(record, spans.record_number[segment[own]])
        alone = np.bincount(line, minlength=len(record)) == 1
        size[own] = np.where(is_next & alone, ends - offset, 0)[line]
    return size


def _at_streaming_limit(traces: TraceSet, segment: Array) -> Array:
    """Return which segments have as many subsegments as a streaming limit, if segments of a service pile up there."""
    count = _subsegments(traces)[segment]
    service = traces.codes("service_name").codes[segment]
    found = np.zeros(len(segment), bool)
    for code in np.unique(service[np.isin(count, _STREAMING_LIMITS)]):
        own = count[service == code]
        most = int(own.max())
        low = int(np.floor(most * (1 - _WIDTH)))
        below = ((own >= low) & (own < most)).sum() / (most - low)
        piled = most in _STREAMING_LIMITS and (own == most).sum() > max(_PILE * below, _FEWEST - 1)
        found |= (service == code) & (count == most) & (piled and own.min() < most)
    return found


def _subsegments(traces: TraceSet) -> Array:
    """Return the number of subsegments of each segment, at any depth."""
    kind, parent = traces.columns.spans.record_kind, traces.forest.parent_row
    below = np.flatnonzero((kind == RecordKind.SUBSEGMENT) & (parent >= 0))
    above = np.arange(len(kind))
    above[below] = parent[below]
    while not np.array_equal(further := above[above], above):  # doubles the distance with each pass
        above = further
    return np.bincount(above[below], minlength=len(kind))
