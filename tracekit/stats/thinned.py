"""Exact inference about captured, missed and unseen events in sampled data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.intervals import normal_quantile

if TYPE_CHECKING:
    from tracekit.schema import Array


def _check_share(probability: float) -> float:
    """Return a probability above 0 and up to 1."""
    if not 0 < probability <= 1:
        raise ValueError(f"expected a probability above 0 and up to 1, found {probability!r}")
    return float(probability)


def thinned_count(captured: int, probability: float, *, confidence: float = 0.95) -> tuple[int, int]:
    """Return the confidence limits of the number of events, given the number captured.

    Parameters
    ----------
    captured
        How many were captured.
    probability
        With which each was, independently.
    confidence
        Confidence level.

    Returns
    -------
    tuple of int
        Lower and upper limit; the lower one is the number recorded at least.

    Raises
    ------
    ValueError
        A probability outside (0, 1].

    Notes
    -----
    Exact: those missed before the n-th captured are negative binomial, so the limits are ``n + NB(a/2; n, pi)`` and
    ``n + NB(1 - a/2; n + 1, pi)``.  The coverage is at least the level for any true number.

    Examples
    --------
    None captured at 5%: up to 71 may have occurred. Three captured: 14 to 172.

    >>> thinned_count(0, 0.05), thinned_count(3, 0.05)
    ((0, 71), (14, 172))
    """
    pi, tail = _check_share(probability), (1 - confidence) / 2
    from scipy import stats  # noqa: PLC0415 - half as slow to import as the rest of tracekit

    missed_low = int(stats.nbinom.ppf(tail, captured, pi)) if captured else 0
    return captured + missed_low, captured + int(stats.nbinom.ppf(1 - tail, captured + 1, pi))


def capture_probability(occurrences: int, probability: float, at_least: int = 1) -> float:
    """Return the probability that at least ``at_least`` of the occurrences have a trace.

    Parameters
    ----------
    occurrences
        How often it happens.
    probability
        With which each is captured, independently.
    at_least
        How many are needed.

    Returns
    -------
    float
        ``P(Binomial(M, pi) >= k)``.

    Raises
    ------
    ValueError
        A probability outside (0, 1].

    Examples
    --------
    >>> round(capture_probability(20, 0.05), 2)
    0.64
    """
    from scipy import stats  # noqa: PLC0415 - likewise

    return float(stats.binom.sf(at_least - 1, occurrences, _check_share(probability)))


def required_rate(occurrences: int, at_least: int = 1, *, confidence: float = 0.95) -> float:
    """Return the smallest sampling probability that captures ``at_least`` occurrences with this confidence.

    Parameters
    ----------
    occurrences
        How often it happens.
    at_least
        How many are needed.
    confidence
        With which they shall be captured.

    Returns
    -------
    float
        ``BetaInv(confidence; k, M - k + 1)``, exact; 1 where there are fewer occurrences than needed, NaN with none.

    Examples
    --------
    >>> round(required_rate(20), 3)
    0.139
    """
    from scipy.special import betaincinv  # noqa: PLC0415 - a sixth of the imports of a command

    if at_least > occurrences:
        return 1.0 if occurrences else math.nan
    return float(betaincinv(at_least, occurrences - at_least + 1, confidence))


def absence_probability(requests: float, probability: float) -> float:
    """Return the probability of no trace of a number of requests, each kept with this probability.

    Parameters
    ----------
    requests
        How many there were.
    probability
        With which each is kept.

    Returns
    -------
    float
        ``(1 - pi)^N``.

    Raises
    ------
    ValueError
        A probability outside (0, 1].

    Examples
    --------
    >>> round(absence_probability(40, 0.05), 2)
    0.13
    """
    pi = _check_share(probability)
    return math.exp(requests * math.log1p(-pi)) if pi < 1 else float(requests == 0)


def requests_needed(probability: float, *, chance: float = 0.01) -> int:
    """Return the number of requests after which the absence of traces is significant.

    Parameters
    ----------
    probability
        With which each request is kept.
    chance
        Of absence by luck that is tolerated.

    Returns
    -------
    int
        ``ln(chance) / ln(1 - pi)``, rounded up.

    Raises
    ------
    ValueError
        A probability outside (0, 1].

    Examples
    --------
    >>> requests_needed(0.05)
    90
    """
    pi = _check_share(probability)
    return math.ceil(math.log(chance) / math.log1p(-pi)) if pi < 1 else 1


class Unseen(NamedTuple):
    """Share of the traffic on unseen kinds, with its interval, and the estimated number of kinds."""

    mass: float
    low: float
    high: float
    kinds: float


def unseen_mass(
    counts: Array, *, confidence: float = 0.95, kept_ratio: float = 1.0, draws: int | None = None
) -> Unseen:
    """Return the share of traffic on kinds (paths, values, ...) that were never seen.

    Parameters
    ----------
    counts
        How often each kind was seen, in an unbiased sample of independent draws.
    confidence
        Confidence level.
    kept_ratio
        Share of the kinds that ``counts`` has, chosen at random: ``f1 (1 / share - 1)`` is added to the
        variance of ``f1``.
    draws
        Number of draws of all kinds; default: the sum of ``counts``.

    Returns
    -------
    Unseen
        Good-Turing's ``f1 / n`` with Esty's variance ``(f1 (1 - f1 / n) + 2 f2) / n^2``; without kinds seen once the
        upper limit ``1 - a^(1/n)``; Chao's ``S + f1 (f1 - 1) / (2 (f2 + 1))`` kinds, a lower limit.

    Raises
    ------
    ValueError
        Nothing was seen.

    Notes
    -----
    Good 1953, Esty 1983, Chao 1984.

    Examples
    --------
    Two of ninety requests took paths seen once: about 2% take unseen paths.

    >>> unseen = unseen_mass(np.array([60, 28, 1, 1]))
    >>> print(f"{unseen.mass:.3f} ({unseen.low:.3f} to {unseen.high:.3f}), {unseen.kinds:.0f} paths")
    0.022 (0.000 to 0.053), 5 paths
    """
    seen = np.asarray(counts, np.int64)
    seen = seen[seen > 0]
    if not len(seen):
        raise ValueError("expected counts of kinds that were seen, found none")
    n = int(seen.sum()) if draws is None else draws
    once, twice = (float((seen == times).sum()) / kept_ratio for times in (1, 2))
    mass, kinds = min(once / n, 1.0), len(seen) / kept_ratio + once * (once - 1) / (2 * (twice + 1))
    if not once:
        return Unseen(0.0, 0.0, 1 - (1 - confidence) ** (1 / n), float(kinds))
    variance = once * (1 - mass) + 2 * twice + once * (1 / kept_ratio - 1)
    half = normal_quantile(confidence) * math.sqrt(variance / n**2)
    return Unseen(mass, max(0.0, mass - half), min(1.0, mass + half), float(kinds))
