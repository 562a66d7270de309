"""All checks of quality: a new one is a file, a line here, and a test."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracekit.checks.quality.call_pairs import call_pairs
from tracekit.checks.quality.cardinality import cardinality
from tracekit.checks.quality.clock_circles import clock_circles
from tracekit.checks.quality.clock_drift import clock_drift
from tracekit.checks.quality.clock_offsets import clock_offsets
from tracekit.checks.quality.cold_starts import cold_starts
from tracekit.checks.quality.cost import PRICES, cost
from tracekit.checks.quality.counts_join import counts_join
from tracekit.checks.quality.duplicates import duplicates
from tracekit.checks.quality.gaps import gaps
from tracekit.checks.quality.impossible_times import impossible_times
from tracekit.checks.quality.inputs import Inputs
from tracekit.checks.quality.lag import lag
from tracekit.checks.quality.missing_spans import missing_spans
from tracekit.checks.quality.orphan_gaps import orphan_gaps
from tracekit.checks.quality.partial import partial
from tracekit.checks.quality.pii import privacy
from tracekit.checks.quality.propagation import propagation
from tracekit.checks.quality.retried_roots import retried_roots
from tracekit.checks.quality.silence import silence
from tracekit.findings import Finding, Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from tracekit.traces import TraceSet

CHECKS: dict[str, Callable[[Inputs], list[Finding]]] = {
    "complete.spans": missing_spans,
    "complete.rpc": call_pairs,
    "propagation.break": propagation,
    "propagation.retry": retried_roots,
    "counts.join": counts_join,
    "gap.scan": gaps,
    "gap.silence": silence,
    "gap.orphans": orphan_gaps,
    "ingest.lag": lag,
    "partial": partial,
    "clock.offset": clock_offsets,
    "clock.circle": clock_circles,
    "clock.drift": clock_drift,
    "time.order": impossible_times,
    "duplicates": duplicates,
    "cardinality": cardinality,
    "pii": privacy,
    "cost": cost,
    "coldstart.bias": cold_starts,
}
"""By name, in the order of the catalogue (S17 to S28, S30 to S32)."""
_OF_ALL_AGES = ("ingest.lag", "time.order", "duplicates", "pii")  # what they look for is no less there in young traces
_TOLERANCE, _LEVEL = 0.05, 0.95


def quality(
    traces: TraceSet,
    *,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    received: pd.Series | pd.DataFrame | str | None = None,
    now: Any = None,
    external: Sequence[str] = (),
    prices: Mapping[str, float] | None = None,
    tolerance: float = _TOLERANCE,
    confidence: float = _LEVEL,
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
    chosen = list(CHECKS) if checks is None else list(checks)
    if strange := [name for name in chosen if name not in CHECKS]:
        raise ValueError(f"expected checks among {', '.join(CHECKS)}, found {', '.join(map(repr, strange))}")
    if strange := sorted(set(prices or ()) - set(PRICES)):
        raise ValueError(f"expected prices among {', '.join(PRICES)}, found {', '.join(strange)}")
    if not 0 <= tolerance < 0.5:  # noqa: PLR2004 - no majority is left
        raise ValueError(f"expected a tolerance from 0 to below 0.5, found {tolerance!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence level between 0 and 1, such as 0.95, found {confidence!r}")
    given = {"requests": requests, "log": log, "received": received, "now": now, "external": external or None}
    given |= {"prices": prices, "tolerance": None if tolerance == _TOLERANCE else tolerance}
    given |= {"confidence": None if confidence == _LEVEL else confidence}
    call = ", ".join(["traces", *(f"{name}={name}" for name, value in given.items() if value is not None)])
    inputs = Inputs(
        traces,
        requests,
        log,
        received,
        now,
        tuple(external),
        dict(prices or {}),
        tolerance,
        confidence,
        f"tk.quality({call})",
    )
    found = [finding for name in chosen for finding in CHECKS[name](inputs if name in _OF_ALL_AGES else inputs.settled)]
    return Findings([replace(finding, code=inputs.call) for finding in found])
