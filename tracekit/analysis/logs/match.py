"""Which trace and span each log line belongs to: by ids, otherwise by place and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.logs.nearby import Spot, places_of

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.logs.nearby import Places
    from tracekit.analysis.logs.open_requests import Only, OpenRequests
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

MATCHES: Final = ("span_id", "trace_id", "time", "ambiguous", "other_trace", "none")
SPAN_ID, TRACE_ID, TIME, AMBIGUOUS, OTHER_TRACE, NONE = range(len(MATCHES))
BY_ID: Final = ("span_id", "trace_id")
_P95: Final = 95


class Matched(NamedTuple):
    """For each line how it was matched (a code of ``MATCHES``), score, candidate requests, trace and span (-1 = none).

    ``outside_ns`` is how far a line joined by span id is outside the time of its span, 0 for all others.
    """

    how: Array
    score: Array
    candidate_count: Array
    trace: Array
    span: Array
    outside_ns: Array


class WithoutId(NamedTuple):
    """Lines that no id joins, with the time and the place that they have.

    ``line``: their rows.  ``spots``, ``spot``: where each was written (a code).  ``time_ns``: when.
    """

    line: Array
    spots: tuple[Spot, ...]
    spot: Array
    time_ns: Array

    @property
    def hosts(self) -> frozenset[str]:
        """Names of hosts among the places."""
        return frozenset(one.host for one in self.spots if one.host is not None)


def matched(traces: TraceSet, lines: pd.DataFrame) -> Matched:
    """Return the trace and span of each line by their ids.

    Parameters
    ----------
    traces
        The traces.
    lines
        ``LogLines.frame``.

    Returns
    -------
    Matched
        One entry per line.
    """
    n = len(lines)
    how, score = np.full(n, NONE, np.int8), np.full(n, np.nan)
    candidates = np.zeros(n, np.int64)
    trace, span = by_id(traces, lines)
    has_trace = ((lines["trace_hi"] != 0) | (lines["trace_lo"] != 0)).to_numpy()
    how[has_trace & (trace < 0)] = OTHER_TRACE
    how[trace >= 0] = TRACE_ID
    how[span >= 0] = SPAN_ID
    score[trace >= 0], candidates[trace >= 0] = 1.0, 1
    return Matched(how, score, candidates, trace, span, _outside_ns(traces, lines["time_ns"].to_numpy(), span))


def without_id(match: Matched, lines: pd.DataFrame, resolution_ns: Array, tolerance_ns: int) -> WithoutId:
    """Return the lines that no id joins.

    Parameters
    ----------
    match, lines
        What ids join, and ``LogLines.frame``.
    resolution_ns
        Resolution of the time of each line.
    tolerance_ns
        Difference of clocks that is allowed for.
    """
    places, time_ns = places_of(lines), lines["time_ns"].to_numpy()
    left = np.flatnonzero((match.how == NONE) & (time_ns != _NO_TIME) & (places.codes >= 0))
    margin = resolution_ns + np.maximum(tolerance_ns, _clock_margin(places, match.outside_ns, match.span >= 0))
    pairs, spot = np.unique(np.stack([places.codes[left], margin[left]], axis=1), axis=0, return_inverse=True)
    spots = tuple(Spot(service, host, ns) for at, ns in pairs.tolist() for service, host in [places.names[at]])
    return WithoutId(left, spots, spot.ravel().astype(np.int32), time_ns[left])


def by_time(match: Matched, left: WithoutId, found: OpenRequests, min_score: float) -> tuple[Matched, Only]:
    """Return how lines are matched with those that no id joins, and the requests that these belong to.

    The score of a line is 1 / (sum of the weights of the open requests); with a lower one than ``min_score``, or
    several open requests, it is ambiguous.
    """
    how, score, candidates = match.how.copy(), match.score.copy(), match.candidate_count.copy()
    row, own = left.line[found.line], 1 / found.weight
    is_one = (found.open_count == 1) & (own >= min_score)
    how[row] = np.where(is_one, TIME, AMBIGUOUS)
    score[row], candidates[row] = own, found.open_count
    only = found.only.of(np.flatnonzero(how[left.line[found.only.line]] == TIME))
    changed = match._replace(how=how, score=score, candidate_count=candidates)
    return changed, only._replace(line=left.line[only.line])


def with_rows(match: Matched, only: Only, traces: TraceSet) -> Matched:
    """Return how lines are matched with trace and span of those matched by time, as rows of traces that have them."""
    spans, starts, rows = traces.columns.spans, traces.forest.starts[:-1], np.flatnonzero(~traces.is_inferred)
    trace, span = match.trace.copy(), match.span.copy()
    own = found_in((spans.trace_hi[starts], spans.trace_lo[starts]), (only.trace_hi, only.trace_lo))
    known = traces.forest.trace[rows].astype(np.uint64), spans.span_id[rows]
    at = found_in(known, (own.astype(np.uint64), only.span_id), place=np.maximum(only.place, 0))
    trace[only.line] = own
    span[only.line] = np.where(only.place >= 0, np.append(rows, -1)[at], -1)
    return match._replace(trace=trace, span=span)


_NO_TIME: Final = np.iinfo(np.int64).min  # pandas' NaT


def by_id(traces: TraceSet, lines: pd.DataFrame) -> tuple[Array, Array]:
    """Return trace and span by their ids, -1 for none; ids of 64 bits match the lower half of trace ids.

    The id of a span is enough, if only one of all spans has it.
    """
    spans, starts = traces.columns.spans, traces.forest.starts[:-1]
    high, low, span_id = (lines[name].to_numpy(np.uint64) for name in ("trace_hi", "trace_lo", "span_id"))
    ids = spans.trace_hi[starts], spans.trace_lo[starts]
    has_trace = (high != 0) | (low != 0)
    trace = np.where(has_trace, found_in(ids, (high, low)), -1)
    short = np.flatnonzero(has_trace & (trace < 0) & (high == 0))
    if len(short):
        trace[short] = found_in((ids[1],), (low[short],), only_one=True)
    rows = np.flatnonzero(~traces.is_inferred)
    span = np.full(len(lines), -1, np.int64)
    known = np.flatnonzero((trace >= 0) & (span_id != 0))
    owner = traces.forest.trace[rows].astype(np.uint64)
    at = found_in((owner, spans.span_id[rows]), (trace[known].astype(np.uint64), span_id[known]))
    span[known] = np.where(at >= 0, rows[at], -1) if len(rows) else -1
    alone = np.flatnonzero(~has_trace & (span_id != 0))
    at = found_in((spans.span_id[rows],), (span_id[alone],), only_one=True)
    if len(rows):
        span[alone] = np.where(at >= 0, rows[at], -1)
        trace[alone] = np.where(at >= 0, traces.forest.trace[rows][at], -1)
    return trace, span


def found_in(
    known: tuple[Array, ...], wanted: tuple[Array, ...], *, only_one: bool = False, place: Array | int = 0
) -> Array:
    """Return the first position of each wanted key among known ones, -1 for none; ``only_one``: -1 for several too.

    ``place``: instead of the first one that after so many equal ones, which are known to be there.

    Examples
    --------
    >>> ids = np.array([5, 7, 7], np.uint64)
    >>> found_in((ids,), (np.array([7, 8], np.uint64),)), found_in((ids,), (ids[1:],), only_one=True)
    (array([ 1, -1]), array([-1, -1]))
    """
    if not len(known[0]) or not len(wanted[0]):
        return np.full(len(wanted[0]), -1, np.int64)
    key, want = np.zeros(len(known[0]), np.int64), np.zeros(len(wanted[0]), np.int64)
    is_known = np.ones(len(want), bool)
    for column, asked in zip(known, wanted, strict=True):
        values, codes = np.unique(column, return_inverse=True)
        at = np.minimum(np.searchsorted(values, asked), len(values) - 1)
        is_known &= values[at] == asked
        key, want = key * len(values) + codes, want * len(values) + at
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    at = np.minimum(np.searchsorted(ordered, want), len(ordered) - 1)
    is_known &= ordered[at] == want
    if only_one:
        after = np.minimum(at + 1, len(ordered) - 1)
        is_known &= (after == at) | (ordered[after] != want)
    return np.where(is_known, order[np.minimum(at + place, len(order) - 1)], -1)


def _outside_ns(traces: TraceSet, time_ns: Array, span: Array) -> Array:
    """Return how far each line is after the end (positive) or before the start (negative) of its span."""
    found = np.zeros(len(span), np.int64)
    known = np.flatnonzero((span >= 0) & (time_ns != _NO_TIME))
    known = known[traces.has_duration[span[known]]]
    spans, row, time = traces.columns.spans, span[known], time_ns[known]
    after, before = time - spans.end_ns[row], time - spans.start_ns[row]
    found[known] = np.maximum(after, 0) + np.minimum(before, 0)
    return found


def _clock_margin(places: Places, outside_ns: Array, is_joined: Array) -> Array:
    """Return for each line how far lines of its place, joined by id, are outside their spans: 95th percentile."""
    margin = np.zeros(len(places.names) + 1, np.int64)
    for place in np.unique(places.codes[is_joined]):
        mine = np.abs(outside_ns[is_joined & (places.codes == place)])
        margin[place] = int(np.percentile(mine, _P95))
    return margin[places.codes]
