"""Holes in time: hours in which fewer traces came than the requests of these hours let expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

_LENGTHS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 39, 54, 76)
_FLOOR = 0.05  # of the dispersion: rounding alone makes some
_ROBUST, _SCALE, _NARROWEST = 3.5, 1.4826, 0.5


class Gap(NamedTuple):
    """Windows from ``first`` up to but not ``last``, what came and what was expected, the share lost, and its chance.

    Examples
    --------
    >>> Gap(10, 12, 5, 50.0, 0.9, 0.005).loss
    0.9
    """

    first: int
    last: int
    came: int
    expected: float
    loss: float
    p: float


def gap_scan(came: Array, expected: Array, *, draws: int = 199, seed: int = 7) -> Gap | None:
    """Return the window that lost the most traces, against what its requests let expect.

    Parameters
    ----------
    came
        Traces of every window.
    expected
        What the requests let expect, up to a factor.
    draws
        Of the parametric bootstrap.
    seed
        Of the draws.

    Returns
    -------
    Gap or None
        None where nothing is expected.

    Notes
    -----
    The factor and the variance (of chance, and of a share that wanders) are fitted without the windows that lie
    more than 3.5 robust standard deviations off.
    The statistic is the largest signed root of the deviance of a drop, over windows of 1, 2, 3, 4, 5, 7, ... hours; its
    null distribution is drawn by repeating the whole procedure on counts of the fitted model.  Source:
    Kulldorff's scan statistic; ``spec/sampling.md`` S20.

    Examples
    --------
    >>> hours = np.full(48, 100.0)
    >>> hours[20:23] = 10
    >>> gap = gap_scan(hours, np.full(48, 1000.0))
    >>> gap.first, gap.last, round(gap.loss, 1), gap.p
    (20, 23, 0.9, 0.005)
    """
    kept = np.asarray(expected, np.float64) > 0
    where = np.flatnonzero(kept)
    k, e = np.asarray(came, np.float64)[kept], np.asarray(expected, np.float64)[kept]
    if len(k) < len(_LENGTHS) or k.sum() == 0:
        return None
    model = _fit(k[None], e)
    best, first, last = _scan(k[None], e, model)
    random = np.random.default_rng(seed)
    drawn = _draw(random, model, e, draws)
    null, _, _ = _scan(drawn, e, _fit(drawn, e))
    chance = (1 + int((null >= best[0]).sum())) / (1 + draws)
    low, high = int(first[0]), int(last[0])
    due = float(model.mean(e)[0, low:high].sum())
    got = int(k[low:high].sum())
    return Gap(int(where[low]), int(where[high - 1]) + 1, got, due, max(0.0, 1 - got / max(due, 1e-9)), chance)


class _Model(NamedTuple):
    """Of every row of counts: the factor, and the variance ``dispersion * mean + wander * mean^2`` of a count."""

    scale: Array
    dispersion: Array
    wander: Array

    def mean(self, e: Array) -> Array:
        """Return what is expected."""
        return np.asarray(np.maximum(self.scale[:, None] * e, 1e-9))

    def variance(self, e: Array) -> Array:
        """Return how much counts vary."""
        mean = self.mean(e)
        return np.asarray(self.dispersion[:, None] * mean + self.wander[:, None] * mean**2)


def _fit(k: Array, e: Array) -> _Model:
    """Return the model of every row, without its outliers."""
    keep = np.ones(k.shape, bool)
    for _ in range(3):
        scale = (k * keep).sum(1) / np.maximum((e * keep).sum(1), 1e-300)
        scale = np.where(scale > 0, scale, k.sum(1) / e.sum())  # the few that came were outliers
        model = _Model(scale, np.ones(len(k)), np.zeros(len(k)))
        mean, count = model.mean(e), np.maximum(keep.sum(1) - 1, 1)
        excess = ((k - mean) ** 2 / mean * keep).sum(1) / count
        wander = np.maximum(excess - 1, 0) * count / np.maximum((mean * keep).sum(1), 1e-9)
        model = _Model(scale, np.clip(excess, _FLOOR, 1.0), wander)
        z = (k - mean) / np.sqrt(model.variance(e))
        middle = np.median(z, axis=1, keepdims=True)
        width = np.maximum(np.median(np.abs(z - middle), axis=1, keepdims=True) * _SCALE, _NARROWEST)
        keep = np.abs(z - middle) <= _ROBUST * width
    return model


def _scan(k: Array, e: Array, model: _Model) -> tuple[Array, Array, Array]:
    """Return the largest signed root deviance of a drop of every row, and its window."""
    nothing = np.zeros((len(k), 1))
    sums, dues, varies = (
        np.concatenate((nothing, np.cumsum(part, axis=1)), axis=1) for part in (k, model.mean(e), model.variance(e))
    )
    best = np.zeros(len(k))
    first, last = np.zeros(len(k), int), np.ones(len(k), int)
    for length in _LENGTHS:
        if length >= k.shape[1]:
            break
        got, due, varied = (part[:, length:] - part[:, :-length] for part in (sums, dues, varies))
        logs = np.where(got > 0, got * np.log(np.maximum(got, 1) / due), 0)
        drop = np.where(got < due, np.sqrt(np.maximum(2 * (logs - got + due), 0) * due / varied), 0)
        at = drop.argmax(1)
        value = drop[np.arange(len(k)), at]
        better = value > best
        best, first = np.where(better, value, best), np.where(better, at, first)
        last = np.where(better, at + length, last)
    return best, first, last


def _draw(random: np.random.Generator, model: _Model, e: Array, draws: int) -> Array:
    """Return counts as the model of the first row has them: gamma-Poisson, or binomial where they vary less."""
    mean, wander, dispersion = model.mean(e)[0], float(model.wander[0]), float(model.dispersion[0])
    if wander > 0:
        return random.poisson(random.gamma(1 / wander, mean * wander, (draws, len(mean)))).astype(np.float64)
    if dispersion > 0.99:  # noqa: PLR2004 - as good as Poisson
        return random.poisson(mean, (draws, len(mean))).astype(np.float64)
    tries = np.maximum(np.round(mean / (1 - dispersion)), 1).astype(int)
    return random.binomial(tries, np.minimum(mean / tries, 1.0), (draws, len(mean))).astype(np.float64)
