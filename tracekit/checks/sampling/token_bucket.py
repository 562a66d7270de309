"""Signature of a token bucket: its traces are never closer than the quota allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

if TYPE_CHECKING:
    from tracekit.schema import Array

_SLACK, _MOST, _SIGNATURE, _FEWEST, _EXCEPTIONS = 0.98, 10, 0.001, 20, 0.01


class Spacing(NamedTuple):
    """Spacing of the traces outside the probability sample, for a token bucket of ``quota`` per second.

    ``closer`` of ``groups`` groups of consecutive traces are closer than the bucket allows, ``expected`` by
    coincidence; ``p`` is the probability of so few.
    """

    quota: int
    closer: int
    groups: int
    expected: float
    p: float

    @property
    def is_kept(self) -> bool:
        """Whether the spacing is consistent with the bucket, allowing for one misclassified trace."""
        return self.closer <= max(1, _EXCEPTIONS * self.groups)


def bucket_spacing(start_ns: Array, process: Array, quota: int) -> Spacing:
    """Return the spacing of starts relative to a token bucket, and its probability without one.

    In t seconds a bucket passes at most q + q t traces, so of q + 1 consecutive traces the last comes at least 1 / q
    seconds after the first; 2% are allowed for the delay from decision to start.  Without a bucket, and with a constant
    rate over q + 2 consecutive traces, the inner q are uniform: with x = 1 / (q width), the first or the last q + 1 are
    closer with probability ``2 x^q - max(0, 2 x - 1)^q``; groups that share only their ends are independent, and the
    Poisson law for their sum is conservative (Hoeffding 1956, Anderson and Samuels 1967).  Bursts reduce the power of
    the test; evenly spaced requests have such a spacing without a bucket.  Source: the samplers' ``RateLimiter``; our
    own test.
    """
    order = np.lexsort((start_ns, process))
    start, group = np.asarray(start_ns, np.int64)[order], np.asarray(process)[order]
    least = _SLACK * 1e9 / quota
    begins = np.concatenate(([True], group[1:] != group[:-1]))[: len(group)]
    at = np.arange(len(group))
    rank = at - np.maximum.accumulate(np.where(begins, at, 0))
    first = at[(rank % (quota + 1) == 0) & (at + quota + 1 < len(group))]
    first = first[group[first] == group[first + quota + 1]]
    a, b, c, d = (start[first + step] for step in (0, 1, quota, quota + 1))
    closer = int(((c - a < least) | (d - b < least)).sum())
    x = np.minimum(least / np.maximum(d - a, 1), 1)
    expected = float((2 * x**quota - np.maximum(2 * x - 1, 0) ** quota).sum())
    return Spacing(quota, closer, len(first), expected, float(scipy.stats.poisson.cdf(closer, expected)))


def detected_bucket(start_ns: Array, process: Array, is_beyond: Array) -> Spacing | None:
    """Return the smallest token bucket with a significant signature; None without one.

    ``is_beyond``: bool, the trace is not part of the probability sample that the ids show.
    """
    if is_beyond.sum() < _FEWEST:
        return None
    for quota in range(1, _MOST + 1):
        found = bucket_spacing(start_ns[is_beyond], process[is_beyond], quota)
        if found.is_kept:
            is_seen = found.p * quota < _SIGNATURE and not bucket_spacing(start_ns, process, quota).is_kept
            return found if is_seen else None
    return None
