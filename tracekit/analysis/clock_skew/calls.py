"""Calls from one clock to another, and the bounds on the clock offset that they imply."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit import semconv
from tracekit.analysis.waiting import Waiting, waiting_by_links
from tracekit.attributes import Codes
from tracekit.forest import visible_parents
from tracekit.schema import KINDS, Kind
from tracekit.stats.grouping import dense_codes

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_CALLERS, _CALLEES = (np.isin(np.arange(len(KINDS)), (kind, Kind.UNSPECIFIED)) for kind in (Kind.CLIENT, Kind.SERVER))


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls from one clock to another; ``low`` and ``high`` bound the callee's offset from the caller, in ns.

    A callee that takes longer than its caller is asynchronous with any clocks: ``usable`` is false.
    """

    row: Array
    trace: Array
    begun_ns: Array
    caller: Array
    callee: Array
    low: Array
    high: Array
    usable: Array

    def __len__(self) -> int:
        return len(self.trace)

    @property
    def seem_skewed(self) -> Array:
        """bool: usable, and not within their callers according to uncorrected clocks."""
        return np.asarray(self.usable & ((self.low > 0) | (self.high < 0)))

    def take(self, rows: Array) -> Calls:
        """Return some of the calls."""
        return Calls(*(getattr(self, name)[rows] for name in self.__slots__))

    def of_traces(self, trace: Array) -> Calls:
        """Return the same calls with other numbers of their traces."""
        return replace(self, trace=trace)


def clocks(traces: TraceSet) -> Codes:
    """Return the clock of every span: its host, or its service and instance if the host is unknown.

    They are in the order of their names.

    A host is ``host.name`` or ``host.id``, an instance ``service.instance.id``, a pod or a container.
    """
    host, resource = traces.codes("host_name"), traces.columns.spans.resource
    unknown = np.flatnonzero(host.codes < 0)
    if not len(unknown):
        return _by_name(host)
    host = traces.lookup.resources_by_key.codes_of(semconv.HOST_KEYS).take(resource)
    unknown = np.flatnonzero(host.codes < 0)
    service, instance = (
        codes.take(unknown)
        for codes in (
            traces.codes("service_name"),
            traces.lookup.resources_by_key.codes_of(semconv.INSTANCE_KEYS).take(resource),
        )
    )
    each = len(instance.labels) + 1
    code, distinct = dense_codes(service.codes.astype(np.int64) * each + instance.codes + 1, each * len(service.labels))
    codes = host.codes.astype(np.int64)
    codes[unknown] = code + len(host.labels)
    names = [
        f"{service.labels[of_service]} {instance.labels[of_instance - 1]}"
        if of_instance
        else service.labels[of_service]
        for of_service, of_instance in zip(*np.divmod(distinct, each), strict=True)
    ]
    return _by_name(Codes(codes, [*host.labels, *names]))


def _by_name(clock: Codes) -> Codes:
    """Return clocks with their codes in the order of their names, which does not depend on the order of spans."""
    if all(one <= other for one, other in itertools.pairwise(clock.labels)):
        return clock
    order = sorted(range(len(clock.labels)), key=clock.labels.__getitem__)
    rank = np.empty(len(order) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(order)), -1
    return Codes(rank[clock.codes], [clock.labels[code] for code in order])


def calls_between_clocks(traces: TraceSet, clock: Codes, *, any_kind: bool = False) -> Calls:
    """Return every call from one clock to another that has both durations.

    Messages are excluded: their senders do not wait, so they are no evidence about clocks.
    """
    spans, parent = traces.columns.spans, visible_parents(traces.forest.parent_row, traces.is_inferred)
    row = np.flatnonzero((parent >= 0) & (clock.codes != clock.codes[parent]))
    if not any_kind:
        row = row[_CALLERS[spans.kind[parent[row]]] & _CALLEES[spans.kind[row]]]
    timed, waiting = traces.has_duration, waiting_by_links(traces, parent, traces.is_inferred, "async")
    row = row[(waiting[row] == Waiting.AWAITED) & timed[row] & timed[parent[row]]]
    is_message = traces.lookup.is_message
    row = row[~(is_message[row] | is_message[parent[row]])]
    above = parent[row]
    grain = np.maximum(spans.resolution_ns[row], spans.resolution_ns[above]).astype(np.int64)
    grain[grain == 1] = 0
    low, high = spans.end_ns[row] - spans.end_ns[above] - grain, spans.start_ns[row] - spans.start_ns[above] + grain
    caller, callee = clock.codes[above].astype(np.int64), clock.codes[row].astype(np.int64)
    trace = traces.forest.trace[row].astype(np.int64)
    return Calls(row, trace, spans.start_ns[above], caller, callee, low, high, low <= high)
