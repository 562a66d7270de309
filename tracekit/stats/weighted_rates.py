"""Rates of a thinned population: every trace has an inclusion probability, and stands for 1 / that many.

One row a trace throughout: the events and trials of its spans are summed before they come here, so spans inside a trace
may depend on each other as they like.  Two targets, never confused: ``window`` is what really happened in the window
(finite: a trace kept for certain adds no doubt), ``process`` the rate underneath it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import special

from tracekit.stats.intervals import effective_n, normal_quantile
from tracekit.stats.proportions import jeffreys
from tracekit.stats.thinned import thinned_count

if TYPE_CHECKING:
    from tracekit.schema import Array

Target = Literal["window", "process"]
_TINY = 1e-300


class Rate(NamedTuple):
    """A weighted rate or total with its interval.

    Examples
    --------
    >>> print(Rate(0.0093, 0.0087, 0.0098, 1380, 212, 1020.0, "window"))
    0.0093 (0.0087 to 0.0098; n = 1,380, effective 1,020, window)
    """

    value: float
    low: float
    high: float
    n: int
    n_events: int
    n_effective: float
    target: Target

    @property
    def design_effect(self) -> float:
        """What the weights cost: n over the effective n."""
        return self.n / self.n_effective if self.n_effective > 0 else float("nan")

    def __str__(self) -> str:
        counted = f"n = {self.n:,}, effective {self.n_effective:,.0f}, {self.target}"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}; {counted})"


def check_probabilities(probability: Array) -> Array:
    """Return inclusion probabilities as float64.

    Parameters
    ----------
    probability
        One a trace.

    Returns
    -------
    numpy.ndarray
        The same numbers.

    Raises
    ------
    ValueError
        One that is missing, 0 or less, or more than 1: unknown is not 1, so leave those traces out.

    Examples
    --------
    >>> check_probabilities([1, 0.05])
    array([1.  , 0.05])
    """
    pi = np.asarray(probability, np.float64)
    wrong = np.flatnonzero(~((pi > 0) & (pi <= 1)))
    if len(wrong):
        message = (
            f"expected inclusion probabilities above 0 and up to 1, found {pi[wrong[0]]} at position {wrong[0]}"
            f" and {len(wrong) - 1} more; leave out what has no known probability"
        )
        raise ValueError(message)
    return pi


def weight_classes(probability: Array) -> Array:
    """Return the class of each trace: half powers of two of the weight.

    Parameters
    ----------
    probability
        Inclusion probabilities.

    Returns
    -------
    numpy.ndarray
        Numbered from 0 without gaps, the lightest first.

    Examples
    --------
    >>> weight_classes(np.array([1.0, 0.05, 0.049, 0.5]))
    array([0, 2, 2, 1])
    """
    steps = np.round(-2 * np.log2(np.asarray(probability, np.float64))).astype(np.int64)
    return np.asarray(np.unique(steps, return_inverse=True)[1])


def weighted_rate(
    probability: Array,
    events: Array,
    trials: Array | None = None,
    *,
    target: Target = "window",
    level: float = 0.95,
    events_certain: bool = False,
    classes: Array | None = None,
) -> Rate:
    """Return events per trial with an interval that keeps its coverage under unequal weights.

    Parameters
    ----------
    probability
        Inclusion probability of each trace.
    events, trials
        Sums over the spans of each trace; trials are 1 unless given.
    target
        ``window``: what happened; ``process``: the rate underneath.
    level
        Confidence level.
    events_certain
        A **declared** policy keeps every event, so traces that were thinned hide none.  Believed only where the events
        in hand agree with it.
    classes
        The sampler's own key of each trace, where it is recorded; half powers of two of the weight otherwise.

    Returns
    -------
    Rate
        ``sum w y / sum w x`` (Hajek); NaN without trials.

    Raises
    ------
    ValueError
        A probability outside (0, 1], or ``events_certain`` where a thinned trace holds an event.

    Notes
    -----
    MOVER over weight classes: per class c a Jeffreys interval (l, u) of its rate p on the trace-clustered effective
    number ``p (1 - p) / v`` (without events: the number of traces), distances shrunk by ``sqrt(1 - mean pi)`` for the
    window, recombined as ``r - sqrt(sum W_c^2 (p_c - l_c)^2 + z^2 V_W)`` and likewise above, where
    ``V_W = sum f (p_c - r)^2 w^2 x^2 / X^2`` because the shares W of the classes are estimated too.  A class without
    events still contributes its upper limit.  Where every event of the window is in hand, only the number of traces is
    in doubt, and the limits are those of ``thinned.thinned_count``.  Source: Zou and Donner 2008; Dean and Pagano 2015
    for the effective number.  Fewer than ten traces with an event: a clustered rate is not assessable.

    Examples
    --------
    All ten failures were kept, and one in twenty of the rest; the sample says 9 %, the traffic 0.5 %.

    >>> pi, failed = np.repeat([1.0, 0.05], [10, 100]), np.repeat([1, 0], [10, 100])
    >>> rate = weighted_rate(pi, failed)
    >>> print(
    ...     f"{rate.value:.4f}, window {rate.low:.4f} to {rate.high:.4f}, effective {rate.n_effective:.0f} of {rate.n}"
    ... )
    0.0050, window 0.0040 to 0.0290, effective 101 of 110
    >>> declared = weighted_rate(pi, failed, events_certain=True)
    >>> print(f"{declared.low:.4f} to {declared.high:.4f}")
    0.0041 to 0.0061
    """
    pi, y = check_probabilities(probability), np.asarray(events, np.float64)
    x = np.ones_like(y) if trials is None else np.asarray(trials, np.float64)
    used = x > 0
    pi, y, x = pi[used], y[used], x[used]
    n, n_events, n_eff = len(pi), int((y > 0).sum()), effective_n(1 / pi)
    if not n:
        return Rate(np.nan, np.nan, np.nan, 0, 0, 0.0, target)
    if events_certain and ((y > 0) & (pi < 1)).any():
        hidden = int(((y > 0) & (pi < 1)).sum())
        raise ValueError(f"expected every event to be kept for certain, found {hidden} in traces that were thinned")
    own = weight_classes(pi) if classes is None else np.unique(np.asarray(classes)[used], return_inverse=True)[1]
    r = float((y / pi).sum() / (x / pi).sum())
    if events_certain and target == "window" and (x == 1).all():
        low, high = _all_events_in_hand(pi, float(y.sum()), own, level=level)
    else:
        low, high = _mover(pi, y, x, own, r, target=target, level=level, certain=events_certain)
    return Rate(r, low, high, n, n_events, n_eff, target)


def _all_events_in_hand(pi: Array, events: float, own: Array, *, level: float) -> tuple[float, float]:
    """Return the limits of events a trace where only the number of traces is in doubt: exact counts of each class."""
    kept, stands = np.bincount(own), np.bincount(own, 1 / pi)
    share = np.minimum(kept / stands, 1)
    between = np.array([thinned_count(int(n), float(p), level=level) for n, p in zip(kept, share, strict=True)])
    fewer, more = np.sqrt(((between - stands[:, None]) ** 2).sum(axis=0))
    return events / float(stands.sum() + more), events / max(float(stands.sum() - fewer), len(pi))


def _mover(
    pi: Array, y: Array, x: Array, own: Array, r: float, *, target: Target, level: float, certain: bool
) -> tuple[float, float]:
    """Return the limits of the ratio r; see ``weighted_rate``."""
    count = int(own.max()) + 1

    def by_class(values: Array) -> Array:
        return np.bincount(own, values, minlength=count)

    m, total = np.bincount(own, minlength=count).astype(np.float64), by_class(x)
    p = np.clip(by_class(y) / total, 0, 1)
    residual = by_class((y - p[own] * x) ** 2)
    v = residual / total**2 * m / np.maximum(m - 1, 1)
    n_c = np.where((p > 0) & (p < 1) & (v > 0), p * (1 - p) / np.maximum(v, _TINY), m)
    low, high = jeffreys(p * n_c, n_c, level=level)
    mean_pi, held = by_class(pi) / m, by_class(x / pi)
    shrink = np.sqrt(1 - mean_pi) if target == "window" else np.ones(count)
    shrink = np.where(mean_pi < 1, 0.0, shrink) if certain else shrink
    share, z = held / held.sum(), normal_quantile(level)
    doubt = (1 - pi) if target == "window" else 1.0
    shares = float(z**2 * (doubt * ((p[own] - r) * x / pi) ** 2).sum() / held.sum() ** 2)
    down, up = ((share * shrink * (p - low)) ** 2).sum(), ((share * shrink * (high - p)) ** 2).sum()
    return max(0.0, r - float(np.sqrt(down + shares))), min(1.0, r + float(np.sqrt(up + shares)))


def weighted_total(probability: Array, amounts: Array, *, level: float = 0.95) -> Rate:
    """Return how much there was in the window, kept or not.

    Parameters
    ----------
    probability
        Inclusion probability of each trace.
    amounts
        What is summed: 1 for the number of traces, spans, bytes, ...
    level
        Confidence level.

    Returns
    -------
    Rate
        The Horvitz-Thompson total ``sum w y``; its variance under independent decisions is estimated by
        ``sum (1 - pi) w^2 y^2``, exactly unbiased.  Never below what is in hand.

    Raises
    ------
    ValueError
        A probability outside (0, 1].

    Examples
    --------
    >>> total = weighted_total(np.full(50, 0.1), np.ones(50))
    >>> print(f"{total.value:.0f} ({total.low:.0f} to {total.high:.0f})")
    500 (369 to 631)
    """
    pi, y = check_probabilities(probability), np.asarray(amounts, np.float64)
    value = float((y / pi).sum())
    half = normal_quantile(level) * float(np.sqrt(((1 - pi) * (y / pi) ** 2).sum()))
    low = max(float(y.sum()), value - half) if (y >= 0).all() else value - half
    return Rate(value, low, value + half, len(pi), int((y != 0).sum()), effective_n(1 / pi), "window")


class WeightEffect(NamedTuple):
    """A ratio read off the sample and the weighted one, and whether chance explains the difference.

    Examples
    --------
    >>> WeightEffect(0.134, 0.0093, -20.0, 1e-9).unweighted
    0.134
    """

    unweighted: float
    weighted: float
    z: float
    p: float


def weight_effect(probability: Array, events: Array, trials: Array | None = None) -> WeightEffect:
    """Return whether the weights matter for a ratio.

    Parameters
    ----------
    probability
        Inclusion probability of each trace.
    events, trials
        Sums over each trace; trials are 1 unless given.

    Returns
    -------
    WeightEffect
        z = corr(y - r x, w) sqrt(n - 1): under "the outcome does not depend on the weight" the permutation variance of
        the correlation is exactly 1 / (n - 1) (DuMouchel and Duncan 1983 for the question).  z = 0 and p = 1 where
        weights or outcomes do not vary.

    Raises
    ------
    ValueError
        A probability outside (0, 1].

    Examples
    --------
    >>> effect = weight_effect(np.repeat([1.0, 0.05], [10, 100]), np.repeat([1, 0], [10, 100]))
    >>> round(effect.unweighted, 3), round(effect.weighted, 3), effect.p < 1e-6
    (0.091, 0.005, True)
    """
    pi, y = check_probabilities(probability), np.asarray(events, np.float64)
    x = np.ones_like(y) if trials is None else np.asarray(trials, np.float64)
    w = 1 / pi
    if not x.sum() > 0:
        return WeightEffect(np.nan, np.nan, 0.0, 1.0)
    plain, weighted = float(y.sum() / x.sum()), float((w * y).sum() / (w * x).sum())
    residual, heavy = y - plain * x, w - w.mean()
    residual = residual - residual.mean()
    scale = float(np.sqrt((residual**2).sum() * (heavy**2).sum()))
    z = float((residual * heavy).sum()) / scale * float(np.sqrt(len(w) - 1)) if scale > 0 else 0.0
    return WeightEffect(plain, weighted, z, float(2 * special.ndtr(-abs(z))))
