"""S23: truncated and unfinished traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.quality.completeness.truncation import LIMITS, at_a_limit, xray_signs
from tracekit.checks.shares import Events, added, events_of, share_sums, shares_of
from tracekit.checks.verdicts import status_of_low_share, without_weighted_traces
from tracekit.completeness import is_open
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.schema import Quality
from tracekit.text import plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.stats.aggregates import Aggregate

CHECK, _SUBJECT = "partial", "Incomplete traces"
_MOST = 0.01
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
    seen = case.result(CUT)
    total, cut = seen.any_sign.trial_count, seen.any_sign.event_count
    if not total:
        return [not_assessable(CHECK, _SUBJECT, "traces")]
    unread = int((~case.source.sources["complete"].astype(bool)).sum())
    evidence = _evidence(case, seen.signs, unread)
    whole = shares_of(case, seen.any_sign.whole).ratio
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if np.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    status = status_of_low_share(low, high, warn=_MOST) if cut else "ok"
    why = f", most often with {evidence['sign'].iloc[0]}" if cut else ""
    also = f" {unread} of {len(case.source.sources)} sources were not read to their end." if unread else ""
    meaning = {
        "ok": "Span counts and totals are complete.",
        "inconclusive": "Too few traces to decide whether more than 1% are affected.",
    }
    be = "is" if total == 1 else "are"
    some = (
        f"{ratio(value)} ({case.ci} {ratio_range(low, high)}) of {plural(total, 'trace')} {be} truncated or unfinished"
    )
    none = f"no signs of truncation in {plural(total, 'trace')}"
    many = some if cut else none
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
            exemplars=seen.any_sign.examples,
        )
    ]


class _Cut(NamedTuple):
    """Traces and those with any sign, and the same by sign."""

    any_sign: Events
    signs: dict[str, Aggregate]

    def plus(self, other: _Cut) -> _Cut:
        """Return those of two parts."""
        signs = {sign: added(sums, other.signs[sign]) for sign, sums in self.signs.items()}
        return _Cut(self.any_sign.plus(other.any_sign), signs)


def _cut(case: Case) -> _Cut:
    """Return the traces of a part with a sign."""
    signs, every = _signs(case), np.arange(len(case.traces))
    any_sign = events_of(case, every, np.any(list(signs.values()), axis=0), {})
    return _Cut(any_sign, {sign: share_sums(case, every, mask, {}) for sign, mask in signs.items()})


CUT: Final[Merged[_Cut]] = Merged(_cut, _Cut.plus, needs=(LIMITS,))


def _evidence(case: Case, signs: dict[str, Aggregate], unread: int) -> pd.DataFrame:
    """Return one row per sign with the share of its traces, and one if sources were not read to their end."""
    rows = []
    for sign, sums in signs.items():
        shares = shares_of(case, sums)
        found, cut = shares.ratio, int(shares.event_count[0])
        low, high = float(found.low[0]), float(found.high[0])
        verdict = status_of_low_share(low, high, warn=_MOST) if cut else "ok"
        rows.append((sign, cut, float(found.ratio[0]), low, high, verdict))
    if unread:
        rows.append(("sources not read to their end", 0, np.nan, np.nan, np.nan, "warning"))
    names = ["sign", "trace_count", "ratio", "low", "high", "status"]
    return pd.DataFrame(rows, columns=names).sort_values(
        "trace_count", ascending=False, ignore_index=True, kind="stable"
    )


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
        **xray_signs(case),
        "dropped attributes": any_span(spans.dropped_attributes > 0),
        "dropped events": any_span(spans.dropped_events > 0),
        "dropped links": any_span(spans.dropped_links > 0),
        "as many spans as a limit allows": at_a_limit(case),
    }
