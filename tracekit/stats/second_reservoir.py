"""Samplers with a reservoir: they keep the first q requests of every second and a fraction p of the rest.

Classic samplers count the requests of each epoch second and process; later ones fill a bucket of tokens that holds at
most one second's worth.  Times are int64 nanoseconds since the epoch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import scipy

from tracekit.stats.intervals import wilson
from tracekit.stats.token_bucket import token_bucket

if TYPE_CHECKING:
    from tracekit.schema import Array

SECOND_NS = 1_000_000_000
_BUSY_SECONDS, _EXCEPTIONS, _MOST = 20, 0.005, 50
_BLOCK_S, _TOLERANCE, _BEYOND, _EVEN, _LEAST_INFORMATION = 10, 1.5, 2.6, 0.15, 5.0


def rank_in_second(start_ns: Array, process: Array) -> Array:
    """Return the rank of each request within its process and epoch second.

    Parameters
    ----------
    start_ns
        int64, in any order; ties keep theirs.
    process
        Code of each one's process.

    Returns
    -------
    numpy.ndarray
        int64: 0 for the first of its second.

    Examples
    --------
    >>> rank_in_second(np.array([1_500_000_000, 1_100_000_000, 2_000_000_000]), np.zeros(3, int))
    array([1, 0, 0])
    """
    start = np.asarray(start_ns, np.int64)
    second = start // SECOND_NS
    order = np.lexsort((start, second, process))
    g, s = np.asarray(process)[order], second[order]
    is_new = np.concatenate(([True], (g[1:] != g[:-1]) | (s[1:] != s[:-1])))[: len(order)]
    at = np.arange(len(order))
    rank = np.empty(len(order), np.int64)
    rank[order] = at - np.maximum.accumulate(np.where(is_new, at, 0)) if len(order) else at
    return rank


def order_probabilities(start_ns: Array, process: Array, quota: int, rate: float) -> Array:
    """Return the inclusion probabilities of a classic reservoir, from the recorded traces of one rule.

    Parameters
    ----------
    start_ns
        Starts of those kept.
    process
        Which process decided.
    quota
        Kept of every second for certain.
    rate
        Share of the rest.

    Returns
    -------
    numpy.ndarray
        1 for the first ``quota`` of each second and process, ``rate`` for the others.

    Notes
    -----
    The reservoir takes the first requests of a second, so among those kept the first are the reservoir's.  Requires
    starts in the correct order at the second boundary: 50 µs of delay is harmless, 1 ms of jitter is not.

    Examples
    --------
    >>> order_probabilities(np.array([0, 400_000_000, 1_000_000_000]), np.zeros(3, int), 1, 0.05)
    array([1.  , 0.05, 1.  ])
    """
    return np.where(rank_in_second(start_ns, process) < quota, 1.0, rate)


class Order(NamedTuple):
    """Agreement of starts with a reservoir: rate of kept requests beyond it, over the expected rate.

    ``z`` is by how many standard deviations the ratio is beyond the margin, 0 within it.

    Examples
    --------
    >>> Order(1.1, 0.0).contradicts, Order(9.0, 40.0).contradicts
    (False, True)
    """

    ratio: float
    z: float

    @property
    def contradicts(self) -> bool:
        """Whether quota and rate are others, or the starts are not those of the decisions."""
        return abs(self.z) > _BEYOND


def order_agreement(start_ns: Array, process: Array, quota: int, rate: float) -> Order:
    """Return the agreement of starts within their seconds with a reservoir of this size and rate.

    Parameters
    ----------
    start_ns
        Starts of those kept, int64.
    process
        Which process decided.
    quota, rate
        As declared.

    Returns
    -------
    Order
        A ratio of 1 and z of 0 where too few are kept to say.

    Notes
    -----
    Until the quota of a second is used every request is kept, afterwards a share.  At the place in the second of each
    kept start, n0 of ten neighbouring seconds have quota left and n1 have none, so that the start is beyond the quota
    with probability ``r n1 / (n0 + r n1)``, r the rate: the partial likelihood of Cox 1975, whatever the load and its
    pattern within the second.  z is that of the score at 1.5 times the rate, or at two thirds of it.  Requests whose
    rate varies from second to second by half or more, or that come in clumps, look like starts that are late; evenly
    spaced requests leave a ratio below 0.15, which contradicts nothing.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> start = np.sort(rng.integers(0, 600 * SECOND_NS, 12_000))
    >>> kept = start[(rank_in_second(start, np.zeros(12_000)) < 1) | (rng.random(12_000) < 0.05)]
    >>> order_agreement(kept, np.zeros(len(kept)), 1, 0.05).contradicts
    False
    >>> late = kept + rng.integers(0, 300_000_000, len(kept))
    >>> order_agreement(late, np.zeros(len(kept)), 1, 0.05).contradicts
    True
    """
    start, group = np.asarray(start_ns, np.int64), np.asarray(process, np.int64)
    if not len(start) or not 0 < rate < 1:
        return Order(1.0, 0.0)
    second, place = np.divmod(start, SECOND_NS)
    after = rank_in_second(start, group) >= quota
    spent = rank_in_second(start, group) == quota - 1
    cell = np.unique(np.stack([group, second // _BLOCK_S]), axis=1, return_inverse=True)[1].ravel()
    edge = cell * SECOND_NS
    used = np.sort((edge + place)[spent])
    n1 = np.searchsorted(used, edge + place) - np.searchsorted(used, edge)
    n0 = _BLOCK_S - n1
    ratio = _ratio(after, n0, n1, rate)
    many, few = _score(after, n0, n1, rate * _TOLERANCE), _score(after, n0, n1, rate / _TOLERANCE)
    return Order(ratio, many if many > 0 else few if few < 0 and ratio > _EVEN else 0.0)


def _ratio(after: Array, n0: Array, n1: Array, rate: float) -> float:
    """Return the ratio at which as many are beyond the quota as expected, by bisection on the logarithm."""
    low, high = 1e-3, 1e3
    for _ in range(40):
        middle = math.sqrt(low * high)
        expected = (rate * middle * n1 / (n0 + rate * middle * n1)).sum()
        low, high = (middle, high) if after.sum() > expected else (low, middle)
    return math.sqrt(low * high)


def _score(after: Array, n0: Array, n1: Array, rate: float) -> float:
    """Return by how many standard deviations more are beyond the quota than this rate leaves; 0 with few to go by."""
    share = rate * n1 / (n0 + rate * n1)
    variance = float((share * (1 - share)).sum())
    return float(after.sum() - share.sum()) / math.sqrt(variance) if variance > _LEAST_INFORMATION else 0.0


class Quota(NamedTuple):
    """Reservoir of a process, and the share of the rest with its interval."""

    quota: int
    rate: float
    low: float
    high: float


def infer_quota(kept: Array, requests: Array, *, confidence: float = 0.95) -> Quota:
    """Return quota and rate of one process from counts by second.

    Parameters
    ----------
    kept, requests
        One entry per second.
    confidence
        Confidence level of the rate.

    Returns
    -------
    Quota
        The largest quota c with ``kept >= min(requests, c)`` in 99.5% of the seconds that had c requests (at least 20
        of those); the rate is the share of the rest; NaN where there is none.

    Examples
    --------
    >>> infer_quota(np.full(60, 2), np.full(60, 21)).quota
    2
    """
    recorded, total = np.asarray(kept, np.int64), np.asarray(requests, np.int64)
    quota = 0
    for candidate in range(1, _MOST + 1):
        busy = total >= candidate
        if busy.sum() < _BUSY_SECONDS or (recorded[busy] < candidate).mean() > _EXCEPTIONS:
            break
        quota = candidate
    taken = np.minimum(total, quota)
    rest, of = int(np.maximum(recorded - taken, 0).sum()), int((total - taken).sum())
    if not of:
        return Quota(quota, math.nan, math.nan, math.nan)
    low, high = wilson(rest / of, of, confidence=confidence)
    return Quota(quota, rest / of, float(low), float(high))


def expected_kept(
    requests: Array,
    quota: int,
    rate: float,
    *,
    seconds: int,
    processes: int = 1,
    kind: Literal["epoch", "bucket"] = "epoch",
) -> tuple[Array, Array]:
    """Return mean and variance of the number of requests kept per window.

    Parameters
    ----------
    requests
        Requests of each window.
    quota, rate
        Of each process and second.
    seconds
        Length of a window.
    processes
        That share the traffic evenly.
    kind
        ``epoch``: the first of each second; ``bucket``: a token bucket with the quota of one second.

    Returns
    -------
    tuple of numpy.ndarray
        One entry per window.

    Notes
    -----
    ``epoch``: the requests of a window fall into m = seconds x processes cells at random; T, the sum of min(X, q) over
    the cells, has the mean and variance of a multinomial; then ``E T + p (N - E T)`` and ``(1 - p)^2 Var T + (N - E T)
    p (1 - p)``, both exact.  ``bucket``: the queue M/D/1/q of ``stats.token_bucket``, a process at a time.

    Examples
    --------
    Ten seconds of 100 requests, one per second and 5%: about 14.5 are kept.

    >>> mean, variance = expected_kept(np.array([100]), 1, 0.05, seconds=10)
    >>> print(f"{mean[0]:.1f} +- {variance[0] ** 0.5:.1f}")
    14.5 +- 2.1
    """
    sizes, back = np.unique(np.asarray(requests, np.int64), return_inverse=True)
    cells = seconds * processes
    if kind == "bucket":
        passed = [token_bucket(float(size) / cells, quota) for size in sizes]
        taken, spread = (cells * np.array([getattr(one, name) for one in passed]) for name in ("mean", "variance"))
    else:
        taken, spread = _taken(sizes, quota, cells)
    rest = np.maximum(sizes - taken, 0)
    return (taken + rate * rest)[back], (spread * (1 - rate) ** 2 + rest * rate * (1 - rate))[back]


def _taken(sizes: Array, quota: int, cells: int) -> tuple[Array, Array]:
    """Return mean and variance of the number of requests that the reservoirs of all cells keep.

    min(X, q) = q - sum over i < q of (q - i) [X = i]: a cell's chances give the mean, those of two the covariance.
    """
    i = np.arange(quota)
    gap = (quota - i)[:, None]
    pmf = scipy.stats.binom.pmf
    one = pmf(i[:, None], sizes, 1 / cells)
    short = (gap * one).sum(axis=0)
    variance = (gap * gap * one).sum(axis=0) - short**2
    total = cells * variance
    if cells > 1:
        second = pmf(i[:, None, None], sizes - i[:, None], 1 / (cells - 1))  # given i in the first cell
        joint = (gap * (quota - i[:, None, None]) * np.nan_to_num(second)).sum(axis=0) * one
        total = total + cells * (cells - 1) * (joint.sum(axis=0) - short**2)
    return cells * (quota - short), np.maximum(total, 0)


class Phase(NamedTuple):
    """Whether starts are even within the second: strength and place of the peak, p-values of Rayleigh and Kuiper."""

    strength: float
    peak: float
    p_rayleigh: float
    p_kuiper: float


def phase_in_second(start_ns: Array) -> Phase:
    """Return the phase of starts within the second, which a reservoir shifts to its beginning.

    Parameters
    ----------
    start_ns
        At least two starts.

    Returns
    -------
    Phase
        ``strength`` from 0 (even) to 1 (all at one instant), ``peak`` as a share of the second.

    Raises
    ------
    ValueError
        Fewer than two starts.

    Notes
    -----
    Rayleigh 1880 with the series of Greenwood and Durand 1955, Kuiper 1960 with Stephens's correction.  Clients that
    are locked to the second leave the same signature: compare with the phases of all requests where they are known.

    Examples
    --------
    >>> even = phase_in_second(np.arange(1000) * 1_000_000)
    >>> first = phase_in_second(np.arange(1000) * 1_000_000_000 + np.arange(1000) * 50_000)
    >>> even.p_kuiper > 0.5, first.p_kuiper < 1e-6, round(first.peak, 3)
    (True, True, 0.025)
    """
    n = len(start_ns)
    if n < 2:  # noqa: PLR2004 - one start has no distribution
        raise ValueError(f"expected two starts or more, found {n}")
    phase = (np.asarray(start_ns, np.int64) % SECOND_NS) / SECOND_NS
    ordered, rank = np.sort(phase), np.arange(1, n + 1)
    v = (rank / n - ordered).max() + (ordered - (rank - 1) / n).max()
    return _phase(complex(np.exp(2j * np.pi * phase).mean()), float(v), n)


def phase_in_bins(counts: Array) -> Phase:
    """Return the phase of starts that are counted in equal parts of the second.

    Parameters
    ----------
    counts
        Starts in each part of the second; at least two in all.

    Returns
    -------
    Phase
        As ``phase_in_second``: Kuiper's statistic at the edges of the parts, which is at most that of the starts
        themselves, so that the test errs towards even starts.

    Raises
    ------
    ValueError
        Fewer than two starts.

    Examples
    --------
    >>> even, first = phase_in_bins(np.full(100, 50)), phase_in_bins(np.repeat([1000, 0], [5, 95]))
    >>> even.p_kuiper, first.p_kuiper < 1e-6, round(first.peak, 3)
    (1.0, True, 0.025)
    """
    n = int(counts.sum())
    if n < 2:  # noqa: PLR2004 - one start has no distribution
        raise ValueError(f"expected two starts or more, found {n}")
    middle = (np.arange(len(counts)) + 0.5) / len(counts)
    apart = np.cumsum(counts) / n - np.arange(1, len(counts) + 1) / len(counts)
    return _phase(complex((counts * np.exp(2j * np.pi * middle)).sum()) / n, float(np.ptp([0.0, *apart])), n)


def _phase(vector: complex, v: float, n: int) -> Phase:
    """Return the phase from the mean of the unit vectors, Kuiper's statistic and the number of starts."""
    strength, peak = abs(vector), float(np.angle(vector) / (2 * np.pi) % 1)
    z = n * strength**2
    series = 1 + (2 * z - z * z) / (4 * n) - (24 * z - 132 * z**2 + 76 * z**3 - 9 * z**4) / (288 * n * n)
    rayleigh = math.exp(-z) * (series if z < 30 else 1)  # noqa: PLR2004 - beyond, exp(-z) is all that is left
    return Phase(strength, peak, min(max(rayleigh, 0.0), 1.0), _kuiper(v, n))


def _kuiper(v: float, n: int) -> float:
    """Return the p-value of Kuiper's statistic."""
    scaled = (math.sqrt(n) + 0.155 + 0.24 / math.sqrt(n)) * v
    if scaled < 0.4:  # noqa: PLR2004 - the series is 1 to seven digits below, and does not converge there
        return 1.0
    j = np.arange(1, 101)
    terms = 2 * (4 * j * j * scaled**2 - 1) * np.exp(-2 * j * j * scaled**2)
    return float(np.clip(terms.sum(), 0, 1))
