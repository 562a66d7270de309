"""Operations that fail more often: the deepest failing span of each branch points to its service.

A span fails if its status or protocol code says so, or if it recorded an exception.  An outgoing span that fails
without an answer points to the service that usually answers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.deviations import (
    FAILING,
    FAILING_CALL,
    Deviations,
    plain_labels,
    usual_callees,
)
from tracekit.analysis.suspects.subtrees import has_below
from tracekit.stats.exceedance import Sample, exceeds, time_blocks
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

_MAX_P: Final = 0.01  # of one operation, adjusted for the number of operations
_MIN_TRACES: Final = 4  # current traces in which the operation is the deepest failing one


def more_failures(before: Window, now: Window) -> Deviations:
    """Return the deepest failing spans of operations that fail more often."""
    deepest = [_deepest(window) for window in (before, now)]
    table, sample = _by_trace((before, now), deepest)
    failed = table["failed"].to_numpy(bool)
    tested = max(len(np.unique(sample.group[failed])), 1)
    p = np.minimum(1.0, exceeds(sample, failed[:, None]).p_value * tested)
    (of0, k0), (of1, k1) = (_counts(sample, failed, side) for side in (False, True))
    share0, share1 = (k / np.maximum(of, 1) for of, k in ((of0, k0), (of1, k1)))
    is_more = (p < _MAX_P) & (k1 >= _MIN_TRACES)
    groups = pd.Series(np.arange(sample.groups), index=table.groupby("plain", sort=True).size().index)
    group = groups.reindex(plain_labels(now)).to_numpy()
    row = np.flatnonzero(deepest[1])
    row = row[is_more[group[row].astype(np.int64)]]
    mine = group[row].astype(np.int64)
    service, how = _services(before, now, row)
    weight = 1 - share0[mine] / np.maximum(share1[mine], 1e-9)
    return Deviations(row, service, how, weight, p[mine], share0[mine], share1[mine], of0[mine], of1[mine])


def failing_spans(window: Window) -> Array:
    """Return which spans fail: by status, protocol code or recorded exception."""
    failed = np.array(window.traces.is_error, bool)
    events, texts = window.traces.columns.events, window.traces.columns.texts
    is_exception = np.array([text == "exception" for text in texts] + [False])[events.name]
    failed[events.span_row[is_exception]] = True
    return failed & window.is_live


def _deepest(window: Window) -> Array:
    """Return which failing spans have no failing descendant."""
    failed = failing_spans(window)
    return failed & ~has_below(window, failed)


def _by_trace(windows: tuple[Window, Window], deepest: list[Array]) -> tuple[pd.DataFrame, Sample]:
    """Return one row per operation and trace of both sides, and the same as a sample."""
    before, now = windows
    frames = []
    for side, (window, failed) in enumerate(zip(windows, deepest, strict=True)):
        frame = pd.DataFrame({"plain": plain_labels(window), "trace": window.trace, "failed": failed})[window.is_live]
        # the first of each pair, failing ones before: whether any span fails
        first = frame.sort_values("failed", ascending=False, kind="stable").drop_duplicates(["plain", "trace"])
        frames.append(first.assign(is_current=bool(side), weight=window.weight[first["trace"].to_numpy()]))
    table = pd.concat(frames, ignore_index=True)
    table["group"] = table.groupby("plain", sort=True).ngroup()
    is_current = table["is_current"].to_numpy(bool)
    block = np.zeros(len(table), np.int64)
    block[~is_current] = time_blocks(before.start_ns, len(now.weight))[table["trace"].to_numpy()[~is_current]]
    group, weight = table["group"].to_numpy(np.int64), table["weight"].to_numpy(float)
    return table, Sample(group, weight, is_current, weight, block, int(group.max(initial=-1)) + 1)


def _counts(sample: Sample, failed: Array, side: bool) -> tuple[Array, Array]:
    """Return the traces of one side by operation, and those in which it fails."""
    rows = sample.is_current == side
    return sum_by(sample.group[rows], 1.0, sample.groups), sum_by(sample.group[rows & failed], 1.0, sample.groups)


def _services(before: Window, now: Window, row: Array) -> tuple[Array, Array]:
    """Return the service that each failing span points to, and how."""
    has_children = np.bincount(now.parent[now.parent >= 0], minlength=len(now.parent)) > 0
    expected = usual_callees(before)[0].reindex(plain_labels(now)[row]).fillna(-1).to_numpy(np.int64)
    is_silent = (expected >= 0) & ~has_children[row]
    return np.where(is_silent, expected, now.service[row]), np.where(is_silent, FAILING_CALL, FAILING)
