"""Properties of a reservoir from requests by second: its size, the rate beyond it, over-sampling of quiet times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.stats.second_reservoir import SECOND_NS, infer_quota
from tracekit.weights.xray_reservoir import is_otel, processes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.schema import Array
    from tracekit.stats.second_reservoir import Quota

_LONGEST_S = 1.0


class Seconds(NamedTuple):
    """Traces and requests of every second with requests."""

    traces: Array
    requests: Array


def seconds(case: Case) -> Seconds | None:
    """Return traces and requests by the second, from counts of single seconds or a log with times."""
    counts = case.counts
    if counts is not None and counts.window_s is not None and counts.window_s <= _LONGEST_S:
        if case.counts_needed:
            return None
        table = case.tally.bins.groupby("start_ns")[["traces", "requests"]].sum()
        table = table[table["requests"] > 0]
        return Seconds(*(table[name].to_numpy().astype(np.int64) for name in ("traces", "requests")))
    begun = log_starts(case)
    if begun is None:
        return None
    requested = pd.Series(begun // SECOND_NS).value_counts()
    kept = pd.Series(case.start_ns // SECOND_NS).value_counts().reindex(requested.index, fill_value=0)
    return Seconds(kept.to_numpy(np.int64), requested.to_numpy(np.int64)) if kept.any() else None


def log_starts(case: Case) -> Array | None:
    """Return the starts of logged requests in ns: their times minus durations (logs have response times), or None."""
    log = case.log
    if log is None or "time" not in log or not len(log):
        return None
    times = pd.to_datetime(
        log["time"], utc=True, errors="coerce", format="mixed" if log["time"].dtype == object else None
    )
    took = pd.to_numeric(log["duration_ns"], errors="coerce").fillna(0) if "duration_ns" in log else 0
    begun = (times.astype("datetime64[ns, UTC]").astype(np.int64) - took)[times.notna()]
    return begun.to_numpy(np.int64) if len(begun) else None


def inferred(case: Case, found: Seconds) -> Quota | None:
    """Return quota and rate inferred from the seconds; None unless one process of a classic SDK decided."""
    process = processes(case.traces)
    is_one = len(case.traces) and (process.codes >= 0).all() and len(np.unique(process.codes)) == 1
    return (
        infer_quota(found.traces, found.requests, confidence=case.confidence) if is_one and _is_classic(case) else None
    )


def _is_classic(case: Case) -> bool:
    """Return whether a classic SDK started all traces."""
    return bool((is_otel(case.traces) == 0).all())


def quiet_ratio(found: Seconds) -> float:
    """Return the over-sampling factor of quiet times: their share of the traces over their share of the requests."""
    quiet = 2 * found.requests * len(found.requests) < found.requests.sum()
    share = found.requests[quiet].sum() / max(found.requests.sum(), 1)
    return float(found.traces[quiet].sum() / found.traces.sum() / share) if share and found.traces.sum() else np.nan
