"""What a check may ask: the traces with their weights, rules, counted requests, a log, and what the user expects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.checks.sampling.collector_counters import read_counters
from tracekit.schema import ParentState
from tracekit.traces import TraceSet
from tracekit.weights.counts import Counts, counts_of_log, read_counts
from tracekit.weights.ingestion_horizon import (
    counts_before_horizon,
    ingestion_horizon,
    log_before_horizon,
    traces_before_horizon,
)
from tracekit.weights.known import MARKS
from tracekit.weights.log_strata import log_tally
from tracekit.weights.receipts import read_receipts
from tracekit.weights.resolve import Evidence, resolve_weights
from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.tally import Tally, tally
from tracekit.weights.trace_state import probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.columns import Array
    from tracekit.weights.ingestion_horizon import IngestionHorizon
    from tracekit.weights.receipts import Receipts
    from tracekit.weights.rules import Rules

_PERIOD = "%Y-%m-%d %H:%M"
_MARGIN, _LEVEL = 0.10, 0.95


@dataclass(frozen=True)
class Expected:
    """What the user expects of the sample.

    Parameters
    ----------
    rate
        Share of the requests that should be traced.
    incident
        How often the smallest incident that must not be missed happens, and how many traces of it are needed.
    capture
        Share of the failing requests that should be captured.
    stages
        What other systems counted in the same window: ``instrumented`` (requests that the SDKs saw), ``sampled``,
        ``indexed``.
    processes
        How many processes begin traces; those seen in the traces unless given.
    attributes
        Attributes whose values should be looked at for bias, beside those that look like tenants and versions.
    collector
        What the metrics of a tail sampling collector grew by in that time (``collector_counters.COUNTERS``).
    """

    rate: float | None = None
    incident: tuple[int, int] | None = None
    capture: float = 0.9
    stages: Mapping[str, float] = field(default_factory=dict)
    processes: int | None = None
    attributes: tuple[str, ...] = ()
    collector: Mapping[str, float] = field(default_factory=dict)


STAGES = ("instrumented", "sampled", "indexed")


def expected(given: Mapping[str, Any] | None) -> Expected:
    """Return expectations from a mapping."""
    known, told = set(Expected.__dataclass_fields__), dict(given or {})
    if strange := sorted(set(told) - known):
        raise ValueError(f"expected any of {', '.join(sorted(known))} as expectations, found {', '.join(strange)}")
    for name in ("rate", "capture"):
        if told.get(name) is not None and not 0 < told[name] <= 1:
            raise ValueError(f"expected {name} above 0 and up to 1, found {told[name]!r}")
    if isinstance(told.get("incident"), int):
        told["incident"] = (told["incident"], 1)
    if (incident := told.get("incident")) is not None:
        whole = isinstance(incident, (tuple, list)) and [type(n) for n in incident] == [int, int]
        if not whole or min(incident) < 1:
            raise ValueError(f"expected incident as a number of occurrences and of traces needed, found {incident!r}")
    if strange := sorted(set(told.get("stages", ())) - set(STAGES)):
        raise ValueError(f"expected stages among {', '.join(STAGES)}, found {', '.join(strange)}")
    told["attributes"] = tuple(told.get("attributes", ()))
    told["collector"] = read_counters(told.get("collector", {}))
    return Expected(**told)


@dataclass(frozen=True)
class Inputs:
    """Everything that the checks share; what costs time is worked out once.

    Parameters
    ----------
    traces
        With the weights that the ladder found.
    rules, counts, log, expected
        As given; None where missing.
    margin, confidence
        Practical margin of ratios, confidence level.
    obstacles
        Why traces have no weight, with their number.
    call
        The call that gives the findings again.
    is_counted_by_log
        Whether the counted requests are those of the log.
    receipts, edge
        When traces could be found, and from when on the recording was not whole: what began since is in none of the
        others.  None where nobody said.
    whole
        All traces, also the young ones.
    """

    traces: TraceSet
    rules: Rules | None
    counts: Counts | None
    log: pd.DataFrame | None
    expected: Expected
    margin: float
    confidence: float
    obstacles: Mapping[str, int]
    call: str
    is_counted_by_log: bool = False
    receipts: Receipts | None = None
    edge: IngestionHorizon | None = None
    whole: TraceSet | None = None

    @cached_property
    def failed(self) -> Array:
        """bool, one a trace: its root failed."""
        return np.asarray(self.traces.is_error[self.traces.forest.root_row])

    @cached_property
    def took_ns(self) -> Array:
        """float64, one a trace: duration of its root, NaN where unknown."""
        root = self.traces.forest.root_row
        return np.where(self.traces.has_duration[root], self.traces.duration_ns[root].astype(np.float64), np.nan)

    @cached_property
    def start_ns(self) -> Array:
        """int64, one a trace: start of its root."""
        return np.asarray(self.traces.columns.spans.start_ns[self.traces.forest.root_row])

    @cached_property
    def probability(self) -> Array:
        """float64, one a trace; NaN where unknown or where the trace came beside the sample."""
        return self.traces.weights.probability

    @cached_property
    def span_probability(self) -> Array | None:
        """float64, one a span: its own inclusion probability; None unless some trace holds several of them."""
        spans, starts = self.traces.columns.spans, self.traces.forest.starts[:-1]
        if not len(spans) or not (spans.trace_state >= 0).any():
            return None
        own = probabilities(spans.trace_state, self.traces.columns.texts)
        told = np.where(np.isnan(own), np.inf, own)
        least = np.minimum.reduceat(told, starts)
        most = np.maximum.reduceat(np.where(np.isnan(own), 0.0, own), starts)
        return own if (np.isfinite(least) & (least < most)).any() else None

    @cached_property
    def base(self) -> Array:
        """bool, one a trace: stands for all traffic with a known probability.

        Of traces that are there only in part, those with a root: where the root was left out nobody knows it.
        """
        known = ~np.isnan(self.probability)
        if self.span_probability is None:
            return known
        return np.asarray(known & (self.traces.forest.state[self.traces.forest.root_row] == ParentState.ROOT))

    @cached_property
    def is_even(self) -> bool:
        """Whether every trace has the same known probability."""
        return bool(len(self.base) and self.base.all() and np.allclose(self.probability, self.probability[0], 1e-9, 0))

    @property
    def rules_gave(self) -> bool:
        """Whether the rules gave weights, rather than the traces themselves."""
        return any(
            "tail policy" in source or source.startswith(("rule,", "x-ray rule,"))
            for source in self.traces.weights.sources
        )

    @cached_property
    def weights_source(self) -> str:
        """Where the weights came from."""
        return " and ".join(self.traces.weights.sources)

    @cached_property
    def weights_needed(self) -> str:
        """What is missing for a statement about all traffic; empty where nothing is."""
        unknown, total = int((~self.traces.weights.known).sum()), len(self.traces)
        if not total:
            return "traces"
        if self.traces.weights.is_one_kind:
            return "traces of the other requests; these were all kept for certain, failed or slow"
        if not unknown and self.base.any():
            return ""
        if not unknown:
            return "traces that stand for all traffic; these all came beside the sample"
        why = "; ".join(f"{reason} ({n:,})" for reason, n in self.obstacles.items())
        what = (
            "inclusion probabilities"
            if unknown == total
            else f"the inclusion probability of {unknown:,} of {total:,} traces"
        )
        return f"{what} (sampling rules, a request log, or traces.with_weights)" + f": {why}" * bool(why)

    @cached_property
    def tally(self) -> Tally:
        """Requests beside traces; only where there are counts."""
        assert self.counts is not None
        return tally(self.traces, self.counts)

    @cached_property
    def joined(self) -> Tally | None:
        """Logged requests beside their traces by trace id; None where others were counted or the log has no ids."""
        if not self.is_counted_by_log or self.log is None or "trace_id" not in self.log:
            return None
        return log_tally(self.traces, self.log)

    @cached_property
    def join_needed(self) -> str:
        """What is missing to set requests beside traces, by trace id where a log has them; empty where nothing is."""
        if self.joined is None or not len(self.traces):
            return self.counts_needed
        if self.joined.outside_count == len(self.traces):
            asked = len(self.log) if self.log is not None else 0
            return f"a log of the same requests: none of its {asked:,} trace ids is among the traces"
        return ""

    @cached_property
    def join_caveats(self) -> tuple[str, ...]:
        """What was taken for granted in setting requests beside traces."""
        if self.joined is None or self.counts is None:
            return self.caveats
        left = self.joined.outside_count
        return (*self.counts.notes, *[f"{left:,} traces are not in the log and are left out"] * (left > 0))

    @cached_property
    def counts_needed(self) -> str:
        """What is missing for a comparison with counted requests; empty where nothing is."""
        if self.counts is None:
            return "request counts"
        if not len(self.traces):
            return "traces"
        if self.tally.outside_count == len(self.traces):
            frame = self.counts.frame
            theirs = _period(int(frame["start_ns"].min()), int(frame["end_ns"].max()))
            ours = _period(int(self.start_ns.min()), int(self.start_ns.max()))
            said = "".join(f" ({note})" for note in self.counts.notes)
            return f"request counts of the same time: they cover {theirs}{said}, the traces {ours}"
        if not self.tally.frame["traces"].sum():
            names, first = list(self.counts.dimensions), self.counts.frame.iloc[0]
            theirs = " ".join(str(first[name]) for name in names)
            ours = " ".join(str(self.tally.unmatched.iloc[0][name]) for name in names)
            return (
                f"request counts of the same {', '.join(names)}: counted was {theirs}, found {ours}, and none in both"
            )
        return ""

    @cached_property
    def caveats(self) -> tuple[str, ...]:
        """What was taken for granted in joining counts and traces."""
        if self.counts is None:
            return ()
        found = [*self.counts.notes]
        if self.tally.outside_count:
            found.append(f"{self.tally.outside_count:,} traces begin outside the counted windows and are left out")
        if left := self.tally.unmatched_count:
            found.append(f"{left:,} traces belong to strata that were not counted and are left out")
        if services := self.tally.uncounted_services:
            found.append(f"what reaches {', '.join(services)} was not counted and is left out")
        return tuple(found)


def _period(first: int, last: int) -> str:
    """Return a period in UTC."""
    low, high = (pd.Timestamp(edge, unit="ns").strftime(_PERIOD) for edge in (first, last))
    return f"{low} to {high} UTC"


def gather(
    traces: TraceSet,
    *,
    rules: Any = None,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    expectations: Mapping[str, Any] | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    margin: float = _MARGIN,
    confidence: float = _LEVEL,
) -> Inputs:
    """Return what the checks share; weights that the traces already have are kept, the ladder finds the others.

    Where receipts are given, traces, counts and log end where the recording is whole (``weights.ingestion_horizon``).
    """
    if not margin > 0:
        raise ValueError(f"expected a margin above 0, such as 0.1, found {margin!r}")
    read = None if rules is None else sampling_rules(rules)
    counts = read_counts(requests) if requests is not None else counts_of_log(log) if log is not None else None
    told = expected(expectations)
    receipts = None if received is None else read_receipts(traces, received, now)
    edge = None if receipts is None else ingestion_horizon(traces, receipts, confidence=confidence)
    whole = traces
    if edge is not None:
        logged = 0 if log is None else len(log)
        log = None if log is None else log_before_horizon(traces, log, edge)
        traces = traces_before_horizon(traces, edge)
        if requests is not None and counts is not None:
            earlier = counts_before_horizon(counts, edge)
            told = _earlier_stages(told, earlier.total / max(counts.total, 1.0))
            counts = earlier
        elif log is not None:
            told = _earlier_stages(told, len(log) / max(logged, 1))
            counts = counts_of_log(log) if len(log) else None
    obstacles: dict[str, int] = {}
    own = traces.weights
    if read is not None and read.tail:
        own = own.refused(own.is_from(*MARKS), "")
    if not own.known.all():
        found, obstacles = resolve_weights(traces, Evidence(read, log))
        traces = TraceSet(traces.columns, forest=traces.forest, weights=own.or_else(found))
    names = {"rules": rules, "requests": requests, "log": log, "expected": expectations, "received": received}
    names |= {
        "now": now,
        "margin": None if margin == _MARGIN else margin,
        "confidence": None if confidence == _LEVEL else confidence,
    }
    call = ", ".join(["traces", *(f"{name}={name}" for name, value in names.items() if value is not None)])
    by_log = requests is None and log is not None
    call = f"tk.sampling({call})"
    return Inputs(traces, read, counts, log, told, margin, confidence, obstacles, call, by_log, receipts, edge, whole)


def _earlier_stages(told: Expected, share: float) -> Expected:
    """Return what other systems counted, without what came after the young edge: as large a share as of requests."""
    return replace(told, stages={name: count * share for name, count in told.stages.items()})
