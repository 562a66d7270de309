"""Sequential test whether a sample has the mix of the traffic, valid at any time while it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from tracekit.schema import Array

_PRIOR = 100.0  # prior weight in traces of equal rates at the start, and of every stratum's own rate
_OWN = 10.0


def anytime_mix(sampled: Array, requests: Array) -> Array:
    """Return the anytime-valid p-value of unequal sampling rates, window by window.

    Parameters
    ----------
    sampled, requests
        One row per window in the order of time, one column per stratum; windows and strata without requests are
        ignored.

    Returns
    -------
    numpy.ndarray
        float64, one per window: under equal sampling rates it ever falls below a with probability at most a; it never
        increases.

    Raises
    ------
    ValueError
        Arrays that are not windows x strata.

    Notes
    -----
    Given n sampled in a window, the counts are multinomial with the shares of the requests (hypergeometric if many of
    them are sampled, for which this is conservative).  The wealth of a bettor who puts a Dirichlet mixture against it,
    centred on the shares times the rates that the windows before suggest, is a martingale of mean 1 that exceeds 1 / a
    with probability at most a (Ville 1939); the result is 1 / its maximum.  Shares may change from window to window.
    Source: Lindon and Malek 2020 (arXiv 2011.03567), who keep the shares fixed.

    Examples
    --------
    Refunds are sampled at half the rate of the rest:

    >>> requests = np.tile([900, 100], (60, 1))
    >>> sampled = np.tile([90, 5], (60, 1))
    >>> chance = anytime_mix(sampled, requests)
    >>> print(f"{chance[0]:.2f} after a minute, {chance[-1]:.0e} after an hour")
    0.67 after a minute, 7e-36 after an hour
    >>> print(f"{anytime_mix(0 * sampled + [90, 10], requests)[-1]:.2f} with equal rates")
    1.00 with equal rates
    """
    kept, total_requests = (
        np.atleast_2d(np.asarray(sampled, np.float64)),
        np.atleast_2d(np.asarray(requests, np.float64)),
    )
    if kept.shape != total_requests.shape:
        raise ValueError(f"expected two arrays of windows x strata, found {kept.shape} and {total_requests.shape}")
    total = total_requests.sum(axis=1, keepdims=True)
    share = total_requests / np.where(total > 0, total, 1)
    kept = np.where(share > 0, kept, 0.0)
    due = kept.sum(axis=1, keepdims=True) * share
    before, due_before = (np.cumsum(one, axis=0) - one for one in (kept, due))
    rate = share * (_OWN + before) / (_OWN + due_before)
    belief = (_PRIOR + before.sum(axis=1, keepdims=True)) * rate / np.maximum(rate.sum(axis=1, keepdims=True), 1e-300)
    some = np.where(share > 0, belief, 1.0)
    mixture = (special.gammaln(some + kept) - special.gammaln(some)).sum(axis=1)
    whole = belief.sum(axis=1)
    mixture += np.where(whole > 0, special.gammaln(np.maximum(whole, 1e-300)), 0)
    mixture -= np.where(whole > 0, special.gammaln(np.maximum(whole + kept.sum(axis=1), 1e-300)), 0)
    wealth = np.cumsum(mixture - special.xlogy(kept, np.where(share > 0, share, 1)).sum(axis=1))
    return np.asarray(np.exp(-np.maximum(np.maximum.accumulate(wealth), 0.0)))
