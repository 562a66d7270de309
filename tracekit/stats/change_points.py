"""One episode in a series: when did it begin, when did it end, and is it more than chance."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy.special import xlogy

if TYPE_CHECKING:
    from tracekit.schema import Array

Noise = Literal["normal", "binomial", "poisson"]

_BLOCKS, _FEWEST, _TENS = 60, 20, 10  # most and fewest blocks, and what the number of blocks is a multiple of
_PART = 12  # an episode lasts at least a twelfth of the series
_DEPENDENCE = (0.6, 0.7, 0.8, 0.9)  # autocorrelations of adjacent blocks in the simulated series
_DEGREE = 4  # of the polynomial that stands for a smooth swing
_BETTER, _BETTER_TO_END = 1.15, 1.0  # ratio of the residual sums of squares, swing to episode, that an episode needs
_REPLICATES, _AT_ONCE = 2500, 500
_TINY = 1e-12
_SPREAD = 1.645  # standard errors of the autocorrelation that limits allow for
_MOST_DEPENDENCE = 0.9
_MARGIN = 0.025  # of a series, in which no step is looked for


class Episode(NamedTuple):
    """Blocks ``start`` to ``end`` that differ from the others, and the p-value of such a difference anywhere."""

    start: int
    end: int
    p: float


class Limits(NamedTuple):
    """Position of the first observation after a step: the most likely, the lowest and the highest plausible one."""

    best: int
    low: int
    high: int


def block_count(n: float) -> int:
    """Return the number of blocks for n observations, at least ten in each; 0 if they are too few.

    Examples
    --------
    >>> block_count(199), block_count(200), block_count(599), block_count(1_000_000)
    (0, 20, 50, 60)
    """
    blocks = min(_BLOCKS, int(n) // _TENS // _TENS * _TENS)
    return blocks if blocks >= _FEWEST else 0


def episode_scan(values: Array) -> Episode:
    """Return the part of a series that differs most from the rest, with a p-value corrected for the search.

    Parameters
    ----------
    values
        One number per block, in the order of time: 20 to 60.

    Returns
    -------
    Episode
        ``end`` is the number of blocks if the difference lasts to the end.  ``p`` is 1 for a constant series.

    Notes
    -----
    Statistic: the largest ``D^2 / ((1 / n_in + 1 / n_out) V)`` over all parts of at least a twelfth of the series that
    are preceded by as much; D is the difference of the means, and V estimates the long-run variance from the cumulative
    sums of the deviations within the part and before and after it, so that noise which is correlated over time
    inflates both (self-normalization: Shao and Zhang 2010; Zhang and Lavitas 2018).

    A smooth swing of the series is no episode: p is 1 unless three constant levels fit better than a polynomial of
    degree 4, by a factor of 1.15 of the residual sum of squares (1 for a difference that lasts to the end, which such a
    polynomial follows closely).

    Null distribution: 2,500 simulated series, with the same selection and an autocorrelation between adjacent blocks of
    0.6, or the next of 0.7, 0.8 and 0.9 that is above the upper 95% limit of the one beside the episode.  The test is
    conservative for noise with less.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(0, 1, 60)
    >>> place = np.arange(60)
    >>> episode_scan(noise).p > 0.05
    True
    >>> episode_scan(noise + 10 * np.sin(place / 10)).p
    1.0
    >>> found = episode_scan(noise + 5 * ((place >= 30) & (place < 42)))
    >>> found.start, found.end, found.p < 0.001
    (30, 42, True)
    """
    count = len(values)
    spread = np.ptp(values)
    if spread <= _TINY * max(1.0, float(np.abs(values).max())):
        return Episode(0, 0, 1.0)
    start, end = _parts(count)
    (score,), (best,) = _largest((values / spread)[:, None], start, end)
    dependence = _dependence(_about_levels(values / spread, int(start[best]), int(end[best])), 3)
    null = _null(count, next((r for r in _DEPENDENCE if r >= dependence), _DEPENDENCE[-1]))
    p = (1 + len(null) - int(np.searchsorted(null, score))) / (1 + len(null)) if score > 0 else 1.0
    return Episode(int(start[best]), int(end[best]), p)


def searched_parts(count: int) -> int:
    """Return the number of parts of a series of so many blocks that a scan compares with the rest.

    Examples
    --------
    >>> searched_parts(20), searched_parts(60)
    (137, 1132)
    """
    return len(_parts(count)[0])


def _parts(count: int) -> tuple[Array, Array]:
    """Return the starts and ends of the parts that are compared with the rest."""
    least = max(2, count // _PART)
    start, end = np.triu_indices(count + 1, least)
    usable = (start >= least) & ((count - end >= least) | (end == count))
    return start[usable], end[usable]


@lru_cache(maxsize=20)
def _null(count: int, dependence: float) -> Array:
    """Return the statistic of simulated series without an episode, sorted."""
    rng = np.random.default_rng(count)
    start, end = _parts(count)
    found = []
    for _ in range(_REPLICATES // _AT_ONCE):
        series = rng.normal(0, 1, (count, _AT_ONCE))
        series[1:] *= np.sqrt(1 - dependence**2)
        for at in range(1, count):
            series[at] += dependence * series[at - 1]
        found.append(_largest(series, start, end)[0])
    return np.sort(np.concatenate(found))


def _largest(series: Array, start: Array, end: Array) -> tuple[Array, Array]:
    """Return the largest statistic of each series, 0 if a smooth swing fits better, and the part that has it."""
    count, column = len(series), np.arange(series.shape[1])
    score = _scores(series, start, end)
    best = score.argmax(0)
    rest = series - series.mean(0)
    sums = np.concatenate([np.zeros((1, len(column))), np.cumsum(rest, axis=0)])
    edges = [np.zeros_like(best), start[best], end[best], np.full_like(best, count)]
    levels = [(sums[b, column] - sums[a, column]) ** 2 / np.maximum(b - a, 1) for a, b in itertools.pairwise(edges)]
    basis = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, count), _DEGREE))[0]
    total = (rest**2).sum(0)
    swing, steps = total - ((basis.T @ rest) ** 2).sum(0), total - sum(levels)
    better = np.where(edges[2] == count, _BETTER_TO_END, _BETTER)
    return np.where(swing > better * steps, score[best, column], 0.0), best


def _scores(series: Array, start: Array, end: Array) -> Array:
    """Return the statistic, one row per part and one column per series."""
    count = len(series)
    sums = np.concatenate([np.zeros((1, series.shape[1])), np.cumsum(series - series.mean(0), axis=0)])
    place = np.arange(count + 1)
    before, after = _unrest(sums, np.zeros_like(place), place), _unrest(sums, place, np.full_like(place, count))
    inside = (end - start).astype(float)
    noise = before[start] + _unrest(sums, start, end) + after[end]
    lengths = np.stack([start, inside, count - end])
    expected = (np.maximum(lengths**2 - 1, 0) / 6).sum(0)  # for a long-run variance of 1
    contrast = (sums[end] - sums[start]) * (count / (inside * (count - inside)))[:, None]
    variance = noise * ((1 / inside + 1 / (count - inside)) / expected)[:, None]
    return np.asarray(contrast**2 / np.maximum(variance, _TINY))


def _unrest(sums: Array, first: Array, last: Array) -> Array:
    """Return the sum of squares of the cumulative deviations from the mean of each segment [first, last)."""
    place = np.arange(len(sums), dtype=float)[:, None]
    plain, square, rising = (
        np.concatenate([np.zeros((1, sums.shape[1])), np.cumsum(each, axis=0)])
        for each in (sums, sums**2, sums * place)
    )
    size = (last - first).astype(float)[:, None]
    begun, low = sums[first], first.astype(float)[:, None]
    slope = (sums[last] - begun) / np.maximum(size, 1)
    total = plain[last + 1] - plain[first]
    about = square[last + 1] - square[first] - 2 * begun * total + (size + 1) * begun**2
    tilted = rising[last + 1] - rising[first] - low * total - begun * size * (size + 1) / 2
    return np.asarray(about - 2 * slope * tilted + slope**2 * size * (size + 1) * (2 * size + 1) / 6)


def inflation(values: Array, expected: Array, start: int, end: int) -> float:
    """Return the factor by which the long-run variance of blocks exceeds the variance of independent observations.

    Parameters
    ----------
    values
        One number per block.
    expected
        Variance of each block if observations were independent; positive.
    start, end
        The episode, in blocks.

    Returns
    -------
    float
        At least 1.

    Notes
    -----
    Mean square of the deviations from the mean before, in and after the episode, in units of their expected variance,
    times ``(1 + r) / (1 - r)``; r is the upper 95% limit of the autocorrelation of adjacent blocks, at most 0.9, with
    the bias removed that the means have on it.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0, 2, 60)
    >>> 4 < inflation(noise, np.ones(60), 20, 40) < 8
    True
    """
    rest = _about_levels(values, start, end) / np.sqrt(expected)
    levels = 1 + (start > 0) + (end < len(values))
    r = min(_dependence(rest, levels), _MOST_DEPENDENCE)
    return max(1.0, float((rest**2).sum()) / max(len(rest) - levels, 1)) * (1 + r) / (1 - r)


def _about_levels(values: Array, start: int, end: int) -> Array:
    """Return the deviations from the mean before, in and after an episode."""
    return np.concatenate([part - part.mean() for part in np.split(values, [start, end]) if len(part)])


def _dependence(rest: Array, levels: int) -> float:
    """Return the upper 95% limit of the autocorrelation of deviations from so many means, without their bias."""
    power = float((rest**2).sum())
    if power <= 0:
        return 0.0
    r = float((rest[1:] * rest[:-1]).sum()) / power
    r += (1 + 3 * r) * levels / len(rest)
    return float(np.clip(r + _SPREAD * np.sqrt(max(1 - r**2, 0) / len(rest)), 0, 1))


def chance_of_events(inside: tuple[float, float], outside: tuple[float, float], searched: int) -> float:
    """Return an upper bound of the p-value of the most unusual part of independent trials.

    Parameters
    ----------
    inside, outside
        Events and trials in the part and in the rest.
    searched
        Number of parts that were compared.

    Returns
    -------
    float
        ``2 n exp(-LLR)``, at most 1 (Chernoff bound of a binomial tail, for n parts).

    Examples
    --------
    >>> chance_of_events((3, 50), (0, 500), 1500) == 1, chance_of_events((30, 50), (10, 500), 1500) < 1e-9
    (True, True)
    """
    events, trials = np.array([*zip(inside, outside, strict=True)])
    whole = _likelihood(events.sum(keepdims=True), trials.sum(keepdims=True), "binomial")
    llr = float(_likelihood(events, trials, "binomial").sum() - whole[0])
    return float(min(1.0, 2 * searched * np.exp(-llr)))


def step_limits(sums: Array, sizes: Array, noise: Noise, *, variance: float = 1.0, confidence: float = 0.95) -> Limits:
    """Return the most likely position of one step of the mean, with its interval.

    Parameters
    ----------
    sums
        Sum of the observations, one entry per observation (or per piece of time, for ``poisson``).
    sizes
        Number of observations, or length of each piece of time.
    noise
        Distribution of the observations about their mean.
    variance
        Variance of an observation of size 1 (``normal``), or by how much the variance exceeds that of the distribution;
        see ``inflation``.
    confidence
        Confidence level of the interval.

    Returns
    -------
    Limits
        Positions with at least a fortieth of the total size on both sides.

    Notes
    -----
    Profile log likelihood, divided by the inflation of the variance.  Its maximum exceeds the value at the true
    position by more than x with probability ``1 - (1 - exp(-x))^2`` for small steps (Yao 1987), and less often for
    large ones.

    Examples
    --------
    >>> step_limits(np.repeat([0.0, 1.0], [30, 30]), np.ones(60), "binomial")
    Limits(best=30, low=30, high=30)
    """
    done, size = np.cumsum(sums)[:-1], np.cumsum(sizes)[:-1]
    whole, length = float(sums.sum()), float(sizes.sum())
    score = (_likelihood(done, size, noise) + _likelihood(whole - done, length - size, noise)) / max(variance, _TINY)
    inner = (size >= _MARGIN * length) & (size <= (1 - _MARGIN) * length)
    score = np.where(inner, score, -np.inf) if inner.any() else score
    depth = -np.log(1 - np.sqrt(confidence))
    plausible = np.flatnonzero(score >= score.max() - depth) + 1
    return Limits(int(score.argmax()) + 1, int(plausible[0]), int(plausible[-1]))


def _likelihood(sums: Array, size: Array, noise: Noise) -> Array:
    """Return the largest log likelihood of a constant mean, up to a constant."""
    mean = sums / np.maximum(size, _TINY)
    if noise == "normal":
        return np.asarray(sums * mean / 2)
    if noise == "poisson":
        return np.asarray(xlogy(sums, np.maximum(mean, _TINY)))
    share = np.clip(mean, 0, 1)
    return np.asarray(size * (xlogy(share, share) + xlogy(1 - share, 1 - share)))
