"""Rates of a sampled population: every trace has an inclusion probability, and weight 1 / probability.

Sums over traces throughout (``intervals.cluster_sums``), so spans within a trace may be dependent.  ``rates`` computes
rates with limits; ``clustered_rates`` and ``weighted_rate`` compute its sums from rows and from one entry per trace.
There are two targets: ``window`` is what happened in the window (a finite population: a trace kept with probability 1
adds no uncertainty), ``process`` the underlying rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tracekit.stats.intervals import Ratio, cluster_sums, effective_clusters, effective_n, normal_quantile
from tracekit.stats.mover import WeightClasses, class_cells, weight_classes
from tracekit.stats.thinned import thinned_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.schema import Array

Target = Literal["window", "process"]
_TINY = 1e-12  # of the variance of independent trials: what is less is rounding


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
        """Design effect of the weights: n over the effective n."""
        return self.n / self.n_effective if self.n_effective > 0 else float("nan")

    def __str__(self) -> str:
        counted = f"n = {self.n:,}, effective {self.n_effective:,.0f}, {self.target}"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}; {counted})"


def check_probabilities(probability: Array) -> Array:
    """Return inclusion probabilities as float64.

    Parameters
    ----------
    probability
        One per trace.

    Returns
    -------
    numpy.ndarray
        The same numbers.

    Raises
    ------
    ValueError
        One that is missing, 0 or less, or above 1; exclude traces of unknown probability.

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
            f" and {len(wrong) - 1} more; exclude traces of unknown probability"
        )
        raise ValueError(message)
    return pi


def rates(
    sums: Mapping[str, Array],
    owner: Array,
    groups: int,
    *,
    confidence: float = 0.95,
    inside: Array | float = 1.0,
    across: Array | float = 1.0,
) -> Ratio:
    """Return events per trial of each group, with an interval that keeps its coverage under unequal weights.

    Parameters
    ----------
    sums
        As ``intervals.cluster_sums`` makes them, one entry a group and weight class (``mover.weight_classes``); sums of
        several such tables do as well.
    owner
        Group of each entry, ascending.
    groups
        Number of groups.
    confidence
        Confidence level.
    inside, across
        See ``mover.WeightClasses``: 1 for the process behind the traces.

    Returns
    -------
    Ratio
        ``sum w y / sum w x`` (Hajek); NaN without trials.  Limits are NaN where classes of fewer than three effective
        traces have more than half of the weight.

    Notes
    -----
    MOVER over weight classes (``mover.WeightClasses.limits``).  The effective number of trials of a class is
    ``p (1 - p) / v`` with the linearised variance ``v = m / (m - 1) sum (w y - p w x)^2 / (sum w x)^2`` over its m
    traces, at most the number of its trials; the effective number of traces where nothing or everything happened.
    Assumes that every kind of request that was sampled at a rate of its own left at least one trace: nothing recorded
    can show the others.  Fewer than ten traces with an event: read the interval as a rough guide.

    Examples
    --------
    Ten requests of three spans each; in two of them all three spans failed.

    >>> sums = cluster_sums(np.zeros(30, int), np.repeat(np.arange(10), 3), np.arange(30) < 6, np.ones(10), 1)
    >>> found = rates(sums, np.zeros(1, int), 1)
    >>> print(f"{found.ratio[0]:.2f} ({found.low[0]:.2f} to {found.high[0]:.2f}), {found.n_effective[0]:.0f} traces")
    0.20 (0.02 to 0.58), 10 traces
    """
    total, m, n = sums["trial_sum"], sums["cluster_count"], effective_clusters(sums)
    x = np.where(total > 0, total, 1.0)
    p = np.clip(sums["event_sum"] / x, 0, 1)
    residual = sums["event_square"] - 2 * p * sums["trial_event"] + p * p * sums["trial_square"]
    v = np.maximum(residual, 0) / x**2 * m / np.maximum(m - 1, 1)
    most = x**2 / np.where(total > 0, sums["weight_square"], 1.0)
    usable = (p > 0) & (p < 1) & (m > 1) & (v > _TINY * p * (1 - p) / np.maximum(most, 1))
    trials = np.where(usable, np.minimum(p * (1 - p) / np.where(usable, v, 1.0), most), n)
    classes = WeightClasses(owner, groups, total, n, inside, across)
    low, high = classes.limits(p[:, None], trials[:, None], confidence=confidence)
    return Ratio(classes.shares(p[:, None])[:, 0], low[:, 0], high[:, 0], _effective(sums, owner, groups))


def _effective(sums: Mapping[str, Array], owner: Array, groups: int) -> Array:
    """Return the effective number of traces of each group."""
    names = ("trial_sum", "trial_square")
    return effective_clusters({name: np.bincount(owner, sums[name], groups) for name in names})


def clustered_rates(
    group: Array, cluster: Array, is_event: Array, weights: Array, groups: int, *, confidence: float = 0.95
) -> Ratio:
    """Return weighted shares of events among the trials of each group, with intervals clustered by trace.

    Parameters
    ----------
    group, cluster, is_event
        Group, trace and outcome of every trial.
    weights
        Weight of each trace.
    groups
        Number of groups.
    confidence
        Confidence level.

    Returns
    -------
    Ratio
        One entry per group, as ``rates`` gives it.

    Examples
    --------
    >>> found = clustered_rates(np.zeros(3, int), np.arange(3), np.array([True, False, False]), np.ones(3), 1)
    >>> found.ratio.round(2).tolist()
    [0.33]
    """
    codes, labels = weight_classes(weights)
    cell, owner, _ = class_cells(group, codes[cluster], len(labels))
    return rates(cluster_sums(cell, cluster, is_event, weights, len(owner)), owner, groups, confidence=confidence)


def weighted_rate(
    probability: Array,
    events: Array,
    trials: Array | None = None,
    *,
    target: Target = "window",
    confidence: float = 0.95,
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
    confidence
        Confidence level.
    events_certain
        A **declared** policy keeps every event, so traces that were thinned hide none.  Believed only where the events
        recorded agree with it.
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
    The limits are those of ``rates``; for the window the doubt about the rate of a class shrinks by ``sqrt(1 - mean
    pi)``, that about its number of traces by the share of its variance that is left.  A class without events still
    contributes its upper limit.  Where every event of the window is in hand, only the number of traces is in doubt, and
    the limits are those of ``thinned.thinned_count``.  Fewer than ten traces with an event: a clustered rate is not
    assessable.

    Examples
    --------
    All ten failures were kept, and one in twenty of the rest: 9% of the sample failed, 0.5% of the traffic.

    >>> pi, failed = np.repeat([1.0, 0.05], [10, 100]), np.repeat([1, 0], [10, 100])
    >>> rate = weighted_rate(pi, failed)
    >>> print(
    ...     f"{rate.value:.4f}, window {rate.low:.4f} to {rate.high:.4f}, effective {rate.n_effective:.0f} of {rate.n}"
    ... )
    0.0050, window 0.0041 to 0.0401, effective 101 of 110
    >>> declared = weighted_rate(pi, failed, events_certain=True)
    >>> print(f"{declared.low:.4f} to {declared.high:.4f}")
    0.0041 to 0.0061
    """
    pi, y = check_probabilities(probability), np.asarray(events, np.float64)
    x = np.ones_like(y) if trials is None else np.asarray(trials, np.float64)
    used = x > 0
    pi, y, x = pi[used], y[used], x[used]
    n, n_events, n_effective = len(pi), int((y > 0).sum()), effective_n(1 / pi)
    if not n:
        return Rate(np.nan, np.nan, np.nan, 0, 0, 0.0, target)
    if events_certain and ((y > 0) & (pi < 1)).any():
        hidden = int(((y > 0) & (pi < 1)).sum())
        raise ValueError(f"expected every event in traces with probability 1, found {hidden} in others")
    given = weight_classes(1 / pi)[0] if classes is None else np.asarray(classes)[used]
    own = np.unique(given, return_inverse=True)[1]
    r = float((y / pi).sum() / (x / pi).sum())
    if events_certain and target == "window" and (x == 1).all():
        low, high = _all_events_in_hand(pi, float(y.sum()), own, confidence=confidence)
    else:
        low, high = _limits(pi, y, x, own, target=target, confidence=confidence, certain=events_certain)
    return Rate(r, low, high, n, n_events, n_effective, target)


def _all_events_in_hand(pi: Array, events: float, own: Array, *, confidence: float) -> tuple[float, float]:
    """Return the limits of events per trace if only the number of traces is uncertain: exact counts by class."""
    kept, stands = np.bincount(own), np.bincount(own, 1 / pi)
    share = np.minimum(kept / stands, 1)
    between = np.array(
        [thinned_count(int(n), float(p), confidence=confidence) for n, p in zip(kept, share, strict=True)]
    )
    fewer, more = np.sqrt(((between - stands[:, None]) ** 2).sum(axis=0))
    return events / float(stands.sum() + more), events / max(float(stands.sum() - fewer), len(pi))


def _limits(
    pi: Array, y: Array, x: Array, own: Array, *, target: Target, confidence: float, certain: bool
) -> tuple[float, float]:
    """Return the limits of one rate from one entry per trace."""
    count, wx, wy = int(own.max()) + 1, x / pi, y / pi

    def by_class(values: Array) -> Array:
        return np.bincount(own, values, minlength=count)

    m = np.bincount(own, minlength=count)
    sums = {
        "cluster_count": m,
        "trial_sum": by_class(wx),
        "event_sum": by_class(wy),
        "weight_square": by_class(wx / pi),
    }
    sums |= {"trial_square": by_class(wx * wx), "trial_event": by_class(wx * wy), "event_square": by_class(wy * wy)}
    inside, across = np.ones(count), np.ones(count)
    if target == "window":
        inside = np.sqrt(1 - by_class(pi) / m)
        across = np.sqrt(by_class((1 - pi) * wx * wx) / sums["trial_square"])
    if certain:
        inside = np.where(by_class(pi) < m, 0.0, inside)
    found = rates(sums, np.zeros(count, np.int64), 1, confidence=confidence, inside=inside, across=across)
    return float(found.low[0]), float(found.high[0])


def weighted_total(probability: Array, amounts: Array, *, confidence: float = 0.95) -> Rate:
    """Return the total in the window, recorded or not.

    Parameters
    ----------
    probability
        Inclusion probability of each trace.
    amounts
        What is summed: 1 for the number of traces, spans, bytes, ...
    confidence
        Confidence level.

    Returns
    -------
    Rate
        The Horvitz-Thompson total ``sum w y``; its variance under independent decisions is estimated by
        ``sum (1 - pi) w^2 y^2``, exactly unbiased.  Never below what is recorded.

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
    half = normal_quantile(confidence) * float(np.sqrt(((1 - pi) * (y / pi) ** 2).sum()))
    low = max(float(y.sum()), value - half) if (y >= 0).all() else value - half
    return Rate(value, low, value + half, len(pi), int((y != 0).sum()), effective_n(1 / pi), "window")


def total_count(number: int, total: float, squares: float, *, confidence: float = 0.95) -> Rate:
    """Return the number of traces in the window, recorded or not, from sums that add up over parts.

    Parameters
    ----------
    number
        Recorded traces.
    total, squares
        Sums of 1 / p and of its square, where p is the inclusion probability of each.
    confidence
        Confidence level.

    Returns
    -------
    Rate
        As ``weighted_total`` of as many ones.

    Examples
    --------
    >>> total_count(50, 500.0, 5000.0) == weighted_total(np.full(50, 0.1), np.ones(50))
    True
    """
    half = normal_quantile(confidence) * float(np.sqrt(max(squares - total, 0.0)))
    n_effective = total**2 / squares if squares else 0.0
    return Rate(total, max(float(number), total - half), total + half, number, number, n_effective, "window")


class WeightEffect(NamedTuple):
    """An unweighted and a weighted ratio, and the significance of their difference."""

    unweighted: float
    weighted: float
    z: float
    p: float


def weight_effect(probability: Array, events: Array, trials: Array | None = None) -> WeightEffect:
    """Return the effect of the weights on a ratio, with its significance.

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
    from scipy.special import ndtr  # noqa: PLC0415 - a sixth of the imports of a command

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
    return WeightEffect(plain, weighted, z, float(2 * ndtr(-abs(z))))
