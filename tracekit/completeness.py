"""Completeness of each trace: whether spans are missing, whether its request has ended, and its latency.

Summaries, critical paths, reports and checks use these functions, so that their results are consistent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.on_demand import pd
from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.columns import Array, Columns
    from tracekit.derived import Lookup
    from tracekit.forest import Forest


class Known(NamedTuple):
    """One number per trace, and whether it is known; 0 where it is not."""

    value: Array
    is_known: Array


def is_open(look: Lookup) -> Array:
    """Return which spans have no end: in progress when exported, or recorded without an end."""
    return np.asarray((look.columns.spans.quality & (Quality.NO_END | Quality.IN_PROGRESS)) != 0)


def is_finished(look: Lookup, forest: Forest) -> Array:
    """Return which requests have ended; the others count neither as failed nor as successful."""
    return np.asarray(~is_open(look)[forest.root_row])


def latencies(look: Lookup, forest: Forest) -> Known:
    """Return the latency of every request in ns: the duration of its root span."""
    root = forest.root_row
    known = look.has_duration[root]
    return Known(np.where(known, look.duration_ns[root], 0), known)


def extents(look: Lookup, forest: Forest) -> tuple[Known, Known]:
    """Return the earliest start and the latest known time of every trace, in ns."""
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
    """Return the number of orphan spans of every trace, int64: parent missing, or part of a cycle."""
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
        known = pd.MultiIndex.from_arrays([facts.trace_hi, facts.trace_lo])
        wanted = pd.MultiIndex.from_arrays([columns.spans.trace_hi[first], columns.spans.trace_lo[first]])
        at = known.get_indexer(wanted)
        reported[at >= 0] = facts.reported_duration_ns[at[at >= 0]]
        limited[at >= 0] = facts.limit_exceeded[at[at >= 0]]
    return Known(reported, reported >= 0), limited
