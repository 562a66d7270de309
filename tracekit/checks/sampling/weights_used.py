"""The weights that estimates of all traffic rest on, in numbers that add up over parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.checks.merged import Merged

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.weights.known import WeightTotals


class WeightsUsed(NamedTuple):
    """The weights of some traces.

    Parameters
    ----------
    totals
        Counts and sums of all of them.
    largest
        The largest weight.
    base_count, represented, squares
        Traces of the probability sample, the requests that they stand for, and the sum of the squares of these numbers.
    least, most
        Smallest and largest probability of these traces; infinite and 0 without any.
    unequal_count, rootless_count
        Traces whose spans have different probabilities, and those of them without a root.
    has_unequal
        Whether there are such traces.
    """

    totals: WeightTotals
    largest: float
    base_count: int
    represented: float
    squares: float
    least: float
    most: float
    unequal_count: int
    rootless_count: int
    has_unequal: bool

    def plus(self, other: WeightsUsed) -> WeightsUsed:
        """Return those of two parts."""
        return WeightsUsed(
            self.totals + other.totals,
            max(self.largest, other.largest),
            self.base_count + other.base_count,
            self.represented + other.represented,
            self.squares + other.squares,
            min(self.least, other.least),
            max(self.most, other.most),
            self.unequal_count + other.unequal_count,
            self.rootless_count + other.rootless_count,
            self.has_unequal or other.has_unequal,
        )

    @property
    def is_even(self) -> bool:
        """Whether every trace has the same known probability."""
        count = self.totals.trace_count
        return bool(count and self.base_count == count and np.isclose(self.least, self.most, 1e-9, 0))


def _used(case: Case) -> WeightsUsed:
    """Return the weights of a part."""
    weights, chosen = case.traces.weights, case.probability[case.base]
    unequal, rootless = _unequal(case)
    return WeightsUsed(
        weights.totals,
        float(weights.value.max(initial=0.0)),
        len(chosen),
        float(np.sum(1 / chosen)),
        float(np.sum(1 / chosen**2)),
        float(chosen.min(initial=np.inf)),
        float(chosen.max(initial=0.0)),
        unequal,
        rootless,
        case.span_probability is not None,
    )


def _unequal(case: Case) -> tuple[int, int]:
    """Return how many traces have spans of different probabilities, and how many represent no request."""
    if case.span_probability is None:
        return 0, 0
    trace, own = case.traces.forest.trace, case.span_probability
    known = ~np.isnan(own)
    least, most = np.full(len(case.traces), np.inf), np.zeros(len(case.traces))
    np.minimum.at(least, trace[known], own[known])
    np.maximum.at(most, trace[known], own[known])
    return int((most > least).sum()), int((~case.base & ~np.isnan(case.probability)).sum())


WEIGHTS_USED: Final[Merged[WeightsUsed]] = Merged(_used, WeightsUsed.plus)


def weights_needed(case: Case) -> str:
    """Return the missing input for estimates of all traffic; empty if nothing is missing."""
    used = case.result(WEIGHTS_USED)
    unknown, total = used.totals.unknown_count, used.totals.trace_count
    if not total:
        return "traces"
    if used.totals.is_one_kind:
        return "traces of the other requests; these were all kept because they failed or were slow"
    if not unknown and used.base_count:
        return ""
    if not unknown:
        return "traces of a probability sample; none of these traces is part of one"
    why = "; ".join(f"{reason} ({n:,})" for reason, n in case.obstacles.items())
    what = "sampling weights" if unknown == total else f"the sampling weights of {unknown:,} of {total:,} traces"
    return f"{what} (pass rules= or log=, or use traces.with_weights)" + f": {why}" * bool(why)
