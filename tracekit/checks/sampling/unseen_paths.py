"""S13: share of the traffic on paths that are absent from the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.findings import Estimate, finding, not_assessable
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


def unseen_paths(case: Case) -> list[Finding]:
    """Return the share of the traffic on paths that are absent from the sample.

    A path is the root's operation and the set of services it reaches.  Good-Turing's mass f1 / n with Esty's interval,
    Chao's number of paths.  Assumes that traces are independent draws, one path each, with equal probability: unequal
    ones are thinned to the smallest, by a hash of the ID that no sampler uses.  (Traces of one probability alone would
    be biased: neither failing nor slow, or of one route.)  Not valid if operation names contain IDs that are not
    recognised as such: then every path is new.
    Source: Good 1953, Esty 1983, Chao 1984; metric M4.
    """
    if missing := case.weights_needed:
        return [not_assessable(CHECK, _SUBJECT, missing)]
    chosen = _even_part(case)
    path = path_codes(case.traces)[chosen]
    counts = np.sort(np.bincount(path))[::-1]
    counts = counts[counts > 0]
    n = int(counts.sum())
    if n < _FEWEST:
        return [not_assessable(CHECK, _SUBJECT, f"at least {_FEWEST} traces with equal probability (found {n})")]
    unseen = unseen_mass(counts, confidence=case.confidence)
    top = float(counts[:_TOP].sum() / n)
    table = pd.DataFrame(
        {"paths": [len(counts)], "trace_count": n, "estimate": unseen.mass, "estimate_low": unseen.low, "estimate_high":
        unseen.high,
         "paths_estimated": unseen.kinds, "top_20_share": top, "left_out": len(case.traces) - n}
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
    assumed += [f"{count(len(case.traces) - n)} traces are excluded, so that all have equal probability"] * (
        n < len(case.traces)
    )
    estimate = Estimate(unseen.mass, "ratio", unseen.low, unseen.high, n)
    remedy = "Raise the sampling rate, or keep at least one trace of every route." if status == "warning" else ""
    return [
        finding(CHECK, status, text, table, estimate=estimate, assumptions=assumed, remedy=remedy, is_critical=False)
    ]


def _even_part(case: Case) -> Array:
    """Return the traces that remain after thinning all to the smallest probability."""
    first, spans = case.traces.forest.starts[:-1], case.traces.columns.spans
    drawn = pd.util.hash_array(spans.trace_hi[first] ^ pd.util.hash_array(spans.trace_lo[first])) / 2.0**64
    least = np.nanmin(case.probability)
    return np.flatnonzero(case.base & (drawn * np.where(case.base, case.probability, 1) <= least))


def path_codes(traces: TraceSet) -> Array:
    """Return the path of every trace: operation of the root and the set of services it reaches.

    A set of services is the sum of fixed 64-bit random numbers; two different sets collide with probability 10^-19.
    """
    service = traces.codes("service_name")
    size = len(service.labels) + 1
    pair = np.unique(traces.forest.trace.astype(np.int64) * size + service.codes + 1)
    mark = np.random.default_rng(20).integers(0, 2**63, size, dtype=np.uint64)
    total = np.zeros(len(traces), np.uint64)
    np.add.at(total, pair // size, mark[pair % size])
    operation = traces.codes("operation").take(traces.forest.root_row).codes.astype(np.uint64)
    with np.errstate(over="ignore"):
        total += operation * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(pd.factorize(total)[0], np.int64)
