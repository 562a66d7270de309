"""The calls that show the evidence against a suspect, and the calls like them that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.suspects.calls import OWN
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.ranking import Ranking
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array


class Affected(NamedTuple):
    """Calls of the current side; one entry each.

    Parameters
    ----------
    span
        Row of a span of the suspect, or of its caller where the suspect did not answer.
    component
        Row of the entry of its component.
    excess
        Of the call, in ns; of deviations 1 or 0, minus the share of calls of the operation that the baseline had.
    is_deviating
        Whether the component deviates; false for all if the evidence is latency.
    relative
        What instances are compared by: time divided by the mean of the baseline, or 1 for deviations.
    """

    span: Array
    component: Array
    excess: Array
    is_deviating: Array
    relative: Array

    @property
    def exemplar(self) -> int:
        """Row of the span with the most evidence."""
        return int(self.span[np.argmax(np.where(self.is_deviating, np.inf, self.excess))])

    @property
    def shown(self) -> tuple[Array, Array]:
        """Components with evidence, and the excess of each; of deviating ones, 1."""
        if self.is_deviating.any():
            return self.component[self.is_deviating], np.ones(int(self.is_deviating.sum()))
        return self.component, self.excess


def affected(ranking: Ranking, service: int, now: Window) -> Affected:
    """Return the calls that show the evidence against a suspect: slower elements, else deviating spans."""
    found, best = ranking.found, ranking.best
    mine = best.element[(best.service == service) & (found.weight[best.element] > 0)]
    values = found.values
    rows = np.flatnonzero(values.is_current & np.isin(values.element, mine))
    if len(rows) and ranking.latency[service] >= max(ranking.shape[service], ranking.failure[service]):
        element = values.element[rows]
        is_caller = (found.kind[element] != OWN) & (found.service[element] == service)
        span = np.where(is_caller, values.client[rows], values.row[rows])
        excess = (values.time_ns[rows] - found.baseline_ns[element]) * values.call_count[rows]
        relative = values.time_ns[rows] / np.maximum(found.baseline_ns[element], 1.0)
        return Affected(span, now.component[span], excess, np.zeros(len(rows), bool), relative)
    return _deviating(ranking, service, now)


def _deviating(ranking: Ranking, service: int, now: Window) -> Affected:
    """Return the components with deviating spans that point to a suspect, and the others with the same operations."""
    kinds = ranking.shapes, ranking.failing
    rows = np.concatenate([one.row[one.service == service] for one in kinds])
    rarer = np.concatenate([one.weight[one.service == service] for one in kinds])
    component, first = np.unique(now.component[rows], return_index=True)
    others = np.flatnonzero(now.is_entry & (now.service == service) & np.isin(now.operation, now.operation[component]))
    every = np.union1d(component, others)
    deviates = np.isin(every, component)
    as_before = np.zeros(len(every))
    as_before[deviates] = 1 - rarer[first]
    operation, names = now.operation[every], len(now.names.operation)
    usual = sum_by(operation, as_before, names) / np.maximum(np.bincount(operation, minlength=names), 1)
    return Affected(every, every, deviates - usual[operation], deviates, deviates.astype(float))
