"""Collection gaps without request counts: orphan spans clustered in time, zone, host or instance."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.quality.completeness.missing_spans import references
from tracekit.checks.quality.gaps.parts import AXES
from tracekit.checks.shares import added, first_of
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.frames import hexes
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.cluster_scan import cluster_scan
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import wilson
from tracekit.text import count, period, plural, quoted, ratio, ratio_range
from tracekit.weights.tally import stratum_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    seen = case.result(NAMED)
    if seen.size < _FEWEST:
        return [not_assessable(CHECK, _SUBJECT, f"at least {_FEWEST} traces with a parent ID")]
    cut = int(_EDGE * seen.size)
    seen = seen.where(slice(cut, seen.size - cut))
    lacks = seen.lacks
    if not lacks.any():
        text = f"No collection gap detected: no trace has a missing parent span ({plural(seen.size, 'trace')})."
        return [finding(CHECK, "ok", text, pd.DataFrame())]
    found = cluster_scan(lacks)
    within = np.zeros(seen.size, bool)
    within[found.start : found.end] = True
    share, usual = float(lacks[within].mean()) if within.any() else 0.0, float(lacks[~within].mean())
    if found.p >= _ALARM_P or share < max(_ALARM_SHARE, 2 * usual):
        text = (
            f"No collection gap detected: {ratio(float(lacks.mean()))} of {plural(seen.size, 'trace')} have a missing "
            f"parent span, without a significant cluster in time."
        )
        return [finding(CHECK, "ok", text, pd.DataFrame())]
    first, last = (pd.Timestamp(seen.key(at)[0], unit="ns", tz="UTC") for at in (found.start, found.end - 1))
    low, high = (float(limit) for limit in wilson(share, int(within.sum()), confidence=case.confidence))
    evidence = _parts(case, seen, found.start, found.end).assign(start_time=first, end_time=last)
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
            exemplars=first_of(seen.where(within & lacks).trace_ids, ()),
        )
    ]


class _Named(NamedTuple):
    """Traces with a referenced parent, one entry each: start of the root, id, and whether a parent is missing."""

    start_ns: Array
    trace_hi: Array
    trace_lo: Array
    lacks: Array

    @property
    def size(self) -> int:
        """Number of them."""
        return len(self.start_ns)

    def where(self, chosen: Array | slice) -> _Named:
        """Return some of them."""
        return _Named(*(column[chosen] for column in self))

    def key(self, at: int) -> tuple[int, int, int]:
        """Return the start and id of one of them, by which they are sorted."""
        return int(self.start_ns[at]), int(self.trace_hi[at]), int(self.trace_lo[at])

    @property
    def trace_ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(hexes(self.trace_hi, self.trace_lo))

    def is_between(self, first: tuple[int, int, int], last: tuple[int, int, int]) -> Array:
        """Return which of them are from one to another."""
        return self._is_at_or_after(first) & ~(self._is_at_or_after(last) & ~self._is(last))

    def _is_at_or_after(self, key: tuple[int, int, int]) -> Array:
        """Return which are not before a key."""
        start, hi, lo = key
        later_id = (self.trace_hi > hi) | ((self.trace_hi == hi) & (self.trace_lo >= lo))
        return np.asarray((self.start_ns > start) | ((self.start_ns == start) & later_id))

    def _is(self, key: tuple[int, int, int]) -> Array:
        """Return which have a key."""
        start, hi, lo = key
        return np.asarray((self.start_ns == start) & (self.trace_hi == hi) & (self.trace_lo == lo))


def _named(case: Case) -> list[_Named]:
    """Return those of a part, in their order of ids: 25 bytes for each."""
    return [_traces(case)[1]]


def _traces(case: Case) -> tuple[Array, _Named]:
    """Return the numbers of the traces with a referenced parent, and the same as they are kept."""
    trace, is_missing, _ = references(case)
    number = np.unique(trace)
    lacks = np.bincount(trace[is_missing], minlength=len(case.traces))[number] > 0
    spans, first = case.traces.columns.spans, case.traces.forest.starts[number]
    return number, _Named(case.start_ns[number], spans.trace_hi[first], spans.trace_lo[first], lacks)


def _in_order(_: Case, parts: Sequence[_Named]) -> _Named:
    """Return those of all parts in the order of their starts."""
    whole = _Named(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return whole.where(np.lexsort((whole.trace_lo, whole.trace_hi, whole.start_ns)))


NAMED: Final[Merged[_Named]] = Merged(_named, operator.add, _in_order)


@dataclass(frozen=True)
class _SpansOf:
    """Returns the number of spans of the traces of a part by zone, host and instance, in a window and around it."""

    whole: tuple[tuple[int, int, int], tuple[int, int, int]]
    window: tuple[tuple[int, int, int], tuple[int, int, int]]

    def __call__(self, case: Case) -> Aggregate:
        """Return ``inside_count`` and ``outside_count`` by ``axis`` and ``label``."""
        number, seen = _traces(case)
        is_inside = seen.is_between(*self.window)
        is_outside = seen.is_between(*self.whole) & ~is_inside
        trace = case.traces.forest.trace
        inside, outside = (np.isin(trace, number[which]) for which in (is_inside, is_outside))
        found = []
        for axis in AXES:
            label = stratum_codes(case.traces, axis)
            known = label.codes >= 0
            sums = {
                name: np.bincount(label.codes[known & which], minlength=len(label.labels))
                for name, which in (("inside_count", inside), ("outside_count", outside))
            }
            names = np.array(label.labels, object)
            keys = {"axis": np.full(len(names), axis, object), "label": names}
            found.append(Aggregate(keys, sums, Histogram.empty()))
        return Aggregate.concatenate(found).by(["axis", "label"])


def _parts(case: Case, seen: _Named, start: int, end: int) -> pd.DataFrame:
    """Return span counts by zone, host and instance in some traces, and the counts expected from the others."""
    whole, window = (seen.key(0), seen.key(seen.size - 1)), (seen.key(start), seen.key(end - 1))
    merged: Merged[Aggregate] = Merged(_SpansOf(whole, window), added)
    spans, rows = case.result(merged), []
    for axis, word in AXES.items():
        own = spans.where(spans.keys["axis"] == axis)
        due = own.sums["outside_count"] * ((end - start) / max(seen.size - (end - start), 1))
        rows += [
            (f"{word} {quoted(name).replace('`', '')}", seen_, expected_, 1 - seen_ / expected_)
            for name, seen_, expected_ in zip(
                own.keys["label"], own.sums["inside_count"].tolist(), due.tolist(), strict=True
            )
            if expected_ >= 1
        ]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    is_behind = table["loss_ratio"] < table["loss_ratio"].max() - _ALIKE  # with equal loss, report the coarsest part
    order = table["loss_ratio"].where(is_behind, np.inf).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
