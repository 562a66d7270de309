"""Verdicts ok, failed or inconclusive from an interval and a practical margin, never from a p-value alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import scipy

from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.schema import Array

Verdict = Literal["ok", "failed", "inconclusive"]
_SPARSE, _SPARSE_SHARE, _SMALL = 5, 0.2, 20  # expected counts: for the G test, how many below, for residuals


def judge(low: float, high: float, margin: float) -> Verdict:
    """Return the verdict of an interval of a ratio for a practical margin around 1.

    Parameters
    ----------
    low, high
        The interval.
    margin
        For example 0.1: ratios from 1/1.1 to 1.1 do no harm.

    Returns
    -------
    str
        ``ok`` where the interval lies inside the margin (equivalence is shown), ``failed`` where it lies outside,
        ``inconclusive`` otherwise.

    Examples
    --------
    >>> judge(0.97, 1.04, 0.1), judge(0.55, 0.7, 0.1), judge(0.8, 1.3, 0.1)
    ('ok', 'failed', 'inconclusive')
    """
    if low > 1 + margin or high < 1 / (1 + margin):
        return "failed"
    return "ok" if low >= 1 / (1 + margin) and high <= 1 + margin else "inconclusive"


def n_needed(n: float, low: float, high: float, margin: float, *, power: float = 0.9) -> int:
    """Return the approximate sample size that makes an inconclusive ratio conclusive if it is in fact 1.

    Parameters
    ----------
    n
        How many there are.
    low, high
        The interval of the ratio that they gave.
    margin
        As in ``judge``.
    power
        Probability that this size is sufficient.

    Returns
    -------
    int
        ``n ((z_{1-a/2} + z_power) s / log(1 + margin))^2`` with s the standard error on the log scale; 0 where the
        interval has no width.

    Examples
    --------
    >>> n_needed(100, 0.8, 1.3, 0.1)
    2195
    """
    if not (low > 0 and high > low and math.isfinite(high)):
        return 0
    z = normal_quantile(0.95)
    spread = (math.log(high) - math.log(low)) / (2 * z)
    return math.ceil(n * ((z + float(scipy.special.ndtri(0.5 + power / 2))) * spread / math.log1p(margin)) ** 2)


class Mix(NamedTuple):
    """Distribution of a sample over strata, compared with the traffic.

    ``distance`` is half the sum of the differences of the shares, ``noise`` what chance alone gives; ``p`` is the
    p-value of equal rates in all strata.  By stratum: ``residual`` (adjusted, standardised), ``q`` (its p-value after
    Benjamini and Hochberg), ``ratio`` of its sampling rate to that of the rest with ``low`` and ``high``, ``verdict``,
    and ``needed``: how many requests in all would settle an inconclusive one that is in fact equal.
    """

    p: float
    distance: float
    noise: float
    residual: Array
    q: Array
    ratio: Array
    low: Array
    high: Array
    verdict: Array
    needed: Array


def compare_mix(sampled: Array, requests: Array, *, margin: float = 0.10, confidence: float = 0.95) -> Mix:
    """Return the comparison of a sample's mix with the traffic's, with a verdict for each stratum.

    Parameters
    ----------
    sampled
        Sampled of each stratum.
    requests
        All requests of each, including the sampled ones; exclude strata without requests before the call.
    margin
        Practical margin of the ratio of sampling rates.
    confidence
        Confidence level; 1 - level is also the false discovery rate.

    Returns
    -------
    Mix
        Verdict ``failed``: the exact conditional minimum-effect test; ``ok``: its mirror, two one-sided equivalence
        tests; else ``inconclusive``.

    Raises
    ------
    ValueError
        Fewer than two strata, one without requests, one with more sampled than requested, or nothing sampled.

    Notes
    -----
    Given n sampled in all, ``n_h ~ Binomial(n, N_h rho / (N_h rho + N - N_h))`` when stratum h is sampled at rho times
    the rate of the rest; tested at rho = 1 + margin and 1 / (1 + margin), Benjamini-Hochberg over strata.  The omnibus
    p-value is that of G = 2 sum O ln(O/E) with H - 1 degrees of freedom, Pearson's where over a fifth of the expected
    counts are below 5; residuals of strata that expect fewer than 20 use the hypergeometric mid-p.  The interval of the
    ratio is the delta method on the log scale.

    Examples
    --------
    Refunds are sampled at half the rate of the rest:

    >>> mix = compare_mix(np.array([9500, 250]), np.array([190_000, 10_000]))
    >>> mix.verdict.tolist(), print(f"{mix.ratio[1]:.2f} ({mix.low[1]:.2f} to {mix.high[1]:.2f})")
    0.50 (0.44 to 0.57)
    (['failed', 'failed'], None)
    """
    n_h, big = _check_strata(sampled, requests)
    n, total = n_h.sum(), big.sum()
    f = n / total
    ratio, low, high = _rate_ratio(n_h, big, confidence)
    small, large = (big * rho / (big * rho + total - big) for rho in (1 / (1 + margin), 1 + margin))
    beyond = 2 * np.minimum(scipy.stats.binom.sf(n_h - 1, n, large), scipy.stats.binom.cdf(n_h, n, small))
    within = np.maximum(scipy.stats.binom.cdf(n_h, n, large), scipy.stats.binom.sf(n_h - 1, n, small))
    biased = false_discovery(np.minimum(beyond, 1)) < 1 - confidence
    verdict = np.where(biased, "failed", np.where(within < 1 - confidence, "ok", "inconclusive"))
    residual, p = _residuals(n_h, big)
    share = big / total
    noise = 0.5 * math.sqrt(2 / math.pi) * float(np.sqrt(share * (1 - share) * (1 - f) / n).sum())
    needed = np.array([n_needed(float(total), lo, hi, margin) for lo, hi in zip(low, high, strict=True)])
    return Mix(
        p=_omnibus(n_h, big),
        distance=float(0.5 * np.abs(n_h / n - share).sum()),
        noise=noise,
        residual=residual,
        q=false_discovery(p),
        ratio=ratio,
        low=low,
        high=high,
        verdict=verdict,
        needed=np.where(verdict == "inconclusive", needed, 0),
    )


def _check_strata(sampled: Array, requests: Array) -> tuple[Array, Array]:
    """Return the counts as float64; ValueError names the stratum that cannot be."""
    n_h, big = np.asarray(sampled, np.float64), np.asarray(requests, np.float64)
    if len(n_h) < 2 or len(n_h) != len(big):  # noqa: PLR2004 - a mix has two parts
        raise ValueError(f"expected counts of the same two or more strata, found {len(n_h)} and {len(big)}")
    wrong = np.flatnonzero(~((big > 0) & (n_h >= 0) & (n_h <= big)))
    if len(wrong):
        at = int(wrong[0])
        raise ValueError(f"expected 0 to N sampled of N requests, found {n_h[at]:g} of {big[at]:g} in stratum {at}")
    if not n_h.sum():
        raise ValueError("expected a sample, found none")
    return n_h, big


def _rate_ratio(n_h: Array, big: Array, confidence: float) -> tuple[Array, Array, Array]:
    """Return sampling rate of each stratum over that of the rest, with limits; half a count is added to each cell."""
    n, total = n_h.sum(), big.sum()
    a, b = n_h + 0.5, big - n_h + 0.5
    c, d = n - n_h + 0.5, (total - big) - (n - n_h) + 0.5
    log_ratio = np.log(a / (a + b)) - np.log(c / (c + d))
    half = normal_quantile(confidence) * np.sqrt(b / (a * (a + b)) + d / (c * (c + d)))
    return np.exp(log_ratio), np.exp(log_ratio - half), np.exp(log_ratio + half)


def _omnibus(n_h: Array, big: Array) -> float:
    """Return the p-value of equal rates in all strata."""
    f = n_h.sum() / big.sum()
    if f == 1:
        return 1.0
    expected, rest, missed = big * f, big * (1 - f), big - n_h
    if (expected < _SPARSE).mean() > _SPARSE_SHARE:
        statistic = ((n_h - expected) ** 2 * (1 / expected + 1 / rest)).sum()
    else:
        statistic = 2 * (scipy.special.xlogy(n_h, n_h / expected) + scipy.special.xlogy(missed, missed / rest)).sum()
    return float(scipy.special.chdtrc(len(big) - 1, statistic))


def _residuals(n_h: Array, big: Array) -> tuple[Array, Array]:
    """Return adjusted residuals and two-sided p-values."""
    n, total = n_h.sum(), big.sum()
    f = n / total
    scale = np.sqrt(big * f * (1 - f) * (1 - big / total))
    residual = (n_h - big * f) / np.where(scale > 0, scale, np.inf)
    p = 2 * scipy.special.ndtr(-np.abs(residual))
    small = np.flatnonzero(big * f < _SMALL)
    if len(small):
        null = scipy.stats.hypergeom(total, big[small], n)
        lower = null.cdf(n_h[small]) - 0.5 * null.pmf(n_h[small])
        p[small] = np.clip(2 * np.minimum(lower, 1 - lower), 0, 1)
    return residual, p
