"""What requests by the second tell of a reservoir: its size, the rate beyond it, and how it favours quiet times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.stats.second_reservoir import SECOND_NS, infer_quota
from tracekit.weights.xray_reservoir import is_otel, processes

if TYPE_CHECKING:
    from tracekit.analysis.sampling.inputs import Inputs
    from tracekit.schema import Array
    from tracekit.stats.second_reservoir import Quota

_LONGEST_S = 1.0


class Seconds(NamedTuple):
    """Traces and requests of every second that had requests.

    Examples
    --------
    >>> Seconds(np.array([1]), np.array([20])).traces
    array([1])
    """

    traces: Array
    requests: Array


def seconds(inputs: Inputs) -> Seconds | None:
    """Return traces and requests by the second, from counts of single seconds or a log with times.

    Parameters
    ----------
    inputs
        Any.

    Returns
    -------
    Seconds or None
        None where nobody counted by the second, or at another time.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.sampling.inputs import gather
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 5 * 10**9, "end_ns": None})
    >>> times = ["1970-01-01 00:00:05Z", "1970-01-01 00:00:06Z"]
    >>> requests = pd.DataFrame({"time": times, "count": [20, 30]})
    >>> seconds(gather(TraceSet.from_spans(frame), requests=requests))
    Seconds(traces=array([1, 0]), requests=array([20, 30]))
    """
    counts = inputs.counts
    if counts is not None and counts.window_s is not None and counts.window_s <= _LONGEST_S:
        if inputs.counts_needed:
            return None
        table = inputs.tally.bins.groupby("start_ns")[["traces", "requests"]].sum()
        table = table[table["requests"] > 0]
        return Seconds(*(table[name].to_numpy().astype(np.int64) for name in ("traces", "requests")))
    begun = log_starts(inputs)
    if begun is None:
        return None
    asked = pd.Series(begun // SECOND_NS).value_counts()
    kept = pd.Series(inputs.start_ns // SECOND_NS).value_counts().reindex(asked.index, fill_value=0)
    return Seconds(kept.to_numpy(np.int64), asked.to_numpy(np.int64)) if kept.any() else None


def log_starts(inputs: Inputs) -> Array | None:
    """Return when the requests of a log began: its times, less their durations where it has them, in nanoseconds.

    Load balancers write the time of the answer.  None without times.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.sampling.inputs import gather
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5})
    >>> log = pd.DataFrame({"trace_id": ["a1"], "time": ["1970-01-01 00:00:01Z"], "duration_ns": [400_000_000]})
    >>> log_starts(gather(TraceSet.from_spans(frame), log=log))
    array([600000000])
    """
    log = inputs.log
    if log is None or "time" not in log or not len(log):
        return None
    times = pd.to_datetime(
        log["time"], utc=True, errors="coerce", format="mixed" if log["time"].dtype == object else None
    )
    took = pd.to_numeric(log["duration_ns"], errors="coerce").fillna(0) if "duration_ns" in log else 0
    begun = (times.astype("datetime64[ns, UTC]").astype(np.int64) - took)[times.notna()]
    return begun.to_numpy(np.int64) if len(begun) else None


def inferred(inputs: Inputs, found: Seconds) -> Quota | None:
    """Return quota and rate as the seconds show them; None unless one process of a classic SDK decided.

    Examples
    --------
    >>> inferred.__name__
    'inferred'
    """
    process = processes(inputs.traces)
    is_one = len(inputs.traces) and (process.codes >= 0).all() and len(np.unique(process.codes)) == 1
    return infer_quota(found.traces, found.requests, level=inputs.level) if is_one and _is_classic(inputs) else None


def _is_classic(inputs: Inputs) -> bool:
    """Return whether a classic SDK began all traces."""
    return bool((is_otel(inputs.traces) == 0).all())


def quiet_ratio(found: Seconds) -> float:
    """Return how many times as often quiet times are among the traces as among the requests.

    Parameters
    ----------
    found
        By any window.

    Returns
    -------
    float
        (n_quiet / n) / (N_quiet / N) over the windows with less than half the average requests; NaN without such.

    Examples
    --------
    One a second and 5 %, in seconds of 2 and of 38 requests:

    >>> print(f"{quiet_ratio(Seconds(np.array([1, 1, 3, 3]), np.array([2, 2, 38, 38]))):.1f}")
    5.0
    """
    quiet = 2 * found.requests * len(found.requests) < found.requests.sum()
    share = found.requests[quiet].sum() / max(found.requests.sum(), 1)
    return float(found.traces[quiet].sum() / found.traces.sum() / share) if share and found.traces.sum() else np.nan
