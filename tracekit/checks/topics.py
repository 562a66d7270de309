"""Checks by topic: whether the data can be trusted, and what a sample can say about all traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.checks.case import CONFIDENCE, MARGIN, TOLERANCE, build_case
from tracekit.checks.quality.cost import PRICES
from tracekit.checks.registry import run_checks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tracekit.findings import Findings
    from tracekit.traces import TraceSet


def quality(
    traces: TraceSet,
    *,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    external: Sequence[str] = (),
    prices: Mapping[str, float] | None = None,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    checks: Sequence[str] | None = None,
) -> Findings:
    """Return whether the data can be trusted: what is missing, cut, doubled, misdated or should not be there.

    Parameters
    ----------
    traces
        Any traces; their weights count where they are known.
    requests
        Requests that somebody else counted: ``count`` by ``time``, ``service``, ``route``, ``status``; see
        ``tk.read_requests``.
    log
        One row a request, as ``tk.read_requests`` reads it; REPORT lines of functions have ``is_cold_start``.
    received
        When traces could be found: times by trace id; the key of an attribute that holds them; or, where traces were
        polled for, a frame by trace id with the poll that found each (``by``) and the one before (``after``; the
        latest earlier one that found any unless given).  What began too late to be whole is left out of all checks but
        that of the lag.
    now
        When the traces were taken, or the last poll; the latest receipt unless given.
    external
        Services whose callers are outside the data (browsers, partners).
    prices
        US dollars for a million traces ``recorded`` and ``scanned``; ``budget`` in dollars a month; ``incident``: the
        requests of the smallest incident that must leave a trace.
    tolerance
        Share of calls between two hosts that may be left alone by their callers (clocks).
    confidence
        Confidence level of all intervals.
    checks
        Names of ``CHECKS`` to run; all unless given.

    Returns
    -------
    Findings
        At least one a check, the gravest first: what fired, what is fine (``info``), what cannot be told and which
        input would settle it (``notice``).  ``evidence`` has a column ``status``.

    Raises
    ------
    ValueError
        A setting out of its range, an unknown check, counts that hold what they should not: the row is named.

    Notes
    -----
    Each check has its formula, assumptions and source in its own docstring (``tracekit.checks.quality``).  Verdicts
    come from intervals and practical margins, never from a p-value alone; intervals are clustered by trace.

    Examples
    --------
    The parent of the ledger's span, a call of the cart, was never received; one trace allows no more than a warning:

    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame(
    ...     {
    ...         "trace_id": "a1",
    ...         "span_id": ["1", "2"],
    ...         "parent_span_id": [None, "9"],
    ...         "service_name": ["cart", "ledger"],
    ...         "kind": ["SERVER", "SERVER"],
    ...         "name": ["POST /pay", "charge"],
    ...         "start_ns": [0, 20],
    ...         "end_ns": [100, 80],
    ...     }
    ... )
    >>> (found,) = quality(TraceSet.from_spans(frame), checks=["complete.spans"])
    >>> found.severity, found.evidence[["service_name", "missing_count"]].values.tolist()
    ('warning', [['ledger', 1]])
    """
    if unknown := sorted(set(prices or ()) - set(PRICES)):
        raise ValueError(f"expected prices among {', '.join(PRICES)}, found {', '.join(unknown)}")
    case = build_case(
        traces,
        requests=requests,
        log=log,
        received=received,
        now=now,
        external=external,
        prices=prices,
        tolerance=tolerance,
        confidence=confidence,
    )
    return run_checks(case, ["quality"], checks)


def sampling(
    traces: TraceSet,
    *,
    rules: Any = None,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    expected: Mapping[str, Any] | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
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
        checks, of the counts and of the log (``ingest.horizon`` says how much).
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
        ``measured``, ``warning``, ``failed``, ``failed``, ``inconclusive`` (with the n that would settle it) or
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
    case = build_case(
        traces,
        rules=rules,
        requests=requests,
        log=log,
        expected=expected,
        received=received,
        now=now,
        margin=margin,
        confidence=confidence,
        count_log=True,
    )
    return run_checks(case, ["sampling"])
