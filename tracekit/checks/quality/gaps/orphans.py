"""Collection gaps without request counts: orphan spans clustered in time, zone, host or instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.quality.completeness.missing_spans import references
from tracekit.checks.quality.gaps.parts import AXES
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.cluster_scan import cluster_scan
from tracekit.stats.intervals import wilson
from tracekit.text import count, period, plural, quoted, ratio, ratio_range
from tracekit.weights.tally import stratum_codes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "gap.orphans"
_SUBJECT = "Collection gaps of a part"
_ALARM_P, _ALARM_SHARE, _FEWEST, _LOST, _EDGE = 0.01, 0.20, 120, 0.8, 0.02
_ALIKE = 0.1  # losses of parts that differ by less are one loss
_COLUMNS = ["scope", "span_count", "expected_count", "loss_ratio"]


def orphan_gaps(case: Case) -> list[Finding]:
    """Return the window with far more orphan spans than the rest of the dataset.

    If the spans of one zone, host or instance are not collected for a while, the other spans of these traces reference
    missing parents.  ``cluster_scan`` over the traces with a referenced parent, in order of time.  An alarm needs a
    probability below 1%, and a share of at least 20% of the traces in the window that is twice that of the others.  The
    part with the largest drop of spans per trace, at least 80%, is reported at the coarsest level.  The first and last
    2% of the traces are excluded: they may be truncated.  A steady loss is no gap (see ``complete.spans``), and a
    collection that lost entire traces leaves no orphans (see ``gap.scan``).

    Source: Kulldorff 1997; measured in the tests.
    """
    trace, is_missing, _ = references(case)
    named = np.unique(trace)
    if len(named) < _FEWEST:
        return [not_assessable(CHECK, _SUBJECT, f"at least {_FEWEST} traces with a parent ID")]
    lacks = np.bincount(trace[is_missing], minlength=len(case.traces))[named] > 0
    order = np.argsort(case.start_ns[named], kind="stable")
    cut = int(_EDGE * len(order))
    order = order[cut : len(order) - cut]
    named, lacks = named[order], lacks[order]
    if not lacks.any():
        text = f"No collection gap detected: no trace has a missing parent span ({plural(len(named), 'trace')})."
        return [finding(CHECK, "ok", text, pd.DataFrame())]
    found = cluster_scan(lacks)
    within = np.zeros(len(named), bool)
    within[found.start : found.end] = True
    share, usual = float(lacks[within].mean()) if within.any() else 0.0, float(lacks[~within].mean())
    if found.p >= _ALARM_P or share < max(_ALARM_SHARE, 2 * usual):
        text = (
            f"No collection gap detected: {ratio(float(lacks.mean()))} of {plural(len(named), 'trace')} have a missing "
            f"parent span, without a significant cluster in time."
        )
        return [finding(CHECK, "ok", text, pd.DataFrame())]
    start = case.start_ns[named]
    first, last = (pd.Timestamp(int(start[at]), unit="ns", tz="UTC") for at in (found.start, found.end - 1))
    low, high = (float(limit) for limit in wilson(share, int(within.sum()), confidence=case.confidence))
    evidence = _parts(case, named[within], named[~within]).assign(start_time=first, end_time=last)
    lost = evidence[evidence["loss_ratio"] >= _LOST]
    where = f" Spans of `{lost.iloc[0]['scope']}` fell by {ratio(lost.iloc[0]['loss_ratio'])}." if len(lost) else ""
    text = (
        f"Collection gap: {ratio(share)} ({case.ci} {ratio_range(low, high)}) of the traces from "
        f"{period(first.value, last.value)} have a missing parent span, vs {ratio(usual)} of the others "
        f"(n = {count(within.sum())} and {count((~within).sum())}).{where} Counts and times in this window are too low."
    )
    return [
        finding(
            CHECK,
            "warning",
            text,
            evidence.assign(status="warning"),
            estimate=Estimate(share, "ratio", low, high, int(within.sum())),
            assumptions=("a steady loss of spans does not depend on time",),
            remedy="Check collectors and exporters at that time; exclude the window from rates and comparisons.",
            exemplars=case.exemplars(named[within & lacks]),
        )
    ]


def _parts(case: Case, within: Array, others: Array) -> pd.DataFrame:
    """Return span counts by zone, host and instance in some traces, and the counts expected from the others."""
    trace, rows = case.traces.forest.trace, []
    inside, outside = (np.isin(trace, which) for which in (within, others))
    for axis, word in AXES.items():
        label = stratum_codes(case.traces, axis)
        known = label.codes >= 0
        seen, usual = (
            np.bincount(label.codes[known & which], minlength=len(label.labels)) for which in (inside, outside)
        )
        due = usual * (len(within) / max(len(others), 1))
        rows += [
            (f"{word} {quoted(name).replace('`', '')}", int(seen[at]), float(due[at]), float(1 - seen[at] / due[at]))
            for at, name in enumerate(label.labels)
            if due[at] >= 1
        ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    is_behind = table["loss_ratio"] < table["loss_ratio"].max() - _ALIKE  # with equal loss, report the coarsest part
    order = table["loss_ratio"].where(is_behind, np.inf).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
