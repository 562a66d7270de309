"""Requests that were counted or logged, compared with the traces of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.checks.sampled_traces import SampledTraces
from tracekit.weights.log_strata import log_join, log_tally
from tracekit.weights.tally import Held, HoldsTraces, Tally, tally
from tracekit.weights.trace_times import TraceIds

if TYPE_CHECKING:
    from tracekit.weights.counts import Counts
    from tracekit.weights.log_strata import LogJoin

_PERIOD = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class CountedRequests(SampledTraces):
    """Traces, and the requests that they are traces of.

    Parameters
    ----------
    source, confidence
        As for ``SampledTraces``.
    counts, log
        Request counts, request log; None if missing.
    is_counted_by_log
        Whether ``counts`` are those of the log.
    """

    counts: Counts | None = None
    log: pd.DataFrame | None = None
    is_counted_by_log: bool = field(default=False, kw_only=True)

    @cached_property
    def held(self) -> Held:
        """Traces by the strata of the counts, of a store from its parts; needs counts."""
        assert self.counts is not None
        return over_parts(self.source, HoldsTraces(self.counts), Held.plus).state

    @cached_property
    def tally(self) -> Tally:
        """Requests compared with traces; needs counts."""
        assert self.counts is not None
        return tally(self.held, self.counts)

    @cached_property
    def log_join(self) -> LogJoin | None:
        """Which logged requests have a trace, of a store from the ids of its parts; None without a log that has ids."""
        if self.log is None or "trace_id" not in self.log:
            return None
        return log_join(over_parts(self.source, TraceIds.of, TraceIds.plus).state, self.log)

    @cached_property
    def joined(self) -> Tally | None:
        """Logged requests joined with their traces by trace id; None without a log that has ids and the counts."""
        if not self.is_counted_by_log or self.log is None or self.log_join is None:
            return None
        return log_tally(self.log_join, self.log)

    @cached_property
    def join_needed(self) -> str:
        """Missing input to compare requests with traces; empty if nothing is missing."""
        if self.joined is None or self.log_join is None or not self.log_join.trace_count:
            return self.counts_needed
        if self.joined.outside_count == self.log_join.trace_count:
            logged = len(self.log) if self.log is not None else 0
            return f"a log of the same requests: none of its {logged:,} trace IDs is among the traces"
        return ""

    @cached_property
    def join_caveats(self) -> tuple[str, ...]:
        """Assumptions made when requests were compared with traces."""
        if self.joined is None or self.counts is None:
            return self.caveats
        left = self.joined.outside_count
        return (*self.counts.notes, *[f"{left:,} traces are not in the log and are excluded"] * (left > 0))

    @cached_property
    def counts_needed(self) -> str:
        """Missing input to compare request counts with traces; empty if nothing is missing."""
        if self.counts is None:
            return "request counts"
        if not self.held.trace_count:
            return "traces"
        if self.tally.outside_count == self.held.trace_count:
            frame = self.counts.frame
            theirs = _period(int(frame["start_ns"].min()), int(frame["end_ns"].max()))
            ours = _period(self.held.first_ns, self.held.last_ns)
            notes = "".join(f" ({note})" for note in self.counts.notes)
            return f"request counts of the same period: they cover {theirs}{notes}, the traces {ours}"
        if not self.tally.frame["traces"].sum():
            names, first = list(self.counts.dimensions), self.counts.frame.iloc[0]
            theirs = " ".join(str(first[name]) for name in names)
            ours = " ".join(str(self.tally.unmatched.iloc[0][name]) for name in names)
            return f"request counts of the same {', '.join(names)}: counts have {theirs}, traces {ours}, none in both"
        return ""

    @cached_property
    def caveats(self) -> tuple[str, ...]:
        """Assumptions made when counts were joined with traces."""
        if self.counts is None:
            return ()
        found = [*self.counts.notes]
        if self.tally.outside_count:
            found.append(f"{self.tally.outside_count:,} traces start outside the counted windows and are excluded")
        if left := self.tally.unmatched_count:
            found.append(f"{left:,} traces belong to strata that were not counted and are excluded")
        if services := self.tally.uncounted_services:
            found.append(f"requests to {', '.join(services)} were not counted and are excluded")
        return tuple(found)


def _period(first: int, last: int) -> str:
    """Return a period in UTC."""
    low, high = (pd.Timestamp(edge, unit="ns").strftime(_PERIOD) for edge in (first, last))
    return f"{low} to {high} UTC"
