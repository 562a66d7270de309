"""The result of ``tk.paths``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.paths.tree import tree_of
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import plural
from tracekit.weights.comparability import on_both_sides
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.paths.shapes import Shapes
    from tracekit.traces import TraceSet

_LOUD = ("new", "gone", "more", "fewer")


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
    of_traces
        Shape of each trace, by trace id: ``by=paths.of_traces`` groups any analysis by it.
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
    seen
        Call paths and shape of each trace, by side.

    Examples
    --------
    >>> tk.paths(shop)
    Paths(3 shapes of 5 traces, 1.4 bits; sampling weights unknown)
    """

    table: pd.DataFrame
    of_traces: pd.Series
    entropy_bits: float
    baseline_entropy_bits: float | None
    statement: str
    trace_counts: tuple[int, ...]
    shared_trace_count: int
    source: TraceSet = field(repr=False)
    baseline: TraceSet | None = field(repr=False)
    seen: list[Shapes] = field(repr=False)

    def tree(self, shape: str) -> pd.DataFrame:
        """Return the call paths of a shape, depth first, siblings in the order of their mean start.

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
        sides = zip((self.source, self.baseline), self.seen, strict=False)
        number = np.uint64(int(meant[0], 16))
        return next(
            tree_of(traces, each, each.shape == number)
            for traces, each in sides
            if traces is not None and (each.shape == number).any()
        )

    def _line(self) -> str:
        """Return the counts in one line."""
        shapes = plural(int((self.table["trace_count"] > 0).sum()), "shape")
        parts = [f"{shapes} of {plural(len(self.of_traces), 'trace')}", f"{self.entropy_bits:.1f} bits"]
        if "verdict" in self.table:
            counts = self.table["verdict"].value_counts()
            parts += [f"{counts[name]:,} {name}" for name in _LOUD if name in counts]
        parts.append(on_both_sides(self.shared_trace_count, self.trace_counts))
        return f"Paths({', '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(10))}"
