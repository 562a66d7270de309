"""S04, were the failing requests captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.sampling.verdicts import needs, speak
from tracekit.analysis.sampling.words import number, percent, percents
from tracekit.findings import Estimate
from tracekit.stats.proportions import share_interval
from tracekit.stats.thinned import thinned_count
from tracekit.stats.weighted_rates import weighted_total
from tracekit.weights.counts import log_columns

if TYPE_CHECKING:
    from tracekit.analysis.sampling.inputs import Inputs
    from tracekit.analysis.sampling.verdicts import Status
    from tracekit.findings import Finding

CHECK = "capture.errors"
_SERVER_ERROR = "5xx"


def error_capture(inputs: Inputs) -> list[Finding]:
    """Return how many of the failing requests left a trace.

    Parameters
    ----------
    inputs
        With a log (exact), counted requests by status, or known inclusion probabilities.

    Returns
    -------
    list of Finding
        ``ok`` where the lower limit reaches ``expected["capture"]`` (90 % by default), ``fail`` where the upper one
        does not.

    Notes
    -----
    M2a, failing over all traces, is what a dashboard shows; M2b, captured over all failing requests, is what counts.
    Log: joined by trace id, no interval for this window.  Counts: n over N of status 5xx, share interval.  Traces
    alone: k failing ones kept with probability p, all K in hand; the number that happened has the exact limits ``k +
    NB`` of a thinned count, never below K; with unequal probabilities the Horvitz-Thompson total.  Assumes the same
    meaning of error on both sides: what a load balancer answers itself never reaches the application.  Source: M2, F2.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.sampling.inputs import gather
    >>> ids = [f"{n:032x}" for n in range(1, 101)]
    >>> frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "x", "start_ns": 0, "end_ns": 5})
    >>> frame["status_code"] = ["ERROR"] * 20 + ["OK"] * 80
    >>> print(error_capture(gather(TraceSet.from_spans(frame), rules=0.1))[0].headline)
    We hold 20 of an estimated 200 failing requests (10 %, 6.6-15.9 %): conclusions about causes rest on one in 10.
    """
    held = int(inputs.failed.sum())
    if inputs.log is not None and {"trace_id"} <= set(inputs.log) and "status_class" in log_columns(inputs.log):
        return [_by_log(inputs)]
    if not inputs.counts_needed and inputs.counts is not None and "status_class" in inputs.counts.dimensions:
        return [_by_counts(inputs)]
    if inputs.weights_needed:
        missing = "request counts by status, a log, or " + inputs.weights_needed
        return [needs(CHECK, "Share of the failing requests that was captured", missing, inputs)]
    base = inputs.base
    pi = inputs.probability[base]
    kept = int(inputs.failed[base].sum())
    if np.allclose(pi, pi[0], 1e-9, 0):
        low, high = thinned_count(kept, float(pi[0]), level=inputs.level)
        all_errors = kept / float(pi[0])
    else:
        total = weighted_total(pi, inputs.failed[base], level=inputs.level)
        all_errors, low, high = total.value, int(total.low), int(np.ceil(total.high))
    all_errors, low, high = max(all_errors, held), max(low, held), max(high, held)
    if not all_errors:
        text = (
            f"No failing request in {number(len(inputs.traces))} traces; up to {number(high)} may have happened unseen."
        )
        row = pd.DataFrame({"captured": [0], "errors": 0.0, "errors_low": low, "errors_high": high})
        return [speak(CHECK, "measured", text, inputs, row, assumptions=_ASSUMED)]
    return [_say(inputs, held, all_errors, (held / high, held / low if low else 1.0), "an estimated ")]


_ASSUMED = ("the same meaning of error on both sides", "errors do not stop the exporter too")


def _by_log(inputs: Inputs) -> Finding:
    """Return the captured share of the failing requests of a log."""
    assert inputs.log is not None
    log = inputs.log
    failing = (log_columns(log)["status_class"] == _SERVER_ERROR).to_numpy()
    ids = log.loc[failing, "trace_id"].astype(str).str.lower().str.removeprefix("1-").str.replace("-", "")
    captured = int(np.isin(ids.to_numpy(str), np.array(inputs.traces.trace_ids, str)).sum())
    if not len(ids):
        text = f"None of the {number(len(log))} logged requests failed: there was nothing to capture."
        return speak(CHECK, "measured", text, inputs, pd.DataFrame({"captured": [0], "errors": 0}))
    share = captured / len(ids)
    return _say(inputs, captured, len(ids), (share, share), "")


def _by_counts(inputs: Inputs) -> Finding:
    """Return the captured share of the failing requests that were counted."""
    table = inputs.tally.frame
    failing = table[table["status_class"] == _SERVER_ERROR]
    errors, captured = float(failing["requests"].sum()), int(failing["traces"].sum())
    if captured > errors:
        text = f"{number(captured)} failing traces, but only {number(errors)} failing requests were counted."
        remedy = "Count errors at the hop where the traces begin."
        return speak(CHECK, "fail", text, inputs, failing, assumptions=_ASSUMED, remedy=remedy)
    if not errors:
        total = number(table["requests"].sum())
        text = f"None of the {total} counted requests failed: there was nothing to capture."
        return speak(CHECK, "measured", text, inputs, table)
    low, high = share_interval(captured, errors, level=inputs.level)
    return _say(inputs, captured, errors, (float(low), float(high)), "")


def _say(inputs: Inputs, captured: int, errors: float, limits: tuple[float, float], guess: str) -> Finding:
    """Return the sentence about the captured share."""
    share, target = captured / errors, inputs.expected.capture
    status: Status = "ok" if limits[0] >= target else "fail" if limits[1] < target else "inconclusive"
    ends = {
        "ok": ": enough for conclusions about causes.",
        "fail": f": conclusions about causes rest on one in {number(1 / share)}."
        if share
        else ": no cause can be told.",
        "inconclusive": f": whether the {percent(target)} that were asked for are reached cannot be told.",
    }
    interval = percents(*limits) if limits[0] < limits[1] else "counted"
    text = f"We hold {number(captured)} of {guess}{number(errors)} failing requests ({percent(share)}, {interval})"
    table = pd.DataFrame(
        {"captured": [captured], "errors": errors, "estimate": share, "ci_low": limits[0], "ci_high": limits[1],
         "failing_traces": int(inputs.failed.sum()), "n_traces": len(inputs.traces), "status": status}
    )  # fmt: skip
    exemplars = [inputs.traces.trace_ids[n] for n in np.flatnonzero(inputs.failed)[:5]]
    remedy = "Keep failing traces by a tail policy, or raise the rate." if status == "fail" else ""
    return speak(
        CHECK, status, text + ends[status], inputs, table, estimate=Estimate(share, "ratio", *limits, n=captured),
        assumptions=_ASSUMED, remedy=remedy, exemplars=exemplars,
    )  # fmt: skip
