"""What if, at many factors: how latency follows the speed of some spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import Shown
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.what_if.what_if import Selector

FACTORS = tuple(step / 8 for step in range(17))  # free, in steps of an eighth, to twice as slow


@dataclass(frozen=True, repr=False)
class WhatIfCurve(Weighted, Shown):
    """Latency at many factors of the own time of some spans.

    Parameters
    ----------
    table
        One row a factor and statistic (mean, p50, p90, p95, p99): ``factor``, ``statistic``, ``latency_ns`` as it is,
        ``new_latency_ns`` with ``new_low_ns`` and ``new_high_ns``, ``saved_ns``, ``naive_saved_ns`` at the mean,
        ``taken_over_count`` of requests that another branch holds up then.
    changed_count
        Spans whose own time was changed.
    statement
        What the weighted figures describe: where the weights came from, or that they are unknown.

    Examples
    --------
    >>> WhatIfCurve(pd.DataFrame({"factor": [0.0, 1.0], "statistic": "mean"}), 7)
    WhatIfCurve(2 factors from 0 to 1, 7 spans changed)
    """

    table: pd.DataFrame
    changed_count: int
    statement: str = ""

    def _line(self) -> str:
        """Return the counts."""
        factors = self.table["factor"].unique()
        reach = f"{factors.min():g} to {factors.max():g}"
        return f"WhatIfCurve({len(factors):,} factors from {reach}, {self.changed_count:,} spans changed)"

    def _repr_html_(self) -> str:
        wide = self.table.pivot_table(index="factor", columns="statistic", values="new_latency_ns", sort=False)
        return f"{self.heading()}{wide.to_html(border=0)}"


def what_if_curve(
    path: CriticalPath, selector: Selector, *, factors: Sequence[float] = FACTORS, confidence: float = 0.95
) -> WhatIfCurve:
    """Return how latency follows the speed of some spans: where making them faster stops to help.

    Each factor is a ``what_if`` of its own, with what that assumes.
    """
    if not len(factors):
        raise ValueError("expected at least one factor, found none")
    runs = [path.what_if({selector: factor}, confidence=confidence) for factor in factors]
    tables = [
        run.table.reset_index().assign(factor=float(factor), taken_over_count=int(run.traces["is_taken_over"].sum()))
        for factor, run in zip(factors, runs, strict=True)
    ]
    whole = pd.concat(tables, ignore_index=True)
    return WhatIfCurve(whole[["factor", *whole.columns.drop("factor")]], runs[0].changed_count, runs[0].statement)
