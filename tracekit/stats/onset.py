"""When events became more frequent: limits of the place of a step in a sequence of outcomes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.schema import Array


class Onset(NamedTuple):
    """The number of outcomes before the step: the most likely one, and its limits.

    Examples
    --------
    >>> onset_limits(np.array([0, 0, 1, 0, 0, 0, 1, 1, 1, 1], bool), 0.1)
    Onset(value=6, low=1, high=7)
    """

    value: int
    low: int
    high: int


def onset_limits(is_event: Array, usual_ratio: float, *, confidence: float = 0.95, dispersion: float = 1.0) -> Onset:
    """Return how many outcomes came before their events became more frequent.

    Parameters
    ----------
    is_event
        bool, one per outcome, in the order of time.
    usual_ratio
        Share of events before the step, strictly between 0 and 1.
    confidence
        Confidence level of the limits.
    dispersion
        How many times the variance of independent outcomes theirs is, at least 1; wider limits where events come in
        bursts.

    Returns
    -------
    Onset
        0 where the events were more frequent from the first outcome on.

    Raises
    ------
    ValueError
        No outcomes, or a share that is not between 0 and 1.

    Notes
    -----
    The places whose likelihood is within a factor of the largest.  With known shares, the likelihood of the places on
    either side of the step is a random walk that exceeds that of the step by ``x`` with a probability of at most
    ``exp(-x)``, so that the limits are ``-log(1 - sqrt(confidence))`` below the largest.  Source: Siegmund 1988,
    Confidence sets in change-point problems.  Divided by the dispersion
    (quasi-likelihood); the share after the step is the
    most likely one for each place, but not less than the usual one.
    """
    outcomes = np.asarray(is_event, bool)
    if not len(outcomes) or not 0 < usual_ratio < 1:
        raise ValueError(f"expected outcomes and a share between 0 and 1, found {len(outcomes)} and {usual_ratio!r}")
    before = np.concatenate([[0], np.cumsum(outcomes)])[:-1]
    events = outcomes.sum() - before
    rest = len(outcomes) - np.arange(len(outcomes))
    share = np.maximum(events / rest, usual_ratio)
    gain = _log_likelihood(events, rest, share) - _log_likelihood(events, rest, np.full(len(rest), usual_ratio))
    places = np.flatnonzero(gain >= gain.max() + dispersion * math.log(1 - math.sqrt(confidence)))
    return Onset(int(gain.argmax()), int(places.min()), int(places.max()))


def _log_likelihood(events: Array, count: Array, share: Array) -> Array:
    """Return the log-likelihood of so many events among so many outcomes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = np.where(count > events, (count - events) * np.log1p(-share), 0.0)
        return np.asarray(np.where(events > 0, events * np.log(share), 0.0) + misses)
