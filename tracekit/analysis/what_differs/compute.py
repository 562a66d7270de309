"""``tk.what_differs``: which attribute values set some traces apart from others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_on
from tracekit.analysis.what_differs.facts import facts
from tracekit.analysis.what_differs.found import Found
from tracekit.analysis.what_differs.result import Differences
from tracekit.analysis.what_differs.selection import Side, sides_of
from tracekit.arguments import check_traces, is_store
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery
from tracekit.text import plural
from tracekit.traces import TraceSet
from tracekit.weights.comparability import comparability, shared_ids

if TYPE_CHECKING:
    from tracekit.parts import On, Parts


def what_differs(
    traces: TraceSet | Parts,
    selection: Any,
    *,
    pairs: bool = True,
    min_traces: int = 5,
    confidence: float = 0.95,
    fdr: float = 0.05,
    on: On = None,
) -> Differences:
    """Return the attribute values that set the selected traces apart.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part, three times, and twice more for pairs: for the root
        spans and for how often each value occurs, then for the traces with each value.  Between the parts it keeps
        about 50 bytes a trace and 20,000 values of each key.
    selection
        ``"failed"``; ``"slowest 5%"`` or ``"slowest 5% of POST /checkout"`` (finished requests, of that endpoint); a
        condition, mask or callable as for ``traces.where``: compared with the other traces (of a store, no mask by
        span).  Or the baseline, a TraceSet or a store: all of ``traces`` are compared with it.
    pairs
        Whether to try pairs of values.
    min_traces
        Traces on both sides together that a value needs.
    confidence
        Confidence level of the intervals.
    fdr
        False discovery rate at which a difference is significant.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Differences
        ``.table``, ``.thresholds``, ``.pairs``, ``.skipped``, ``.values(key)``.

    Raises
    ------
    ValueError
        No trace on one of the sides, an endpoint that no root span has, a rate outside 0 and 1.
    TypeError
        A mask by span for a store.
    FilterError
        The condition does not parse.

    Notes
    -----
    A trace has a value if any of its spans, their resources or scopes has it; ``operation`` (service and operation of
    any of its spans), ``otel.scope.name`` and ``otel.scope.version`` are keys as well.  IDs in URLs and statements are
    left out.  Values that name the same traces are one row.  Keys of which most values occur in one
    trace (identifiers) and numbers in the order of time (timestamps, counters) are not compared, see ``.skipped``.
    Of a key with more than 20,000 values, those are compared that more than one in 20,000 of its occurrences have:
    ``.skipped`` and the text of the result say so; the number of its values in a store is an estimate (1%).  Of more
    than 50,000 different numbers, four digits count.

    The difference of the shares has the limits of both shares (by weight class, Clopper and Pearson) combined by MOVER
    (Newcombe 1998), the p value is the largest level of significance at which they exclude 0; q values: Benjamini and
    Hochberg 1995.  Numbers: Kolmogorov and Smirnov.  A pair is listed if among the traces with either of its values the
    other one makes a significant difference.  Rows are in the order of the limit of the difference nearest to 0.

    A value that sets traces apart need not be the cause: it can be another effect, or only occur at the same time.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = tk.what_differs(during, "slowest 5% of POST /checkout")
    >>> found.table[["key", "value"]].iloc[0].tolist()
    ['app.customer.tier', 'enterprise']
    """
    check_traces(traces, "what_differs")
    check_on(on, *(side for side in (traces, selection) if isinstance(side, TraceSet) or is_store(side)))
    normal_quantile(confidence)
    if not 0 < fdr < 1:
        raise ValueError(f"expected a false discovery rate between 0 and 1, such as 0.05, found {fdr}")
    sides = sides_of(traces, selection, on)
    for side in sides:
        if not side.trace_count:
            others = sum(each.trace_count for each in sides)
            message = f"expected traces on both sides, found none for {side.name!r} and {plural(others, 'other trace')}"
            is_part = others > 1 and sides[0].traces is sides[1].traces
            size = "larger" if side is sides[0] else "smaller"
            raise ValueError(f"{message}; {f'select a {size} part, or ' * is_part}read more traces")
    about, is_comparable = _statement(sides)
    found = Found(sides, min_traces, confidence, on)
    singles = found.shares()
    order = np.argsort(-found.surest(singles), kind="stable")
    chosen = facts(found.names, *found.marks, order[found.is_usual[order]])
    thresholds = found.thresholds()
    most, together = found.pairs(chosen.shown, singles) if pairs else (chosen.shown[:0], None)
    pair_p = np.zeros(0) if together is None else np.maximum(together.shares.p_value, together.gain_p_value)
    p_value = np.concatenate([singles.p_value[chosen.shown], [each.p_value for each in thresholds], pair_p])
    q_value = false_discovery(p_value) if is_comparable else np.full(len(p_value), np.nan)
    q_single, q_number, q_pair = np.split(q_value, np.cumsum([len(chosen.shown), len(thresholds)]))
    return Differences(
        found.table(chosen.shown, chosen.also, singles, q_single, fdr),
        found.threshold_table(thresholds, q_number, fdr),
        found.pair_table(most, together, q_pair, fdr),
        found.skipped,
        _side_table(sides),
        about,
        _shared(sides),
        sides,
    )


def _statement(sides: tuple[Side, Side]) -> tuple[str, bool]:
    """Return what the figures describe, and whether the sides are comparable."""
    first, second = sides
    if first.traces is second.traces:
        return first.weights.statement, True
    about = comparability(second.traces, first.traces)
    return about.statement, about.is_comparable


def _shared(sides: tuple[Side, Side]) -> int:
    """Return how many traces are on both sides."""
    first, second = sides
    if first.traces is second.traces:
        return int((first.chosen & second.chosen).sum())
    return shared_ids(first.roots.packed_ids, second.roots.packed_ids)


def _side_table(sides: tuple[Side, Side]) -> pd.DataFrame:
    """Return one row per side."""
    names, counts = [side.name for side in sides], [side.trace_count for side in sides]
    return pd.DataFrame({"side": ["selection", "baseline"], "name": names, "trace_count": counts})
