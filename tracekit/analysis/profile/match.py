"""Which span each sample belongs to."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array, SpanColumns
    from tracekit.profile_samples import ProfileSamples


class Fate(IntEnum):
    """What a sample was matched with."""

    SPAN = 0
    LOCAL_ROOT = 1
    UNKNOWN_SPAN = 2
    AMBIGUOUS = 3
    NO_ID = 4


def matched(spans: SpanColumns, samples: ProfileSamples) -> tuple[Array, Array]:
    """Return the row of each sample's span, and its fate; -1 without one.

    Samples that have only the id of a local root are matched with that span as ``LOCAL_ROOT``.
    """
    row, is_several = _rows(spans, samples, samples.span_id)
    has_span, has_root = samples.span_id != 0, samples.root_id != 0
    fate = np.where(row >= 0, Fate.SPAN, np.where(is_several, Fate.AMBIGUOUS, Fate.UNKNOWN_SPAN))
    if (~has_span & has_root).any():
        root, is_several = _rows(spans, samples, samples.root_id)
        found = np.where(root >= 0, Fate.LOCAL_ROOT, np.where(is_several, Fate.AMBIGUOUS, Fate.UNKNOWN_SPAN))
        fate, row = np.where(has_span, fate, found), np.where(has_span, row, root)
    is_without = ~has_span & ~has_root
    return np.where(is_without, -1, row), np.where(is_without, Fate.NO_ID, fate)


def _rows(spans: SpanColumns, samples: ProfileSamples, wanted: Array) -> tuple[Array, Array]:
    """Return the only span of each sample, -1 without one, and which samples fit several."""
    row, is_several = np.full(len(wanted), -1, np.int64), np.zeros(len(wanted), bool)
    if not len(spans) or not len(wanted):
        return row, is_several
    ids, span = np.unique(spans.span_id, return_inverse=True)
    lows, low = np.unique(spans.trace_lo, return_inverse=True)
    at, is_id = _found(ids, wanted)
    has_trace = (samples.trace_lo != 0) | (samples.trace_hi != 0)
    low_at, is_low = _found(lows, samples.trace_lo)
    is_id &= wanted != 0
    for chosen, keys, asked in (
        (is_id & ~has_trace, span, at),
        (is_id & has_trace & is_low, span * len(lows) + low, at * len(lows) + low_at),
    ):
        order = np.argsort(keys, kind="stable")
        first = np.searchsorted(keys[order], asked[chosen], side="left")
        last = np.searchsorted(keys[order], asked[chosen], side="right")
        row[chosen] = np.where(last - first == 1, order[np.minimum(first, len(order) - 1)], -1)
        is_several[chosen] = last - first > 1
    is_other = (row >= 0) & (samples.trace_hi != 0) & (spans.trace_hi[row] != samples.trace_hi)
    row[is_other] = -1
    return row, is_several


def _found(known: Array, wanted: Array) -> tuple[Array, Array]:
    """Return the position of each value in sorted values, and whether it is there."""
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted
