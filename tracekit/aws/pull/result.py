"""The estimate of a pull, and the outcome of every requested trace."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tracekit.aws.prices import USD_PER_READ, USD_PER_SCANNED_BYTE
from tracekit.aws.pull.batches import BATCH_SIZE
from tracekit.text import usd

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tracekit.aws.pull.account import Account

OUTCOMES = ("returned", "partial", "truncated", "not_found", "unprocessed", "failed")
_CALL_S, _QUERY_S = 0.1, 2.0  # typical durations of a call and of a Logs Insights query
_LARGE, _EXPENSIVE_USD = 1_000, 1.0


@dataclass(frozen=True)
class PullEstimate:
    """The expected calls, duration and cost of a pull.

    Parameters
    ----------
    trace_count
        Traces to fetch.
    call_count
        API calls.
    time_s
        Seconds, at 0.1 s per call and 2 s per Logs Insights query.
    cost_usd
        At list prices (``aws/prices.py``): $0.50 per million traces retrieved or scanned, $0.005 per GB scanned by Logs
        Insights; NaN if unknown.
    scanned_bytes
        Bytes that Logs Insights will scan.

    Examples
    --------
    >>> print(estimated(50_000, scanned=80_000, at_once=4))
    50,000 traces in 10,000 calls, about 4.2 minutes, about $0.07
    >>> print(estimated_logs(500, queries=10, scanned_bytes=440e9, at_once=4))
    500 traces in 10 queries, about 0.1 minutes, 440.0 GB of logs scanned, about $2.20
    """

    trace_count: int
    call_count: int
    time_s: float
    cost_usd: float
    scanned_bytes: float = 0.0

    @property
    def is_large(self) -> bool:
        """Whether it needs confirmation: more than 1,000 traces or $1."""
        return self.trace_count > _LARGE or self.cost_usd > _EXPENSIVE_USD

    def __str__(self) -> str:
        unit = "queries" if self.scanned_bytes else "calls"
        what = (
            f"{self.trace_count:,} traces" if self.trace_count or not self.scanned_bytes else "a search for trace ids"
        )
        logs = f" {self.scanned_bytes / 1e9:,.1f} GB of logs scanned," if self.scanned_bytes > 0 else ""
        cost = "unknown cost" if math.isnan(self.cost_usd) else f"about {usd(self.cost_usd)}"
        return f"{what} in {self.call_count:,} {unit}, about {self.time_s / 60:,.1f} minutes,{logs} {cost}"


def estimated(trace_count: int, *, scanned: int = 0, at_once: int = 4) -> PullEstimate:
    """Return the estimate for fetching traces, including those scanned for their ids."""
    calls = math.ceil(trace_count / BATCH_SIZE)
    return PullEstimate(trace_count, calls, calls * _CALL_S / at_once, (trace_count + scanned) * USD_PER_READ)


def estimated_logs(trace_count: int, *, queries: int, scanned_bytes: float, at_once: int = 4) -> PullEstimate:
    """Return the estimate for Logs Insights queries; NaN bytes if unknown."""
    cost = scanned_bytes * USD_PER_SCANNED_BYTE
    return PullEstimate(trace_count, queries, queries * _QUERY_S / at_once, cost, scanned_bytes)


@dataclass(frozen=True)
class Pull:
    """The outcome of every requested trace.

    Parameters
    ----------
    folder
        Folder for ``tracekit.read``.
    account
        The outcome of every id in compact form; see ``accounts``.
    calls
        Calls of this run by operation, including ``retries`` and ``throttled``, and ``scanned_bytes`` of logs.
    estimate
        The estimate of this run.
    notes
        Notes on the completeness and cost of the pull.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tracekit.aws.pull.account import Account
    >>> account = Account(["1-58406520-a006649127e371903a2de979", "1-58406521-a006649127e371903a2de980"])
    >>> account.record_outcomes({"1-58406521-a006649127e371903a2de980": "returned"})
    >>> pull = Pull(Path("pulled"), account, {}, estimated(2))
    >>> pull
    Pull(pulled: 2 traces: 1 returned, 1 unprocessed)
    >>> pull.accounts["outcome"].tolist()
    ['unprocessed', 'returned']
    """

    folder: Path
    account: Account = field(repr=False)
    calls: dict[str, int] = field(repr=False)
    estimate: PullEstimate = field(repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def accounts(self) -> pd.DataFrame:
        """One row per id, indexed by ``trace_id`` (32 hex digits), in the order requested.

        ``xray_id``, ``outcome`` (``returned``; ``partial``: a segment was still in progress; ``truncated``: X-Ray
        stopped adding segments; ``not_found``; ``unprocessed`` at every attempt; ``failed``) and ``reason``.
        """
        return self.account.frame()

    @property
    def counts(self) -> dict[str, int]:
        """Ids by outcome."""
        found = self.account.counts
        return {outcome: found[outcome] for outcome in OUTCOMES if outcome in found}

    def __repr__(self) -> str:
        parts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.counts.items()) or "none found"
        count = len(self.account)
        return f"Pull({self.folder}: {count:,} trace{'s' * (count != 1)}: {parts})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{outcome}</th><td>{count:,}</td></tr>" for outcome, count in self.counts.items())
        return f"<table><tr><th>{html.escape(str(self.folder))}</th><th>traces</th></tr>{rows}</table>"
