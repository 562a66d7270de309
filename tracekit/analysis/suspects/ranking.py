"""Services ranked by how well they explain the difference, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.deviations import plain_labels
from tracekit.analysis.suspects.elements import MIN_BASELINE, MIN_CURRENT, elements
from tracekit.analysis.suspects.excess import Excess, excess_of
from tracekit.analysis.suspects.failures import more_failures
from tracekit.analysis.suspects.hypotheses import hypotheses
from tracekit.analysis.suspects.shapes import changed_shapes

if TYPE_CHECKING:
    from tracekit.analysis.suspects.deviations import Deviations
    from tracekit.analysis.suspects.elements import Elements
    from tracekit.analysis.suspects.hypotheses import Hypotheses
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

LIKELY, POSSIBLE, NOT_SIGNIFICANT = "likely", "possible", "not significant"
MORE_CALLS, SHAPES, FAILURES = "more calls", "shape", "failing"
KINDS: Final = ("own", "way in", "way out", "starved", "starved", MORE_CALLS)  # by hypothesis
_FULL_EXCESS: Final = 0.1  # of what affected requests took: latency evidence counts fully from here on
_LEAST_EXCESS: Final = 0.05  # likewise: less is never significant
_MAX_P: Final = 0.05  # of the elements of the hypothesis, adjusted for their choice


@dataclass(frozen=True, slots=True)
class Ranking:
    """Evidence by service; arrays have one entry per service.

    Parameters
    ----------
    found
        Elements that both sides have.
    best
        The best hypothesis about each service.
    shapes, failing
        Deviating spans.
    latency, shape, failure
        0 to 1: strength of the latency evidence, of changed shapes and of failures.
    score
        All of them together.
    excess
        Time that the best hypothesis explains.
    order
        Services with a score above 0, the highest first.
    operation_count, new_operation_count
        Operations that enough traces of both sides have, and that only current traces have.
    """

    found: Elements
    best: Hypotheses
    shapes: Deviations
    failing: Deviations
    latency: Array
    shape: Array
    failure: Array
    score: Array
    excess: Excess
    order: Array
    operation_count: int
    new_operation_count: int

    @property
    def is_sure(self) -> Array:
        """Whether the latency evidence against each service is significant and noticeable."""
        return np.asarray((self.latency > 0) & (self.best.p_value <= _MAX_P) & (self.excess.relative >= _LEAST_EXCESS))

    @property
    def tested_count(self) -> int:
        """Number of elements, shapes and operations that could have been named."""
        return len(self.found) + self.operation_count

    def affected_count(self, service: int, now: Window) -> int:
        """Return the number of current traces with the strongest kind of evidence against a service."""
        kind = self.kind(service)
        if kind in KINDS:
            return round(float(self.excess.affected_count[service]))
        deviations = self.failing if kind == FAILURES else self.shapes
        return len(np.unique(now.trace[deviations.row[deviations.service == service]]))

    def p_value(self, service: int) -> float:
        """Return the p-value of the strongest kind of evidence against a service."""
        kind = self.kind(service)
        if kind in KINDS:
            return float(self.best.p_value[service])
        deviations = self.failing if kind == FAILURES else self.shapes
        return float(deviations.p_value[deviations.service == service].min())

    def verdict(self, service: int) -> str:
        """Return ``likely``, ``possible`` or ``not significant``; only the first suspect is likely."""
        is_first = bool(service == self.order[0])
        if not is_first and self.verdict(int(self.order[0])) == NOT_SIGNIFICANT:
            return NOT_SIGNIFICANT
        is_more_calls = KINDS[self.best.best[service]] == MORE_CALLS  # the requests may have changed
        if (self.is_sure[service] and not is_more_calls) or self.failure[service] > 0:
            return LIKELY if is_first else POSSIBLE
        return POSSIBLE if self.shape[service] > 0 or self.is_sure[service] else NOT_SIGNIFICANT

    def kind(self, service: int) -> str:
        """Return which evidence against a service is strongest."""
        strength = {
            KINDS[self.best.best[service]]: self.latency[service],
            FAILURES: self.failure[service],
            SHAPES: self.shape[service],
        }
        return max(strength, key=lambda name: strength[name])


def rank(before: Window, now: Window) -> Ranking:
    """Return the ranking of all services of both sides."""
    services = len(now.names.service)
    found = elements(before, now)
    best = hypotheses(found, services)
    shapes, failing = changed_shapes(before, now), more_failures(before, now)
    excess = excess_of(found, best, now)
    latency = best.score * np.minimum(1, excess.relative / _FULL_EXCESS)
    shape, failure = shapes.strength(now), failing.strength(now)
    score = latency + np.maximum(shape, failure) * (1 - latency.max(initial=0.0) / 2)
    order = np.lexsort((np.arange(services), -latency, -score))
    return Ranking(
        found, best, shapes, failing, latency, shape, failure, score, excess,
        order[score[order] > 0], *_operation_counts(before, now),
    )  # fmt: skip


def _operation_counts(before: Window, now: Window) -> tuple[int, int]:
    """Return how many operations enough traces of both sides have, and of the current side only."""
    counts = []
    for window, least in ((before, MIN_BASELINE), (now, MIN_CURRENT)):
        pairs = pd.DataFrame({"plain": plain_labels(window), "trace": window.trace})[window.is_live].drop_duplicates()
        size = pairs.groupby("plain").size()
        counts.append(size.index[size >= least])
    both = len(counts[0].intersection(counts[1]))
    return both, len(counts[1]) - both
