"""Inputs of all checks: traces, request counts, request log, sampling rules, arrival times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from tracekit.analysis.partials import kept, over_parts
from tracekit.checks.counted_requests import CountedRequests
from tracekit.checks.expectations import Expected, expectations
from tracekit.checks.sampled_traces import is_from_rules
from tracekit.traces import TraceSet, reweighted
from tracekit.weights.counts import Counts, counts_of_log, read_counts
from tracekit.weights.deciding_spans import deciding_rows
from tracekit.weights.ingestion_horizon import (
    BegunBy,
    counts_before_horizon,
    ingestion_horizon,
    log_before_horizon,
)
from tracekit.weights.known import LOG, MARKS, UNKNOWN
from tracekit.weights.receipts import Arrived, ArrivedOf, moment_ns, read_received
from tracekit.weights.resolve import Evidence, resolve_weights
from tracekit.weights.rule_formats import sampling_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from tracekit.checks.logs.result import Logs
    from tracekit.parts import Parts
    from tracekit.redaction.policy import Policy
    from tracekit.weights.ingestion_horizon import IngestionHorizon
    from tracekit.weights.known import Weights
    from tracekit.weights.receipts import Receipts, Received
    from tracekit.weights.rules import Rules

CONFIDENCE, MARGIN, TOLERANCE = 0.95, 0.10, 0.05
_DEFAULTS = {"tolerance": TOLERANCE, "margin": MARGIN, "confidence": CONFIDENCE}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Case(CountedRequests):
    """Inputs shared by all checks.

    Parameters
    ----------
    source
        The traces, or a store of them, which is read part by part.
    counts, log, rules, expected, received
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
    horizon, arrivals
        Ingestion horizon, and arrival times of all traces including those after it; None in a case without a horizon.
    known
        In the case of a part of a store: what all parts together say, by the function that returns it; None otherwise.
    """

    rules: Rules | None = None
    expected: Expected = field(default_factory=Expected)
    received: Received | None = None
    now_ns: int | None = None
    external: tuple[str, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = TOLERANCE
    margin: float = MARGIN
    arguments: str = "traces"
    obstacles: Mapping[str, int] = field(default_factory=dict)
    weights_call: str = ""
    baseline: Case | None = None
    logs: Logs | None = None
    deployments: Any = None
    policy: Policy | None = None
    recording: TraceSet | Parts | None = None
    comparison: str = ""
    horizon: IngestionHorizon | None = None
    arrivals: Receipts | None = None
    known: dict[Callable[[Case], Any], Any] | None = field(default=None, repr=False, compare=False)
    _results: dict[Callable[[Case], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

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

    @cached_property
    def receipts(self) -> Receipts | None:
        """Arrival times of all traces, including those after the ingestion horizon; None if none are given."""
        if self.arrivals is not None or self.received is None:
            return self.arrivals
        return self.received.receipts(over_parts(self.source, ArrivedOf(self.received.key), Arrived.plus).state)

    @cached_property
    def complete(self) -> Case:
        """The case without traces that started after the ingestion horizon; itself without a horizon."""
        receipts = self.receipts
        edge = None if receipts is None else ingestion_horizon(receipts, confidence=self.confidence)
        if receipts is None or edge is None:
            return self
        log = None if self.log is None else log_before_horizon(receipts.traces, self.log, edge)
        counts, before = self.counts, 1.0
        if self.is_counted_by_log and log is not None and self.log is not None:
            counts, before = counts_of_log(log) if len(log) else None, len(log) / max(len(self.log), 1)
        elif self.counts is not None:
            counts = counts_before_horizon(self.counts, edge)
            before = counts.total / max(self.counts.total, 1.0)
        stages = {name: count * before for name, count in self.expected.stages.items()}
        return replace(
            self,
            source=kept(self.source, BegunBy(edge.begin_ns)) if edge.is_beyond_horizon.any() else self.source,
            log=log,
            counts=counts,
            expected=replace(self.expected, stages=stages),
            horizon=edge,
            arrivals=receipts,
        )

    @cached_property
    def weighted(self) -> Case:
        """The case with weights for traces without, from rules, log and trace ids; of a store with rules or a log.

        Of a store, the spans that weights depend on are in memory together.
        """
        is_tail = self.rules is not None and bool(self.rules.tail)
        own = replace(self, source=kept(self.source, _without_marks)) if is_tail else self
        is_left = own.is_stored and self.rules is None and self.log is None
        if is_left or UNKNOWN not in own.weight_sources:
            return own
        weigh = partial(_weighed, Evidence(self.rules, self.log))
        source: TraceSet | Parts
        if isinstance(own.source, TraceSet):
            weights, (obstacles, call) = weigh(own.source)
            source = reweighted(own.source, weights, ())
        else:
            source, (obstacles, call) = own.source.weighed(partial(deciding_rows, has_policies=is_tail), weigh)
        return replace(self, source=source, obstacles=obstacles, weights_call=call)


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
    by_log = count_log and requests is None and log is not None
    counts = requests if requests is None or isinstance(requests, Counts) else read_counts(requests)
    inputs = {"rules": rules, "requests": requests, "log": log, "expected": expected, "received": received, "now": now}
    inputs |= {"external": external or None, "prices": prices, "logs": logs}
    numbers = {"tolerance": tolerance, "margin": margin, "confidence": confidence}
    return Case(
        traces,
        counts_of_log(log) if by_log and log is not None else counts,
        log,
        rules=None if rules is None else sampling_rules(rules),
        expected=expectations(expected),
        received=None if received is None else read_received(received, now),
        now_ns=None if now is None else moment_ns(now),
        external=tuple(external),
        prices=dict(prices or {}),
        tolerance=tolerance,
        margin=margin,
        confidence=confidence,
        arguments=_arguments(inputs, numbers),
        is_counted_by_log=by_log,
        logs=logs,
    )


def _without_marks(traces: TraceSet) -> TraceSet:
    """Return traces without weights from marks, which a tail sampler behind them makes wrong."""
    own = traces.weights
    return reweighted(traces, own.refused(own.is_from(*MARKS), ""), traces.steps)


def _weighed(evidence: Evidence, traces: TraceSet) -> tuple[Weights, tuple[dict[str, int], str]]:
    """Return own weights of traces or those found, what prevents others, and the call that sets them."""
    found, obstacles = resolve_weights(traces, evidence)
    weights = traces.weights.or_else(found)
    return weights, (obstacles, _weights_call(weights))


def _weights_call(weights: Weights) -> str:
    """Return the call that sets resolved weights; empty if some are unknown or all are 0."""
    if not weights.known.all() or not weights.value.any():
        return ""
    source = "log" if LOG in weights.sources else "rules" if is_from_rules(weights.sources) else '"auto"'
    return f"with_weights({source})"


def _arguments(inputs: Mapping[str, object], numbers: Mapping[str, float]) -> str:
    """Return the arguments of the call that reproduces a finding: the inputs given and the numbers changed."""
    given = [name for name, value in inputs.items() if value is not None]
    changed = [name for name, value in numbers.items() if value != _DEFAULTS[name]]
    return ", ".join(["traces", *(f"{name}={name}" for name in given + changed)])
