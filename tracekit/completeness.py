"""What is known of each trace as a whole: whether it is complete, whether its request has ended, how long it took.

Summaries, critical paths, reports and checks all ask here, so that none of them contradicts another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.columns import Array, Columns
    from tracekit.derived import Lookup
    from tracekit.forest import Forest


class Known(NamedTuple):
    """One number a trace, and where it is known; 0 elsewhere."""

    value: Array
    is_known: Array


def is_open(look: Lookup) -> Array:
    """Return which spans have no end: still in progress when they were recorded, or recorded without one."""
    return np.asarray((look.columns.spans.quality & (Quality.NO_END | Quality.IN_PROGRESS)) != 0)


def is_finished(look: Lookup, forest: Forest) -> Array:
    """Return which requests have ended; the others have no outcome yet: neither a failure nor a success."""
    return np.asarray(~is_open(look)[forest.root_row])


def latencies(look: Lookup, forest: Forest) -> Known:
    """Return how long every request took: the duration of the span it begins with."""
    root = forest.root_row
    known = look.has_duration[root]
    return Known(np.where(known, look.duration_ns[root], 0), known)


def extents(look: Lookup, forest: Forest) -> tuple[Known, Known]:
    """Return the first and the last time at which anything of a trace is known to have happened."""
    spans, trace, count = look.columns.spans, forest.trace, len(forest.starts) - 1
    started = (spans.quality & Quality.NO_START) == 0
    ended = (spans.quality & (Quality.NO_END | Quality.DURATION_NEGATIVE)) == 0
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, trace[started], spans.start_ns[started])
    np.maximum.at(last, trace[started], spans.start_ns[started])
    np.maximum.at(last, trace[ended], spans.end_ns[ended])
    has_start, has_end = (np.bincount(trace[mask], minlength=count) > 0 for mask in (started, ended))
    return Known(np.where(has_start, first, 0), has_start), Known(np.where(has_end, last, 0), has_end)


def root_counts(forest: Forest) -> Array:
    """Return the number of root spans of every trace, int64."""
    return np.bincount(forest.trace[forest.is_root], minlength=len(forest.starts) - 1)


def orphan_counts(look: Lookup, forest: Forest) -> Array:
    """Return the number of orphan spans of every trace, int64: their parents are missing, or a cycle was cut there."""
    orphan = (forest.parent_row < 0) & ~forest.is_root & ~look.is_inferred
    return np.bincount(forest.trace[orphan], minlength=len(forest.starts) - 1)


def is_partial(look: Lookup, forest: Forest) -> Array:
    """Return which traces are known to be incomplete."""
    count = len(forest.starts) - 1
    has_open = np.bincount(forest.trace[is_open(look)], minlength=count) > 0
    _, is_limited = xray_facts(look.columns, forest)
    return np.asarray((orphan_counts(look, forest) > 0) | (root_counts(forest) != 1) | has_open | is_limited)


def xray_facts(columns: Columns, forest: Forest) -> tuple[Known, Array]:
    """Return X-Ray's own duration of every trace, int64 ns, and whether it stopped adding segments, bool."""
    first, facts = forest.starts[:-1], columns.facts
    reported, limited = np.full(len(first), -1, np.int64), np.zeros(len(first), bool)
    if len(facts):
        told = pd.MultiIndex.from_arrays([facts.trace_hi, facts.trace_lo])
        asked = pd.MultiIndex.from_arrays([columns.spans.trace_hi[first], columns.spans.trace_lo[first]])
        at = told.get_indexer(asked)
        reported[at >= 0] = facts.reported_duration_ns[at[at >= 0]]
        limited[at >= 0] = facts.limit_exceeded[at[at >= 0]]
    return Known(reported, reported >= 0), limited
