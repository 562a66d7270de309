"""Missing instrumentation: calls without a span of the callee, which records spans for other calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.names import name_of
from tracekit.checks.patterns.lost_context import broken_pairs
from tracekit.checks.patterns.occurrences import MATTERS, Pattern
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.quality.propagation.call_targets import CALLEES, call_targets, unanswered
from tracekit.checks.shares import added
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram
from tracekit.stats.proportions import clopper_pearson
from tracekit.text import clean, duration, ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.checks.patterns.sums import OccurrenceSums

_KEYS: Final = ["service_name", "operation", "detail"]
_FEWEST: Final = 5  # calls without a span of the callee
_SHARE: Final = 0.05  # of the calls of one operation to one callee at least (95%)


def _detect(case: Case) -> Occurrences:
    """Return calls that succeeded without a span of their callee; the cost is time that no span explains."""
    traces = case.traces
    calls = case.result(unanswered)
    row, callee = calls.where(np.flatnonzero(~traces.is_error[calls.client]))
    return Occurrences(row, row, traces.duration_ns[row], path_ns_of(case, row), callee)


def _without_broken(case: Case, sums: OccurrenceSums) -> OccurrenceSums:
    """Leave out the calls that continue in other traces, which are of ``LOST_CONTEXT``."""
    broken = case.result(broken_pairs)
    pairs = zip(sums.keys["caller_service"].tolist(), sums.keys["detail"].tolist(), strict=True)
    return sums.where(np.array([pair not in broken for pair in pairs]))


def _calls(case: Case) -> Aggregate:
    """Return the number of calls of a part that succeeded, by caller and callee."""
    calls = case.result(call_targets)
    fine = calls.where(np.flatnonzero(~case.traces.is_error[calls.client]))
    columns = {name: case.traces.codes(name).take(fine.client) for name in _KEYS[:2]} | {"detail": fine.callee}
    group, keys = group_codes(columns, len(fine.client))
    counts = {"call_count": np.bincount(group, minlength=int(group.max(initial=-1)) + 1)}
    return Aggregate(keys, counts, Histogram.empty()).by(_KEYS)


CALLS: Final[Merged[Aggregate]] = Merged(_calls, added, needs=(CALLEES,))


def _with_share(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the share of the calls to this callee without a span of it: ``missing_ratio``, and its lower 95% limit."""
    seen = case.result(CALLS)
    keys = pd.DataFrame(seen.keys).assign(call_count=seen.sums["call_count"])
    keys[_KEYS] = keys[_KEYS].fillna("")
    merged = table.merge(keys, on=_KEYS, how="left")
    missing, calls = (merged[name].to_numpy(np.float64) for name in ("occurrence_count", "call_count"))
    return merged.assign(missing_ratio=missing / calls, missing_ratio_low=clopper_pearson(missing, calls).low)


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return whose spans are missing for which calls."""
    return (
        f"Missing instrumentation: {ratio(row['missing_ratio'])} of the calls of {name_of(row)} to "
        f"{clean(row['detail'], limit=80)} ({duration(row['size_p50'])}, median) have no span of it,"
    )


MISSING_SPANS: Final = Pattern(
    "patterns.missing_spans",
    _detect,
    _say,
    remedy=(
        "Instrument the instances, routes or versions of the callee that record nothing; if spans are lost instead,"
        " tk.quality(traces, checks=['complete.rpc']) says on which side."
    ),
    method=(
        "Successful calls without a server span, to services with server spans for other calls of the same operation;"
        " at least 5% of them (95%). Cost: these calls on the critical path, which no span of the callee explains."
    ),
    only=_without_broken,
    complete=_with_share,
    matters=lambda table: (
        (table["occurrence_count"] >= _FEWEST)
        & (table["missing_ratio_low"] >= _SHARE)
        & (table["affected_ratio"] >= MATTERS)
    ),
    cost="unexplained time",
    needs=(CALLEES,),
    asks=(CALLS, broken_pairs),
)
