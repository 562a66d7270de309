"""A random sample of whole traces of a store, limited in size, for what can only be worked out from traces in memory.

Each trace has a random number that depends on its id alone; the sample is the traces with the lowest ones.  So it does
not depend on the parts, two stores draw the same of the traces that both have, and a store within the limit is taken
whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

MOST_SPANS: Final = 200_000
"""Spans of a sample, at most."""
_ALL: Final = float("inf")


def draws(traces: TraceSet) -> Array:
    """Return the random number of each trace, from 0 to 1.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    numpy.ndarray
        float64, one per trace.

    Examples
    --------
    >>> bool(((draws(shop) >= 0) & (draws(shop) <= 1)).all())
    True
    """
    spans, first = traces.columns.spans, traces.forest.starts[:-1]
    mixed = pd.util.hash_array(spans.trace_hi[first]) ^ pd.util.hash_array(~spans.trace_lo[first])
    return np.asarray(pd.util.hash_array(mixed) / 2.0**64)


@dataclass(frozen=True)
class _Lowest:
    """The lowest random numbers of so many traces with their spans, up to the limit, and the lowest one beyond it."""

    draw: Array
    span_count: Array
    beyond: float
    trace_count: int

    @classmethod
    def of(cls, case: Case) -> _Lowest:
        """Return those of a case."""
        traces = case.traces
        return cls(draws(traces), np.diff(traces.forest.starts), _ALL, len(traces)).limited()

    def plus(self, other: _Lowest) -> _Lowest:
        """Return those of two parts."""
        both = np.concatenate([self.draw, other.draw]), np.concatenate([self.span_count, other.span_count])
        return _Lowest(*both, min(self.beyond, other.beyond), self.trace_count + other.trace_count).limited()

    def limited(self) -> _Lowest:
        """Return the lowest ones whose traces are within the limit."""
        order = np.argsort(self.draw, kind="stable")
        draw, count = self.draw[order], self.span_count[order]
        fits = int(np.searchsorted(np.cumsum(count), MOST_SPANS, side="right"))
        beyond = min(self.beyond, float(draw[fits])) if fits < len(draw) else self.beyond
        return _Lowest(draw[:fits], count[:fits], beyond, self.trace_count)


_LOWEST: Final[Merged[_Lowest]] = Merged(_Lowest.of, _Lowest.plus)


@dataclass(frozen=True)
class _Below:
    """Returns the traces whose random numbers are below a limit."""

    limit: float

    def __call__(self, traces: TraceSet) -> TraceSet:
        """Return those of a part."""
        return traces.where((draws(traces) < self.limit)[traces.forest.trace])


class Drawn(NamedTuple):
    """Traces in memory, and how many they are a sample of."""

    traces: TraceSet
    trace_count: int

    @property
    def is_sample(self) -> bool:
        """Whether some traces are left out."""
        return len(self.traces) < self.trace_count


def drawn(case: Case) -> Drawn:
    """Return the traces of a case; of a store with more than ``MOST_SPANS`` spans, a random sample of them."""
    if isinstance(case.source, TraceSet):
        return Drawn(case.source, len(case.source))
    lowest = case.result(_LOWEST)
    return Drawn(case.source.chosen(_Below(lowest.beyond)), lowest.trace_count)
