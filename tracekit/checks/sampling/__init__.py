"""Can this sample be trusted?  One file a check; ``CHECKS`` is the table that runs them.

A check takes ``Inputs`` and returns findings; one whose inputs are missing says ``not assessable: needs ...``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.checks.sampling.absence import absence
from tracekit.checks.sampling.attribute_bias import attribute_bias
from tracekit.checks.sampling.calibration import calibration
from tracekit.checks.sampling.configured_rate import configured_rate
from tracekit.checks.sampling.error_capture import error_capture
from tracekit.checks.sampling.evidence_loss import evidence_loss
from tracekit.checks.sampling.funnel import funnel
from tracekit.checks.sampling.id_forensics import id_forensics
from tracekit.checks.sampling.id_randomness import id_randomness
from tracekit.checks.sampling.inputs import Inputs, gather
from tracekit.checks.sampling.observed_rate import observed_rate
from tracekit.checks.sampling.reservoir_bias import reservoir_bias
from tracekit.checks.sampling.tail_bias import tail_bias
from tracekit.checks.sampling.tail_truncation import tail_truncation
from tracekit.checks.sampling.traffic_mix import traffic_mix
from tracekit.checks.sampling.unseen_paths import unseen_paths
from tracekit.checks.sampling.weight_sanity import weight_sanity
from tracekit.checks.sampling.young_traces import young_traces
from tracekit.findings import Finding, Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from tracekit.traces import TraceSet

CHECKS: tuple[Callable[[Inputs], list[Finding]], ...] = (
    observed_rate,
    configured_rate,
    funnel,
    error_capture,
    absence,
    traffic_mix,
    attribute_bias,
    tail_bias,
    reservoir_bias,
    weight_sanity,
    evidence_loss,
    tail_truncation,
    unseen_paths,
    calibration,
    id_randomness,
    id_forensics,
    young_traces,
)
"""S01 to S16 of the specification, in its order, and what S22 means for them."""


def sampling(
    traces: TraceSet,
    *,
    rules: Any = None,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    expected: Mapping[str, Any] | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    margin: float = 0.10,
    confidence: float = 0.95,
) -> Findings:
    """Return what these traces can and cannot say about all traffic: sampling rates, bias, what was missed.

    Parameters
    ----------
    traces
        Any traces; unchanged.  Weights that they have are used, ``with_weights("auto")`` finds the others.
    rules
        Sampling rules: X-Ray (central or local), a collector configuration, Jaeger strategies, the path of a JSON or
        YAML file with one of them, or a rate.
    requests
        Requests that somebody else counted, one row a stratum and window: ``count`` and any of ``time`` (UTC unless it
        says otherwise), ``end``, ``service``, ``route``, ``method``, ``status`` (``elb 5xx`` is what a load balancer
        answered by itself), ``instance``, ``rule``.
    log
        One row a request, sampled or not: ``trace_id`` and any of ``service``, ``route``, ``method``, ``status``,
        ``target_status`` (missing where no service answered), ``time`` and ``duration_ns``.  Rates, funnel and captured
        errors join it by trace id; where ``requests`` are given too, rates and funnel are those of the counts.
    expected
        What you expect: ``rate``, ``incident`` (occurrences, or occurrences and traces needed), ``capture``, ``stages``
        (``instrumented``, ``sampled``, ``indexed``), ``processes``, ``attributes``, ``collector`` (what its metrics
        grew by: ``otelcol_processor_tail_sampling_sampling_trace_dropped_too_early``, ``..._new_trace_id_received`` and
        those of lost spans).
    received
        When traces could be found, as ``tk.quality`` takes it: then what began too late to be whole is left out of all
        checks, of the counts and of the log (``young.edge`` says how much).
    now
        When the traces were taken; the latest receipt unless given.
    margin
        Practical margin: ratios within 1 / (1 + margin) and 1 + margin do no harm.
    confidence
        Confidence level; 1 - level is also the false discovery rate of checks that try many strata.

    Returns
    -------
    Findings
        At least one of every check, the gravest first.  The column ``status`` of each ``evidence`` is ``ok``,
        ``measured``, ``warn``, ``biased``, ``fail``, ``inconclusive`` (with the n that would settle it) or
        ``not_assessable`` (with the input that is missing).

    Raises
    ------
    ValueError
        Rules, counts or expectations that do not hold what they should; the rule or row is named.

    Notes
    -----
    The unit is the trace.  Statements about all traffic rest on known inclusion probabilities only: a trace without one
    is never taken for one that stands for itself.  Verdicts come from interval and margin, never from a p-value alone.

    Examples
    --------
    Nobody knows how these traces were sampled, and that is what is said:

    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame({"trace_id": ["a1", "b2"], "span_id": ["1", "2"], "name": "x", "start_ns": 0, "end_ns": 5})
    >>> found = sampling(TraceSet.from_spans(frame))
    >>> print(next(finding.headline for finding in found if finding.check == "rate.observed"))
    Share of requests that was traced: not assessable: needs request counts.
    """
    inputs = gather(
        traces, rules=rules, requests=requests, log=log, expectations=expected, received=received, now=now,
        margin=margin, confidence=confidence,
    )  # fmt: skip
    return Findings([finding for check in CHECKS for finding in check(inputs)])
