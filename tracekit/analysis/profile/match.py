"""Which span each sample belongs to."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

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


class Fits(NamedTuple):
    """The spans that fit each sample; those of parts add.

    Parameters
    ----------
    number
        int64, one per sample: spans with its span id (without one, the id of its local root), of its trace if it names
        one by the lower half of the id.
    is_in_trace
        bool, one per sample: the only one of them is of its trace as far as the upper half of the id says.
    """

    number: Array
    is_in_trace: Array

    def plus(self, other: Fits) -> Fits:
        """Return those of two parts."""
        return Fits(self.number + other.number, self.is_in_trace | other.is_in_trace)

    def fates(self, samples: ProfileSamples) -> Array:
        """Return the fate of each sample, from the spans of all parts.

        A sample that has only the id of a local root is matched with that span as ``LOCAL_ROOT``.
        """
        one = np.where(samples.span_id != 0, Fate.SPAN, Fate.LOCAL_ROOT)
        found = np.where(self.is_in_trace, one, Fate.UNKNOWN_SPAN)
        found = np.where(self.number > 1, Fate.AMBIGUOUS, found)
        return np.where(_wanted(samples) == 0, Fate.NO_ID, found)


def fitting(spans: SpanColumns, samples: ProfileSamples) -> tuple[Array, Fits]:
    """Return the row of the only span that fits each sample, -1 without one, and how many fit."""
    wanted = _wanted(samples)
    row, count = np.full(len(wanted), -1, np.int64), np.zeros(len(wanted), np.int64)
    near = np.flatnonzero(np.isin(spans.span_id, wanted[wanted != 0]))
    if not len(near):
        return row, Fits(count, row >= 0)
    ids, span = np.unique(spans.span_id[near], return_inverse=True)
    lows, low = np.unique(spans.trace_lo[near], return_inverse=True)
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
        count[chosen] = np.searchsorted(keys[order], asked[chosen], side="right") - first
        only = near[order[np.minimum(first, len(order) - 1)]]
        row[chosen] = np.where(count[chosen] == 1, only, -1)
    is_other = (row >= 0) & (samples.trace_hi != 0) & (spans.trace_hi[row] != samples.trace_hi)
    row[is_other] = -1
    return row, Fits(count, row >= 0)


def _wanted(samples: ProfileSamples) -> Array:
    """Return the id that says where each sample belongs: of its span, else of its local root; 0 without."""
    return np.where(samples.span_id != 0, samples.span_id, samples.root_id)


def _found(known: Array, wanted: Array) -> tuple[Array, Array]:
    """Return the position of each value in sorted values, and whether it is there."""
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted
