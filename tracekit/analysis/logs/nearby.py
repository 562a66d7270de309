"""Requests that were open at a place when a log line without ids was written there.

The sum of the sampling weights of these requests is the estimated number that were open, recorded or not.  Unknown
weights count as 1; then it is a lower bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import texts_of
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_IDENTITIES: Final = ("k8s.pod.name", "service.instance.id", "container.id", "host.name", "host.id")
_STEP: Final = 4_000_000  # pairs of a line and a span that are compared at once
_NO_SPANS: Final = np.zeros(0, np.int64)


class Places(NamedTuple):
    """Where lines were written: ``codes`` into ``names``, (service, host) with None for unknown; -1 is neither."""

    codes: Array
    names: list[tuple[str | None, str | None]]


class Nearby(NamedTuple):
    """Per line: number and weights of the requests that were open at its place, and trace and span if there is one."""

    open_count: Array
    weight: Array
    trace: Array
    span: Array


class Spot(NamedTuple):
    """Where and how exactly lines were written: at least one of service and host, and the margin of their times."""

    service: str | None
    host: str | None
    margin_ns: int


class Known(NamedTuple):
    """Of all parts: names of hosts that some resource has, and services of which some resource has such a name."""

    hosts: frozenset[str]
    services: frozenset[str]

    def plus(self, other: Known) -> Known:
        """Return what is known of two parts."""
        return Known(self.hosts | other.hosts, self.services | other.services)


def places_of(lines: pd.DataFrame) -> Places:
    """Return the place of each line."""
    service, host = (lines[name].cat for name in ("service_name", "host"))
    key = (service.codes.to_numpy(np.int64) + 1) * (len(host.categories) + 1) + host.codes.to_numpy(np.int64) + 1
    codes, known = pd.factorize(key)
    names = [divmod(int(one), len(host.categories) + 1) for one in known]
    labels = [
        (str(service.categories[s - 1]) if s else None, str(host.categories[h - 1]) if h else None) for s, h in names
    ]
    return Places(np.where(key == 0, -1, codes), labels)


def known_hosts(traces: TraceSet, hosts: frozenset[str]) -> Known:
    """Return which of some hosts resources have, and the services of which a resource has any name of a host."""
    return _Spans(traces).known(hosts)


def nearby(traces: TraceSet, spots: Sequence[Spot], spot: Array, time_ns: Array, known: Known) -> Nearby:
    """Return the requests that were open at the spots (codes of ``spots``) and times of some lines."""
    n = len(spot)
    found = Nearby(np.zeros(n, np.int64), np.zeros(n), np.full(n, -1, np.int64), np.full(n, -1, np.int64))
    order = np.argsort(spot, kind="stable")
    edges = np.flatnonzero(np.diff(spot[order], prepend=-1))
    spans_at = _Spans(traces)
    for group in np.split(order, edges[1:]) if n else []:
        service, host, margin_ns = spots[spot[group[0]]]
        rows = spans_at.of(service, host, known)
        if not len(rows):
            continue
        open_there = _Open(traces, rows, margin_ns, spans_at.position)
        for column, values in zip(found, open_there.at(time_ns[group]), strict=True):
            column[group] = values
    return found


class _Spans:
    """The timed spans of each place."""

    def __init__(self, traces: TraceSet) -> None:
        spans = traces.columns.spans
        timed = ((spans.quality & Quality.NO_START) == 0) & traces.has_duration & ~traces.is_inferred
        rows = np.flatnonzero(timed & (spans.end_ns >= spans.start_ns))
        self._service = traces.codes("service_name")
        self._identities = _identities(traces)
        pair = self._service.codes[rows].astype(np.int64) * len(traces.columns.resources) + spans.resource[rows]
        order = np.argsort(pair, kind="stable")
        self._rows = rows[order]
        self._pairs, self._starts = np.unique(pair[order], return_index=True)
        self._resources = max(len(traces.columns.resources), 1)
        self.position = np.empty(len(spans), np.int64)  # in preorder, of every row
        self.position[traces.forest.preorder] = np.arange(len(spans))

    def known(self, hosts: frozenset[str]) -> Known:
        """Return which of some hosts resources have, and the services of which a resource has any name of a host."""
        pair_service, pair_resource = np.divmod(self._pairs, self._resources)
        named = np.isin(pair_resource, [one for members in self._identities.values() for one in members])
        codes = np.unique(pair_service[named & (pair_service >= 0)])
        return Known(hosts & self._identities.keys(), frozenset(self._service.texts(codes)))

    def of(self, service: str | None, host: str | None, known: Known) -> Array:
        """Return the rows of the spans of a place; a host that no resource has does not match, unless none has any."""
        pair_service, pair_resource = np.divmod(self._pairs, self._resources)
        chosen = np.ones(len(self._pairs), bool)
        if service is not None:
            codes = [at for at, label in enumerate(self._service.labels) if label == service]
            chosen &= np.isin(pair_service, codes)
        if host is not None and (service is None or host in known.hosts or service in known.services):
            chosen &= np.isin(pair_resource, self._identities.get(host, []))
        ends = np.append(self._starts[1:], len(self._rows))
        pieces = [self._rows[self._starts[at] : ends[at]] for at in np.flatnonzero(chosen)]
        return np.sort(np.concatenate(pieces)) if pieces else _NO_SPANS


def _identities(traces: TraceSet) -> dict[str, list[int]]:
    """Return the resources with each name of a host, pod, container or instance."""
    columns = traces.columns
    found: dict[str, list[int]] = {}
    owners = columns.resource_attributes.owners()
    for key in _IDENTITIES:
        codes = columns.kv.codes_of(key)
        at = np.flatnonzero(np.isin(columns.resource_attributes.codes, codes))
        texts = texts_of(columns.kv, columns.resource_attributes.codes[at])
        for resource, text in zip(owners[at].tolist(), texts, strict=True):
            found.setdefault(text, []).append(resource)
    return found


class _Open:
    """The requests that are open at one place: intervals in which a request has a span there.

    Intervals of one request do not overlap, so that the number of open requests is the number of intervals that have
    begun less those that have ended, and the one that is open the difference of the sums of their numbers.
    """

    def __init__(self, traces: TraceSet, rows: Array, margin_ns: int, position: Array) -> None:
        self._traces, self._margin, self._position = traces, margin_ns, position
        spans, trace = traces.columns.spans, traces.forest.trace[rows].astype(np.int64)
        order = np.lexsort((spans.start_ns[rows], trace))
        self._rows, trace = rows[order], trace[order]
        low, high = spans.start_ns[self._rows] - margin_ns, spans.end_ns[self._rows] + margin_ns
        latest = pd.Series(high).groupby(trace).cummax().to_numpy()
        is_new = np.ones(len(low), bool)
        is_new[1:] = (trace[1:] != trace[:-1]) | (low[1:] > latest[:-1])
        self._first = np.flatnonzero(is_new)
        self._end = np.append(self._first[1:], len(low))
        self._trace = trace[self._first]
        begin, end = low[self._first], latest[self._end - 1]
        by_begin, by_end = np.argsort(begin, kind="stable"), np.argsort(end, kind="stable")
        self._begin, self._finish = begin[by_begin], end[by_end]
        self._weight = np.maximum(traces.weights.value[self._trace], 1.0)
        self._sums = [
            (np.append(0, np.cumsum(value[by_begin])), np.append(0, np.cumsum(value[by_end])))
            for value in (np.arange(len(begin), dtype=np.int64), self._weight)
        ]

    def at(self, time_ns: Array) -> Nearby:
        """Return the requests that are open at some times."""
        begun = np.searchsorted(self._begin, time_ns, "right")
        ended = np.searchsorted(self._finish, time_ns, "left")
        count = begun - ended
        number, weight = (begins[begun] - ends[ended] for begins, ends in self._sums)
        is_one = np.flatnonzero(count == 1)
        trace, span = np.full(len(count), -1, np.int64), np.full(len(count), -1, np.int64)
        trace[is_one] = self._trace[number[is_one]]
        weight = np.where(count > 0, weight, 0.0)
        weight[is_one] = self._weight[number[is_one]]  # without the rounding of the sums
        for part, spans in self._innermost(number[is_one].astype(np.int64), time_ns[is_one]):
            span[is_one[part]] = spans
        return Nearby(count, weight, trace, span)

    def _innermost(self, interval: Array, time_ns: Array) -> Iterator[tuple[slice, Array]]:
        """Yield parts of the lines, with the innermost span at their times; -1 where two are side by side."""
        sizes = np.cumsum(self._end[interval] - self._first[interval])
        low = 0
        while low < len(interval):
            done = int(sizes[low - 1]) if low else 0
            high = max(int(np.searchsorted(sizes, done + _STEP, "right")), low + 1)
            yield slice(low, high), self._innermost_of(interval[low:high], time_ns[low:high])
            low = high

    def _innermost_of(self, interval: Array, time_ns: Array) -> Array:
        """Return the innermost span of each line: the one whose ancestors all other open spans are, else -1."""
        count = self._end[interval] - self._first[interval]
        line = np.repeat(np.arange(len(interval)), count)
        offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        row = self._rows[np.repeat(self._first[interval], count) + offset]
        spans, forest, margin = self._traces.columns.spans, self._traces.forest, self._margin
        is_open = (spans.start_ns[row] - margin <= time_ns[line]) & (time_ns[line] <= spans.end_ns[row] + margin)
        line, row = line[is_open], row[is_open]
        begin = self._position[row]
        end = np.asarray(forest.subtree_end)[begin]
        order = np.lexsort((forest.depth[row], line))  # the deepest of each line last
        last = np.flatnonzero(np.diff(line[order], append=-1))
        deepest = np.full(len(interval), -1, np.int64)
        deepest[line[order][last]] = order[last]
        inner = begin[deepest[line]]
        is_above = (begin <= inner) & (inner < end)
        beside = np.bincount(line[~is_above], minlength=len(interval)) > 0
        return np.where((deepest >= 0) & ~beside, row[deepest] if len(row) else -1, -1)
