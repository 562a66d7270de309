"""The result of ``tk.paths``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import plural
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
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
    source: TraceSet = field(repr=False)

    def tree(self, shape: str) -> pd.DataFrame:
        """Return the call paths of a shape, depth first.

        Parameters
        ----------
        shape
            Id of a shape, or its beginning.

        Returns
        -------
        pandas.DataFrame
            ``depth``, ``service_name``, ``operation``, ``call_count``, per trace of this shape, ``mean_ns``, mean
            duration of a call.

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
        meant = [name for name in self.of_traces.unique() if name.startswith(shape)]
        if len(meant) != 1 or not shape:
            shown = ", ".join(self.table["shape"].head(4))
            raise ValueError(f"expected the id of one shape, found {shape!r}; the first are {shown}")
        mine = self.of_traces.index[self.of_traces == meant[0]]
        spans = self.source.where(pd.Series(True, index=pd.Index(mine, name="trace_id"))).spans  # noqa: FBT003 - pandas
        spans = spans[~spans["is_inferred"]] if "is_inferred" in spans else spans
        path = pd.Series("", index=spans.index, dtype=object)
        names = spans["service_name"].astype(str) + "\0" + spans["operation"].astype(str)
        for depth in range(int(spans["depth"].max()) + 1):
            at = spans.index[spans["depth"] == depth]
            above = path.reindex(spans.loc[at, "parent_row"].to_numpy()).fillna("").to_numpy(object)
            path.loc[at] = above + "\1" + names.loc[at].to_numpy(object)
        found = spans.assign(path=path).groupby("path").agg(
            depth=("depth", "min"), service_name=("service_name", "first"), operation=("operation", "first"),
            call_count=("depth", "size"), mean_ns=("duration_ns", "mean"),
        )  # fmt: skip
        return found.assign(call_count=found["call_count"] / len(mine)).reset_index(drop=True)

    def _line(self) -> str:
        """Return the counts in one line."""
        shapes = plural(int((self.table["trace_count"] > 0).sum()), "shape")
        parts = [f"{shapes} of {plural(len(self.of_traces), 'trace')}", f"{self.entropy_bits:.1f} bits"]
        if "verdict" in self.table:
            counts = self.table["verdict"].value_counts()
            parts += [f"{counts[name]:,} {name}" for name in _LOUD if name in counts]
        return f"Paths({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(10))}"
