"""Missing instrumentation: calls without a span of the callee, which records spans for other calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.attributes import Codes
from tracekit.checks.names import name_of
from tracekit.checks.patterns.lost_context import broken_calls
from tracekit.checks.patterns.occurrences import MATTERS, Pattern
from tracekit.checks.patterns.paths import path_ns
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.quality.propagation.call_targets import call_targets, unanswered
from tracekit.stats.grouping import group_rows
from tracekit.stats.proportions import clopper_pearson
from tracekit.text import clean, duration, ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from tracekit.checks.case import Case

_KEYS: Final = ["service_name", "operation", "detail"]
_FEWEST: Final = 5  # calls without a span of the callee
_SHARE: Final = 0.05  # of the calls of one operation to one callee at least (95%)


def _detect(case: Case) -> Occurrences:
    """Return calls that succeeded without a span of their callee; the cost is time that no span explains."""
    traces = case.traces
    client, target = case.result(unanswered)
    silent = ~traces.is_error[client] & ~np.isin(client, case.result(broken_calls).call)
    row, callee = client[silent], target[silent]
    names = Codes(callee, case.service.labels)
    return Occurrences(row, row, traces.duration_ns[row], path_ns(case)[row], names)


def _with_share(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the share of the calls to this callee without a span of it: ``missing_ratio``, and its lower 95% limit."""
    client, target = case.result(call_targets)
    is_call = ~case.traces.is_error[client]
    columns = {name: case.traces.codes(name).take(client[is_call]) for name in _KEYS[:2]}
    group, keys = group_rows(columns | {"detail": Codes(target[is_call], case.service.labels)}, int(is_call.sum()))
    merged = table.merge(keys.assign(call_count=np.bincount(group, minlength=len(keys))), on=_KEYS, how="left")
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
    complete=_with_share,
    matters=lambda table: (
        (table["occurrence_count"] >= _FEWEST)
        & (table["missing_ratio_low"] >= _SHARE)
        & (table["affected_ratio"] >= MATTERS)
    ),
    cost="unexplained time",
    whole="the callee of a call without a span is that of most such calls, in all traces",
)
