"""Who is affected: the share of the traces with each value of one key that are selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.what_differs.membership import membership, owned
from tracekit.semconv import NUMBER_KEYS, RESOURCE_KEYS, SPAN_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracekit.analysis.what_differs.membership import Membership
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.columns import Array

_KEYS: Final = {"service_name": "service.name"} | {
    column: keys[0] for names in (SPAN_KEYS, NUMBER_KEYS, RESOURCE_KEYS) for column, keys in names.items()
}


class ValueShares(NamedTuple):
    """Which traces have which value of one key, and which of them are selected.

    Parameters
    ----------
    sides
        The selected traces of one set, and those that they are compared with.
    found
        The values of the key, and the traces of the set that have them.
    """

    sides: tuple[Side, Side]
    found: Membership

    def table(self, confidence: float) -> pd.DataFrame:
        """Return the table of ``Differences.values``."""
        from tracekit.stats.weighted_rates import clustered_rates  # noqa: PLC0415 - loads scipy

        selection, baseline = self.sides
        traces, among, count = selection.traces, selection.chosen | baseline.chosen, len(self.found.keys)
        inside = among[self.found.trace]
        value, trace = self.found.value[inside], self.found.trace[inside]
        is_chosen = selection.chosen[trace]
        ratio = clustered_rates(value, trace, is_chosen, traces.weights.value, count, confidence=confidence)
        table = pd.DataFrame(
            {
                "value": self.found.texts,
                "trace_count": np.bincount(value, minlength=count),
                "selection_count": np.bincount(value[is_chosen], minlength=count),
                "selected_ratio": ratio.ratio,
                "selected_low_ratio": ratio.low,
                "selected_high_ratio": ratio.high,
            }
        )
        table = table[table["trace_count"] > 0]
        order = ["selection_count", "trace_count"]
        return table.sort_values(order, ascending=False, kind="stable", ignore_index=True)

    def has_any(self, values: Collection[str]) -> Array:
        """Return which traces of the set have any of these values."""
        wanted = np.array([text in values for text in self.found.texts], bool)
        has = np.zeros(len(self.sides[0].chosen), bool)
        has[self.found.trace[wanted[self.found.value]]] = True
        return has


def value_shares(sides: tuple[Side, Side], key: str) -> ValueShares:
    """Return which traces have which value of a key, or of the attribute of a column of ``spans``."""
    traces = sides[0].traces
    key = _KEYS.get(key, key)
    return ValueShares(sides, membership(traces, owned(traces), least=1, only=key))
