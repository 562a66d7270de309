"""What checks ask of traces one by one: outcomes, starts and inclusion probabilities, one value per trace."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.partials import in_memory, over_parts
from tracekit.schema import ParentState
from tracekit.text import round_ratio
from tracekit.traces import TraceSet
from tracekit.weights.known import BEYOND, NOT_SAMPLED
from tracekit.weights.trace_state import probabilities

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.parts import Parts


@dataclass(frozen=True)
class SampledTraces:
    """Traces, or a store of them, with what checks ask of each.

    Parameters
    ----------
    source
        The traces, or a store of them, which is read part by part.
    confidence
        Confidence level.
    """

    source: TraceSet | Parts
    confidence: float = field(default=0.95, kw_only=True)

    @property
    def traces(self) -> TraceSet:
        """The traces in memory; TypeError for a store, where only checks run that can be made from parts."""
        return in_memory(self.source)

    @property
    def is_stored(self) -> bool:
        """Whether the traces are read part by part."""
        return not isinstance(self.source, TraceSet)

    @cached_property
    def service(self) -> Codes:
        """Service of every span."""
        return self.traces.codes("service_name")

    @cached_property
    def failed(self) -> Array:
        """bool, one per trace: its root failed."""
        return np.asarray(self.traces.is_error[self.traces.forest.root_row])

    @cached_property
    def took_ns(self) -> Array:
        """float64, one per trace: duration of its root (ns), NaN where unknown."""
        root = self.traces.forest.root_row
        return np.where(self.traces.has_duration[root], self.traces.duration_ns[root].astype(np.float64), np.nan)

    @cached_property
    def start_ns(self) -> Array:
        """int64, one per trace: start of its root (ns)."""
        return np.asarray(self.traces.columns.spans.start_ns[self.traces.forest.root_row])

    def exemplars(self, trace: Array, most: int = 5) -> tuple[str, ...]:
        """Return the ids of the first few of these traces."""
        return tuple(self.traces.trace_ids[at] for at in np.unique(trace)[:most])

    @property
    def ci(self) -> str:
        """Label of intervals, such as ``95% CI``."""
        return f"{round_ratio(self.confidence)} CI"

    @cached_property
    def probability(self) -> Array:
        """float64, one per trace; NaN where unknown or not part of the probability sample."""
        return self.traces.weights.probability

    @cached_property
    def stated_probability(self) -> Array:
        """float64, one per span: the inclusion probability that its ``tracestate`` states; NaN without."""
        return probabilities(self.traces.columns.spans.trace_state, self.traces.columns.texts)

    @cached_property
    def span_probability(self) -> Array | None:
        """float64, one per span: its inclusion probability; None unless spans of a trace differ."""
        spans, starts = self.traces.columns.spans, self.traces.forest.starts[:-1]
        if not len(spans) or not (spans.trace_state >= 0).any():
            return None
        own = self.stated_probability
        least = np.minimum.reduceat(np.where(np.isnan(own), np.inf, own), starts)
        most = np.maximum.reduceat(np.where(np.isnan(own), 0.0, own), starts)
        return own if (np.isfinite(least) & (least < most)).any() else None

    @cached_property
    def base(self) -> Array:
        """bool, one per trace: in the probability sample with a known probability (partial traces: with a root)."""
        known = ~np.isnan(self.probability)
        if self.span_probability is None:
            return known
        return np.asarray(known & (self.traces.forest.state[self.traces.forest.root_row] == ParentState.ROOT))

    @cached_property
    def weight_sources(self) -> tuple[str, ...]:
        """Sources of the weights of all traces, the most frequent first."""
        return tuple(over_parts(self.source, len, operator.add).weights.sources)

    @property
    def is_weighted_by_rules(self) -> bool:
        """Whether weights come from the rules and not from the traces."""
        return is_from_rules(self.weight_sources)

    @cached_property
    def weights_source(self) -> str:
        """Sources of the weights."""
        sources = self.weight_sources
        return " and ".join(name for name in sources if name not in {NOT_SAMPLED, BEYOND}) or " and ".join(sources)


def is_from_rules(sources: Iterable[str]) -> bool:
    """Return whether some sources of weights are sampling rules."""
    return any("tail policy" in name or name.startswith(("rule,", "x-ray rule,")) for name in sources)
