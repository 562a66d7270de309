"""The result of ``tk.what_differs``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracekit.analysis.what_differs.values import value_shares
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import clean, plural, shortened
from tracekit.weights.comparability import on_both_sides
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.what_differs.selection import Side

_ROWS, _LONG = 10, 80  # rows, and characters of a list, that a notebook shows


@dataclass(frozen=True, repr=False)
class Differences(Weighted, Shown):
    """Attribute values that set the selected traces apart from the baseline.

    Parameters
    ----------
    table
        One row per fact, the surest large difference first: ``key`` and ``value``; ``also_count`` and ``also``, the
        other values that name the same traces (``not key=value`` where one is on all other traces);
        ``selection_count`` and ``baseline_count``, recorded traces with it; ``selection_ratio`` and ``baseline_ratio``,
        its weighted share of the traces of each side; ``difference_ratio`` (selection minus baseline) with
        ``difference_low_ratio`` and ``difference_high_ratio``; ``lift``, the quotient; ``selected_ratio``, the
        share of the traces with it that are selected (missing if the sides are two sets of traces); ``q_value`` over
        all values, thresholds and pairs; ``is_significant``; ``exemplar_trace_id``, a selected trace with it.
    thresholds
        The same for numbers: ``operator`` and ``threshold`` in place of ``value``, among the traces with the attribute.
        The limits allow for the choice of the threshold.
    pairs
        The same for two values at once, ``other_key`` and ``other_value``: only pairs that say more than either value.
    skipped
        Keys that were not compared: ``key``, ``reason``, ``distinct_count`` (``is_estimate``: of a store with more than
        20,000 values), ``trace_count``.  With the reason ``rare values``, those that occur at least ``least_count``
        times were compared.
    sides
        ``side`` (selection, baseline), ``name``, ``trace_count``.
    statement
        What the weighted figures describe.
    shared_trace_count
        Traces on both sides, of two sets; the limits assume that there are none.

    Examples
    --------
    >>> tk.what_differs(shop, "failed")
    Differences(1 trace 'failed' and 4 traces 'succeeded', no significant difference; sampling weights unknown)
    """

    table: pd.DataFrame
    thresholds: pd.DataFrame
    pairs: pd.DataFrame
    skipped: pd.DataFrame
    sides: pd.DataFrame
    statement: str
    shared_trace_count: int
    source: tuple[Side, Side] = field(repr=False)

    def values(self, key: str, *, confidence: float = 0.95) -> pd.DataFrame:
        """Return who is affected: all values of one key, with bounds also for those of which no trace is selected.

        Parameters
        ----------
        key
            An attribute key, a column of ``spans`` that comes from one (``service_version``), or ``operation``.
        confidence
            Confidence level of the limits.

        Returns
        -------
        pandas.DataFrame
            One row per value, most selected traces first: ``value``, ``trace_count`` (recorded, of both sides),
            ``selection_count``, ``selected_ratio``, the weighted share of its traces that are selected, with
            ``selected_low_ratio`` and ``selected_high_ratio``.

        Raises
        ------
        ValueError
            No trace has the key, or the sides are two sets of traces, of which nothing is a share.

        Examples
        --------
        >>> tk.what_differs(shop, "failed").values("service.name")[["value", "trace_count", "selection_count"]]
            value  trace_count  selection_count
        0    cart            5                1
        1    shop            5                1
        2  ledger            4                1
        """
        selection, baseline = self.source
        if selection.traces is not baseline.traces:
            raise ValueError("expected a selection within one set of traces, found two sets; compare .table instead")
        (found,) = value_shares(self.source, [key])
        if not found.found.keys:
            raise ValueError(f"expected an attribute key, found {key!r}; traces.attributes['key'].unique() lists them")
        return found.table(confidence)

    @property
    def in_part(self) -> str:
        """Of which keys only frequent values were compared, in words; empty if all values of all keys were."""
        rows = self.skipped[self.skipped["least_count"].notna()].sort_values("distinct_count", ascending=False)
        if not len(rows):
            return ""
        first, more = rows.iloc[0], f" (and of {plural(len(rows) - 1, 'other key')} alike)" * (len(rows) > 1)
        about = "about " * bool(first["is_estimate"])
        return (
            f"of the {about}{first['distinct_count']:,} values of {clean(first['key'], limit=_LONG)} only those were"
            f" compared that occur at least {plural(int(first['least_count']), 'time')}{more}"
        )

    def _line(self) -> str:
        """Return the counts in one line."""
        sides = [f"{plural(side.trace_count, 'trace')} {side.name!r}" for side in self.source]
        tables = {"difference": self.table, "threshold": self.thresholds, "pair": self.pairs}
        found = [plural(int(table["is_significant"].sum()), name) for name, table in tables.items()
                 if table["is_significant"].any()]  # fmt: skip
        parts = [" and ".join(sides), *(found or ["no significant difference"]), self.in_part]
        parts.append(on_both_sides(self.shared_trace_count, [side.trace_count for side in self.source]))
        return f"Differences({', '.join(filter(None, parts))})"

    def _repr_html_(self) -> str:
        shown = self.table.head(_ROWS)
        shown = shown.assign(also=[shortened(text, _LONG) for text in shown["also"]])
        tables = (shown, self.thresholds, self.pairs)
        return f"{self.heading()}{''.join(as_html(table.head(_ROWS)) for table in tables if len(table))}"
