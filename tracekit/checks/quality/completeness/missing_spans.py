"""S17: share of missing spans, from the parents that received spans reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.verdicts import status_of_high_share, without_weighted_traces
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.schema import KINDS, Kind, ParentState
from tracekit.text import count, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.stats.intervals import Ratio

CHECK, _SUBJECT = "complete.spans", "Orphans"
_ENOUGH, _CRITICAL = 0.98, 0.90
_MEANING = {
    Kind.SERVER: "the caller's span is missing, or a hop in between does not export",
    Kind.CONSUMER: "the producer's span is missing",
}
_REMEDY = "Check these services for exporter drops, span limits and crashes."
_OWN = "the same process lost its own parent span: late flush, crash or span limit"


def missing_spans(case: Case) -> list[Finding]:
    """Return the share of missing parent spans (orphan references).

    ``lambda = missing / referenced`` over the distinct (trace, parent ID); completeness (M9) is ``1 - lambda``.  The
    interval is clustered by trace and weighted.  Assumes that loss does not depend on the position in the tree: lost
    leaf spans leave no reference and are invisible (see ``complete.rpc``).  Parents of spans of ``external`` services
    are outside the data and excluded.  Completeness below 98%: warning, below 90%: critical.

    Source: clustered ratio as in Korn and Graubard 1998.
    """
    trace, is_missing, child = references(case)
    if not len(trace):
        return [not_assessable(CHECK, _SUBJECT, "spans with a parent ID")]
    whole = case.ratio(trace, is_missing)
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if math.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    status = status_of_high_share(1 - high, 1 - low, warn=_ENOUGH, fail=_CRITICAL)
    evidence = _by_service(case, trace, is_missing, child)
    share = f"{ratio(value)}, " if is_missing.any() else ""
    text = (
        f"Orphans: {count(is_missing.sum())} of {plural(len(trace), 'parent span')} missing "
        f"({share}{case.ci} {ratio_range(low, high)})"
    )
    if is_missing.any():
        top = evidence.iloc[0]
        text += f", most of them above {top['kind']} spans of `{top['service_name']}` ({top['meaning']})"
    meaning = {
        "ok": "Self times, call counts and critical paths are reliable.",
        "inconclusive": f"Too few to decide whether less than 2% are missing: "
        f"{count(_n_needed(value, low, high, len(trace)))} parent spans are needed.",
    }.get(status, "Call counts are lower bounds, and time of missing spans is attributed to their parents.")
    return [
        finding(
            CHECK,
            status,
            f"{text}. {meaning}",
            evidence,
            estimate=Estimate(value, "ratio", low, high, len(trace), float(whole.n_effective[0])),
            assumptions=(
                "loss does not depend on the position in the tree; lost leaf spans are not detected",
                "parents outside the data are listed as external",
            ),
            remedy=_REMEDY if status in {"warning", "failed"} else "",
            exemplars=case.exemplars(trace[is_missing]),
        )
    ]


def references(case: Case) -> tuple[Array, Array, Array]:
    """Return trace, whether it is missing, and one child of every referenced parent span."""
    forest, spans = case.traces.forest, case.traces.columns.spans
    present = np.flatnonzero(np.diff(forest.child_offsets) > 0)
    orphan = np.flatnonzero(forest.state == ParentState.MISSING)
    outside = np.array([label in case.external for label in case.service.labels] + [False])
    orphan = orphan[~outside[case.service.codes[orphan]]]
    pair = np.stack((forest.trace[orphan].astype(np.uint64), spans.parent_id[orphan]))
    _, first = np.unique(pair, axis=1, return_index=True)
    child = np.concatenate((forest.children[forest.child_offsets[present]], orphan[first]))
    is_missing = np.arange(len(child)) >= len(present)
    return forest.trace[child], is_missing, child


def _by_service(case: Case, trace: Array, is_missing: Array, child: Array) -> pd.DataFrame:
    """Return one row per service and kind of the child spans, most missing first."""
    kinds, service = case.traces.columns.spans.kind[child], case.service
    group, distinct = pd.factorize(service.codes[child].astype(np.int64) * len(KINDS) + kinds)
    found: Ratio = case.ratio(trace, is_missing, group, len(distinct))
    of_service, of_kind = np.divmod(distinct, len(KINDS))
    table = pd.DataFrame(
        {
            "service_name": np.array([*service.labels, ""], object)[of_service],
            "kind": np.array(KINDS, object)[of_kind],
            "referenced_count": np.bincount(group, minlength=len(distinct)),
            "missing_count": np.bincount(group[is_missing], minlength=len(distinct)),
            "missing_ratio": found.ratio,
            "low": found.low,
            "high": found.high,
            "meaning": [_MEANING.get(Kind(kind), _OWN) for kind in of_kind],
        }
    )
    table["verdict"] = [
        status_of_high_share(1 - high, 1 - low, warn=_ENOUGH, fail=_CRITICAL)
        for low, high in zip(table["low"], table["high"], strict=True)
    ]
    return table.sort_values(["missing_count", "referenced_count"], ascending=False, ignore_index=True)


def _n_needed(value: float, low: float, high: float, n: int) -> int:
    """Return the number of references at which the interval would exclude the limit."""
    limit = 1 - _ENOUGH
    distance = max(abs(limit - value), 0.002)
    reach = high - value if value < limit else value - low
    return max(n + 1, math.ceil(n * (reach / distance) ** 2))
