"""S13: share of the traffic on paths that are absent from the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, text_hashes
from tracekit.checks.merged import Merged
from tracekit.checks.sampling.weights_used import WEIGHTS_USED, weights_needed
from tracekit.checks.shares import added
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.histograms import Histogram
from tracekit.stats.thinned import unseen_mass
from tracekit.text import count, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.traces import TraceSet

CHECK = "paths.unseen"
_MOST, _TOP, _TOO_MANY, _FEWEST = 0.05, 20, 0.5, 20
_SUBJECT = "Unrecorded call paths"
_ODD = np.uint64(0x9E3779B97F4A7C15)


def unseen_paths(case: Case) -> list[Finding]:
    """Return the share of the traffic on paths that are absent from the sample.

    A path is the root's operation and the set of services it reaches.  Good-Turing's mass f1 / n with Esty's interval,
    Chao's number of paths.  Assumes that traces are independent draws, one path each, with equal probability: unequal
    ones are thinned to the smallest, by a hash of the ID that no sampler uses.  (Traces of one probability alone would
    be biased: neither failing nor slow, or of one route.)  Not valid if operation names contain IDs that are not
    recognised as such: then every path is new.
    Source: Good 1953, Esty 1983, Chao 1984; metric M4.
    """
    if missing := weights_needed(case):
        return [not_assessable(CHECK, _SUBJECT, missing)]
    total = case.result(WEIGHTS_USED).totals.trace_count
    counts = np.sort(case.result(_PATHS).sums["trace_count"])[::-1]
    n = int(counts.sum())
    if n < _FEWEST:
        return [not_assessable(CHECK, _SUBJECT, f"at least {_FEWEST} traces with equal probability (found {n})")]
    unseen = unseen_mass(counts, confidence=case.confidence)
    top = float(counts[:_TOP].sum() / n)
    table = pd.DataFrame(
        {"paths": [len(counts)], "trace_count": n, "estimate": unseen.mass, "estimate_low": unseen.low, "estimate_high":
        unseen.high,
         "paths_estimated": unseen.kinds, "top_20_share": top, "left_out": total - n}
    )  # fmt: skip
    if len(counts) > _TOO_MANY * n and n > _TOP:
        text = (
            f"{_SUBJECT}: cannot be estimated, {count(len(counts))} distinct paths in {count(n)} traces: "
            "operation names contain IDs."
        )
        remedy = "Name spans by route, not by URL, and run the check again."
        return [finding(CHECK, "warning", text, table, remedy=remedy, is_critical=False)]
    status: Status = "warning" if unseen.mass > _MOST else "ok" if unseen.high <= _MOST else "inconclusive"
    text = (
        f"{_SUBJECT}: an estimated {ratio(unseen.mass)} of requests ({case.ci} {ratio_range(unseen.low, unseen.high)})"
        f" take a path that is not in this sample ({plural(len(counts), 'path')} in {plural(n, 'trace')}; at least"
        f" {count(unseen.kinds)} in total)."
    )
    assumed = ["traces are independent draws with equal probability"]
    assumed += [f"{count(total - n)} traces are excluded, so that all have equal probability"] * (n < total)
    estimate = Estimate(unseen.mass, "ratio", unseen.low, unseen.high, n)
    remedy = "Raise the sampling rate, or keep at least one trace of every route." if status == "warning" else ""
    return [
        finding(CHECK, status, text, table, estimate=estimate, assumptions=assumed, remedy=remedy, is_critical=False)
    ]


def _even_part(case: Case) -> Array:
    """Return the traces of a part that remain after thinning all to the smallest probability."""
    first, spans = case.traces.forest.starts[:-1], case.traces.columns.spans
    drawn = pd.util.hash_array(spans.trace_hi[first] ^ pd.util.hash_array(spans.trace_lo[first])) / 2.0**64
    least = case.result(WEIGHTS_USED).least
    return np.flatnonzero(case.base & (drawn * np.where(case.base, case.probability, 1) <= least))


def _paths(case: Case) -> Aggregate:
    """Return how many of the remaining traces of a part take each path."""
    path, count = np.unique(path_numbers(case.traces)[_even_part(case)], return_counts=True)
    return Aggregate({"path": path.astype(object)}, {"trace_count": count}, Histogram.empty())


_PATHS: Final[Merged[Aggregate]] = Merged(_paths, added, needs=(WEIGHTS_USED,))


def path_numbers(traces: TraceSet) -> Array:
    """Return a number for the path of every trace: operation of the root and the set of services it reaches.

    A set of services is the sum of 64-bit hashes of their names, which are the same in every part; two different sets
    collide with probability 10^-19.
    """
    service = traces.codes("service_name")
    size = len(service.labels) + 1
    pair = np.unique(traces.forest.trace.astype(np.int64) * size + service.codes + 1)
    mark = text_hashes(Codes(np.arange(size) - 1, service.labels))
    number = np.zeros(len(traces), np.uint64)
    np.add.at(number, pair // size, mark[pair % size])
    with np.errstate(over="ignore"):
        number += text_hashes(traces.codes("operation").take(traces.forest.root_row)) * _ODD
    return number
