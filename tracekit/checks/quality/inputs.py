"""What a check of quality may ask: the traces, counted requests, a log, times of receipt, prices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.calls import calls_between_clocks, clocks
from tracekit.analysis.clock_skew.intervals import agree, within
from tracekit.analysis.clock_skew.neighbours import MIN_TRACES, neighbours
from tracekit.analysis.clock_skew.offsets import ASYNC_RATIO
from tracekit.analysis.clock_skew.pairs import overruled
from tracekit.checks.quality.call_targets import call_targets
from tracekit.checks.quality.propagation import continuations
from tracekit.stats.weighted_rates import clustered_rates
from tracekit.weights.counts import read_counts
from tracekit.weights.ingestion_horizon import (
    counts_before_horizon,
    ingestion_horizon,
    log_before_horizon,
    traces_before_horizon,
)
from tracekit.weights.receipts import moment_ns, read_receipts
from tracekit.weights.tally import tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.analysis.clock_skew.calls import Calls
    from tracekit.analysis.clock_skew.intervals import Agreement
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.stats.intervals import Ratio
    from tracekit.traces import TraceSet
    from tracekit.weights.counts import Counts
    from tracekit.weights.ingestion_horizon import IngestionHorizon
    from tracekit.weights.receipts import Receipts
    from tracekit.weights.tally import Tally


class HostPairs(NamedTuple):
    """Calls between two clocks: ``low`` and ``high`` limit how far ``peer`` is ahead of ``host``, one entry a call.

    ``pair`` numbers the pairs of clocks; ``host``, ``peer`` and the following have one entry a pair: ``dropped`` counts
    calls in which the callee took longer than its caller; ``is_apart`` is true where ``tk.clock_skew`` and the critical
    path correct a clock, and the limits of ``agreement`` exclude 0 there and nowhere else.
    """

    pair: Array
    start_ns: Array
    low: Array
    high: Array
    host: Array
    peer: Array
    dropped: Array
    names: list[str]
    agreement: Agreement
    is_apart: Array


@dataclass(frozen=True)
class Inputs:
    """Everything that the checks share; what costs time is worked out once.

    Parameters
    ----------
    traces, requests, log, received, now, external, prices, tolerance, confidence
        As ``quality`` takes them.
    call
        The call that gives the findings again.
    edge
        From when on the recording was not whole, where what began since is left out.
    """

    traces: TraceSet
    requests: pd.DataFrame | None = None
    log: pd.DataFrame | None = None
    received: pd.Series | pd.DataFrame | str | None = None
    now: Any = None
    external: tuple[str, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 0.05
    confidence: float = 0.95
    call: str = "tk.quality(traces)"
    edge: IngestionHorizon | None = None

    @cached_property
    def counts(self) -> Counts | None:
        """Requests that somebody else counted, checked; up to the young edge where that is known."""
        if self.requests is None:
            return None
        counts = read_counts(self.requests)
        return counts if self.edge is None else counts_before_horizon(counts, self.edge)

    @cached_property
    def tally(self) -> Tally:
        """Requests beside traces; only where there are counts."""
        assert self.counts is not None
        return tally(self.traces, self.counts)

    @cached_property
    def service(self) -> Codes:
        """Service of every span."""
        return self.traces.codes("service_name")

    @cached_property
    def root_start_ns(self) -> Array:
        """int64, one a trace."""
        return np.asarray(self.traces.columns.spans.start_ns[self.traces.forest.root_row])

    @cached_property
    def moment_ns(self) -> int | None:
        """When the traces were taken, in ns since the epoch; None where nobody said."""
        return None if self.now is None else moment_ns(self.now)

    @cached_property
    def receipts(self) -> Receipts | None:
        """When the traces could be found; None where nobody said."""
        return None if self.received is None else read_receipts(self.traces, self.received, self.now)

    @cached_property
    def settled(self) -> Inputs:
        """The same up to the moment from which on the recording was not whole; itself where that is not known."""
        edge = (
            None if self.receipts is None else ingestion_horizon(self.traces, self.receipts, confidence=self.confidence)
        )
        if edge is None:
            return self
        log = None if self.log is None else log_before_horizon(self.traces, self.log, edge)
        return replace(self, traces=traces_before_horizon(self.traces, edge), log=log, edge=edge)

    @cached_property
    def targets(self) -> tuple[Array, Array]:
        """Rows of client spans whose callee emits server spans, and the code of that service."""
        return call_targets(self)

    @cached_property
    def continuations(self) -> pd.DataFrame:
        """Roots that continue unanswered calls, by caller and callee."""
        return continuations(self)

    @cached_property
    def host_pairs(self) -> HostPairs:
        """Calls between clocks, by pair of clocks, with what they agree on."""
        clock = clocks(self.traces)
        return _host_pairs(calls_between_clocks(self.traces, clock), clock, self.tolerance)

    def ratio(self, trace: Array, is_event: Array, group: Array | None = None, groups: int = 1) -> Ratio:
        """Return weighted shares of events among trials, with intervals clustered by trace."""
        group = np.zeros(len(trace), np.int64) if group is None else group
        return clustered_rates(group, trace, is_event, self.traces.weights.value, groups, confidence=self.confidence)

    def exemplars(self, trace: Array, most: int = 5) -> tuple[str, ...]:
        """Return the ids of the first few of these traces."""
        return tuple(self.traces.trace_ids[at] for at in np.unique(trace)[:most])


def _host_pairs(calls: Calls, clock: Codes, tolerance: float) -> HostPairs:
    """Return the calls by pair of clocks, the clock with the smaller code first."""
    near = neighbours(calls, min_traces=MIN_TRACES, async_ratio=ASYNC_RATIO)  # as the critical path decides
    forward = calls.caller < calls.callee
    first, second = np.where(forward, (calls.caller, calls.callee), (calls.callee, calls.caller))
    key, number = np.unique(first * len(clock.labels) + second, return_inverse=True)
    used = calls.usable
    dropped = np.bincount(number[~used], minlength=len(key))
    kept, pair = np.unique(number[used], return_inverse=True)
    low, high = (side[used] for side in np.where(forward, (calls.low, calls.high), (-calls.high, -calls.low)))
    host, peer = key[kept] // len(clock.labels), key[kept] % len(clock.labels)
    agreement = agree(pair, low, high, async_ratio=tolerance)
    apart = np.flatnonzero(near.is_apart[used])
    near_high, near_low = within(pair[apart], near.high[used][apart], near.low[used][apart], len(kept))
    is_apart = np.bincount(pair[apart], minlength=len(kept)) > 0
    low_high = overruled(agreement.low, agreement.high, is_apart, near_low, near_high)
    agreement = agreement._replace(low=low_high[0], high=low_high[1])
    return HostPairs(
        pair, calls.begun_ns[used], low, high, host, peer, dropped[kept], clock.labels, agreement, is_apart
    )
