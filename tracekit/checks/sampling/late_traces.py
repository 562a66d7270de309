"""What S22 means for a sample: traces that began so late that others of their time had not arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.words import counted, duration, number, percent, percents
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate, Status
from tracekit.weights.ingestion_horizon import FEWEST

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "ingest.horizon"
_SUBJECT = "Whether the last traces had all arrived"
_MOST_MISSING, _STRAYS, _TIME = 0.01, 0.01, "%Y-%m-%dT%H:%M:%SZ"


def late_traces(case: Case) -> list[Finding]:
    """Return how many traces were left out of all checks because others of their time had not arrived.

    The distribution of the time from start to receipt allows for what was not seen (``stats.truncated_lags``); its 99th
    percentile is the age up to which traces are young.  How many had not arrived follows from it, if they came as
    evenly as those before; the first 1 % of these, which may begin anywhere, do not tell how evenly.  All other checks
    use what began before.  Source: specification, 2.1; Lynden-Bell 1971.
    """
    if case.receipts is None:
        return [not_assessable(CHECK, _SUBJECT, "times of receipt", remedy="Give received= as times by trace id.")]
    edge, whole = case.horizon, case.recorded
    if edge is None or whole is None:
        return [not_assessable(CHECK, _SUBJECT, f"times of receipt of at least {FEWEST} traces")]
    young, n = int(edge.is_young.sum()), len(whole)
    starts = whole.columns.spans.start_ns[whole.forest.root_row]
    first = int(starts[starts > 0].min(initial=edge.begin_ns))
    due = _rate(starts[(starts > 0) & ~edge.is_young], edge.begin_ns) * edge.age_ns
    of_all = [due * share / max(n - young + due, 1.0) for share in (edge.missing, edge.low, edge.high)]
    status: Status = "warning" if of_all[1] > _MOST_MISSING else "ok" if of_all[2] <= _MOST_MISSING else "inconclusive"
    if not n - young:
        status, of_all = "warning", [1.0, 0.0, 1.0]
    begin = pd.Timestamp(edge.begin_ns, unit="ns", tz="UTC")
    table = pd.DataFrame(
        {"begin_time": [begin], "age_ns": edge.age_ns, "late_traces": young, "trace_count": n, "estimate": of_all[0],
         "estimate_low": of_all[1], "estimate_high": of_all[2], "missing_ratio": edge.missing, "status": status}
    )  # fmt: skip
    said = (
        f"Of what began in the last {duration(edge.age_ns)} of the recording {percent(edge.missing)}"
        f" ({percents(edge.low, edge.high)}) had not arrived, {percent(of_all[0])} of all"
    )
    left = f"{counted(young, 'trace')} of that time {'is' if young == 1 else 'are'} left out of all checks here"
    harm = "as it is, rates fall at its end and slow requests are missing there; "
    text = f"{said}: {harm * (status != 'ok')}{left}."
    if not n - young:
        text = (
            f"All {number(n)} traces began in the last {duration(edge.age_ns)}, of which {percent(edge.missing)} had"
            " not arrived: nothing can be said from them about all traffic."
        )
    kept = f"traces.between('{pd.Timestamp(first, unit='ns'):{_TIME}}', '{begin:{_TIME}}')"
    remedy = f"Use {kept} for rates and latencies." if status != "ok" else ""
    return [
        finding(CHECK, status, text, table, estimate=Estimate(of_all[0], "ratio", of_all[1], of_all[2], n),
              assumptions=("lags do not depend on age", "traces began as evenly at the end as before"), remedy=remedy,
              is_critical=False)
    ]  # fmt: skip


def _rate(starts: Array, end: int) -> float:
    """Return how many began a nanosecond up to an end; a few that began long before the others do not stretch it."""
    if not len(starts):
        return 0.0
    begin = np.quantile(starts, _STRAYS, method="higher")
    return float((starts > begin).sum()) / max(end - int(begin), 1)
