"""What-if analysis at many factors: latency as a function of the speed of some spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import Shown
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.what_if import Selector

FACTORS = tuple(step / 8 for step in range(17))  # from 0 to twice as slow, in steps of 1/8


@dataclass(frozen=True, repr=False)
class WhatIfCurve(Weighted, Shown):
    """Latency at many factors of the self time of some spans.

    Parameters
    ----------
    table
        One row per factor and statistic (mean, p50, p90, p95, p99): ``factor``, ``statistic``, ``latency_ns`` as
        recorded, ``new_latency_ns`` with ``new_low_ns`` and ``new_high_ns``, ``saved_ns``, ``naive_saved_ns`` for the
        mean, ``taken_over_count`` of requests whose critical path shifts to another branch.
    changed_count
        Spans with changed self time.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.

    Examples
    --------
    >>> WhatIfCurve(pd.DataFrame({"factor": [0.0, 1.0], "statistic": "mean"}), 7)
    WhatIfCurve(2 factors from 0 to 1, 7 spans changed)
    """

    table: pd.DataFrame
    changed_count: int
    statement: str = ""

    def _line(self) -> str:
        """Return the counts in one line."""
        factors = self.table["factor"].unique()
        reach = f"{factors.min():g} to {factors.max():g}"
        return f"WhatIfCurve({len(factors):,} factors from {reach}, {self.changed_count:,} spans changed)"

    def _repr_html_(self) -> str:
        wide = self.table.pivot_table(index="factor", columns="statistic", values="new_latency_ns", sort=False)
        return f"{self.heading()}{wide.to_html(border=0)}"


def what_if_curve(
    path: CriticalPath, selector: Selector, *, factors: Sequence[float] = FACTORS, confidence: float = 0.95
) -> WhatIfCurve:
    """Return latency as a function of the speed of some spans: where further speed-up stops helping.

    Each factor is a separate ``what_if``, with the same assumptions.
    """
    if not len(factors):
        raise ValueError("expected at least one factor, found none")
    runs = [path.what_if({selector: factor}, confidence=confidence) for factor in factors]
    tables = [
        run.table.reset_index().assign(factor=float(factor), taken_over_count=int(run.traces["is_taken_over"].sum()))
        for factor, run in zip(factors, runs, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    return WhatIfCurve(table[["factor", *table.columns.drop("factor")]], runs[0].changed_count, runs[0].statement)
