"""Scan for windows in which the fraction of traced requests drops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import xlogy

if TYPE_CHECKING:
    from tracekit.schema import Array

_EULER = 0.5772156649
_PLAINLY_CHANCE = 4  # null scans that reach the observed one: then the p-value is known well enough
_PLAINLY_NOT_SD = 10  # so far above the null that its Gumbel tail is far below any level
_FIRST_LOOK, _AT_ONCE = 20, 200_000  # null scans before that is asked, and counts that are scanned together
_OUTLIER_SD = 3.5
_ONE_SD = (0.1587, 0.5, 0.8413)
_LEAST = 1e-9
_DUE, _WITHIN_SD = 2.0, 3.0  # traces that must be due in a bin; drops that some of a dozen windows show by chance


class Gap(NamedTuple):
    """The worst drop: bins ``start`` up to ``end``, and its p-value.

    ``traced`` and ``expected`` are the received and expected traces, ``loss`` the missing fraction; ``share`` is the
    usual fraction of the expectation and ``rho`` its overdispersion; ``z`` ranks drops.
    """

    z: float
    p: float
    start: int
    end: int
    traced: float
    expected: float
    loss: float
    share: float
    rho: float


def window_lengths(longest: int) -> list[int]:
    """Return the window lengths to scan, geometric above five.

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
    traced: Array,
    requests: Array,
    *,
    expected: Array | None = None,
    longest: int | None = None,
    replicates: int = 199,
    seed: int = 0,
) -> Gap:
    """Return the worst drop of traced / requests over all windows, with a p-value corrected for the search.

    Parameters
    ----------
    traced, requests
        By bin, in order of time; no more traced than requests.
    expected
        Traces expected from the sampling rules, up to a factor, if their rate varies with load (reservoirs); default:
        the requests.
    longest
        Longest window in bins; default: a seventh of all.
    replicates
        Number of bootstrap replicates.
    seed
        Seed of the draws.

    Returns
    -------
    Gap
        ``start == end`` if nothing drops.

    Notes
    -----
    The usual share and its beta-binomial overdispersion are estimated robustly, and again without the suspect window,
    so that an outage does not bias them. Bins are first joined until about two traces are expected in each.  Windows
    are ranked by the signed root of the binomial deviance; the worst is widened by bins beside it that lost more than
    half as much, and loses those at its ends that did not, since only some lengths are tried.  The null is a parametric
    bootstrap of the whole procedure; where neighbouring bins agree more than chance allows (lag-1 correlation above 3 /
    sqrt(bins)) the share wanders as an AR(1) on the log scale.  It ends early where chance is plainly enough (Besag and
    Clifford 1991) or ten standard deviations away, and does not begin where the worst lies within three; where none of
    the null reaches it, a Gumbel tail gives the p-value.

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
    counts = np.asarray(requests, np.float64)
    due = counts if expected is None else np.asarray(expected, np.float64)
    if not ((counts > 0) & (due > 0)).any():
        return _NO_GAP
    first = _joined(np.asarray(traced, np.float64), due)
    (n, m, due) = (np.add.reduceat(np.asarray(column, np.float64), first) for column in (traced, counts, due))
    usual = _Usual(m, due)
    lengths = window_lengths(min(longest or max(5, len(m) // 7), len(m)))
    scan, fit = _fit_and_scan(n[None], usual, lengths)
    z = float(scan.z[0])
    due = usual.mean(fit.scale)[0]
    start, end = _fitted(n, due, int(scan.start[0]), int(scan.end[0]))
    came, wanted = float(n[start:end].sum()), float(due[start:end].sum())
    loss = 1 - came / max(wanted, _LEAST) if end > start else 0.0
    begin, stop = (int(at) for at in np.append(first, len(counts))[[start, end]])
    p = _p_value(z, _null(n, usual, fit, lengths, z, replicates=replicates, seed=seed)) if z > _WITHIN_SD else 1.0
    return Gap(z, p, begin, stop, came, wanted, loss, float(fit.scale[0]), float(fit.rho[0]))


_NO_GAP = Gap(0.0, 1.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _joined(traced: Array, due: Array) -> Array:
    """Return the starts of bins joined until about two traces are expected in each."""
    count = np.cumsum(due) * (traced.sum() / due.sum())
    return np.flatnonzero(np.diff(np.floor(count / _DUE + _LEAST), prepend=-1) > 0)


def _null(
    traced: Array, usual: _Usual, fit: _Fit, lengths: list[int], z: float, *, replicates: int, seed: int
) -> Array:
    """Return the worst drops of simulations without gaps, as many as needed to estimate the p-value of ``z``."""
    null, wander, rng = np.zeros(0), _wander(traced, usual, fit), np.random.default_rng(seed)
    counts = np.rint(usual.requests).astype(np.int64)
    while len(null) < replicates and not _is_plain(z, null):
        most = _FIRST_LOOK if len(null) < 2 * _FIRST_LOOK else max(_AT_ONCE // len(counts), _FIRST_LOOK)
        share = _null_shares(rng, usual, fit, wander, min(most, replicates - len(null)))
        drawn = rng.binomial(counts, share).astype(np.float64)
        null = np.concatenate((null, _fit_and_scan(drawn, usual, lengths)[0].z))
    return null


class _Usual(NamedTuple):
    """Requests by bin, and the expected number of traced ones, up to a factor."""

    requests: Array
    expected: Array

    @property
    def counts(self) -> Array:
        """Which bins are informative."""
        return np.asarray((self.requests > 0) & (self.expected > 0))

    @property
    def more(self) -> Array:
        """Requests of a bin minus one, the factor of overdispersion."""
        return np.asarray(np.maximum(self.requests - 1, 0))

    def mean(self, scale: Array) -> Array:
        """Return the expected traces, one row per factor."""
        return np.asarray(np.minimum(scale[:, None] * self.expected, self.requests))

    def variance(self, mean: Array) -> Array:
        """Return the binomial variance of the expected traces."""
        return np.asarray(np.maximum(mean * (1 - mean / np.maximum(self.requests, _LEAST)), _LEAST))


class _Fit(NamedTuple):
    """For every row of counts: the factor, the overdispersion, and the bins used."""

    scale: Array
    rho: Array
    used: Array


class _Scan(NamedTuple):
    """For every row of counts: the largest signed root deviance of a drop, and its window."""

    z: Array
    start: Array
    end: Array


def _fit(traced: Array, usual: _Usual, kept: Array) -> _Fit:
    """Return a robust fit of the usual fraction of every row."""
    more, count = usual.more, kept.sum(1)
    at = np.array([[int(share * (n - 1)) for share in _ONE_SD] for n in count])
    scale = (traced * kept).sum(1) / np.maximum((usual.expected * kept).sum(1), _LEAST)
    rho, used, ratio = np.zeros(len(traced)), kept, np.ones(kept.shape)
    for _ in range(4):
        mean = usual.mean(scale)
        residual = (traced - mean) / np.sqrt(usual.variance(mean) * (1 + more * rho[:, None]))
        ranked = np.sort(np.where(kept, residual, np.inf), axis=1)
        low, middle, high = np.take_along_axis(ranked, at, axis=1).T
        width = _OUTLIER_SD * np.maximum((high - low) / 2, 1)
        used = kept & (np.abs(residual - middle[:, None]) < width[:, None])
        scale = (traced * used).sum(1) / np.maximum((usual.expected * used).sum(1), _LEAST)
        mean = usual.mean(scale)
        ratio = (traced - mean) ** 2 / usual.variance(mean)  # expectation 1 + (requests - 1) rho
        weight = used * more / (1 + more * rho[:, None]) ** 2
        rho = np.maximum((weight * (ratio - 1)).sum(1) / np.maximum((weight * more).sum(1), _LEAST), 0.0)
    bins_used = np.maximum(used.sum(1), 1)
    evident = (ratio * used).sum(1) / bins_used - 1 >= 3 * np.sqrt(2 / bins_used)
    return _Fit(scale, np.where(evident, np.minimum(rho, 0.5), 0.0), used)


def _worst_windows(traced: Array, usual: _Usual, fit: _Fit, lengths: list[int]) -> _Scan:
    """Return the worst window of every row."""
    inflation = 1 + usual.more * fit.rho[:, None]
    parts = (traced, usual.mean(fit.scale), np.broadcast_to(usual.requests, traced.shape))
    sums = [np.pad(np.cumsum(part / inflation, axis=1), ((0, 0), (1, 0))) for part in parts]
    best, rows = np.zeros(len(traced)), np.arange(len(traced))
    start, end = np.zeros(len(traced), np.int64), np.zeros(len(traced), np.int64)
    for length in lengths:
        x, e, m = (total[:, length:] - total[:, :-length] for total in sums)
        low = x < e - 1.5 * np.sqrt(np.maximum(e * (1 - e / np.maximum(m, _LEAST)), 0))
        received, due, requests = np.maximum(x[low], 0), e[low], m[low]
        rest = np.maximum(requests - received, 0)
        deviance = np.zeros(x.shape)
        deviance[low] = xlogy(received, np.maximum(received, 1e-300) / due)
        deviance[low] += xlogy(rest, rest / np.maximum(requests - due, 1e-300))
        at = deviance.argmax(1)
        value = 2 * deviance[rows, at]
        better = value > best
        best, start = np.where(better, value, best), np.where(better, at, start)
        end = np.where(better, at + length, end)
    return _Scan(np.sqrt(best), start, end)


def _fit_and_scan(traced: Array, usual: _Usual, lengths: list[int]) -> tuple[_Scan, _Fit]:
    """Return the scan and fit after refitting without the suspect window and two bins on either side."""
    kept = np.broadcast_to(usual.counts, traced.shape)
    fit = _fit(traced, usual, kept)
    scan = _worst_windows(traced, usual, fit, lengths)
    bins = np.arange(traced.shape[1])
    suspect = (bins >= scan.start[:, None] - 2) & (bins < scan.end[:, None] + 2)
    clean = kept & ~(suspect & (scan.end > scan.start)[:, None])
    again = np.flatnonzero((scan.end > scan.start) & clean.any(1))
    if not len(again):
        return scan, fit
    second = _fit(traced[again], usual, clean[again])
    other = _worst_windows(traced[again], usual, second, lengths)
    for old, new in ((fit, second), (scan, other)):
        for column, values in zip(old, new, strict=True):
            column[again] = values
    return scan, fit


def _fitted(traced: Array, due: Array, start: int, end: int) -> tuple[int, int]:
    """Return the window extended by adjacent bins that lost more than half as much, without ends that did not."""
    if start == end:
        return start, end
    kept = traced[start:end].sum() / max(due[start:end].sum(), _LEAST)
    few = traced < due * (1 + kept) / 2
    inner = np.flatnonzero(few[start:end])
    start, end = (start + int(inner[0]), start + int(inner[-1]) + 1) if len(inner) else (start, end)
    while start > 0 and few[start - 1]:
        start -= 1
    while end < len(few) and few[end]:
        end += 1
    return start, end


def _wander(traced: Array, usual: _Usual, fit: _Fit) -> tuple[float, float] | None:
    """Return (phi, stationary variance) of an AR(1) of the log share; None where bins are independent."""
    due, used = usual.mean(fit.scale)[0], fit.used[0]
    residual = (traced - due) / np.sqrt(usual.variance(due) * (1 + usual.more * fit.rho[0]))
    both = used[1:] & used[:-1]
    ahead, behind = residual[1:][both], residual[:-1][both]
    if len(ahead) < 8 or not ahead.std() * behind.std() > 0:  # noqa: PLR2004 - too few to tell
        return None
    if np.corrcoef(ahead, behind)[0, 1] <= 3 / math.sqrt(len(traced)):
        return None
    usable = (due > 0) & used
    e = np.where(usable, traced / np.maximum(due, _LEAST) - 1, 0.0)
    cov = np.array([(e[k:] * e[:-k]).sum() / max((usable[k:] & usable[:-k]).sum(), 1) for k in range(1, 7)])
    phi = float(np.clip(cov[1:].sum() / max(cov[:-1].sum(), 1e-12), 0.0, 0.99))
    return phi, float(max(cov[0], 0) / max(phi, 0.05))


def _null_shares(
    rng: np.random.Generator, usual: _Usual, fit: _Fit, wander: tuple[float, float] | None, rows: int
) -> Array:
    """Return the traced fraction of every bin in simulations without gaps."""
    share = usual.mean(fit.scale[:1]) / np.maximum(usual.requests, _LEAST)
    shape = rows, len(usual.requests)
    if wander is not None:
        from scipy.signal import lfilter  # noqa: PLC0415 - slow to import, and needed only here

        phi, variance = wander
        noise = rng.normal(0, math.sqrt(variance * (1 - phi**2)), shape)
        noise[:, 0] = rng.normal(0, math.sqrt(variance), rows)
        walk = lfilter([1], [1, -phi], noise, axis=1)
        return np.asarray(np.clip(share * np.exp(walk - variance / 2), 0, 1))
    if fit.rho[0] == 0:
        return np.broadcast_to(share, shape)
    inverse, inner = (1 - fit.rho[0]) / fit.rho[0], np.clip(share, _LEAST, 1 - _LEAST)
    return rng.beta(inner * inverse, (1 - inner) * inverse, shape)


def _is_plain(z: float, null: Array) -> bool:
    """Return whether more null replicates are unnecessary: the p-value is clearly large or clearly small."""
    if len(null) >= 2 * _FIRST_LOOK and z > null.mean() + _PLAINLY_NOT_SD * null.std():
        return True
    return bool((null >= z).sum() >= _PLAINLY_CHANCE)


def _p_value(z: float, null: Array) -> float:
    """Return the Monte Carlo p-value, or that of a Gumbel tail if no null scan reaches the observed one."""
    reached = int((null >= z).sum())
    if reached:
        return (1 + reached) / (1 + len(null))
    beta = max(float(null.std(ddof=1)), 1e-6) * math.sqrt(6) / math.pi
    return max(-math.expm1(-math.exp(-(z - float(null.mean()) + _EULER * beta) / beta)), 0.0)
