"""Checks by topic: data quality, sampling, and patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.analysis.partials import check_on, placed
from tracekit.arguments import check_traces
from tracekit.checks.case import CONFIDENCE, MARGIN, TOLERANCE, Case, build_case
from tracekit.checks.quality.cost import PRICES
from tracekit.checks.registry import run_topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tracekit.checks.logs.result import Logs
    from tracekit.findings import Findings
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet


def patterns(
    traces: TraceSet | Parts,
    baseline: TraceSet | Parts | None = None,
    *,
    checks: Sequence[str] | None = None,
    on: On = None,
) -> Findings:
    """Return findings on patterns of latency and failure that the shape and times of spans show.

    Parameters
    ----------
    traces
        Any traces, also a single one; known sampling weights are used.  A store is read part by part.
    baseline
        Traces to compare with: patterns that the baseline does not have come first, and the others say what it has.
    checks
        Names of checks, such as ``["patterns.n_plus_one"]``; default: all.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Findings
        At most three per pattern, the most severe first; empty if no pattern was found.  ``estimate`` is the mean
        critical-path time that an affected request would not have taken, at most, with its 95% CI.  ``evidence`` has
        one row per caller and callee: ``caller_service``, ``caller_operation``, ``service_name``, ``operation``,
        ``callee_service`` (that the call goes to, may be empty), ``detail`` (such as the instance),
        ``occurrence_count``, ``trace_count``, ``trace_ratio``, ``size_p50`` and ``size_max`` (of what the pattern
        counts), ``cost_ns``, ``cost_low_ns``, ``cost_high_ns``, ``affected_ratio``
        (of the latency of the affected requests), ``cost_ratio`` (of the latency of all requests),
        ``exemplar_trace_id``, ``exemplar_span_id``.

    Raises
    ------
    ValueError
        An unknown check, or ``on`` without a store.

    Notes
    -----
    Of a store, counts, sums and extremes are those of the traces in memory; ``size_p50`` is at most 1% off where a
    caller and callee have more than 256 distinct sizes.

    A pattern that costs time is reported from 5% of the latency of the affected requests on, and is a warning from 10%
    of the latency of all requests on; the others have thresholds of their own (``method``).  What the baseline has
    about as often and at about the same cost is ``info``.  Costs of several patterns may overlap.  A pattern of the
    structure is a fact about these traces, not a difference from what is usual.

    Examples
    --------
    >>> for finding in tk.patterns(shop):
    ...     print(finding.headline.split(",")[0])
    Retries: shop POST /pay repeats failed calls of shop POST (calling ledger)
    """
    check_traces(traces, "patterns")
    if baseline is not None:
        check_traces(baseline, "patterns")
    check_on(on, traces, *([] if baseline is None else [baseline]))
    before = None if baseline is None else Case(placed(baseline, on))
    return run_topic(Case(placed(traces, on), baseline=before), "patterns", checks)


def quality(
    traces: TraceSet | Parts,
    *,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    external: Sequence[str] = (),
    prices: Mapping[str, float] | None = None,
    logs: Logs | None = None,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    checks: Sequence[str] | None = None,
    on: On = None,
) -> Findings:
    """Return findings on data quality: missing spans, gaps, clock skew, duplicates, cardinality, PII, cost.

    Parameters
    ----------
    traces
        Any traces; known sampling weights are used.  Of a store, checks find what they find in memory, but for keys
        with many values (``cardinality``, ``pii``), and keep about 80 bytes for each call between clocks, 50 for each
        trace and each unanswered call, and with ``received`` 40 for each trace.
    requests
        Request counts from another source: ``count`` by ``time``, ``service``, ``route``, ``status``; see
        ``tk.read_requests``.
    log
        One row per request, from ``tk.read_requests``; REPORT lines of functions have ``is_cold_start``.
    received
        Arrival times of traces: times by trace ID; the key of an attribute that contains them; or, for polled traces, a
        frame by trace ID with the poll that found each trace (``by``) and the poll before (``after``; default: the
        latest earlier poll that found a trace).  Traces that started too late to be complete are excluded from all
        checks but the lag, which counts arrival times of other traces.
    now
        Time of the export, or of the last poll; default: the latest arrival.
    external
        Services with callers outside the data (browsers, partners).
    prices
        US dollars per million traces ``recorded`` and ``scanned``; ``budget`` in dollars per month; ``incident``: the
        number of requests of the smallest incident to detect.
    logs
        Log lines of the traces, from ``tk.logs``: their messages are searched for PII and secrets.
    tolerance
        Share of calls between two hosts that may be asynchronous (clock checks).
    confidence
        Confidence level of all intervals.
    checks
        Names of ``CHECKS`` to run; default: all.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Findings
        At least one per check, the most severe first.  ``status`` is ``ok``, ``measured``, ``warning``, ``failed``,
        ``inconclusive`` (too few data) or ``not_assessable`` (a missing input); ``evidence`` has a column ``status``.

    Raises
    ------
    ValueError
        A setting out of range, an unknown check, invalid counts (the message contains the row), or the logs of other
        traces.

    Notes
    -----
    The docstring of each check has its formula, assumptions and source (``tracekit.checks.quality``).  Verdicts follow
    from intervals and practical margins, never from a p-value alone; intervals are clustered by trace.

    Examples
    --------
    Without the client spans, their server spans have no parent:

    >>> spans = shop.spans
    >>> (found,) = tk.quality(tk.TraceSet.from_spans(spans[spans["name"] != "POST"]), checks=["complete.spans"])
    >>> found.severity, found.evidence[["service_name", "missing_count"]].to_numpy().tolist()
    ('critical', [['ledger', 5], ['cart', 4], ['ledger', 0], ['shop', 0]])
    """
    check_traces(traces, "quality")
    check_on(on, traces)
    if logs is not None and getattr(logs, "source", None) is not traces:
        raise ValueError("expected logs= to be the result of tk.logs of the same traces, found another one")
    if unknown := sorted(set(prices or ()) - set(PRICES)):
        raise ValueError(f"expected prices among {', '.join(PRICES)}, found {', '.join(unknown)}")
    case = build_case(
        placed(traces, on),
        requests=requests,
        log=log,
        received=received,
        now=now,
        external=external,
        prices=prices,
        logs=logs,
        tolerance=tolerance,
        confidence=confidence,
    )
    return run_topic(case, "quality", checks)


def sampling(
    traces: TraceSet | Parts,
    *,
    rules: Any = None,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    expected: Mapping[str, Any] | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
    on: On = None,
) -> Findings:
    """Return findings on sampling: trace coverage, sampling bias, consistency of weights, detection probability.

    Parameters
    ----------
    traces
        Any traces.  Their sampling weights are used; missing ones are resolved as by ``with_weights("auto")``.  Of a
        store, recorded and given weights are used, and with ``rules`` or ``log`` missing ones are resolved, too: then
        the spans that weights depend on are in memory together, about 200 bytes a trace, up to 600 with tail policies.
    rules
        Sampling rules: X-Ray (central or local), a collector configuration, Jaeger strategies, the path of a JSON or
        YAML file with one of them, or a rate.
    requests
        Request counts from another source, one row per stratum and window: ``count`` and any of ``time`` (default time
        zone UTC), ``end``, ``service``, ``route``, ``method``, ``status`` (``elb 5xx``: responses of a load balancer
        itself), ``instance``, ``rule``.
    log
        One row per request, sampled or not: ``trace_id`` and any of ``service``, ``route``, ``method``, ``status``,
        ``target_status`` (missing if no service responded), ``time`` and ``duration_ns``.  Rates, funnel and error
        capture join it by trace ID; with ``requests``, rates and funnel use the counts.  It is in memory, and so are
        the trace IDs of a store that it is joined with, 16 bytes a trace.
    expected
        Expectations: ``rate``, ``incident`` (occurrences, or occurrences and traces needed), ``capture``, ``stages``
        (``instrumented``, ``sampled``, ``indexed``), ``processes``, ``attributes``, ``collector`` (increase of its
        metrics: ``otelcol_processor_tail_sampling_sampling_trace_dropped_too_early``, ``..._new_trace_id_received`` and
        those of lost spans).
    received
        Arrival times, as for ``tk.quality``: traces that started too late to be complete are excluded from all checks,
        counts and logs (``ingest.horizon`` reports their number).
    now
        Time of the export; default: the latest arrival.
    margin
        Practical margin: ratios within 1 / (1 + margin) and 1 + margin are not a bias.
    confidence
        Confidence level; 1 - confidence is also the false discovery rate of checks over many strata.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Findings
        At least one per check, the most severe first.  ``status`` is ``ok``, ``measured``, ``warning``, ``failed``,
        ``inconclusive`` (too few data) or ``not_assessable`` (a missing input); ``evidence`` has a column ``status``.

    Raises
    ------
    ValueError
        Invalid rules, counts or expectations (the message contains the rule or row), or ``on`` without a store.

    Notes
    -----
    The unit is the trace.  Statements about all traffic use known inclusion probabilities only: a trace without one
    never counts as weight 1.  Verdicts follow from interval and margin, never from a p-value alone.

    Examples
    --------
    Without request counts, trace coverage is unknown:

    >>> for requests in (None, pd.DataFrame({"count": [100]})):
    ...     found = tk.sampling(shop, requests=requests)
    ...     print(next(finding.headline for finding in found if finding.check == "rate.observed"))
    Trace coverage not assessable: needs request counts.
    Trace coverage: 5.0% (95% CI 2.2–11.2%; 5 of 100 requests).
    """
    check_traces(traces, "sampling")
    check_on(on, traces)
    case = build_case(
        placed(traces, on),
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
    return run_topic(case, "sampling")
