"""The result of ``slo``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_names, largest_first, over_parts
from tracekit.analysis.slo.outcomes import merged, tabulate
from tracekit.findings import Shown
from tracekit.grouping import named
from tracekit.readable_tables import as_html
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.weighted_rates import rates
from tracekit.text import factor, interval, plural, ratio
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from tracekit.analysis.slo.outcomes import Outcomes
    from tracekit.findings import Estimate
    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet


@dataclass(frozen=True, repr=False)
class Slo(Weighted, Shown):
    """A service level indicator and its objective.

    Parameters
    ----------
    traces
        The traces, or the store.
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
    outcomes
        What a good request is.
    bad_count
        Recorded requests that are bad.
    excluded_count
        Requests that do not count: without a start, an end or (with a threshold of latency) a duration.
    on
        Where the parts of a store are read for ``spent``.

    Examples
    --------
    >>> print(repr(tk.slo(shop.with_weights(1), objective=0.9)).partition(", burn")[0])
    Slo(requests that did not fail: 80.0% of 5 requests (95% CI 22.8–99.8%), objective 90.0% too few
    """

    traces: TraceSet | Parts
    objective: float
    sli: Estimate
    verdict: str
    burn_rate: float
    spent_ratio: float
    period_days: float
    alerts: pd.DataFrame
    definition: str
    statement: str
    outcomes: Outcomes
    bad_count: int
    excluded_count: int
    on: On = None

    @property
    def is_assessable(self) -> bool:
        """Whether the indicator can be known from these traces."""
        return self.verdict != "not assessable"

    def spent(self, by: By = ("service_name", "operation")) -> pd.DataFrame:
        """Return what spent the error budget; a store is read for it part by part.

        Parameters
        ----------
        by
            What to group requests by: columns of ``spans`` and attributes of the root span, ``resource.<key>``,
            ``request.<name>`` (one value per trace) or an aligned Series (not with a store), see
            ``tracekit.grouping``.

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
        check_names(self.traces, by)
        found = over_parts(self.traces, partial(tabulate, outcomes=self.outcomes, by=by), merged, on=self.on).state
        fine = found.table if self.is_assessable else found.table.where(np.zeros(len(found.table), bool))
        fine, names = fine.by([*named(by), WEIGHT_CLASS]), list(named(by))
        total, owner = fine.by(names), fine.groups(names)[0]
        shares, count = rates(fine.sums, owner, len(total)), total.sums["event_sum"]
        table = pd.DataFrame(total.keys, index=pd.RangeIndex(len(total)), dtype=object).assign(
            request_count=total.sums["trial_sum"],
            bad_count=count,
            bad_ratio=shares.ratio,
            bad_ratio_low=shares.low,
            bad_ratio_high=shares.high,
            burn_rate=shares.ratio / (1 - self.objective),
            budget_ratio=count / max(count.sum(), 1e-300),
        )
        return largest_first(table, "bad_count", "request_count")

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
