"""Many hypotheses at once, and resampling by trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.schema import Array


def false_discovery(p: Array) -> Array:
    """Return Benjamini and Hochberg's adjusted p-values.

    Parameters
    ----------
    p
        One a hypothesis; NaN where nothing was tested.

    Returns
    -------
    numpy.ndarray
        Rejecting those up to 5 % leaves at most 5 % false ones among the rejected, on average; NaN stays NaN.

    Raises
    ------
    ValueError
        A p-value outside 0 to 1.

    Notes
    -----
    Benjamini and Hochberg 1995, by ``scipy.stats.false_discovery_control``.

    Examples
    --------
    >>> false_discovery(np.array([0.001, 0.04, np.nan, 0.5]))
    array([0.003, 0.06 ,   nan, 0.5  ])
    """
    values = np.asarray(p, np.float64)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise ValueError(f"expected p-values between 0 and 1, found {values[known].min()} to {values[known].max()}")
    adjusted = np.full(len(values), np.nan)
    if known.any():
        adjusted[known] = stats.false_discovery_control(values[known])
    return adjusted


def permutation_p(
    statistic: Callable[[Array], float], is_treated: Array, *, repeats: int = 999, seed: int = 0
) -> tuple[float, float]:
    """Return a statistic and how often chance reaches it, by exchanging which traces are treated.

    Parameters
    ----------
    statistic
        Takes a bool a trace, returns a number; far from 0 is extreme.
    is_treated
        Which traces really are.
    repeats
        Permutations.
    seed
        The same seed gives the same answer.

    Returns
    -------
    tuple of float
        The statistic, and ``(1 + #{|permuted| >= |observed|}) / (repeats + 1)``: two-sided, never 0.

    Notes
    -----
    The traces are exchanged whole, because their spans depend on each other (Phipson and Smyth 2010 for the +1).

    Examples
    --------
    >>> took = np.array([10, 11, 12, 13, 30, 31, 32, 33])
    >>> slow, p = permutation_p(lambda is_new: took[is_new].mean() - took[~is_new].mean(), np.arange(8) > 3)
    >>> slow, p < 0.05
    (20.0, True)
    """
    rng, chosen = np.random.default_rng(seed), np.asarray(is_treated, bool)
    observed = float(statistic(chosen))
    reached = sum(abs(statistic(rng.permutation(chosen))) >= abs(observed) * (1 - 1e-12) for _ in range(repeats))
    return observed, (1 + int(reached)) / (repeats + 1)


def bootstrap_limits(
    statistic: Callable[[Array], float], clusters: int, *, repeats: int = 999, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Return a statistic with its percentile interval, by drawing traces with replacement.

    Parameters
    ----------
    statistic
        Takes how often each trace was drawn (int, one a trace), returns a number; use the counts as extra weights.
    clusters
        Number of traces.
    repeats
        Draws.
    confidence
        Confidence level.
    seed
        The same seed gives the same answer.

    Returns
    -------
    tuple of float
        The statistic of the traces as they are, lower and upper limit.  Draws for which it is NaN are left out; with
        fewer than half of them left the limits are NaN.

    Raises
    ------
    ValueError
        No traces.

    Notes
    -----
    Efron 1979, the cluster as the unit.  The target is the process.

    Examples
    --------
    >>> took = np.arange(100.0)
    >>> mean, low, high = bootstrap_limits(lambda drawn: np.average(took, weights=drawn), 100)
    >>> print(f"{mean:.1f} ({low:.0f} to {high:.0f})")
    49.5 (44 to 55)
    """
    if clusters < 1:
        raise ValueError(f"expected at least one trace to draw from, found {clusters}")
    rng = np.random.default_rng(seed)
    share = np.full(clusters, 1 / clusters)
    drawn = np.array([statistic(rng.multinomial(clusters, share)) for _ in range(repeats)], np.float64)
    point, drawn = float(statistic(np.ones(clusters, np.int64))), drawn[~np.isnan(drawn)]
    if 2 * len(drawn) < repeats:
        return point, np.nan, np.nan
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return point, float(low), float(high)
