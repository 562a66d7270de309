"""S17: share of missing spans, from the parents that received spans reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.shares import Events, events_of, shares_of
from tracekit.checks.verdicts import status_of_high_share, without_weighted_traces
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.schema import KINDS, Kind, ParentState
from tracekit.text import count, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.shares import Shares
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "complete.spans", "Orphans"
_ENOUGH, _CRITICAL = 0.98, 0.90
_KEYS: Final = ["service_name", "kind"]
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
    seen = case.result(_REFERENCES)
    total, missing = seen.trial_count, seen.event_count
    if not total:
        return [not_assessable(CHECK, _SUBJECT, "spans with a parent ID")]
    whole = shares_of(case, seen.whole).ratio
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if math.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    status = status_of_high_share(1 - high, 1 - low, warn=_ENOUGH, fail=_CRITICAL)
    evidence = _by_service(shares_of(case, seen.by_group, _KEYS))
    share = f"{ratio(value)}, " if missing else ""
    text = (
        f"Orphans: {count(missing)} of {plural(total, 'parent span')} missing "
        f"({share}{case.ci} {ratio_range(low, high)})"
    )
    if missing:
        top = evidence.iloc[0]
        text += f", most of them above {top['kind']} spans of `{top['service_name']}` ({top['meaning']})"
    meaning = {
        "ok": "Self times, call counts and critical paths are reliable.",
        "inconclusive": f"Too few to decide whether less than 2% are missing: "
        f"{count(_n_needed(value, low, high, total))} parent spans are needed.",
    }.get(status, "Call counts are lower bounds, and time of missing spans is attributed to their parents.")
    return [
        finding(
            CHECK,
            status,
            f"{text}. {meaning}",
            evidence,
            estimate=Estimate(value, "ratio", low, high, total, float(whole.n_effective[0])),
            assumptions=(
                "loss does not depend on the position in the tree; lost leaf spans are not detected",
                "parents outside the data are listed as external",
            ),
            remedy=_REMEDY if status in {"warning", "failed"} else "",
            exemplars=seen.examples,
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


def _seen(case: Case) -> Events:
    """Return the references of a part and the missing ones, by service and kind of the child."""
    trace, is_missing, child = references(case)
    service = case.service
    named = np.where(service.codes[child] < 0, len(service.labels), service.codes[child])
    kinds = case.traces.columns.spans.kind[child].astype(np.int64)
    columns = {"service_name": (named, [*service.labels, ""]), "kind": (kinds, range(len(KINDS)))}
    return events_of(case, trace, is_missing, columns)


_REFERENCES: Final[Merged[Events]] = Merged(_seen, Events.plus)


def _by_service(found: Shares) -> pd.DataFrame:
    """Return one row per service and kind of the child spans, most missing first."""
    kind = found.keys["kind"].astype(np.int64)
    table = pd.DataFrame(
        {
            "service_name": found.keys["service_name"],
            "kind": np.array(KINDS, object)[kind],
            "referenced_count": found.trial_count,
            "missing_count": found.event_count,
            "missing_ratio": found.ratio.ratio,
            "low": found.ratio.low,
            "high": found.ratio.high,
            "meaning": [_MEANING.get(Kind(each), _OWN) for each in kind],
        }
    )
    table["verdict"] = [
        status_of_high_share(1 - high, 1 - low, warn=_ENOUGH, fail=_CRITICAL)
        for low, high in zip(table["low"], table["high"], strict=True)
    ]
    order = ["missing_count", "referenced_count", *_KEYS]
    return table.sort_values(order, ascending=[False, False, True, True], ignore_index=True)


def _n_needed(value: float, low: float, high: float, n: int) -> int:
    """Return the number of references at which the interval would exclude the limit."""
    limit = 1 - _ENOUGH
    distance = max(abs(limit - value), 0.002)
    reach = high - value if value < limit else value - low
    return max(n + 1, math.ceil(n * (reach / distance) ** 2))
