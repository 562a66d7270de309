"""The shape of each trace: the set of its call paths, with repeated calls folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from tracekit.attributes import text_hashes
from tracekit.forest import path_hashes, visible_parents

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

ODD: Final = np.uint64(0xC2B2AE3D27D4EB4F)
"""A factor that mixes hashes."""
_FOUND: Final[WeakKeyDictionary[TraceSet, dict[bool, Shapes]]] = WeakKeyDictionary()


class Shapes(NamedTuple):
    """Call paths of spans and shapes of traces.

    Parameters
    ----------
    rows
        Spans that count: recorded ones, without folded retries.
    path
        uint64, one per such span: hash of its call path, the same in every recording.
    shape
        uint64, one per trace: hash of the set of its call paths.
    path_count
        int64, one per trace: its distinct call paths.
    """

    rows: Array
    path: Array
    shape: Array
    path_count: Array


def shapes(traces: TraceSet, *, fold_retries: bool) -> Shapes:
    """Return the shapes of traces, found once for each set; with ``fold_retries`` repeated calls do not count."""
    found = _FOUND.setdefault(traces, {})
    if fold_retries not in found:
        found[fold_retries] = _shapes(traces, fold_retries=fold_retries)
    return found[fold_retries]


def _shapes(traces: TraceSet, *, fold_retries: bool) -> Shapes:
    """Return the shapes of traces; with ``fold_retries`` failed calls that were repeated do not count."""
    forest, inferred = traces.forest, traces.is_inferred
    label = _labels(traces)
    keep = ~inferred
    if fold_retries:
        keep &= ~_retried(traces, label)
    up = visible_parents(forest.parent_row, inferred).astype(np.int64)
    rows = np.flatnonzero(keep)
    path = path_hashes(label, up)[rows]
    code, distinct = pd.factorize(path)
    pair = np.sort(forest.trace[rows].astype(np.int64) * max(len(distinct), 1) + code)
    pair = pair[np.diff(pair, prepend=-1) > 0]
    trace, number = pair // max(len(distinct), 1), pair % max(len(distinct), 1)
    with np.errstate(over="ignore"):
        mixed = (np.asarray(distinct) ^ (np.asarray(distinct) >> np.uint64(31))) * ODD
        shape = np.zeros(len(traces), np.uint64)
        first = np.flatnonzero(np.diff(trace, prepend=-1))
        if len(first):
            shape[trace[first]] = np.add.reduceat(mixed[number], first)
    return Shapes(rows, path, shape, np.bincount(trace, minlength=len(traces)))


def _labels(traces: TraceSet) -> Array:
    """Return a number for service and operation of each span, made from their text."""
    parts = [text_hashes(traces.codes(name)) for name in ("service_name", "operation")]
    with np.errstate(over="ignore"):
        return np.asarray(parts[0] * ODD ^ parts[1])


def _retried(traces: TraceSet, label: Array) -> Array:
    """Return the spans of failed calls after which their parent made the same call again, with all spans below."""
    forest, every = traces.forest, np.arange(len(label))
    parent = forest.parent_row.astype(np.int64)
    order = np.lexsort((every, label, parent))
    again = (parent[order][1:] == parent[order][:-1]) & (label[order][1:] == label[order][:-1])
    failed = np.zeros(len(label), bool)
    failed[order[:-1]] = again & (parent[order][:-1] >= 0) & traces.is_error[order[:-1]]
    place = np.empty(len(label), np.int64)
    place[forest.preorder] = every
    edges = np.zeros(len(label) + 1, np.int64)
    at = place[np.flatnonzero(failed)]
    np.add.at(edges, at, 1)
    np.add.at(edges, forest.subtree_end[at], -1)
    return np.asarray((np.cumsum(edges[:-1]) > 0)[place])
