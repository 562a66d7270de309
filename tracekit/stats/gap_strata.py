"""Gaps in one stratum among several that share the same requests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import scipy
from scipy import special

from tracekit.stats.gap_scan import Gap, gap_scan
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array

Outcome = Literal["lost", "moved", "unclear"]
_LEAST, _ALMOST, _WANDERS, _NO_ALARM = 1e-9, 0.9, 0.1, 0.05
_FEWEST, _NONE, _QUOTAS = 12, -7.0, (1, 2, 5, 20)  # bins that show a load; logarithm of no reservoir; those tried


class Stratum(NamedTuple):
    """Traces of a stratum by bin, the requests behind them, and the traces of its peers.

    ``others`` is None where the requests are those of the stratum alone; otherwise they are those of the peers too.

    Examples
    --------
    >>> Stratum(np.array([3]), np.array([100.0]), np.array([27])).base
    array([30])
    """

    traced: Array
    requests: Array
    others: Array | None = None

    @property
    def base(self) -> Array:
        """The base of the stratum's fraction: its requests, or the traces of all peers."""
        return self.requests if self.others is None else np.asarray(self.traced + self.others)

    def without(self, gap: Gap) -> Stratum:
        """Return the stratum without the bins of a gap."""
        kept = np.ones(len(self.traced), bool)
        kept[gap.start : gap.end] = False
        others = None if self.others is None else np.where(kept, self.others, 0)
        return Stratum(np.where(kept, self.traced, 0), np.where(kept, self.requests, 0), others)

    def worst(self, *, seed: int = 0) -> Gap:
        """Return the worst drop of the fraction: of the traces expected by load, or of those of all peers."""
        if self.others is None:
            return gap_scan(self.traced, self.requests, expected=due_by_load(self.traced, self.requests), seed=seed)
        gap = gap_scan(self.traced, self.base, seed=seed)
        if gap.p >= _NO_ALARM:
            return gap
        due = _of_all(self, gap).of_part
        return gap._replace(expected=due, loss=float(1 - gap.traced / due) if due > 0 else 0.0)


def due_by_load(traced: Array, requests: Array) -> Array:
    """Return the expected traces by bin, up to a factor, also for samplers with a reservoir.

    Parameters
    ----------
    traced, requests
        By bin.

    Returns
    -------
    numpy.ndarray
        The requests, unless a reservoir explains much more: then ``T + p (N - T)``, where ``T = C / q E min(X, q)`` is
        what reservoirs of q a second, C a bin, take of N requests that come at random, X ~ Poisson(N q / C).

    Notes
    -----
    A reservoir keeps much of the quiet hours and little of the busy ones: beside the requests alone its share wanders
    so far that no gap is seen.  C and p are fitted by least squares that outliers hardly move (Huber's soft one) for
    some q, and the best is believed where it halves what one share leaves unexplained; a gap does not do that.
    At most nine in ten are due, since who keeps all leaves chance no part.

    Examples
    --------
    >>> requests = np.array([30.0, 60, 600, 1200, 2400] * 8)
    >>> taken = 60 * (1 - np.exp(-requests / 60))
    >>> due_by_load(np.round(taken + 0.05 * (requests - taken)), requests)[2:5].round().tolist()
    [87.0, 117.0, 177.0]
    >>> due_by_load(np.round(0.05 * requests), requests)[:3].tolist()
    [30.0, 60.0, 600.0]
    """
    n, m = np.asarray(traced, np.float64), np.asarray(requests, np.float64)
    used = m > 0
    if used.sum() < _FEWEST or not n.any():
        return m

    def due(cells: float, share: float, quota: int) -> Array:
        taken = cells / quota * special.pdtrc(np.arange(quota)[:, None], m * quota / cells).sum(axis=0)
        return np.asarray(taken + share * (m - taken))

    def beyond(fitted: Array, quota: int) -> Array:
        return np.asarray((n - due(math.exp(fitted[0]), fitted[1], quota))[used] / np.sqrt(n[used] + 1))

    top, share = math.log(float(n.max())) + 1, float(n.sum() / m.sum())
    least_squares = scipy.optimize.least_squares
    one = least_squares(lambda p: beyond(np.array([_NONE, p[0]]), 1), [min(share, 1)], loss="soft_l1", bounds=(0, 1))
    if one.cost <= used.sum():  # half a bin is what chance leaves
        return m
    begin = [min(math.log(max(float(np.median(n[used])) / 2, 1.0)), top - 1), share / 2]
    tried = [
        (quota, least_squares(beyond, begin, loss="soft_l1", bounds=([_NONE, 0], [top, 1]), args=(quota,)))
        for quota in _QUOTAS
    ]
    quota, best = min(tried, key=lambda one: one[1].cost)
    is_better = best.cost < one.cost / 2
    return np.minimum(due(math.exp(best.x[0]), best.x[1], quota), _ALMOST * m) if is_better else m


def gaps_by_stratum(strata: Sequence[Stratum], *, seed: int = 0) -> list[tuple[Gap, float]]:
    """Return the worst drop of every stratum, with its p-value as the false discovery rate over all of them.

    Parameters
    ----------
    strata
        One family: services, zones, hosts, ...
    seed
        Of the draws.

    Returns
    -------
    list of tuple
        ``Gap`` and q, in the order of the strata.

    Notes
    -----
    ``stats.gap_scan`` of each, then Benjamini and Hochberg.  A gap of one of many is invisible in the whole: a twelfth
    of the traces is less than the share of the whole wanders by.  Beside peers a stratum is judged as a share of all
    their traces, so that what befalls all of them is a gap of none.

    Examples
    --------
    >>> calm, down = np.full(120, 30), np.full(120, 30)
    >>> down[50:59] = 3
    >>> found = gaps_by_stratum([Stratum(calm, np.full(120, 600)), Stratum(down, np.full(120, 600))])
    >>> [(gap.start, gap.end, bool(q < 0.01)) for gap, q in found]
    [(0, 0, False), (50, 59, True)]
    """
    found = [one.worst(seed=seed) for one in strata]
    return list(zip(found, false_discovery(np.array([gap.p for gap in found])).tolist(), strict=True))


class Shortfall(NamedTuple):
    """Missing traces of a stratum and its peers in a window in which the stratum's fraction drops.

    ``missing`` traces of the stratum are missing there, ``lacking`` of all together, with standard error ``error``;
    ``p`` is the probability of lacking so many where nothing was lost.

    Examples
    --------
    >>> Shortfall(90.0, 90.0, 15.0, 1e-9).outcome()
    'lost'
    """

    missing: float
    lacking: float
    error: float
    p: float

    def outcome(self, q: float | None = None, *, most: float = 0.05, confidence: float = 0.95) -> Outcome:
        """Return whether the missing traces of the stratum were lost, or moved to its peers.

        Parameters
        ----------
        q
            ``p`` adjusted for all the windows that are judged; ``p`` itself unless given.
        most
            The largest ``q`` that counts as lost.
        confidence
            Confidence level.

        Returns
        -------
        str
            ``lost`` where all together lack significantly many, and more than half of what the stratum lacks; ``moved``
            where they lack less than half of it, with confidence; else ``unclear``.
        """
        if (self.p if q is None else q) < most and self.lacking > self.missing / 2:
            return "lost"
        return "moved" if self.lacking + normal_quantile(confidence) * self.error < self.missing / 2 else "unclear"


def shortfall(stratum: Stratum, gap: Gap) -> Shortfall:
    """Return the missing traces of a stratum and its peers while the stratum's fraction drops.

    Parameters
    ----------
    stratum
        With its peers; without them (requests of its own) what is missing is lost.
    gap
        Its drop.

    Returns
    -------
    Shortfall
        Fail-over, scaling and deployments move requests from one stratum to another and leave the sum as it is; a loss
        lowers the sum by what the stratum lacks.

    Notes
    -----
    Due in the window is what the requests leave at the share of them that is traced outside the window
    (``due_by_load``), so never more than the requests.  The sum varies as a binomial one;
    where Pearson's chi squared shows outside the window that it varies significantly more (10%), by as much more, and
    no less than over other windows of that length, since a share that wanders does so for a while.  The usual share is
    itself an estimate.

    Examples
    --------
    Nine minutes long, one of four did nothing; the others did its work, or did not.

    >>> requests, own = np.full(120, 600), np.full(120, 30)
    >>> own[50:59] = 0
    >>> parts = [Stratum(own, requests, np.where(own == 0, n, 90)) for n in (120, 90, 107)]
    >>> [shortfall(part, part.worst()).outcome() for part in parts]
    ['moved', 'lost', 'unclear']
    """
    missing = gap.expected - gap.traced
    if stratum.others is None:
        return Shortfall(missing, missing, 0.0, 0.0)
    total, requests = stratum.base, np.asarray(stratum.requests, np.float64)
    due, within = _of_all(stratum, gap)[:2]
    rest = ~within & (requests > 0)
    spread = np.maximum(due * (1 - np.minimum(due / np.maximum(requests, 1), 1)), _LEAST)
    free = max(int(rest.sum()) - 1, 1)
    chi = float(((total - due) ** 2 / spread)[rest].sum()) / free
    wanted, noise = float(due[within].sum()), float(spread[within].sum())
    if chi > special.chdtri(free, _WANDERS) / free:
        sums = np.convolve(np.where(within, 0.0, total - due), np.ones(gap.end - gap.start), "valid")
        noise = max(noise * chi, float(sums.var()))
    of_reference = 1 + wanted / max(float(due[rest].sum()), 1.0)
    error = math.sqrt(noise * of_reference)
    lacking = wanted - float(total[within].sum())
    return Shortfall(missing, lacking, error, float(special.ndtr(-lacking / error)))


class _Due(NamedTuple):
    """Traces due of all strata by bin, which bins lie in the window, and how many of the stratum are due there."""

    of_all: Array
    within: Array
    of_part: float


def _of_all(stratum: Stratum, gap: Gap) -> _Due:
    """Return the expected traces in a window given the fractions outside it."""
    assert stratum.others is not None
    total, requests = np.asarray(stratum.base, np.float64), np.asarray(stratum.requests, np.float64)
    within = np.zeros(len(requests), bool)
    within[gap.start : gap.end] = True
    rest = ~within & (requests > 0)
    load = due_by_load(total, requests)
    scale = total[rest].sum() / max(float(load[rest].sum()), _LEAST)
    due = np.minimum(load * scale, requests)
    usual = stratum.traced[rest].sum() / max(float(total[rest].sum()), 1.0)
    left = float((requests - stratum.others)[within].sum())
    return _Due(due, within, max(min(float(due[within].sum() * usual), left), 0.0))
