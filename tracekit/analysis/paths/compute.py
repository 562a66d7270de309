"""``tk.paths``: the shapes of traces, how frequent and how slow each is, and how that changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis import latency
from tracekit.analysis.partials import check_on, on_side, over_parts
from tracekit.analysis.paths.result import Paths, shape_ids
from tracekit.analysis.paths.sums import PathSums, merged, tabulate
from tracekit.analysis.paths.typical import nearer, nearest
from tracekit.analysis.what_differs.shares import counted_sums, shares
from tracekit.arguments import check_traces
from tracekit.stats.aggregates import steady
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.tests import false_discovery
from tracekit.weights.comparability import comparability, shared_count

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

_RANK: Final = {"new": 0, "gone": 0, "more": 1, "fewer": 1}
_NAMED: Final = 4  # operations that ``differs_by`` lists of each kind


def paths(
    traces: TraceSet | Parts,
    baseline: TraceSet | Parts | None = None,
    *,
    fold_retries: bool = False,
    min_traces: int = 5,
    confidence: float = 0.95,
    fdr: float = 0.05,
    on: On = None,
) -> Paths:
    """Return the shapes of traces: which call paths they have, how often, and how slow they are.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part, twice: the typical traces need the medians first.
        Between the parts it keeps the names of the operations of each shape, and histograms of the durations of its
        call paths.
    baseline
        Traces to compare with, or a store, which is read once.
    fold_retries
        Whether failed calls that the caller repeated, and all below them, are left out.
    min_traces
        Traces on both sides together that a shape needs for a verdict.
    confidence
        Confidence level of the intervals.
    fdr
        False discovery rate at which a change of a frequency is significant.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Paths
        ``.table``, ``.of_traces``, ``.entropy_bits``, ``.tree(shape)``.

    Raises
    ------
    ValueError
        A rate outside 0 and 1.

    Notes
    -----
    The shape of a trace is the set of its call paths, each the services and operations from the root down, so repeated
    calls, their order and their durations make no difference; a missing or additional kind of call does.  Ids are
    hashes of the names and the same in every recording.  Traces with missing spans have shapes of their own.

    The typical trace of a shape is the one whose durations are nearest to the medians of its call paths, on a log
    scale; medians are accurate to 2%, as in ``latency``.

    Frequencies are weighted, with exact limits by weight class, changes combined by MOVER as in ``what_differs``.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = tk.paths(during, before)
    >>> found.table[["endpoint", "verdict"]].iloc[0].tolist()
    ['storefront POST /checkout', 'no significant change']
    """
    sides = [traces] if baseline is None else [traces, baseline]
    for side in sides:
        check_traces(side, "paths")
    normal_quantile(confidence)
    if not 0 < fdr < 1:
        raise ValueError(f"expected a false discovery rate between 0 and 1, such as 0.05, found {fdr}")
    state = partial(tabulate, fold_retries=fold_retries)
    check_on(on, *sides)
    own = over_parts(traces, state, merged, on=on_side(traces, on))
    seen, statement, other_bits = [own.state], own.weights.statement, None
    about = None if baseline is None else comparability(baseline, traces)
    if baseline is not None and about is not None:
        seen.append(over_parts(baseline, partial(state, is_baseline=True), merged, on=on_side(baseline, on)).state)
        statement, other_bits = about.statement, _entropy(seen[1])
    numbers = _in_order(seen)
    table = pd.DataFrame({"shape": np.array(shape_ids(numbers), object)})
    table = table.join(_about(seen, numbers))
    is_comparable = about is None or about.is_comparable
    found = _frequencies(seen, numbers, min_traces, confidence, fdr, is_comparable=is_comparable)
    table = pd.concat([table, found], axis=1)
    table = table.merge(_latencies(own.state), on="shape", how="left")
    table["typical_trace_id"] = _typical(traces, own.state, numbers, on_side(traces, on), fold_retries=fold_retries)
    rank = table["verdict"].map(_RANK).fillna(len(_RANK)) if baseline is not None else np.zeros(len(table))
    order = np.lexsort((-steady(table["frequency_ratio"].fillna(0).to_numpy()), rank))
    return Paths(
        table.iloc[order].reset_index(drop=True), _entropy(own.state), other_bits, statement,
        tuple(each.trace_count for each in seen), 0 if baseline is None else shared_count(traces, baseline),
        traces, baseline, fold_retries, on,
    )  # fmt: skip


def _in_order(seen: list[PathSums]) -> list[int]:
    """Return the shapes in the order of their first traces, those of the baseline only last."""
    first: dict[int, tuple[int, int, int]] = {}
    for at, side in enumerate(seen):
        for shape, about in side.about.items():
            first.setdefault(shape, (at, *about.trace))
    return sorted(first, key=first.__getitem__)


def _about(seen: list[PathSums], numbers: list[int]) -> pd.DataFrame:
    """Return the endpoint of each shape, its number of call paths, and what it has beside the usual one."""
    known = [next(side.about[shape] for side in seen if shape in side.about) for shape in numbers]
    often = sum(_counts(side, numbers) for side in seen)
    usual: dict[str, frozenset[str]] = {}
    for at in np.argsort(-np.asarray(often), kind="stable").tolist():
        usual.setdefault(known[at].endpoint, known[at].operations)
    return pd.DataFrame(
        {
            "endpoint": [one.endpoint for one in known],
            "differs_by": [_difference(one.operations, usual[one.endpoint]) for one in known],
            "call_path_count": [one.path_count for one in known],
        },
        index=pd.RangeIndex(len(numbers)),
    )


def _places(side: PathSums, numbers: list[int]) -> Array:
    """Return the row of each group of shapes and weight classes."""
    place = {shape: at for at, shape in enumerate(numbers)}
    return np.array([place[shape] for shape in side.traces.keys["shape"]], np.int64)


def _counts(side: PathSums, numbers: list[int]) -> Array:
    """Return the recorded traces of each shape."""
    count = np.zeros(len(numbers), np.int64)
    np.add.at(count, _places(side, numbers), side.traces.sums["count"])
    return count


def _difference(own: frozenset[str], usual: frozenset[str]) -> str:
    """Return the operations that one set has and the other has not."""
    parts = []
    for sign, names in (("+", sorted(own - usual)), ("-", sorted(usual - own))):
        parts += [f"{sign} {name}" for name in names[:_NAMED]]
        parts += [f"{sign} {len(names) - _NAMED} more"] * (len(names) > _NAMED)
    return ", ".join(parts)


def _frequencies(
    seen: list[PathSums], numbers: list[int], min_traces: int, confidence: float, fdr: float, *, is_comparable: bool
) -> pd.DataFrame:
    """Return how frequent each shape is, and how that changed."""
    count = len(numbers)
    inside = [counted_sums(side.traces, _places(side, numbers), count, side.traces.by([WEIGHT_CLASS])) for side in seen]
    ratio = inside[0].share(confidence)
    columns = {"trace_count": inside[0].trace_count, "frequency_ratio": ratio.value}
    columns |= {"frequency_low_ratio": ratio.low, "frequency_high_ratio": ratio.high}
    if len(seen) == 1:
        return pd.DataFrame(columns)
    found = shares(inside[0], inside[1], confidence=confidence)
    is_comparable &= all(side.trace_count for side in seen)
    total = inside[0].trace_count + inside[1].trace_count
    p_value = np.where((total >= min_traces) & is_comparable, found.p_value, np.nan)
    q_value = false_discovery(p_value)
    change = np.asarray(found.difference.value)
    verdict = np.full(count, "no significant change", object)
    verdict[total < min_traces] = "too few"
    sure = q_value <= fdr
    verdict[sure] = np.where(change[sure] > 0, "more", "fewer")
    verdict[sure & (inside[1].trace_count == 0)] = "new"
    verdict[sure & (inside[0].trace_count == 0)] = "gone"
    verdict[:] = verdict if is_comparable else "not comparable"
    columns |= {
        "baseline_trace_count": inside[1].trace_count,
        "baseline_frequency_ratio": found.baseline,
        "change_ratio": change,
        "change_low_ratio": found.difference.low,
        "change_high_ratio": found.difference.high,
        "q_value": q_value,
        "verdict": verdict,
    }
    return pd.DataFrame(columns)


def _latencies(seen: PathSums) -> pd.DataFrame:
    """Return error rate and percentiles of the requests of each shape."""
    columns = ["shape", "error_ratio", "p50_ns", "p95_ns"]
    if seen.requests is None or not len(seen.requests):
        return pd.DataFrame(columns=columns)
    return latency.summarise([seen.requests], ["shape"]).table[columns]


def _typical(
    traces: TraceSet | Parts, seen: PathSums, numbers: list[int], on: On, *, fold_retries: bool
) -> list[str | None]:
    """Return for each shape the trace whose durations are nearest to the medians of its call paths, on a log scale."""
    if not seen.trace_count or seen.durations is None:
        return [None] * len(numbers)
    state = partial(nearest, medians=seen.durations.medians, fold_retries=fold_retries)
    found = over_parts(traces, state, nearer, on=on).state
    return [found[shape].trace_id if shape in found else None for shape in numbers]


def _entropy(seen: PathSums) -> float:
    """Return the entropy of the weighted frequencies of shapes, in bits."""
    weight = seen.traces.by(["shape"]).sums["weight"]
    share = weight[weight > 0] / (weight.sum() or 1.0)
    return float(-(share * np.log2(share)).sum()) + 0.0
