"""Shares of the strata in the traffic and in the sample."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_on, placed
from tracekit.arguments import check_traces
from tracekit.checks.case import build_case
from tracekit.checks.sampling.traffic_mix import traffic_mix
from tracekit.findings import Shown
from tracekit.readable_tables import as_html

if TYPE_CHECKING:
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

AXES = ("strata", "hours")
_COLUMNS = ["axis", "stratum", "request_count", "trace_count", "request_share", "trace_share"]
_COLUMNS += ["trace_share_low", "trace_share_high", "ratio", "low", "high", "verdict"]
_RENAMED = {"scope": "stratum", "requests": "request_count", "traces": "trace_count", "estimate": "ratio"}
_RENAMED |= {"estimate_low": "low", "estimate_high": "high", "status": "verdict"}


@dataclass(frozen=True, repr=False)
class SampleMix(Shown):
    """Shares of the strata in the traffic and in the sample.

    Parameters
    ----------
    table
        One row per stratum of an ``axis`` (``strata``: the dimensions of the counts; ``hours``): ``stratum``,
        ``request_count``, ``trace_count``, ``request_share``, ``trace_share`` with ``trace_share_low`` and
        ``trace_share_high``; ``ratio``, its sampling rate over that of the rest, with ``low`` and ``high``;
        ``verdict``: ``ok``, ``failed`` or ``inconclusive``.  Empty if an input is missing.
    headlines
        One sentence per axis, or the missing input.

    Examples
    --------
    >>> tk.sample_mix(shop, requests=pd.DataFrame({"route": ["/cart", "/pay"], "count": [10, 30]}))
    SampleMix(0 of 2 strata sampled at a different rate)
    """

    table: pd.DataFrame
    headlines: tuple[str, ...]

    def __repr__(self) -> str:
        biased = int((self.table["verdict"] == "failed").sum())
        return f"SampleMix({biased:,} of {len(self.table):,} strata sampled at a different rate)"

    def _repr_html_(self) -> str:
        headlines = "".join(f"<p>{html.escape(line)}</p>" for line in self.headlines)
        return f"{headlines}{as_html(self.table.head(10))}"


def sample_mix(
    traces: TraceSet | Parts,
    *,
    requests: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    margin: float = 0.10,
    confidence: float = 0.95,
    on: On = None,
) -> SampleMix:
    """Return the over- and under-sampled routes, methods, statuses, services and hours.

    Parameters
    ----------
    traces
        Any traces, or a store of them.
    requests, log, margin
        As for ``tk.sampling``; ``requests`` take precedence.
    confidence
        Confidence level.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    SampleMix
        ``.table`` and ``.headlines``.

    Raises
    ------
    ValueError
        Invalid counts (the message contains the row), or ``on`` without a store.

    Notes
    -----
    The numbers and verdicts of check ``mix.head``.  The interval of a stratum's share of the traces follows from its
    ratio rho: ``N_h rho / (N_h rho + N - N_h)`` of the traces come from a stratum of ``N_h`` among ``N`` requests that
    is sampled at rho times the rate of the rest.  Ratios add half a trace on either side, so that they exist for strata
    without traces; the share of the traces of such a stratum is 0.

    Examples
    --------
    Three quarters of the requests pay, and four of the five traces:

    >>> requests = pd.DataFrame({"route": ["/cart", "/pay"], "count": [10, 30]})
    >>> mix = tk.sample_mix(shop, requests=requests)
    >>> mix.table.set_index("stratum").loc["/pay", ["request_share", "trace_share"]].tolist()
    [0.75, 0.8]
    """
    check_traces(traces, "sample_mix")
    check_on(on, traces)
    case = build_case(
        placed(traces, on), requests=requests, log=log, margin=margin, confidence=confidence, count_log=True
    ).weighted
    found = traffic_mix(case)
    axes = AXES if case.counts is not None and case.counts.dimensions else AXES[1:]
    parts = [
        finding.evidence.assign(axis=axis)
        for axis, finding in zip(axes, found, strict=False)
        if "trace_share" in finding.evidence
    ]
    headlines = tuple(finding.headline for finding in found)
    if not parts:
        return SampleMix(pd.DataFrame(columns=_COLUMNS), headlines)
    table = pd.concat(parts, ignore_index=True).rename(columns=_RENAMED)
    rest = table.groupby("axis")["request_count"].transform("sum") - table["request_count"]
    low, high = (_share(table["request_count"], rest, table[side]) for side in ("low", "high"))
    table["trace_share_low"] = low.clip(upper=table["trace_share"])
    table["trace_share_high"] = high.clip(lower=table["trace_share"])
    return SampleMix(table[_COLUMNS].astype({"trace_count": np.int64}), headlines)


def _share(requests: pd.Series, rest: pd.Series, ratio: pd.Series) -> pd.Series:
    """Return the share of the traces of a stratum from the ratio of sampling rates; 1 at infinity."""
    kept = requests * ratio
    return (kept / (kept + rest)).where(~np.isposinf(ratio), 1.0)
