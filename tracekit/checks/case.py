"""Inputs of all checks: traces, request counts, request log, sampling rules, arrival times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from tracekit.analysis.partials import in_memory, over_parts
from tracekit.checks.expectations import Expected, expectations
from tracekit.schema import ParentState
from tracekit.stats.weighted_rates import clustered_rates
from tracekit.text import round_ratio
from tracekit.traces import TraceSet
from tracekit.weights.counts import Counts, counts_of_log, read_counts
from tracekit.weights.ingestion_horizon import (
    counts_before_horizon,
    ingestion_horizon,
    log_before_horizon,
    traces_before_horizon,
)
from tracekit.weights.known import BEYOND, LOG, MARKS, NOT_SAMPLED
from tracekit.weights.log_strata import log_tally
from tracekit.weights.receipts import moment_ns, read_receipts
from tracekit.weights.resolve import Evidence, resolve_weights
from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.tally import Held, HoldsTraces, Tally, tally
from tracekit.weights.trace_state import probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracekit.attributes import Codes
    from tracekit.checks.logs.result import Logs
    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.redaction.policy import Policy
    from tracekit.stats.intervals import Ratio
    from tracekit.weights.ingestion_horizon import IngestionHorizon
    from tracekit.weights.known import Weights
    from tracekit.weights.receipts import Receipts
    from tracekit.weights.rules import Rules

_PERIOD = "%Y-%m-%d %H:%M"
CONFIDENCE, MARGIN, TOLERANCE = 0.95, 0.10, 0.05
_DEFAULTS = {"tolerance": TOLERANCE, "margin": MARGIN, "confidence": CONFIDENCE}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Case:
    """Inputs shared by all checks.

    Parameters
    ----------
    source
        The traces, or a store of them, which is read part by part.
    counts, log, rules, expected, receipts
        Request counts, request log, sampling rules, expectations, arrival times; None if missing.
    now_ns
        Time of the export, in ns since the epoch.
    external
        Services with callers outside the data.
    prices
        US dollars, as for ``quality``.
    tolerance, margin, confidence
        Share of calls that may be asynchronous, practical margin of ratios, confidence level.
    arguments
        Arguments of the call that returns the findings, as code.
    is_counted_by_log
        Whether ``counts`` are those of the log.
    obstacles
        Reasons for missing weights, with the number of traces.
    weights_call
        Call that sets the weights of this case, ``with_weights("auto")``; empty if the traces had them, or lack them.
    baseline
        Case of the baseline; None without one.
    logs
        Log lines joined with the traces, compared with those of the baseline; None without a log.
    deployments
        Deployments, as for ``timeline``; None for those in ``service.version``.
    recording
        The recording that traces and baseline are parts of; None if they are recordings of their own.
    policy
        What becomes of personal data in exception messages of a store, before they become templates; None to keep it.
    comparison
        What the traces are compared with, in words, if no baseline was given; empty otherwise.
    horizon, recorded
        Ingestion horizon, and all traces including those after it; None in a case without a horizon.
    known
        In the case of a part of a store: what all parts together say, by the function that returns it; None otherwise.
    """

    source: TraceSet | Parts
    counts: Counts | None = None
    log: pd.DataFrame | None = None
    rules: Rules | None = None
    expected: Expected = field(default_factory=Expected)
    receipts: Receipts | None = None
    now_ns: int | None = None
    external: tuple[str, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = TOLERANCE
    margin: float = MARGIN
    confidence: float = CONFIDENCE
    arguments: str = "traces"
    is_counted_by_log: bool = False
    obstacles: Mapping[str, int] = field(default_factory=dict)
    weights_call: str = ""
    baseline: Case | None = None
    logs: Logs | None = None
    deployments: Any = None
    policy: Policy | None = None
    recording: TraceSet | Parts | None = None
    comparison: str = ""
    horizon: IngestionHorizon | None = None
    recorded: TraceSet | None = None
    known: dict[Callable[[Case], Any], Any] | None = field(default=None, repr=False, compare=False)
    _results: dict[Callable[[Case], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def traces(self) -> TraceSet:
        """The traces in memory; TypeError for a store, where only checks run that can be made from parts."""
        return in_memory(self.source)

    @property
    def is_stored(self) -> bool:
        """Whether the traces are read part by part."""
        return not isinstance(self.source, TraceSet)

    @property
    def has_store(self) -> bool:
        """Whether the traces or those of the baseline are read part by part."""
        return self.is_stored or (self.baseline is not None and self.baseline.is_stored)

    def result(self, analysis: Callable[[Case], _Result]) -> _Result:
        """Return ``analysis(case)``, computed once for all checks that need it."""
        if analysis not in self._results:
            self._results[analysis] = analysis(self)
        found: _Result = self._results[analysis]
        return found

    # ------------------------------------------------------------------ the same case, prepared

    @cached_property
    def complete(self) -> Case:
        """The case without traces that started after the ingestion horizon; itself without a horizon."""
        edge = None
        if self.receipts is not None:
            edge = ingestion_horizon(self.traces, self.receipts, confidence=self.confidence)
        if edge is None:
            return self
        log = None if self.log is None else log_before_horizon(self.traces, self.log, edge)
        counts, kept = self.counts, 1.0
        if self.is_counted_by_log and log is not None and self.log is not None:
            counts, kept = counts_of_log(log) if len(log) else None, len(log) / max(len(self.log), 1)
        elif self.counts is not None:
            counts = counts_before_horizon(self.counts, edge)
            kept = counts.total / max(self.counts.total, 1.0)
        stages = {name: count * kept for name, count in self.expected.stages.items()}
        return replace(
            self,
            source=traces_before_horizon(self.traces, edge),
            log=log,
            counts=counts,
            expected=replace(self.expected, stages=stages),
            horizon=edge,
            recorded=self.traces,
        )

    @cached_property
    def weighted(self) -> Case:
        """The case with weights from rules, log and trace ids for traces that have none yet."""
        if self.is_stored:
            return self  # weights that need all traces at once are resolved before
        own = self.traces.weights
        if self.rules is not None and self.rules.tail:
            own = own.refused(own.is_from(*MARKS), "")
        if own.known.all():
            return self
        found, obstacles = resolve_weights(self.traces, Evidence(self.rules, self.log))
        traces = TraceSet(self.traces.columns, forest=self.traces.forest, weights=own.or_else(found))
        return replace(self, source=traces, obstacles=obstacles, weights_call=_weights_call(traces.weights))

    # ------------------------------------------------------------------ spans and requests

    @cached_property
    def service(self) -> Codes:
        """Service of every span."""
        return self.traces.codes("service_name")

    @cached_property
    def failed(self) -> Array:
        """bool, one per trace: its root failed."""
        return np.asarray(self.traces.is_error[self.traces.forest.root_row])

    @cached_property
    def took_ns(self) -> Array:
        """float64, one per trace: duration of its root (ns), NaN where unknown."""
        root = self.traces.forest.root_row
        return np.where(self.traces.has_duration[root], self.traces.duration_ns[root].astype(np.float64), np.nan)

    @cached_property
    def start_ns(self) -> Array:
        """int64, one per trace: start of its root (ns)."""
        return np.asarray(self.traces.columns.spans.start_ns[self.traces.forest.root_row])

    def ratio(self, trace: Array, is_event: Array, group: Array | None = None, groups: int = 1) -> Ratio:
        """Return weighted shares of events among trials, with intervals clustered by trace."""
        group = np.zeros(len(trace), np.int64) if group is None else group
        return clustered_rates(group, trace, is_event, self.traces.weights.value, groups, confidence=self.confidence)

    def exemplars(self, trace: Array, most: int = 5) -> tuple[str, ...]:
        """Return the ids of the first few of these traces."""
        return tuple(self.traces.trace_ids[at] for at in np.unique(trace)[:most])

    @property
    def ci(self) -> str:
        """Label of intervals, such as ``95% CI``."""
        return f"{round_ratio(self.confidence)} CI"

    # ------------------------------------------------------------------ inclusion probabilities

    @cached_property
    def probability(self) -> Array:
        """float64, one per trace; NaN where unknown or not part of the probability sample."""
        return self.traces.weights.probability

    @cached_property
    def span_probability(self) -> Array | None:
        """float64, one per span: its inclusion probability; None unless spans of a trace differ."""
        spans, starts = self.traces.columns.spans, self.traces.forest.starts[:-1]
        if not len(spans) or not (spans.trace_state >= 0).any():
            return None
        own = probabilities(spans.trace_state, self.traces.columns.texts)
        least = np.minimum.reduceat(np.where(np.isnan(own), np.inf, own), starts)
        most = np.maximum.reduceat(np.where(np.isnan(own), 0.0, own), starts)
        return own if (np.isfinite(least) & (least < most)).any() else None

    @cached_property
    def base(self) -> Array:
        """bool, one per trace: in the probability sample with a known probability (partial traces: with a root)."""
        known = ~np.isnan(self.probability)
        if self.span_probability is None:
            return known
        return np.asarray(known & (self.traces.forest.state[self.traces.forest.root_row] == ParentState.ROOT))

    @cached_property
    def is_even(self) -> bool:
        """Whether every trace has the same known probability."""
        return bool(len(self.base) and self.base.all() and np.allclose(self.probability, self.probability[0], 1e-9, 0))

    @property
    def is_weighted_by_rules(self) -> bool:
        """Whether weights come from the rules and not from the traces."""
        return _is_from_rules(self.traces.weights)

    @cached_property
    def weights_source(self) -> str:
        """Sources of the weights."""
        sources = self.traces.weights.sources
        return " and ".join(name for name in sources if name not in {NOT_SAMPLED, BEYOND}) or " and ".join(sources)

    # ------------------------------------------------------------------ requests compared with traces

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
    def joined(self) -> Tally | None:
        """Logged requests joined with their traces by trace id; None without a log that has ids and the counts."""
        if not self.is_counted_by_log or self.log is None or "trace_id" not in self.log:
            return None
        return log_tally(self.traces, self.log)

    @cached_property
    def join_needed(self) -> str:
        """Missing input to compare requests with traces; empty if nothing is missing."""
        if self.joined is None or not len(self.traces):  # a log is joined with traces in memory
            return self.counts_needed
        if self.joined.outside_count == len(self.traces):
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


def build_case(
    traces: TraceSet | Parts,
    *,
    rules: Any = None,
    requests: pd.DataFrame | Counts | None = None,
    log: pd.DataFrame | None = None,
    expected: Mapping[str, Any] | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    external: Sequence[str] = (),
    prices: Mapping[str, float] | None = None,
    logs: Logs | None = None,
    tolerance: float = TOLERANCE,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
    count_log: bool = False,
) -> Case:
    """Return the case; ``count_log``: without request counts, those of the log are used."""
    if not 0 <= tolerance < 0.5:  # noqa: PLR2004 - a majority must remain
        raise ValueError(f"expected a tolerance from 0 to below 0.5, found {tolerance!r}")
    if not margin > 0:
        raise ValueError(f"expected a margin above 0, such as 0.1, found {margin!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence level between 0 and 1, such as 0.95, found {confidence!r}")
    if logs is not None and getattr(logs, "traces", None) is not traces:
        raise ValueError("expected logs= to be the result of tk.logs of the same traces, found another one")
    by_log = count_log and requests is None and log is not None
    counts = requests if requests is None or isinstance(requests, Counts) else read_counts(requests)
    inputs = {"rules": rules, "requests": requests, "log": log, "expected": expected, "received": received, "now": now}
    inputs |= {"external": external or None, "prices": prices, "logs": logs}
    numbers = {"tolerance": tolerance, "margin": margin, "confidence": confidence}
    return Case(
        traces,
        counts_of_log(log) if by_log and log is not None else counts,
        log,
        None if rules is None else sampling_rules(rules),
        expectations(expected),
        None if received is None else read_receipts(in_memory(traces), received, now),
        None if now is None else moment_ns(now),
        tuple(external),
        dict(prices or {}),
        tolerance,
        margin,
        confidence,
        _arguments(inputs, numbers),
        by_log,
        logs=logs,
    )


def check_joined(traces: TraceSet | Parts, given: Mapping[str, Any]) -> None:
    """Raise ValueError for data that are joined with traces in memory, with a store."""
    names = [f"{name}=" for name, value in given.items() if value is not None]
    if names and not isinstance(traces, TraceSet):
        advice = "take a random sample of the parts: store.sample(spans=1_000_000).load()"
        raise ValueError(f"expected no {', '.join(names)} with a store, which is read part by part; {advice}")


def _is_from_rules(weights: Weights) -> bool:
    """Return whether some weights come from sampling rules."""
    return any("tail policy" in name or name.startswith(("rule,", "x-ray rule,")) for name in weights.sources)


def _weights_call(weights: Weights) -> str:
    """Return the call that sets resolved weights; empty if some are unknown or all are 0."""
    if not weights.known.all() or not weights.value.any():
        return ""
    source = "log" if LOG in weights.sources else "rules" if _is_from_rules(weights) else '"auto"'
    return f"with_weights({source})"


def _arguments(inputs: Mapping[str, object], numbers: Mapping[str, float]) -> str:
    """Return the arguments of the call that reproduces a finding: the inputs given and the numbers changed."""
    given = [name for name, value in inputs.items() if value is not None]
    changed = [name for name, value in numbers.items() if value != _DEFAULTS[name]]
    return ", ".join(["traces", *(f"{name}={name}" for name in given + changed)])


def _period(first: int, last: int) -> str:
    """Return a period in UTC."""
    low, high = (pd.Timestamp(edge, unit="ns").strftime(_PERIOD) for edge in (first, last))
    return f"{low} to {high} UTC"
