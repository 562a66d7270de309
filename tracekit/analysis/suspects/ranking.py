"""Services ranked by how well they explain the difference, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.deviations import FAILING
from tracekit.analysis.suspects.elements import elements
from tracekit.analysis.suspects.failures import more_failures
from tracekit.analysis.suspects.hypotheses import hypotheses
from tracekit.analysis.suspects.shapes import changed_shapes
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.deviations import Deviations
    from tracekit.analysis.suspects.elements import Elements
    from tracekit.analysis.suspects.hypotheses import Hypotheses
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

LIKELY, POSSIBLE, NOT_SIGNIFICANT = "likely", "possible", "not significant"
KINDS: Final = ("own", "way in", "way out", "starved", "starved")  # by hypothesis
_FULL_EXCESS: Final = 0.1  # of what affected requests took: latency evidence counts fully from here on
_LEAST_EXCESS: Final = 0.05  # likewise: less is never significant
_MAX_P: Final = 0.01  # of the elements of the hypothesis, charged for their choice
_LEAST_TOOK: Final = 0.1  # of the present duration: what affected requests are taken to have needed before, at least


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
    excess_ns
        Excess of all calls explained by the best hypothesis (weighted sum over the traces).
    affected_count
        Current traces that contain a slower element of the best hypothesis, or a deviation that accuses the service.
    relative_excess
        Excess per affected trace, divided by what these traces took without it.
    order
        Services with a score above 0, the highest first.
    """

    found: Elements
    best: Hypotheses
    shapes: Deviations
    failing: Deviations
    latency: Array
    shape: Array
    failure: Array
    score: Array
    excess_ns: Array
    affected_count: Array
    relative_excess: Array
    order: Array

    @property
    def is_sure(self) -> Array:
        """Whether the latency evidence against each service is significant and noticeable."""
        return np.asarray((self.latency > 0) & (self.best.p_value <= _MAX_P) & (self.relative_excess >= _LEAST_EXCESS))

    def verdict(self, service: int) -> str:
        """Return ``likely``, ``possible`` or ``not significant``; only the first suspect is likely."""
        is_first = bool(service == self.order[0])
        if not is_first and self.verdict(int(self.order[0])) == NOT_SIGNIFICANT:
            return NOT_SIGNIFICANT
        if self.is_sure[service] or self.failure[service] > 0:
            return LIKELY if is_first else POSSIBLE
        return POSSIBLE if self.shape[service] > 0 else NOT_SIGNIFICANT

    def kind(self, service: int) -> str:
        """Return which evidence against a service is strongest."""
        strength = {
            KINDS[self.best.best[service]]: self.latency[service],
            "failing": self.failure[service],
            "shape": self.shape[service],
        }
        return max(strength, key=lambda name: strength[name])


def rank(before: Window, now: Window) -> Ranking:
    """Return the ranking of all services of both sides."""
    services = len(now.names.service)
    found = elements(before, now)
    best = hypotheses(found, services)
    shapes, failing = changed_shapes(before, now), more_failures(before, now)
    excess, traces, relative = _excess(found, best, now, services)
    latency = best.score * np.minimum(1, relative / _FULL_EXCESS)
    shape, failure = shapes.strength(now), failing.strength(now)
    score = latency + np.maximum(shape, failure) * (1 - latency.max(initial=0.0) / 2)
    order = np.lexsort((np.arange(services), -latency, -score))
    affected = pd.concat(
        [traces, *(pd.DataFrame({"service": one.service, "trace": now.trace[one.row]}) for one in (shapes, failing))]
    ).drop_duplicates()
    return Ranking(
        found, best, shapes, failing, latency, shape, failure, score, excess,
        np.bincount(affected["service"].to_numpy(np.int64), minlength=services),
        relative, order[score[order] > 0],
    )  # fmt: skip


def _excess(found: Elements, best: Hypotheses, now: Window, services: int) -> tuple[Array, pd.DataFrame, Array]:
    """Return by service the excess of its hypothesis, the traces affected, and the excess relative to what they took."""
    counts = found.weight[best.element] > 0
    service, element = best.service[counts], best.element[counts]
    excess = sum_by(service, found.mass_ns[element], services)
    values = found.values
    rows = np.flatnonzero(values.is_current)
    pairs = pd.DataFrame({"service": service, "element": element})
    traces = pairs.merge(pd.DataFrame({"element": values.element[rows], "trace": values.trace[rows]}), on="element")
    traces = traces[["service", "trace"]].drop_duplicates()
    owner, trace = traces["service"].to_numpy(np.int64), traces["trace"].to_numpy(np.int64)
    weight = np.where(np.isnan(now.took_ns[trace]), 0.0, now.weight[trace])
    total = np.maximum(sum_by(owner, weight, services), 1e-9)
    took = sum_by(owner, weight * np.nan_to_num(now.took_ns[trace]), services) / total
    each = excess / total
    return (
        excess,
        traces,
        np.where(excess > 0, each / np.maximum(np.maximum(took - each, _LEAST_TOOK * took), 1.0), 0.0),
    )
