"""The result of ``cost``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.text import interval, plural, usd
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.findings import Estimate


@dataclass(frozen=True, repr=False)
class Cost(Weighted, Shown):
    """What requests cost.

    Parameters
    ----------
    table
        One row per group of ``by``, the most expensive first: the keys; ``request_count`` and ``usd`` (weighted);
        ``usd_per_request`` with its 95% CI ``usd_per_request_low`` and ``usd_per_request_high`` (NaN where it is not
        estimable); ``usd_ratio``: share of all costs.
    items
        One row per price, the most expensive first: ``item``; weighted: ``call_count``, ``duration_ns``, ``usd``;
        ``usd_ratio``; ``unpriced_count``: spans without a known duration or memory, which cost nothing here.
    repeated
        One row per caller and callee with calls in a row (five or more, ``patterns.n_plus_one``), the largest saving
        first: ``service_name``, ``operation``, ``callee_service``, ``call_count`` and ``usd`` (weighted),
        ``saved_usd``: if one call had been made instead.
    cacheable
        One row per caller and callee with reads that were made with equal arguments within ``cache_ttl_s``, the largest
        saving first: ``service_name``, ``operation``, ``callee_service``, ``call_count`` (weighted),
        ``distinct_count`` (recorded reads with different arguments); weighted: ``hit_ratio`` of a cache that is emptied
        every ``cache_ttl_s``, ``usd``, ``saved_usd``.  Only reads whose recorded text is complete (a statement without
        placeholders, a URL) are compared, and only recorded ones: a lower bound of what a cache would save.
    plans
        One row per set of sampling rules: ``plan``; ``kept_ratio`` of the requests, ``kept_error_ratio`` of the failed
        ones, ``kept_slow_ratio`` of those above p99; ``usd_per_month`` for recording the kept ones,
        ``saved_usd_per_month`` compared with ``tracing_usd_per_month``, negative if the plan costs more.
    per_request
        US dollars per request, all groups together, with its 95% CI.
    usd_per_month, tracing_usd_per_month
        Of all requests, and of recording their traces, over 30 days at the rate of this recording; NaN for traces
        without times.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.

    Examples
    --------
    >>> tk.cost(shop, [tk.Price("charges", "operation == 'POST /charge'", usd_per_million=900)])
    Cost(5 requests, 0.0009 USD per request, 1 item; sampling weights unknown)
    """

    table: pd.DataFrame
    items: pd.DataFrame
    repeated: pd.DataFrame
    cacheable: pd.DataFrame
    plans: pd.DataFrame
    per_request: Estimate
    usd_per_month: float
    tracing_usd_per_month: float
    statement: str

    def _line(self) -> str:
        """Return requests and cost in one line."""
        each = self.per_request
        limits = f" ({interval(each.low, each.high, _dollars)})" if each.low == each.low else ""
        return (
            f"Cost({plural(each.n, 'request')}, {_dollars(each.value)} per request{limits}, "
            f"{plural(len(self.items), 'item')})"
        )

    def _repr_html_(self) -> str:
        month = f"<p>{usd(self.usd_per_month)} per month; tracing: {usd(self.tracing_usd_per_month)} per month</p>"
        savings = (table.head(5) for table in (self.repeated, self.cacheable, self.plans) if len(table))
        tables = (self.items, self.table.head(10), *savings)
        return f"{self.heading()}{month}{''.join(map(as_html, tables))}"


def _dollars(amount: float) -> str:
    """Return a small amount with two significant digits."""
    return f"{amount:.2g} USD"
