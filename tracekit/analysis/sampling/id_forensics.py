"""S16, which sampler kept these traces, at what rate, and how many came another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tracekit.analysis.sampling.verdicts import needs, speak
from tracekit.analysis.sampling.words import number, percent, percents
from tracekit.findings import Estimate
from tracekit.weights.forensics import FEWEST, SURE, group_families, services_of_roots

if TYPE_CHECKING:
    from tracekit.analysis.sampling.inputs import Inputs
    from tracekit.analysis.sampling.verdicts import Status
    from tracekit.findings import Finding
    from tracekit.schema import Array
    from tracekit.weights.forensics import Family

CHECK = "id.forensic"
_OTHER = 0.01


def id_forensics(inputs: Inputs) -> list[Finding]:
    """Return for each service that begins traces which sampler its ids betray.

    Parameters
    ----------
    inputs
        At least 100 traces that begin in one service; rules to compare with.

    Returns
    -------
    list of Finding
        ``measured`` where an edge is found or none is, ``warn`` where its rate differs from the configured one and
        chance explains the edge less than once in a thousand.

    Notes
    -----
    Every head sampler maps an id to 0..1 by other bits (``weights.id_maps``) and keeps what lies below its rate: the
    ids have an edge there under its map alone.  ``stats.step_scan`` over the maps, Benjamini-Hochberg; the rate is
    snapped to a configured one inside its interval.  X-Ray's ids begin with the time, so maps of the first bytes are
    left out.  Assumes one threshold a service; several show as a step function.  Source: the samplers' sources; the
    method is our own; measured false reports 3 to 6 %, right family 100 %.

    Examples
    --------
    >>> import numpy as np
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.sampling.inputs import gather
    >>> rng = np.random.default_rng(5)
    >>> ids = [f"{high:016x}{low // 20:016x}" for high, low in rng.integers(1, 2**64, (400, 2), np.uint64).tolist()]
    >>> frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "x", "start_ns": 0, "end_ns": 5})
    >>> print(id_forensics(gather(TraceSet.from_spans(frame.assign(service_name="web")), rules=0.05))[0].headline)
    Ids of `web` were kept by Python TraceIdRatio at 5 % (5-5.03 %; n = 400), as configured.
    """
    groups = services_of_roots(inputs.traces)
    if not groups:
        subject = "Which sampler kept these traces"
        return [needs(CHECK, subject, f"{FEWEST} traces that begin in one service", inputs)]
    return [_one(inputs, service, rows) for service, rows in groups]


def _one(inputs: Inputs, service: str, rows: Array) -> Finding:
    """Return the finding about one service."""
    found = group_families(inputs.traces, rows)
    table = pd.DataFrame(
        {
            "scope": service,
            "family": [family.name for family in found],
            "llr": [family.step.llr for family in found],
            "q_bh": [family.q for family in found],
            "estimate": [family.step.threshold for family in found],
            "ci_low": [family.step.low for family in found],
            "ci_high": [family.step.high for family in found],
            "other_way": [family.step.other for family in found],
            "n_traces": len(rows),
        }
    )
    best = found[0]
    if best.q >= 1 - inputs.level:
        text = (
            f"Ids of `{service}` show no sampler that decides by id (n = {number(len(rows))}): all traces were kept, or"
            " others decided (a coin, a reservoir, a hash with a salt of its own)."
        )
        return speak(CHECK, "measured", text, inputs, table)
    return _say(inputs, service, best, table)


def _say(inputs: Inputs, service: str, best: Family, table: pd.DataFrame) -> Finding:
    """Return the sentence about the sampler that was found."""
    step, n = best.step, int(table["n_traces"].iloc[0])
    configured = _configured(inputs, service) if best.q < SURE else None
    snapped = configured if configured is not None and step.low <= configured <= step.high else step.threshold
    status: Status = "measured"
    ends = "." if best.q < SURE else "; the edge is faint, so read it as a hint."
    if configured is not None:
        same = snapped == configured
        status, ends = (
            ("measured", ", as configured.") if same else ("warn", f", but {percent(configured)} is configured.")
        )
    other = f"; {percent(step.other)} of the traces came in another way (reservoir, error policy)" * (
        step.other > _OTHER
    )
    text = (
        f"Ids of `{service}` were kept by {best.name} at {percent(snapped)} ({percents(step.low, step.high)};"
        f" n = {number(n)}){other}{ends}"
    )
    remedy = "Find out which configuration is in force." if status == "warn" else ""
    estimate = Estimate(step.threshold, "ratio", step.low, step.high, n)
    return speak(CHECK, status, text, inputs, table, estimate=estimate, remedy=remedy,
                 assumptions=("one threshold for the whole service",))  # fmt: skip


def _configured(inputs: Inputs, service: str) -> float | None:
    """Return the rate that the rules give this service."""
    rules = inputs.rules
    if rules is None:
        return None
    if rules.tail:
        return rules.base_rate
    rule = rules.match({"service_name": service})
    return rule.rate if rule is not None and rule.has_rate else None
