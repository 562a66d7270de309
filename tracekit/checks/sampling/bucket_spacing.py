"""The signature of a token bucket: never more than q traces within 1 / q seconds of those that came beside the base."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

from tracekit.weights.known import BEYOND
from tracekit.weights.xray_reservoir import processes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.schema import Array

_SLACK, _MOST, _SIGNATURE, _FEWEST, _EXCEPTIONS = 0.98, 10, 0.001, 20, 0.01


class Spacing(NamedTuple):
    """How traces beside the base sample keep the distance that a bucket of ``quota`` a second makes them keep.

    ``closer`` of ``groups`` of neighbours do not, ``expected`` would not by chance, and ``p`` is the chance that so few
    do not.
    """

    quota: int
    closer: int
    groups: int
    expected: float
    p: float

    @property
    def is_kept(self) -> bool:
        """Whether no more come closer than a rate read off the ids, which may be one trace off, explains."""
        return self.closer <= max(1, _EXCEPTIONS * self.groups)


def bucket_spacing(start_ns: Array, process: Array, quota: int) -> Spacing:
    """Return whether starts keep the distance of a token bucket, and the chance of it without one.

    In t seconds a bucket lets at most q + q t through, so of q + 1 that follow one another the last comes 1 / q after
    the first or later; 2 % are allowed for the way from decision to start.  Without a bucket, and with a rate that
    stays the same over q + 2 neighbours, the q between the outer two lie anywhere: with x = 1 / (q width), that the
    first or the last q + 1 come closer has the chance ``2 x^q - max(0, 2 x - 1)^q``; groups that share no more than
    their ends are independent, and Poisson's law for their sum is on the safe side (Hoeffding 1956, Anderson and
    Samuels 1967).  Bursts make traces come closer and the test silent; evenly spaced requests keep the distance by
    themselves.  Source: the samplers' ``RateLimiter``; our own test.
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
    return Spacing(quota, closer, len(first), expected, float(stats.poisson.cdf(closer, expected)))


def beside_base(case: Case) -> Array:
    """Return which traces came beside the base sample that their ids show: bool, one a trace."""
    source = case.traces.weights.source
    return np.array([label == BEYOND for label in source.labels] + [False])[source.codes]


def seen_bucket(case: Case) -> Spacing | None:
    """Return the smallest token bucket that the traces beside the base sample obey beyond chance; None without one."""
    beside = beside_base(case)
    if beside.sum() < _FEWEST:
        return None
    start, process = case.start_ns, processes(case.traces).codes
    for quota in range(1, _MOST + 1):
        found = bucket_spacing(start[beside], process[beside], quota)
        if found.is_kept:
            is_seen = found.p * quota < _SIGNATURE and not bucket_spacing(start, process, quota).is_kept
            return found if is_seen else None
    return None
