"""S22 for samples: late-arriving traces at the end of the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.text import count, duration, plural, ratio, ratio_range
from tracekit.weights.ingestion_horizon import FEWEST

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "ingest.horizon"
_SUBJECT = "Late-arriving traces"
_MOST_MISSING, _STRAYS, _TIME = 0.01, 0.01, "%Y-%m-%dT%H:%M:%SZ"


def late_traces(case: Case) -> list[Finding]:
    """Return the number of traces excluded from all checks because others of their period had not arrived.

    The distribution of the time from start to arrival is corrected for truncation (``stats.truncated_lags``); its 99th
    percentile is the age of the ingestion horizon.  The number of missing traces follows from it, assuming the same
    rate of starts as earlier; the first 1% of these, which may start at any time, are ignored for the rate.  All other
    checks use traces that started before the horizon.  Source: Lynden-Bell 1971.
    """
    receipts = case.receipts
    if receipts is None:
        return [not_assessable(CHECK, _SUBJECT, "arrival times", remedy="Pass received= as times by trace ID.")]
    edge = case.horizon
    if edge is None:
        return [not_assessable(CHECK, _SUBJECT, f"arrival times of at least {FEWEST} traces")]
    late, n, starts = int(edge.is_beyond_horizon.sum()), len(receipts.traces), receipts.traces.start_ns
    first = int(starts[starts > 0].min(initial=edge.begin_ns))
    due = _rate(starts[(starts > 0) & ~edge.is_beyond_horizon], edge.begin_ns) * edge.age_ns
    of_all = [due * share / max(n - late + due, 1.0) for share in (edge.missing, edge.low, edge.high)]
    status: Status = "warning" if of_all[1] > _MOST_MISSING else "ok" if of_all[2] <= _MOST_MISSING else "inconclusive"
    if not n - late:
        status, of_all = "warning", [1.0, 0.0, 1.0]
    begin = pd.Timestamp(edge.begin_ns, unit="ns", tz="UTC")
    table = pd.DataFrame(
        {"begin_time": [begin], "age_ns": edge.age_ns, "late_traces": late, "trace_count": n, "estimate": of_all[0],
         "estimate_low": of_all[1], "estimate_high": of_all[2], "missing_ratio": edge.missing, "status": status}
    )  # fmt: skip
    missing = (
        f"{_SUBJECT}: {ratio(edge.missing)} ({case.ci} {ratio_range(edge.low, edge.high)}) of the traces started in the"
        f" last {duration(edge.age_ns)} had not arrived, {ratio(of_all[0])} of all"
    )
    excluded = f"{plural(late, 'trace')} of that period {'is' if late == 1 else 'are'} excluded from all checks."
    harm = " Rates fall at the end of the recording and slow requests are missing there." * (status != "ok")
    text = f"{missing}.{harm} {excluded}"
    if not n - late:
        text = (
            f"{_SUBJECT}: all {count(n)} traces started in the last {duration(edge.age_ns)}, and"
            f" {ratio(edge.missing)} of that period had not arrived. They do not represent all traffic."
        )
    kept = f"traces.between('{pd.Timestamp(first, unit='ns'):{_TIME}}', '{begin:{_TIME}}')"
    remedy = f"Use {kept} for rates and latencies." if status != "ok" else ""
    return [
        finding(CHECK, status, text, table, estimate=Estimate(of_all[0], "ratio", of_all[1], of_all[2], n),
              assumptions=("lags do not depend on age", "traces start at the same rate at the end"), remedy=remedy,
              is_critical=False)
    ]  # fmt: skip


def _rate(starts: Array, end: int) -> float:
    """Return the starts per nanosecond up to an end, ignoring the first 1%."""
    if not len(starts):
        return 0.0
    begin = np.quantile(starts, _STRAYS, method="higher")
    return float((starts > begin).sum()) / max(end - int(begin), 1)
