"""All checks: a new one is a file, a line here, and a test."""

from __future__ import annotations

from dataclasses import replace
from functools import partial as partial_of
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tracekit.checks.changes.affected import affected
from tracekit.checks.changes.calls import calls
from tracekit.checks.changes.comparable import comparable
from tracekit.checks.changes.endpoints import endpoints
from tracekit.checks.changes.error_rate import error_rates
from tracekit.checks.changes.holds import holds
from tracekit.checks.changes.improved import improved
from tracekit.checks.changes.mean_latency import mean_latency
from tracekit.checks.changes.new_operations import new_operations, operations_of
from tracekit.checks.changes.operations import operations
from tracekit.checks.changes.over_time import over_time
from tracekit.checks.changes.queries import queries
from tracekit.checks.changes.statements import STATEMENTS
from tracekit.checks.changes.suspects import drawn_baseline, drawn_current, suspects_of_change
from tracekit.checks.changes.variation import weighed
from tracekit.checks.data.incomplete import incomplete
from tracekit.checks.data.lost import lost
from tracekit.checks.data.sample_of_store import sample_of_store
from tracekit.checks.data.unfinished import unfinished
from tracekit.checks.data.weights import weights
from tracekit.checks.errors.failing_calls import failing_calls
from tracekit.checks.errors.failures import failures
from tracekit.checks.latency.slow_requests import failed_requests, slow_requests
from tracekit.checks.latency.slowest import slowest
from tracekit.checks.latency.tail import tail
from tracekit.checks.logs.new_lines import new_log_lines
from tracekit.checks.merged import Merged
from tracekit.checks.outcomes import OUTCOMES
from tracekit.checks.patterns.abandoned_calls import ABANDONED_CALLS
from tracekit.checks.patterns.after_response import AFTER_RESPONSE
from tracekit.checks.patterns.cache_misses import CACHE_MISSES
from tracekit.checks.patterns.cold_starts import COLD_STARTS
from tracekit.checks.patterns.consumer_lag import CONSUMER_LAG
from tracekit.checks.patterns.double_spans import DOUBLE_SPANS
from tracekit.checks.patterns.health_checks import HEALTH_CHECKS
from tracekit.checks.patterns.lost_context import LOST_CONTEXT
from tracekit.checks.patterns.missing_spans import MISSING_SPANS
from tracekit.checks.patterns.n_plus_one import N_PLUS_ONE
from tracekit.checks.patterns.one_at_a_time import ONE_AT_A_TIME
from tracekit.checks.patterns.retries import RETRIES
from tracekit.checks.patterns.sequential_calls import SEQUENTIAL_CALLS
from tracekit.checks.patterns.slow_instances import SLOW_INSTANCES
from tracekit.checks.patterns.slow_starts import SLOW_STARTS
from tracekit.checks.patterns.stragglers import STRAGGLERS
from tracekit.checks.patterns.time_out_cascades import TIME_OUT_CASCADES
from tracekit.checks.patterns.time_outs import TIME_OUTS
from tracekit.checks.patterns.waits import WAITS
from tracekit.checks.quality.cardinality import cardinality
from tracekit.checks.quality.clocks.cycles import clock_cycles
from tracekit.checks.quality.clocks.drift import clock_drift
from tracekit.checks.quality.clocks.host_pairs import CLOCK_CALLS
from tracekit.checks.quality.clocks.impossible_times import SEEN, impossible_times
from tracekit.checks.quality.clocks.offsets import clock_offsets
from tracekit.checks.quality.cold_starts import COLD_STARTS as SHARE_OF_COLD_STARTS
from tracekit.checks.quality.cold_starts import cold_starts
from tracekit.checks.quality.completeness.call_pairs import CALL_SIDES, call_pairs
from tracekit.checks.quality.completeness.missing_spans import missing_spans
from tracekit.checks.quality.completeness.partial import CUT, partial
from tracekit.checks.quality.cost import TOTALS, cost
from tracekit.checks.quality.counts_join import counts_join
from tracekit.checks.quality.distinct_values import VALUES
from tracekit.checks.quality.duplicates import REUSED, SIDES, SPANS, duplicates
from tracekit.checks.quality.gaps.orphans import NAMED, orphan_gaps
from tracekit.checks.quality.gaps.scan import gaps
from tracekit.checks.quality.gaps.silence import STARTS, silence
from tracekit.checks.quality.lag import lag
from tracekit.checks.quality.pii.leaks import privacy
from tracekit.checks.quality.pii.search import FOUND
from tracekit.checks.quality.propagation.breaks import propagation
from tracekit.checks.quality.propagation.ends import ENDS
from tracekit.checks.quality.propagation.retries import retried_roots
from tracekit.checks.sampling.absence import absence
from tracekit.checks.sampling.attribute_bias import attribute_bias
from tracekit.checks.sampling.calibration import calibration
from tracekit.checks.sampling.configured_rate import configured_rate
from tracekit.checks.sampling.error_capture import error_capture
from tracekit.checks.sampling.evidence_loss import evidence_loss
from tracekit.checks.sampling.funnel import funnel
from tracekit.checks.sampling.id_forensics import id_forensics
from tracekit.checks.sampling.id_randomness import id_randomness
from tracekit.checks.sampling.late_traces import late_traces
from tracekit.checks.sampling.observed_rate import observed_rate
from tracekit.checks.sampling.pull_truncation import pull_truncation
from tracekit.checks.sampling.reservoir_bias import reservoir_bias
from tracekit.checks.sampling.root_ids import ROOT_IDS
from tracekit.checks.sampling.tail_bias import SPAN_RATES, tail_bias
from tracekit.checks.sampling.tail_truncation import tail_truncation
from tracekit.checks.sampling.traffic_mix import traffic_mix
from tracekit.checks.sampling.unseen_paths import unseen_paths
from tracekit.checks.sampling.weight_sanity import THRESHOLDS, weight_sanity
from tracekit.checks.sampling.weights_used import WEIGHTS_USED
from tracekit.checks.together import read_by
from tracekit.findings import Findings
from tracekit.loading.store.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.checks.case import Case
    from tracekit.findings import Finding

    Task = Callable[[], list[Finding]]

Topic = Literal["data", "changes", "latency", "errors", "patterns", "quality", "sampling"]


class Check(NamedTuple):
    """A check: its name, its topic, the optional inputs it needs, and the function that runs it.

    ``weakens``: where it fails, conclusions from these traces are weaker, so that a report shows it first.
    ``reads``: what it asks of all parts, so that one pass answers as much of it as possible.
    ``reads_baseline``: it asks the same of the parts of the baseline, if there is one.
    ``includes_late``: it also sees traces after the ingestion horizon, where others may not have arrived.
    """

    name: str
    topic: Topic
    needs: tuple[str, ...]
    run: Callable[[Case], list[Finding]]
    weakens: bool = False
    includes_late: bool = False
    reads: tuple[Callable[[Case], Any], ...] = ()
    reads_baseline: bool = False


_COPIES: Final = (SPANS, REUSED, SIDES)
_WEIGHTS: Final = (THRESHOLDS, WEIGHTS_USED)

PATTERNS: Final = (
    N_PLUS_ONE,
    RETRIES,
    TIME_OUTS,
    STRAGGLERS,
    SEQUENTIAL_CALLS,
    ABANDONED_CALLS,
    WAITS,
    SLOW_INSTANCES,
    ONE_AT_A_TIME,
    SLOW_STARTS,
    AFTER_RESPONSE,
    COLD_STARTS,
    HEALTH_CHECKS,
    DOUBLE_SPANS,
    TIME_OUT_CASCADES,
    CACHE_MISSES,
    CONSUMER_LAG,
    MISSING_SPANS,
    LOST_CONTEXT,
)
"""In the order in which they are run and shown."""

CHECKS: Final = (
    Check("weights", "data", (), weights),
    Check("sample_of_store", "data", (), sample_of_store),
    Check("comparable", "changes", ("baseline",), comparable),
    Check("slower", "changes", ("baseline",), weighed(endpoints)),
    Check("affected", "changes", ("baseline",), affected),
    Check("change", "changes", ("baseline",), weighed(mean_latency)),
    Check("regressed", "changes", ("baseline",), weighed(operations)),
    Check("calls", "changes", ("baseline",), weighed(calls)),
    Check("failing", "changes", ("baseline",), weighed(error_rates)),
    Check("improved", "changes", ("baseline",), improved),
    Check("holds", "changes", ("baseline",), holds),
    Check(
        "operations",
        "changes",
        ("baseline",),
        new_operations,
        reads=(operations_of,),
        reads_baseline=True,
    ),
    Check("queries", "changes", ("baseline",), queries, reads=(STATEMENTS,), reads_baseline=True),
    Check("new_log_lines", "changes", ("baseline", "logs"), new_log_lines),
    Check(
        "suspects",
        "changes",
        ("baseline",),
        suspects_of_change,
        reads=(drawn_current, drawn_baseline),
    ),
    Check("over_time", "changes", (), over_time),
    Check("lost", "data", (), lost),
    Check("unfinished", "data", (), unfinished),
    *(
        Check(
            pattern.check,
            "patterns",
            (),
            pattern.findings,
            reads=pattern.reads,
            reads_baseline=True,
        )
        for pattern in PATTERNS
    ),
    Check("tail", "latency", (), tail),
    Check("slowest", "latency", (), slowest),
    Check("slow_requests", "latency", (), slow_requests),
    Check("failures", "errors", (), failures),
    Check("failed_requests", "errors", (), failed_requests),
    Check("failing_calls", "errors", (), failing_calls),
    Check("incomplete", "data", (), incomplete),
    Check("complete.spans", "quality", (), missing_spans, weakens=True),
    Check("complete.rpc", "quality", (), call_pairs, weakens=True, reads=(CALL_SIDES,)),
    Check("propagation.break", "quality", (), propagation, weakens=True, reads=(ENDS,)),
    Check("propagation.retry", "quality", (), retried_roots, weakens=True, reads=(ENDS,)),
    Check("counts.join", "quality", ("requests",), counts_join),
    Check("gap.scan", "quality", ("requests",), gaps, weakens=True),
    Check("gap.silence", "quality", (), silence, weakens=True, reads=(STARTS,)),
    Check("gap.orphans", "quality", (), orphan_gaps, weakens=True, reads=(NAMED,)),
    Check("ingest.lag", "quality", ("received",), lag, includes_late=True),
    Check("partial", "quality", (), partial, reads=(CUT,)),
    Check("clock.offset", "quality", (), clock_offsets, weakens=True, reads=(CLOCK_CALLS,)),
    Check("clock.cycle", "quality", (), clock_cycles, weakens=True, reads=(CLOCK_CALLS,)),
    Check("clock.drift", "quality", (), clock_drift, weakens=True, reads=(CLOCK_CALLS,)),
    Check("time.order", "quality", (), impossible_times, includes_late=True, reads=(SEEN,)),
    Check(
        "duplicates",
        "quality",
        (),
        duplicates,
        weakens=True,
        includes_late=True,
        reads=(SPANS, REUSED, SIDES),
    ),
    Check("cardinality", "quality", (), cardinality, reads=(SPANS, VALUES)),
    Check("pii", "quality", (), privacy, includes_late=True, reads=(SPANS, FOUND)),
    Check("cost", "quality", ("prices",), cost, reads=(TOTALS,)),
    Check("coldstart.bias", "quality", ("log",), cold_starts, reads=(SHARE_OF_COLD_STARTS,)),
    Check("rate.observed", "sampling", ("requests",), observed_rate),
    Check("rate.configured", "sampling", ("rules",), configured_rate),
    Check("coverage.funnel", "sampling", ("requests",), funnel),
    Check("capture.errors", "sampling", ("requests",), error_capture, weakens=True),
    Check("absence", "sampling", ("weights",), absence),
    Check("mix.head", "sampling", ("requests",), traffic_mix, weakens=True),
    Check("bias.attribute", "sampling", ("weights",), attribute_bias, weakens=True),
    Check("bias.tail", "sampling", ("weights",), tail_bias, weakens=True, reads=(OUTCOMES, *SPAN_RATES)),
    Check("bias.reservoir", "sampling", ("rules",), reservoir_bias, weakens=True),
    Check(
        "weights.sanity",
        "sampling",
        ("weights",),
        weight_sanity,
        weakens=True,
        reads=(THRESHOLDS, WEIGHTS_USED),
    ),
    Check("evidence.loss", "sampling", ("weights",), evidence_loss, weakens=True),
    Check("tail.truncation", "sampling", (), tail_truncation, weakens=True),
    Check("pull.truncation", "sampling", (), pull_truncation, weakens=True),
    Check("paths.unseen", "sampling", (), unseen_paths),
    Check("calibrate", "sampling", ("requests",), calibration),
    Check("id.random", "sampling", (), id_randomness),
    Check("id.forensic", "sampling", (), id_forensics, reads=(ROOT_IDS,)),
    Check("ingest.horizon", "sampling", ("received",), late_traces),
)
"""In the order in which they are run and shown."""


def one_by_one(tasks: Sequence[Task]) -> list[list[Finding]]:
    """Return what tasks return, in their order."""
    return [task() for task in tasks]


def run_checks(case: Case, topics: Sequence[Topic], names: Sequence[str] | None = None) -> Findings:
    """Return the findings of the checks of some topics, or of those named, in the order of the table."""
    of_topics = {check.name: check for check in CHECKS if check.topic in topics}
    chosen = list(of_topics) if names is None else list(names)
    if unknown := [name for name in chosen if name not in of_topics]:
        raise ValueError(f"expected checks among {', '.join(of_topics)}, found {', '.join(map(repr, unknown))}")
    return Findings([finding for name in chosen for finding in run_check(of_topics[name], case)])


def run_topic(case: Case, topic: Topic, names: Sequence[str] | None = None) -> Findings:
    """Return the findings of the checks of a topic, or of those named.

    Of a store, all of them read the parts together.
    """
    if not case.is_stored and (case.baseline is None or not case.baseline.is_stored):
        return run_checks(case, [topic], names)
    rounds = Rounds()
    case = read_by(rounds, case)
    chosen = [check for check in CHECKS if check.topic == topic and (names is None or check.name in names)]
    rounds.run(readings(case, chosen))
    return run_checks(case, [topic], names)


def readings(case: Case, checks: Iterable[Check]) -> list[Callable[[], Any]]:
    """Return what asks for all that some checks need of the parts of a store, for ``Rounds.run``."""
    made = [check for check in checks if case.baseline is not None or "baseline" not in check.needs]
    sides = [(case, made)]
    if case.baseline is not None:
        sides.append((case.baseline, [check for check in made if check.reads_baseline]))
    wanted = [
        (side, dict.fromkeys(each for check in some for read in check.reads for each in _with_needs(read)))
        for side, some in sides
    ]
    return [
        *(partial_of(side.result, each) for side, several in wanted for each in several),
        *(partial_of(run_check, check, case) for check in made),
    ]


def _with_needs(read: Callable[[Case], Any]) -> Iterator[Callable[[Case], Any]]:
    """Yield what a result of all traces needs, and the result."""
    for need in read.needs if isinstance(read, Merged) else ():
        yield from _with_needs(need)
    yield read


def findings_of(
    case: Case, topics: Sequence[Topic], do: Callable[[Sequence[Task]], list[list[Finding]]] = one_by_one
) -> Findings:
    """Return the findings of the checks of some topics, then those of all that weaken conclusions from the traces.

    ``do`` does tasks, one per check: in the order of the topics, then what weakens.
    """
    asked = [check for check in CHECKS if check.topic in topics]
    weakening = [check for check in CHECKS if check.weakens]
    order = list(dict.fromkeys([*sorted(asked, key=lambda check: topics.index(check.topic)), *weakening]))
    made = do([partial_of(run_check, check, case) for check in order])
    found = {check.name: each for check, each in zip(order, made, strict=True)}
    weak = [finding for check in weakening for finding in found[check.name] if finding.status in {"warning", "failed"}]
    return Findings([*(finding for check in asked for finding in found[check.name]), *weak])


def run_check(check: Check, case: Case) -> list[Finding]:
    """Return the findings of one check, from the part of the case that it is about, with the code of each."""
    seen = case if check.includes_late else case.complete
    found = (seen.weighted if check.topic == "sampling" else seen).result(check.run)
    code = f"tk.{check.topic}({case.arguments})"
    return [finding if finding.code else replace(finding, code=code) for finding in found]
