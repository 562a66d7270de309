"""Hypotheses about each service: where its slow elements would be, and how well that explains what became slower.

``own``: its components; ``way in``: calls to it by any service; ``way out``: its calls to any service; ``own and way
in``; ``all`` three; ``more calls``: the number of its calls to any service.  A slow network in front of a service slows
its way in and not its way out; a service without CPU slows all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import gammaln

from tracekit.analysis.suspects.calls import CALL, GAP, OWN
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.elements import Elements
    from tracekit.columns import Array

HYPOTHESES: Final = ("own", "way in", "way out", "own and way in", "all", "more calls")
_PARTS: Final = ((0,), (1,), (2,), (0, 1), (0, 1, 2), (3,))  # of each hypothesis: own, way in, way out, number of calls
_PART_COUNT: Final = 4
_CALLEE_SHARE: Final = 0.25  # of the growth of a call on the way back: the callee rather than the caller is slow
_OTHER_END: Final = 0.97  # a tie-break between the two ends of one call
_LOG10: Final = np.log(10)


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The best hypothesis of every service; one entry per service unless stated otherwise.

    Parameters
    ----------
    best
        Index into ``HYPOTHESES``.
    score
        0 to 1: harmonic mean of the share of its elements that became slower and the share of the excess explained.
    p_value
        Of its elements together, adjusted for the choice of elements.
    service, element
        One entry per service and element of its best hypothesis: both numbers.
    """

    best: Array
    score: Array
    p_value: Array
    service: Array
    element: Array


def hypotheses(found: Elements, services: int) -> Hypotheses:
    """Return the best hypothesis of every service."""
    owner, element, part = _parts(found)
    member = np.array([[k in parts for k in range(_PART_COUNT)] for parts in _PARTS])  # hypotheses by parts
    sums = _Sums(owner, element, part, services, member)
    score = _scores(found, sums)
    best = score.argmax(axis=0)
    at = np.arange(services)
    chosen = member[best[owner], part] & (score[best[owner], owner] > 0)
    return Hypotheses(best, score[best, at], _p_values(found, sums)[best, at], owner[chosen], element[chosen])


def _parts(found: Elements) -> tuple[Array, Array, Array]:
    """Return service, element and part of every service that an element is evidence against."""
    own, gap, call = (np.flatnonzero(found.kind == kind) for kind in (OWN, GAP, CALL))
    owner = np.concatenate([found.service[own], found.callee[gap], found.service[gap], found.service[call]])
    sizes = [len(part) for part in (own, gap, gap, call)]
    return owner, np.concatenate([own, gap, gap, call]), np.repeat(np.arange(_PART_COUNT), sizes)


class _Sums:
    """Sums over the elements of each hypothesis (rows) and service (columns)."""

    def __init__(self, owner: Array, element: Array, part: Array, services: int, member: Array) -> None:
        self.cell, self.element, self.services = part * services + owner, element, services
        self.member = member

    def of(self, values: Array) -> Array:
        """Return the sums of a number per element."""
        parts = sum_by(self.cell, values[self.element], _PART_COUNT * self.services).reshape(_PART_COUNT, -1)
        return np.asarray(self.member.astype(np.float64) @ parts)

    def least(self, values: Array) -> Array:
        """Return the smallest number of the elements; 1 without any."""
        parts = np.ones(_PART_COUNT * self.services)
        np.minimum.at(parts, self.cell, values[self.element])
        return np.array([parts.reshape(_PART_COUNT, -1)[list(row)].min(axis=0) for row in self.member])


def _scores(found: Elements, sums: _Sums) -> Array:
    """Return the score of every hypothesis (rows) and service (columns)."""
    size, mass = np.sqrt(found.current_count), found.mass_ns
    precision = _ratio(sums.of(found.weight * size), sums.of(size))
    recall = sums.of(mass) / max(float(mass.sum()), 1.0)
    score = _ratio(2 * precision * recall, precision + recall)
    counted = found.weight * found.call_sum
    there, back = sums.of(found.there_ns * counted), sums.of(found.back_ns * counted)
    is_callers = back < _CALLEE_SHARE * (back + there)
    for hypothesis, is_other_end in ((1, is_callers), (2, ~is_callers)):
        score[hypothesis] *= np.where(is_other_end[hypothesis], _OTHER_END, 1.0)
    return score


def _p_values(found: Elements, sums: _Sums) -> Array:
    """Return the p-value of every hypothesis and service: Fisher's of the slower elements, or the best one alone."""
    from scipy import stats  # noqa: PLC0415 - half as slow to import as the rest of tracekit

    p = np.maximum(found.p_value, np.finfo(float).tiny)
    is_slower = found.weight > 0
    count, used = sums.of(np.ones(len(p))), sums.of(is_slower.astype(float))
    statistic = -2 * sums.of(np.where(is_slower, np.log(p), 0.0))
    choices = (gammaln(count + 1) - gammaln(used + 1) - gammaln(count - used + 1)) / _LOG10
    together = stats.chi2.logsf(statistic, 2 * np.maximum(used, 1)) / _LOG10 + choices
    alone = np.log10(sums.least(p)) + np.log10(np.maximum(count, 1))
    log_p = np.where(used > 0, np.minimum(together, alone), 0.0) + np.log10(max(len(p), 1))
    return np.asarray(10.0 ** np.clip(log_p, -300, 0))


def _ratio(part: Array, whole: Array) -> Array:
    """Return the ratio, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)
