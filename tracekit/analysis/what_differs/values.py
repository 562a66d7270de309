"""Who is affected: the share of the traces with each value of one key that are selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.what_differs.membership import membership, owned
from tracekit.analysis.what_differs.shares import counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracekit.analysis.what_differs.membership import Membership
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.columns import Array


class ValueShares(NamedTuple):
    """The table of ``Differences.values``, and which traces have which value."""

    table: pd.DataFrame
    found: Membership

    def has_any(self, values: Collection[str], traces: int) -> Array:
        """Return which of so many traces have any of these values."""
        wanted = np.array([text in values for text in self.found.texts], bool)
        has = np.zeros(traces, bool)
        has[self.found.trace[wanted[self.found.value]]] = True
        return has


def value_shares(sides: tuple[Side, Side], key: str, *, confidence: float) -> ValueShares | None:
    """Return the weighted share of the traces with each value that are selected; None if no trace has the key.

    ``sides`` are the selected traces of one set and those that they are compared with.
    """
    from tracekit.stats.weighted_rates import clustered_rates  # noqa: PLC0415 - loads scipy

    selection, baseline = sides
    traces, among = selection.traces, selection.chosen | baseline.chosen
    found = membership(traces, owned(traces), least=1, only=key)
    if not found.keys:
        return None
    both = selection._replace(chosen=among)
    chosen, total = (counted(side, found.value, found.trace, len(found.keys)).trace_count for side in (selection, both))
    inside = among[found.trace]
    value, trace = found.value[inside], found.trace[inside]
    ratio = clustered_rates(
        value, trace, selection.chosen[trace], traces.weights.value, len(found.keys), confidence=confidence
    )
    table = pd.DataFrame(
        {
            "value": found.texts,
            "trace_count": total,
            "selection_count": chosen,
            "selected_ratio": ratio.ratio,
            "selected_low_ratio": ratio.low,
            "selected_high_ratio": ratio.high,
        }
    )
    table = table[table["trace_count"] > 0]
    order = ["selection_count", "trace_count"]
    return ValueShares(table.sort_values(order, ascending=False, kind="stable", ignore_index=True), found)
