"""Calibration of weights to known totals: iterative proportional fitting over one or more margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array

_ROUNDS, _SETTLED = 200, 1e-9


class Raked(NamedTuple):
    """Calibrated weights.

    ``factor`` is what each weight was multiplied by; ``imbalance`` the largest relative difference to a wanted total
    that remains; ``at_bound`` how many factors were held by a bound.
    """

    weights: Array
    factor: Array
    imbalance: float
    at_bound: int


def rake(
    weights: Array,
    margins: Sequence[tuple[Array, Array]],
    *,
    bounds: tuple[float, float] | None = (0.2, 5.0),
) -> Raked:
    """Return weights with sums that match the totals of every margin.

    Parameters
    ----------
    weights
        Weights before, positive.
    margins
        Each a pair: cell of every observation (from 0), total of every cell.  One margin is post-stratification.
    bounds
        Smallest and largest factor relative to the mean factor; None for no bounds.

    Returns
    -------
    Raked
        Check ``imbalance`` and ``at_bound`` before using the weights.

    Raises
    ------
    ValueError
        A cell with a positive total and no observation, or one without a total, or margins of different totals.

    Notes
    -----
    Deville and Sarndal 1992 (raking ratio).  Removes only the bias that the margins explain.

    Examples
    --------
    Checkout was sampled twice as often as search:

    >>> raked = rake(np.ones(3), [(np.array([0, 0, 1]), np.array([100.0, 100.0]))])
    >>> raked.weights
    array([ 50.,  50., 100.])
    """
    base = np.asarray(weights, np.float64)
    checked = [_check_margin(number, *margin, len(base)) for number, margin in enumerate(margins)]
    totals = [wanted.sum() for _, wanted in checked]
    if max(totals) - min(totals) > 1e-6 * max(totals):
        raise ValueError(f"expected margins of the same total, found {', '.join(f'{t:g}' for t in totals)}")
    centre = totals[0] / base.sum()
    low, high = (0.0, np.inf) if bounds is None else (bounds[0] * centre, bounds[1] * centre)
    factor = np.full(len(base), centre)
    for _ in range(_ROUNDS):
        for cell, wanted in checked:
            sums = np.bincount(cell, base * factor, minlength=len(wanted))
            factor = np.clip(factor * (wanted / np.where(sums > 0, sums, 1))[cell], low, high)
        if _imbalance(base * factor, checked) < _SETTLED:
            break
    bounded = 0 if bounds is None else int(((factor <= low) | (factor >= high)).sum())
    return Raked(base * factor, factor, _imbalance(base * factor, checked), bounded)


def _check_margin(number: int, cell: Array, wanted: Array, size: int) -> tuple[Array, Array]:
    """Return a margin as arrays; ValueError for a cell that cannot be matched."""
    own, totals = np.asarray(cell, np.int64), np.asarray(wanted, np.float64)
    if len(own) != size or (size and int(own.max()) >= len(totals)):
        raise ValueError(f"expected a cell with a total for each of {size} observations in margin {number}")
    count = np.bincount(own, minlength=len(totals))
    wrong = np.flatnonzero((count == 0) != (totals == 0))
    if len(wrong):
        at = int(wrong[0])
        message = (
            f"expected observations and a total in every cell of margin {number}, found {count[at]} observations"
            f" and a total of {totals[at]:g} in cell {at}; merge it with another"
        )
        raise ValueError(message)
    return own, totals


def _imbalance(weights: Array, margins: Sequence[tuple[Array, Array]]) -> float:
    """Return the largest relative difference between sums and totals."""
    return max(
        float((np.abs(np.bincount(c, weights, minlength=len(t)) - t) / np.where(t > 0, t, 1)).max()) for c, t in margins
    )
