"""Bounds of a figure whatever was lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.bounds.claims import claim_of
from tracekit.analysis.bounds.hidden import Hidden, strata
from tracekit.analysis.bounds.limits import check_longest, limits_of
from tracekit.analysis.bounds.recorded import recorded
from tracekit.analysis.bounds.result import Bounds
from tracekit.analysis.bounds.unseen import FAILED, STATUS, unseen
from tracekit.arguments import check_traces
from tracekit.stats.worst_case import Figure, Masses
from tracekit.text import clean, count, plural
from tracekit.weights.counts import read_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.bounds.limits import Limits
    from tracekit.analysis.bounds.recorded import Recorded
    from tracekit.analysis.bounds.unseen import Unseen
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.traces import TraceSet

_UNKNOWN: Final = (
    "the number of requests is unknown; pass requests= (request counts, see tk.read_requests), or "
    "traces.with_weights(1) if every request has a trace"
)


def bounds(
    traces: TraceSet,
    claim: str | Finding,
    *,
    requests: pd.DataFrame | Sequence[pd.DataFrame] | None = None,
    longest_ms: float | None = None,
    always_recorded: str | Sequence[str] = (),
    only_5xx_failed: bool = False,
    ends_last: bool = False,
) -> Bounds:
    """Return bounds of a figure of all requests whatever was lost, and what would decide a claim about it.

    Parameters
    ----------
    traces
        Traces; one request each.
    claim
        ``p99 of POST /checkout < 1.5 s``, ``mean < 200 ms``, ``error rate of POST /checkout < 1%``, ``2% failed``, ``5%
        slower than 300 ms``; without ``of``, of all requests; ``error rate`` alone claims nothing.  A figure that
        ``is`` 1.2 s rounds to it.  Or the finding ``failures``.
    requests
        Request counts from another source, as for ``tk.quality``: ``count`` by any of ``time``, ``service``, ``route``,
        ``method``, ``status``.  Several frames count the same requests by different dimensions.
    longest_ms
        No request took longer, for example because clients give up after it.
    always_recorded
        ``failed``, ``slower than 1 s``, or both: such requests have a trace because the sampler keeps them.  It does
        not apply to windows of ``requests`` without any trace; counts without times have no windows.
    only_5xx_failed
        Requests counted with status 5xx failed and no others; otherwise requests of other statuses may have failed.
    ends_last
        An unfinished request took at least as long as its recorded spans: no work after the response, no clock skew.

    Returns
    -------
    Bounds
        ``.low``, ``.high``, ``.verdict``, ``.knowledge``, ``.sources`` (of doubt), ``.strata``, ``.plan()``,
        ``.tolerated_count``, ``.estimate``.

    Raises
    ------
    ValueError
        A claim that cannot be read, an unknown endpoint, counts that contradict each other, or something stated that
        the traces contradict.
    TypeError
        A claim that is neither text nor the finding ``failures``.

    Notes
    -----
    Bounds are worst cases, not intervals: they leave nothing to chance.  A request without a usable trace (without
    any, without a root span, or unfinished) may have taken any time from 0 to ``longest_ms``, and may have failed.
    Random sampling excludes none of this; sampling weights are used for ``estimate`` only, the interval if chance alone
    decided.  Weights of 1 (``with_weights(1)``) state that every request has a trace.  Otherwise the number of lost
    requests has to be known: without ``requests`` nothing is bounded, and ``tolerated_count`` is the number of lost
    requests up to which the claim would be decided.

    The figure is of the counted requests.  Where the counts do not say whether a lost request was one of the endpoint,
    it may or may not have been.  The bounds of one frame are attained by some losses, unless ``always_recorded`` is
    combined with counts by status.  Several frames constrain each other: their bounds are linear programs over
    endpoint, window and status, and attained where no more than two frames overlap, without ``always_recorded``.

    Examples
    --------
    Of eight requests, five have a trace:

    >>> eight = pd.DataFrame({"count": [8]})
    >>> tk.bounds(shop, "p50 < 300 ms", requests=eight)
    Bounds(p50: recorded 100 ms (5 requests), 40.0–160 ms whatever was lost; < 300 ms: true)
    >>> tk.bounds(shop, "p99 < 2 s", requests=eight).verdict
    'undecided'
    >>> tk.bounds(shop, "p99 < 2 s", requests=eight, longest_ms=1500).verdict
    'true'
    >>> tk.bounds(shop, "p99 < 2 s").verdict
    'not estimable'
    """
    check_traces(traces, "bounds")
    asked, limits = claim_of(claim), limits_of(longest_ms, always_recorded, only_5xx_failed=only_5xx_failed)
    frames: Sequence[Any] = requests if isinstance(requests, list | tuple) else [] if requests is None else [requests]
    counts = [read_counts(frame) for frame in frames]
    if only_5xx_failed and not any(STATUS in one.dimensions for one in counts):
        raise ValueError(
            "expected request counts with a status for only_5xx_failed, found none; add status to requests"
        )
    found = recorded(traces, asked, ends_last=ends_last)
    beside = unseen(traces, found, asked, counts) if counts else None
    is_counted = np.ones(len(traces), bool) if beside is None else beside.is_counted
    own = found.is_known & found.in_place & is_counted
    _check(traces, found, limits, is_counted)
    hidden = Hidden(
        Figure(np.sort(found.value[own]), asked.share),
        asked,
        limits,
        found.least_ns[found.is_unfinished & found.in_place & is_counted],
        found.least_ns[~found.has_root],
        beside,
    )
    needs = _needs(traces, hidden, found, beside)
    value = hidden.figure.at(Masses.of([]))
    none = Masses.of([])
    low, high = (none, none) if needs else (hidden.worst(highest=False), hidden.worst(highest=True))
    ends = (math.nan, math.nan) if needs else (hidden.figure.at(low), hidden.figure.at(high))
    return Bounds(
        traces,
        asked,
        value,
        *ends,
        asked.verdict(*ends),
        tuple(_knowledge(traces, found, beside, limits, ends_last=ends_last)),
        needs,
        pd.DataFrame() if beside is None else strata(beside),
        hidden,
        low,
        high,
        found.root[own],
    )


def _check(traces: TraceSet, found: Recorded, limits: Limits, is_counted: Array) -> None:
    """Raise ValueError if recorded requests contradict what is stated."""
    known = np.flatnonzero(found.is_known & is_counted)
    root = found.root[known]
    took = np.where(traces.has_duration[root], traces.duration_ns[root], 0)
    check_longest(limits, traces, took, known)
    if not limits.only_5xx_failed:
        return
    from tracekit.weights.tally import stratum_codes  # noqa: PLC0415 - needed for this check only

    status = stratum_codes(traces, STATUS).take(root)
    is_5xx = np.array([label == FAILED for label in status.labels] + [False])[status.codes]
    other = np.flatnonzero(is_5xx != traces.is_error[root])
    if len(other):
        first = int(other[0])
        what = "failed" if traces.is_error[root[first]] else "did not fail"
        raise ValueError(
            f"expected that exactly the requests with status 5xx failed (only_5xx_failed), found {len(other):,} of "
            f"{len(root):,} others: trace {traces.trace_ids[int(known[first])]} {what} with status {status.at(first)}"
        )


def _needs(traces: TraceSet, hidden: Hidden, found: Recorded, beside: Unseen | None) -> str:
    """Return what is missing for bounds; empty if nothing is."""
    if not len(hidden.figure.known):
        of = " of this endpoint" * (hidden.claim.place is not None)
        if beside is not None and (found.is_known & found.in_place).any():
            return f"no trace{of} is within the windows and strata of the request counts"
        return f"no recorded request{of} has a known outcome"
    if beside is None and not _is_complete(traces):
        return _UNKNOWN
    return ""


def _is_complete(traces: TraceSet) -> bool:
    """Return whether the sampling weights state that every request has a trace."""
    return bool(traces.weights.known.all() and (traces.weights.value == 1).all())


def _knowledge(
    traces: TraceSet, found: Recorded, beside: Unseen | None, limits: Limits, *, ends_last: bool
) -> list[str]:
    """Return what the bounds rest on."""
    said = []
    if beside is None:
        if _is_complete(traces):
            said.append(f"every request has a trace ({next(iter(traces.weights.sources), 'no traces')})")
    else:
        for frame in beside.frames:
            by = " by " + ", ".join(frame.dimensions) if frame.dimensions else ""
            windows = f" in {plural(frame.rows['start_ns'].nunique(), 'window')}" if frame.has_time else ""
            said.append(f"{count(frame.rows['request_count'].sum())} requests counted{by}{windows}")
            said += frame.notes
        if left := int((~beside.is_counted).sum()):
            said.append(f"{plural(left, 'trace')} outside the counted windows and strata left out")
    said += limits.statements
    if (found.is_unfinished | ~found.has_root).any():
        least = "took at least as long as their recorded spans" if ends_last else "may have taken any time"
        said.append(f"requests without a recorded outcome {least}, and may have failed")
    return [clean(one) for one in said]
