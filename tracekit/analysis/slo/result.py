"""The result of ``slo``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.findings import Shown
from tracekit.grouping import columns_of
from tracekit.readable_tables import as_html
from tracekit.stats.grouping import group_rows, sum_by
from tracekit.stats.weighted_rates import clustered_rates
from tracekit.text import factor, interval, plural, ratio
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.columns import Array
    from tracekit.findings import Estimate
    from tracekit.grouping import By
    from tracekit.traces import TraceSet


@dataclass(frozen=True, repr=False)
class Slo(Weighted, Shown):
    """A service level indicator and its objective.

    Parameters
    ----------
    traces
        The traces.
    objective
        Share of requests that have to be good.
    sli
        Share of good requests with its 95% CI; NaN where it cannot be known (``statement`` says why).
    verdict
        ``met`` or ``missed`` if the interval is on one side of the objective, else ``too few``; ``not assessable``.
    burn_rate
        Bad ratio per budget (1 - objective); at 1 the budget is spent exactly at the end of the period.
    spent_ratio
        Share of the error budget of the period that the recording spent, if the period had its request rate.
    period_days
        Length of the period.
    alerts
        One row per rule, see ``burn_rates.alerts``.
    definition
        What a good request is, in words.
    statement
        What the figures describe; or why the indicator cannot be known, and what would make it known.
    row, is_bad
        Rows of the root spans that count, and which of them spent budget.
    excluded_count
        Requests that do not count: without a start, an end or (with a threshold of latency) a duration.

    Examples
    --------
    >>> print(repr(tk.slo(shop.with_weights(1), objective=0.9)).partition(", burn")[0])
    Slo(requests that did not fail: 80.0% of 5 requests (95% CI 22.8–99.8%), objective 90.0% too few
    """

    traces: TraceSet
    objective: float
    sli: Estimate
    verdict: str
    burn_rate: float
    spent_ratio: float
    period_days: float
    alerts: pd.DataFrame
    definition: str
    statement: str
    row: Array
    is_bad: Array
    excluded_count: int

    @property
    def is_assessable(self) -> bool:
        """Whether the indicator can be known from these traces."""
        return self.verdict != "not assessable"

    def spent(self, by: By = ("service_name", "operation")) -> pd.DataFrame:
        """Return what spent the error budget.

        Parameters
        ----------
        by
            What to group requests by: columns of ``spans`` and attributes of the root span, ``resource.<key>``,
            ``request.<name>`` (one value per trace) or an aligned Series, see ``tracekit.grouping``.

        Returns
        -------
        pandas.DataFrame
            One row per group, the largest part first: the keys; ``request_count`` and ``bad_count`` (weighted);
            ``bad_ratio`` with its 95% CI ``bad_ratio_low``, ``bad_ratio_high``; ``burn_rate``; ``budget_ratio``: its
            share of all bad requests.  Empty if the indicator cannot be known.

        Examples
        --------
        >>> tk.slo(shop.with_weights(1), objective=0.9).spent().iloc[:, :4].to_numpy().tolist()
        [['shop', 'POST /pay', 4.0, 1.0], ['shop', 'GET /cart', 1.0, 0.0]]
        """
        row = self.row if self.is_assessable else self.row[:0]
        bad = self.is_bad[: len(row)]
        columns = {name: codes.take(row) for name, codes in columns_of(self.traces, by).items()}
        group, keys = group_rows(columns, len(row))
        trace, weights = self.traces.forest.trace[row].astype(np.int64), self.traces.weights.value
        shares = clustered_rates(group, trace, bad, weights, len(keys))
        count = sum_by(group, weights[trace] * bad, len(keys))
        table = keys.assign(
            request_count=sum_by(group, weights[trace], len(keys)),
            bad_count=count,
            bad_ratio=shares.ratio,
            bad_ratio_low=shares.low,
            bad_ratio_high=shares.high,
            burn_rate=shares.ratio / (1 - self.objective),
            budget_ratio=count / max(count.sum(), 1e-300),
        )
        return table.sort_values(["bad_count", "request_count"], ascending=False, kind="stable", ignore_index=True)

    def _line(self) -> str:
        """Return indicator, objective and burn rate in one line."""
        if not self.is_assessable:
            return f"Slo({self.definition}: not assessable)"
        limits = interval(self.sli.low, self.sli.high, ratio)
        left_out = f", {self.excluded_count:,} excluded" * bool(self.excluded_count)
        firing = int(self.alerts["is_firing"].sum())
        return (
            f"Slo({self.definition}: {ratio(self.sli.value)} of {plural(self.sli.n, 'request')} ({limits}), objective "
            f"{ratio(self.objective)} {self.verdict}, burn rate {factor(self.burn_rate)}, "
            f"{plural(firing, 'alert')} firing{left_out})"
        )

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.alerts)}{as_html(self.spent().head(10))}"
