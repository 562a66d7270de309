"""Throughput of a token bucket: q tokens per second, at most q in stock, one per request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

if TYPE_CHECKING:
    from tracekit.schema import Array


class Passed(NamedTuple):
    """Requests passed per second: mean and variance in long windows."""

    mean: float
    variance: float


def token_bucket(arrivals: float, quota: int) -> Passed:
    """Return how many requests per second pass a token bucket.

    Parameters
    ----------
    arrivals
        Requests per second, Poisson.
    quota
        Tokens per second, and the capacity of the bucket.

    Returns
    -------
    Passed
        Both per second; 0 without tokens or requests.

    Notes
    -----
    The tokens that are missing drain at ``quota`` a second, and a request is refused where none is left: the queue
    M/D/1/q, exactly.  With k the requests in it when one is served, a Markov chain of q states whose steps are Poisson
    with mean arrivals / quota, services begin every 1 / quota seconds, after an idle time of mean 1 / arrivals where
    k = 0: the mean is ``1 / (1/q + P(k = 0) / arrivals)``.  The variance is that of a Markov renewal process, from the
    fundamental matrix of the chain.  With q = 1 this is a renewal process, ``mu / (1 + mu)`` and ``mu / (1 + mu)^3``.
    Bursts within a window lower the mean.  Source: the samplers' ``RateLimiter``; Kendall 1953, Cinlar 1969.

    Examples
    --------
    >>> one, five = token_bucket(3.0, 1), token_bucket(4.0, 5)
    >>> print(f"{one.mean:.2f} of 3, {five.mean:.2f} of 4")
    0.75 of 3, 3.86 of 4
    """
    if quota <= 0 or arrivals <= 0:
        return Passed(0.0, 0.0)
    chain = _served(arrivals / quota, quota)
    system = np.vstack([chain.T - np.eye(quota), np.ones(quota)])
    share = np.linalg.lstsq(system, np.append(np.zeros(quota), 1.0), rcond=None)[0]
    idle = float(np.clip(share[0], 0, 1))
    step = 1 / quota + idle / arrivals
    fundamental = np.linalg.inv(np.eye(quota) - chain + share)
    together = idle * (float(fundamental[0, 0]) - 1)
    spread = (idle + idle * (1 - idle) + 2 * together) / arrivals**2
    return Passed(1 / step, max(spread, 0.0) / step**3)


def _served(load: float, places: int) -> Array:
    """Return the chances from one service to the next: how many are left behind, at most all places but one."""
    come = scipy.stats.poisson.pmf(np.arange(places), load)
    chain = np.zeros((places, places))
    for left in range(places):
        begin = max(left - 1, 0)
        chain[left, begin:] = come[: places - begin]
        chain[left, -1] = 1 - chain[left, :-1].sum()
    return chain
