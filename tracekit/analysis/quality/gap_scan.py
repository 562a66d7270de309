"""A scan for windows in which the traced share of the requests drops: numbers in, numbers out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.signal import lfilter
from scipy.special import xlogy

if TYPE_CHECKING:
    from tracekit.columns import Array

_EULER = 0.5772156649
_PLAINLY_CHANCE = 4  # null scans that reach the observed one: then the p-value is known well enough
_OUTLIER_SD = 3.5
_ONE_SD = (0.1587, 0.5, 0.8413)
_NO_RHO = 1e-7


class Baseline(NamedTuple):
    """The usual traced share, its overdispersion, and which bins told it.

    Examples
    --------
    >>> Baseline(0.05, 0.0, np.ones(2, bool)).share
    0.05
    """

    share: float
    rho: float
    used: Array


class Gap(NamedTuple):
    """The worst drop: bins ``start`` up to ``end``, the share lost there, and how often chance does as badly.

    Examples
    --------
    >>> Gap(9.1, 1e-6, 30, 45, 0.62, 0.05, 0.0).end
    45
    """

    z: float
    p: float
    start: int
    end: int
    loss: float
    share: float
    rho: float


def window_lengths(longest: int) -> list[int]:
    """Return the lengths of the windows that are tried, geometric above five.

    Examples
    --------
    >>> window_lengths(14)
    [1, 2, 3, 4, 5, 7, 9, 12]
    """
    lengths, length = [], 1
    while length <= longest:
        lengths.append(length)
        length = max(length + 1, int(length * 1.4))
    return lengths


def gap_scan(
    traced: Array, requests: Array, *, longest: int | None = None, replicates: int = 199, seed: int = 0
) -> Gap:
    """Return the worst drop of traced / requests over all windows, with a p-value that allows for the search.

    The usual share and its beta-binomial overdispersion are estimated robustly, and again without the suspect window,
    so that an outage does not hide itself.  Windows are ranked by the signed root of the binomial deviance.  The null
    is a parametric bootstrap of the whole procedure; where neighbouring bins agree more than chance allows (lag-1
    correlation above 3 / sqrt(bins)) the share wanders as an AR(1) on the log scale.  It ends early where chance is
    plainly enough (Besag and Clifford 1991); where none of the null reaches it, a Gumbel tail gives the p-value.

    Assumes counts of the same requests as the traces, and one sampling rule.  Slightly liberal where the share wanders.

    Source: Kulldorff 1997; Abrams, Kulldorff and Kleinman 2010.

    Examples
    --------
    >>> requests = np.full(120, 600)
    >>> traced = np.full(120, 30)
    >>> traced[50:59] = 3
    >>> gap = gap_scan(traced, requests)
    >>> gap.start, gap.end, round(gap.loss, 2), gap.p < 0.01
    (50, 59, 0.9, True)
    """
    n, m = np.asarray(traced, np.float64), np.asarray(requests, np.float64)
    lengths = window_lengths(longest or max(5, len(n) // 7))
    z, start, end, base = _fit_and_scan(n, m, lengths)
    expected = m * base.share
    wander = _wander(n, m, base)
    rng, whole = np.random.default_rng(seed), m.astype(np.int64)
    null: list[float] = []
    while len(null) < replicates and sum(value >= z for value in null) < _PLAINLY_CHANCE:
        share = _null_share(rng, base, wander, len(n))
        null.append(_fit_and_scan(rng.binomial(whole, share).astype(np.float64), m, lengths)[0])
    window = slice(start, end)
    loss = 1 - n[window].sum() / max(expected[window].sum(), 1e-9) if end > start else 0.0
    return Gap(z, _p_value(z, np.array(null), replicates), start, end, float(loss), base.share, base.rho)


def _baseline(traced: Array, requests: Array) -> Baseline:
    """Return the usual share; an outage must not drag it."""
    some = requests > 0
    share, rho = traced[some].sum() / max(requests[some].sum(), 1), 0.0
    more = np.maximum(requests - 1, 0)
    used, ratio = some, np.ones(int(some.sum()))
    for _ in range(4):
        expected = requests * share
        sd = np.sqrt(np.maximum(expected * (1 - share) * (1 + more * rho), 1e-9))
        residual = np.where(some, (traced - expected) / sd, 0.0)
        ranked = np.sort(residual[some])
        low, middle, high = ranked[[int(share_below * (len(ranked) - 1)) for share_below in _ONE_SD]]
        used = some & (np.abs(residual - middle) < _OUTLIER_SD * max((high - low) / 2, 1))
        n, m, x = traced[used], requests[used], more[used]
        share = n.sum() / m.sum()
        ratio = (n - m * share) ** 2 / np.maximum(m * share * (1 - share), 1e-9)  # expectation 1 + (m - 1) rho
        weight = 1 / (1 + x * rho) ** 2
        rho = max(0.0, float((weight * x * (ratio - 1)).sum() / max((weight * x * x).sum(), 1e-9)))
    if (ratio - 1).mean() < 3 * math.sqrt(2 / len(ratio)):  # no evidence of overdispersion
        rho = 0.0
    return Baseline(float(share), min(rho, 0.5), used)


def _worst_window(traced: Array, requests: Array, base: Baseline, lengths: list[int]) -> tuple[float, int, int]:
    """Return the largest signed root deviance of a drop and its window."""
    inflation = 1 + np.maximum(requests - 1, 0) * base.rho
    sums = [np.concatenate(([0.0], np.cumsum(v / inflation))) for v in (traced, requests * base.share, requests)]
    best, where = 0.0, (0, 0)
    for length in lengths:
        x, e, m = (c[length:] - c[:-length] for c in sums)
        low = np.flatnonzero(x < e - 1.5 * np.sqrt(e * (1 - base.share)))
        if not len(low):
            continue
        x, e, m = np.maximum(x[low], 0), e[low], m[low]
        rest = np.maximum(m - x, 0)
        deviance = 2 * (xlogy(x, np.maximum(x, 1e-300) / e) + xlogy(rest, rest / np.maximum(m - e, 1e-300)))
        at = int(deviance.argmax())
        if deviance[at] > best:
            best, where = float(deviance[at]), (int(low[at]), int(low[at]) + length)
    return math.sqrt(best), *where


def _fit_and_scan(traced: Array, requests: Array, lengths: list[int]) -> tuple[float, int, int, Baseline]:
    """Fit, scan, fit without the suspect window, scan again."""
    base = _baseline(traced, requests)
    z, start, end = _worst_window(traced, requests, base, lengths)
    if start < end < start + len(traced) // 4:
        clean = np.ones(len(traced), bool)
        clean[max(0, start - 2) : end + 2] = False
        if requests[clean].sum() > 0:
            again = _baseline(traced[clean], requests[clean])
            used = np.zeros(len(traced), bool)
            used[np.flatnonzero(clean)[again.used]] = True
            base = again._replace(used=used)
            z, start, end = _worst_window(traced, requests, base, lengths)
    return z, start, end, base


def _wander(traced: Array, requests: Array, base: Baseline) -> tuple[float, float] | None:
    """Return (phi, stationary variance) of an AR(1) of the log share; None where bins are independent."""
    expected = requests * base.share
    sd = np.sqrt(np.maximum(expected * (1 - base.share) * (1 + np.maximum(requests - 1, 0) * base.rho), 1e-9))
    residual = np.where(requests > 0, (traced - expected) / sd, 0.0)
    both = base.used[1:] & base.used[:-1]
    ahead, behind = residual[1:][both], residual[:-1][both]
    if len(ahead) < 8 or not ahead.std() * behind.std() > 0:  # noqa: PLR2004 - too few to tell
        return None
    if np.corrcoef(ahead, behind)[0, 1] <= 3 / math.sqrt(len(traced)):
        return None
    usable = (expected > 0) & base.used
    e = np.where(usable, traced / np.maximum(expected, 1e-9) - 1, 0.0)
    cov = np.array([(e[k:] * e[:-k]).sum() / max((usable[k:] & usable[:-k]).sum(), 1) for k in range(1, 7)])
    phi = float(np.clip(cov[1:].sum() / max(cov[:-1].sum(), 1e-12), 0.0, 0.99))
    return phi, float(max(cov[0], 0) / max(phi, 0.05))


def _null_share(
    rng: np.random.Generator, base: Baseline, wander: tuple[float, float] | None, bins: int
) -> Array | float:
    """Return the traced share of every bin in a world without gaps."""
    if wander is not None:
        phi, variance = wander
        noise = rng.normal(0, math.sqrt(variance * (1 - phi**2)), bins)
        noise[0] = rng.normal(0, math.sqrt(variance))
        return np.asarray(np.clip(base.share * np.exp(lfilter([1], [1, -phi], noise) - variance / 2), 0, 1))
    if base.rho <= _NO_RHO or not 0 < base.share < 1:
        return base.share
    inverse = (1 - base.rho) / base.rho
    return rng.beta(base.share * inverse, (1 - base.share) * inverse, bins)


def _p_value(z: float, null: Array, replicates: int) -> float:
    """Return the Monte Carlo p-value, and where no null scan reaches the observed one that of a Gumbel tail."""
    reached = int((null >= z).sum())
    if reached:
        return reached / len(null) if len(null) < replicates else (1 + reached) / (1 + len(null))
    beta = max(float(null.std(ddof=1)), 1e-6) * math.sqrt(6) / math.pi
    return max(-math.expm1(-math.exp(-(z - float(null.mean()) + _EULER * beta) / beta)), 0.0)
