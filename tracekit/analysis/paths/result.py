"""The result of ``tk.paths``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.partials import on_side, over_parts
from tracekit.analysis.paths.shapes import shapes
from tracekit.analysis.paths.tree import merged_trees, tabulate_trees, tree_of
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import plural
from tracekit.weights.comparability import on_both_sides
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.stats.aggregates import Aggregate
    from tracekit.traces import TraceSet

_LOUD = ("new", "gone", "more", "fewer")
_FIRST: Final = 20  # shapes of which the trees are read together


@dataclass(frozen=True, repr=False)
class Paths(Weighted, Shown):
    """Shapes of traces and how frequent they are.

    Parameters
    ----------
    table
        One row per shape, the most frequent first; with a baseline new and vanished ones first, then other significant
        changes: ``shape``, its id;
        ``endpoint``; ``differs_by``, the operations that this shape has and the most frequent one of its endpoint has
        not (``+``), and those that it lacks (``-``); ``trace_count`` (recorded); ``frequency_ratio`` with
        ``frequency_low_ratio`` and ``frequency_high_ratio``, the weighted share of the traces; ``call_path_count``;
        ``error_ratio``, ``p50_ns``, ``p95_ns`` of its requests; ``typical_trace_id``, the trace whose durations are
        nearest to the medians of the shape.  With a baseline also ``baseline_trace_count``,
        ``baseline_frequency_ratio``, ``change_ratio`` with ``change_low_ratio`` and ``change_high_ratio``, ``q_value``
        and ``verdict``: new, gone, more, fewer, no significant change, too few, not comparable.
    entropy_bits
        Shannon entropy of the frequencies: 0 where all traces have one shape.
    baseline_entropy_bits
        That of the baseline; None without one.
    statement
        What the frequencies describe.
    trace_counts
        Recorded traces, and those of the baseline if there is one.
    shared_trace_count
        Traces on both sides; the limits of the changes assume that there are none.
    source, baseline
        The traces of both sides.
    fold_retries
        Whether failed calls that the caller repeated are left out.
    on
        Where the parts of a store are read for trees and ``of_traces``.

    Examples
    --------
    >>> tk.paths(shop)
    Paths(3 shapes of 5 traces, 1.4 bits; sampling weights unknown)
    """

    table: pd.DataFrame
    entropy_bits: float
    baseline_entropy_bits: float | None
    statement: str
    trace_counts: tuple[int, ...]
    shared_trace_count: int
    source: TraceSet | Parts = field(repr=False)
    baseline: TraceSet | Parts | None = field(repr=False)
    fold_retries: bool = False
    on: On = None

    @cached_property
    def of_traces(self) -> pd.Series:
        """Shape of each trace, by trace id: ``by=paths.of_traces`` groups any analysis of a TraceSet by it.

        Of a store, all parts are read for it, and it has as many rows as there are traces.
        """
        ids, numbers = over_parts(
            self.source, partial(_of_traces, fold_retries=self.fold_retries), _both, on=on_side(self.source, self.on)
        ).state
        shape = np.concatenate(numbers)
        code, distinct = pd.factorize(shape)
        labels = np.array(shape_ids(distinct.tolist()), object)[code]
        found = pd.Series(labels, index=pd.Index(ids, name="trace_id"), name="shape", dtype=object)
        return found if len(numbers) == 1 else found.sort_index()

    @cached_property
    def _first_trees(self) -> Aggregate:
        """The call paths of the first shapes."""
        return self._trees(self.table["shape"].head(_FIRST).tolist())

    def _trees(self, ids: Sequence[str]) -> Aggregate:
        """Return the call paths of some shapes; those of the baseline, of shapes that only it has."""
        current = set(self.table.loc[self.table["trace_count"] > 0, "shape"])
        found = []
        for side, is_own in ((self.source, True), (self.baseline, False)):
            wanted = frozenset(int(one, 16) for one in ids if (one in current) == is_own)
            if side is not None and (wanted or is_own):
                state = partial(tabulate_trees, wanted=wanted, fold_retries=self.fold_retries)
                found.append(over_parts(side, state, merged_trees, on=on_side(side, self.on)).state)
        return found[0] if len(found) == 1 else merged_trees(found[0], found[1])

    def tree(self, shape: str) -> pd.DataFrame:
        """Return the call paths of a shape, depth first, siblings in the order of their mean start.

        Those of the first 20 shapes of a store are read together.

        Parameters
        ----------
        shape
            Id of a shape, or its beginning.

        Returns
        -------
        pandas.DataFrame
            ``depth``; ``parent``, the row of the caller, -1 without one; ``service_name``, ``operation``;
            ``call_count``, weighted calls per trace of this shape; ``mean_ns``, weighted mean duration of a call.  Of a
            shape that is gone, those of the baseline.

        Raises
        ------
        ValueError
            No trace has the shape.

        Examples
        --------
        >>> found = tk.paths(shop)
        >>> found.tree(found.table["shape"].iloc[0])[["depth", "service_name", "operation"]].to_numpy().tolist()[:2]
        [[0, 'shop', 'POST /pay'], [1, 'shop', 'POST']]
        """
        meant = [name for name in self.table["shape"] if name.startswith(shape)]
        if len(meant) != 1 or not shape:
            shown = ", ".join(self.table["shape"].head(4))
            raise ValueError(f"expected the id of one shape, found {shape!r}; the first are {shown}")
        is_first = meant[0] in self.table["shape"].head(_FIRST).tolist()
        return tree_of(self._first_trees if is_first else self._trees(meant), int(meant[0], 16))

    def _line(self) -> str:
        """Return the counts in one line."""
        shapes = plural(int((self.table["trace_count"] > 0).sum()), "shape")
        parts = [f"{shapes} of {plural(self.trace_counts[0], 'trace')}", f"{self.entropy_bits:.1f} bits"]
        if "verdict" in self.table:
            counts = self.table["verdict"].value_counts()
            parts += [f"{counts[name]:,} {name}" for name in _LOUD if name in counts]
        parts.append(on_both_sides(self.shared_trace_count, self.trace_counts))
        return f"Paths({', '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(10))}"


def shape_ids(numbers: Sequence[int]) -> list[str]:
    """Return the ids of shapes as text."""
    return [f"{number:016x}" for number in numbers]


def _of_traces(traces: TraceSet, *, fold_retries: bool) -> tuple[list[str], list[Array]]:
    """Return the trace ids of a part, and the shape of each."""
    return list(traces.trace_ids), [shapes(traces, fold_retries=fold_retries).shape]


def _both(first: tuple[list[str], list[Array]], second: tuple[list[str], list[Array]]) -> tuple[list[str], list[Array]]:
    """Return the traces of two parts."""
    return first[0] + second[0], first[1] + second[1]
