"""Bounds of a figure whatever was lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.analysis.bounds.claims import claim_of
from tracekit.analysis.bounds.hidden import Hidden, strata
from tracekit.analysis.bounds.limits import limits_of
from tracekit.analysis.bounds.result import Bounds
from tracekit.analysis.bounds.sums import RequestSums, RequestSumsOf
from tracekit.analysis.bounds.unseen import STATUS, unseen
from tracekit.analysis.partials import over_parts
from tracekit.arguments import check_traces, is_store
from tracekit.stats.worst_case import Masses
from tracekit.text import clean, count, plural
from tracekit.weights.counts import read_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.bounds.limits import Limits
    from tracekit.analysis.bounds.unseen import Unseen
    from tracekit.findings import Finding
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet
    from tracekit.weights.known import WeightTotals

_UNKNOWN: Final = (
    "the number of requests is unknown; pass requests= (request counts, see tk.read_requests), or "
    "traces.with_weights(1) if every request has a trace"
)


def bounds(
    traces: TraceSet | Parts,
    claim: str | Finding,
    *,
    requests: pd.DataFrame | Sequence[pd.DataFrame] | None = None,
    longest_ms: float | None = None,
    always_recorded: str | Sequence[str] = (),
    only_5xx_failed: bool = False,
    ends_last: bool = False,
    on: On = None,
) -> Bounds:
    """Return bounds of a figure of all requests whatever was lost, and what would decide a claim about it.

    Parameters
    ----------
    traces
        Traces, or a store of them; one request each.
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
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Bounds
        ``.low``, ``.high``, ``.verdict``, ``.knowledge``, ``.sources`` (of doubt), ``.strata``, ``.plan()``,
        ``.tolerated_count``, ``.estimate``.

    Raises
    ------
    ValueError
        A claim that cannot be read, an unknown endpoint, counts that contradict each other, something stated that the
        traces contradict, or ``on`` without a store.
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

    Of a store with more than 4,096 different latencies, they are rounded by 1/512 at most, but never across the value
    that is claimed, so that the verdict is that of exact ones; means are exact.  The least durations of unfinished
    requests (``ends_last``) are then rounded down.

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
    sums_of = RequestSumsOf(asked, limits, counts, ends_last=ends_last, is_part=is_store(traces))
    part = over_parts(traces, sums_of, RequestSums.plus, on=on)
    found, weights = part.state, part.weights
    is_qualified = found.endpoints.is_qualified(asked.place)
    beside = unseen(counts, found.seen, asked, is_qualified=is_qualified) if counts else None
    found.longer.check(limits)
    found.otherwise.check()
    hidden = Hidden(found.figure(asked), asked, limits, found.masses(asked), beside)
    needs = _needs(weights, hidden, found)
    none = Masses.of([])
    low, high = (none, none) if needs else (hidden.worst(highest=False), hidden.worst(highest=True))
    ends = (math.nan, math.nan) if needs else (hidden.figure.at(low), hidden.figure.at(high))
    return Bounds(
        asked,
        hidden.figure.at(none),
        *ends,
        asked.verdict(*ends),
        tuple(_knowledge(weights, found, beside, limits, ends_last=ends_last)),
        needs,
        pd.DataFrame() if beside is None else strata(beside),
        hidden,
        low,
        high,
        found.requests(asked),
        weights,
        found.span_ns,
    )


def _needs(weights: WeightTotals, hidden: Hidden, found: RequestSums) -> str:
    """Return what is missing for bounds; empty if nothing is."""
    if not hidden.figure.count:
        of = " of this endpoint" * (hidden.claim.place is not None)
        if hidden.unseen is not None and found.has_outcome:
            return f"no trace{of} is within the windows and strata of the request counts"
        return f"no recorded request{of} has a known outcome"
    if hidden.unseen is None and not _is_complete(weights):
        return _UNKNOWN
    return ""


def _is_complete(weights: WeightTotals) -> bool:
    """Return whether the sampling weights state that every request has a trace."""
    return not weights.unknown_count and weights.one_count == weights.trace_count


def _knowledge(
    weights: WeightTotals, found: RequestSums, beside: Unseen | None, limits: Limits, *, ends_last: bool
) -> list[str]:
    """Return what the bounds rest on."""
    said = []
    if beside is None:
        if _is_complete(weights):
            source = min(weights.sources, key=lambda name: (-weights.sources[name], name), default="no traces")
            said.append(f"every request has a trace ({source})")
    else:
        for frame in beside.frames:
            by = " by " + ", ".join(frame.dimensions) if frame.dimensions else ""
            windows = f" in {plural(frame.rows['start_ns'].nunique(), 'window')}" if frame.has_time else ""
            said.append(f"{count(frame.rows['request_count'].sum())} requests counted{by}{windows}")
            said += frame.notes
        if left := found.left_out_count:
            said.append(f"{plural(left, 'trace')} outside the counted windows and strata left out")
    said += limits.statements
    if found.has_doubt:
        least = "took at least as long as their recorded spans" if ends_last else "may have taken any time"
        said.append(f"requests without a recorded outcome {least}, and may have failed")
    return [clean(one) for one in said]
