"""What a pull will take, and what became of every trace that was asked for."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracekit.aws.batches import AT_ONCE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

OUTCOMES = ("returned", "partial", "truncated", "not_found", "unprocessed", "failed")
_USD_PER_TRACE = 0.5e-6  # retrieved or scanned: the listed price of X-Ray, $0.50 a million
_CALL_S = 0.1  # a usual round trip


@dataclass(frozen=True)
class PullEstimate:
    """What fetching the traces will take.

    Parameters
    ----------
    trace_count
        Traces to fetch.
    call_count
        Calls for them.
    time_s
        At a tenth of a second a call.
    cost_usd
        At $0.50 a million traces retrieved or scanned; Logs Insights is charged by the bytes it scans, and not in here.

    Examples
    --------
    >>> print(estimated(50_000, scanned=80_000, at_once=4))
    50,000 traces in 10,000 calls, about 4.2 minutes, about $0.07
    """

    trace_count: int
    call_count: int
    time_s: float
    cost_usd: float

    def __str__(self) -> str:
        minutes = self.time_s / 60
        return (
            f"{self.trace_count:,} traces in {self.call_count:,} calls, about {minutes:,.1f} minutes,"
            f" about ${self.cost_usd:,.2f}"
        )


def estimated(trace_count: int, *, scanned: int = 0, at_once: int = 4) -> PullEstimate:
    """Return what fetching so many traces will take, after so many were scanned for their ids."""
    calls = math.ceil(trace_count / AT_ONCE)
    return PullEstimate(trace_count, calls, calls * _CALL_S / at_once, (trace_count + scanned) * _USD_PER_TRACE)


@dataclass(frozen=True)
class Pull:
    """What became of every trace that was asked for.

    Parameters
    ----------
    folder
        What ``tracekit.read`` reads.
    accounts
        One row an id, indexed by ``trace_id`` (32 hex digits): ``xray_id``, ``outcome`` (``returned``; ``partial``:
        a segment was still in progress; ``truncated``: X-Ray stopped adding segments; ``not_found``; ``unprocessed``
        at every attempt; ``failed``) and ``reason``.
    calls
        Calls by operation, ``retries`` and ``throttled`` among them, of this run.
    estimate
        What was expected of this run.
    notes
        What else one must know to read the account.

    Examples
    --------
    >>> import pandas as pd
    >>> from pathlib import Path
    >>> accounts = pd.DataFrame({"outcome": ["returned", "returned", "not_found"]})
    >>> Pull(Path("pulled"), accounts, {}, estimated(3))
    Pull(pulled: 3 traces: 2 returned, 1 not_found)
    """

    folder: Path
    accounts: pd.DataFrame
    calls: dict[str, int] = field(repr=False)
    estimate: PullEstimate = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Ids by outcome."""
        found = self.accounts["outcome"].value_counts()
        return {outcome: int(found[outcome]) for outcome in OUTCOMES if outcome in found}

    def __repr__(self) -> str:
        parts = ", ".join(f"{count:,} {outcome}" for outcome, count in self.counts.items()) or "nothing was asked for"
        return f"Pull({self.folder}: {len(self.accounts):,} traces: {parts})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{outcome}</th><td>{count:,}</td></tr>" for outcome, count in self.counts.items())
        return f"<table><tr><th>{html.escape(str(self.folder))}</th><th>traces</th></tr>{rows}</table>"
