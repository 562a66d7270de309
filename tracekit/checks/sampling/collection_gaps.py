"""Collection over time: recorded and expected traces, and collection gaps."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.partials import check_on, placed
from tracekit.analysis.timeline.compute import timeline
from tracekit.arguments import check_traces
from tracekit.checks.case import Case, build_case
from tracekit.checks.quality.gaps.scan import gaps
from tracekit.checks.quality.gaps.silence import silence
from tracekit.findings import Shown
from tracekit.readable_tables import as_html

if TYPE_CHECKING:
    from tracekit.findings import Finding
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

ALL = "all"
_GAPS = ["scope", "kind", "start_time", "end_time", "trace_count", "expected_count", "loss_ratio", "low", "high"]


@dataclass(frozen=True, repr=False)
class Collection(Shown):
    """Recorded and expected traces over time.

    Parameters
    ----------
    table
        One row per ``scope`` (``all``, and each service with request counts) and window: ``start_time`` and
        ``end_time`` (UTC), ``trace_count``; with request counts ``request_count`` and ``expected_count`` (the traces
        expected at the trace coverage outside the gaps), else NaN.
    gaps
        One row per gap: ``scope``, ``kind`` (``gap``: compared with request counts; ``silence``: compared with
        neighbouring traces, possibly a lull), ``start_time``, ``end_time``, ``trace_count``, ``expected_count``,
        ``loss_ratio`` with ``low`` and ``high`` (NaN for silences).
    headlines
        Headlines of the checks ``gap.scan`` and ``gap.silence``.

    Examples
    --------
    >>> tk.collection_gaps(shop)
    Collection(5 traces in 41 windows, 0 gaps)
    """

    table: pd.DataFrame
    gaps: pd.DataFrame
    headlines: tuple[str, ...]

    def __repr__(self) -> str:
        whole = self.table[self.table["scope"] == ALL]
        found = f"{len(self.gaps):,} gap{'' if len(self.gaps) == 1 else 's'}"
        return f"Collection({whole['trace_count'].sum():,} traces in {len(whole):,} windows, {found})"

    def _repr_html_(self) -> str:
        headlines = "".join(f"<p>{html.escape(line)}</p>" for line in (repr(self), *self.headlines))
        shown = self.gaps if len(self.gaps) else self.table
        return f"{headlines}{as_html(shown.head(10))}"


def collection_gaps(
    traces: TraceSet | Parts,
    *,
    requests: pd.DataFrame | None = None,
    confidence: float = 0.95,
    on: On = None,
) -> Collection:
    """Return recorded and expected traces over time, and the collection gaps.

    Parameters
    ----------
    traces
        Any traces, or a store of them.
    requests
        Request counts with times, as for ``tk.quality``; without them, the windows are those of ``tk.timeline`` and
        only periods without any trace are detected.
    confidence
        Confidence level.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Collection
        ``.table``, ``.gaps`` and ``.headlines``.

    Raises
    ------
    ValueError
        Invalid counts (the message contains the row), or ``on`` without a store.

    Notes
    -----
    The gaps of check ``gap.scan`` with request counts by time, else the silences of ``gap.silence``, with their
    assumptions.  A trace counts once for each service that it reaches.

    Examples
    --------
    Five traces per minute for ten requests, but none in minutes 10 to 14:

    >>> minute = 60 * 10**9
    >>> begun = [m * minute + k for m in range(30) if not 10 <= m < 15 for k in range(5)]
    >>> frame = pd.DataFrame({"span_id": "1", "name": "x", "start_ns": begun, "end_ns": begun})
    >>> frame["trace_id"] = [f"{n + 1:032x}" for n in range(len(begun))]
    >>> requests = pd.DataFrame({"time": pd.to_datetime([m * minute for m in range(30)], utc=True), "count": 10})
    >>> seen = tk.collection_gaps(tk.TraceSet.from_spans(frame), requests=requests)
    >>> seen.gaps[["kind", "expected_count", "loss_ratio"]].to_numpy().tolist()
    [['gap', 25.0, 1.0]]
    """
    check_traces(traces, "collection_gaps")
    check_on(on, traces)
    traces = placed(traces, on)
    case = build_case(traces, requests=requests, confidence=confidence)
    if case.counts is None or not case.counts.has_time:
        found = silence(case)
        return Collection(_of_traces(traces), _silences(found[0]), tuple(finding.headline for finding in found))
    found = gaps(case)
    gaps_table = _gaps(found[0])
    return Collection(_of_counts(case, gaps_table), gaps_table, tuple(finding.headline for finding in found))


def _of_traces(traces: TraceSet | Parts) -> pd.DataFrame:
    """Return traces by window, without request counts."""
    seen = timeline(traces)
    start = seen.table["start_time"].astype("datetime64[ns, UTC]")
    columns = {"start_time": start, "end_time": start + pd.Timedelta(seen.step_ns, "ns")}
    table = pd.DataFrame({"scope": ALL} | columns | {"trace_count": seen.table["trace_count"]})
    return table.assign(request_count=np.nan, expected_count=np.nan)


def _of_counts(case: Case, gaps_table: pd.DataFrame) -> pd.DataFrame:
    """Return traces and requests by window: in total, and by service if requests are counted by service."""
    counts, bins = case.counts, case.tally.bins
    assert counts is not None
    parts = {ALL: bins}
    if "service_name" in counts.dimensions:
        parts |= {str(name): part for name, part in bins.groupby("service_name")}
    ends = counts.frame.groupby("start_ns")["end_ns"].max()
    frames = []
    for scope, part in parts.items():
        sums = part.groupby("start_ns")[["requests", "traces"]].sum().sort_index()
        frame = pd.DataFrame({"scope": scope, "start_ns": sums.index, "end_ns": ends.reindex(sums.index).to_numpy()})
        frame["trace_count"] = sums["traces"].to_numpy(np.int64)
        frame["request_count"] = sums["requests"].to_numpy(np.float64)
        frame["expected_count"] = frame["request_count"] * _usual_share(frame, gaps_table[gaps_table["scope"] == scope])
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    for side in ("start", "end"):
        table[f"{side}_time"] = pd.to_datetime(table.pop(f"{side}_ns"), utc=True)
    return table[["scope", "start_time", "end_time", "trace_count", "request_count", "expected_count"]]


def _usual_share(frame: pd.DataFrame, gaps_table: pd.DataFrame) -> float:
    """Return the trace coverage outside the gaps, from the first trace to the last."""
    seen = np.flatnonzero(frame["trace_count"] > 0)
    if not len(seen):
        return 0.0
    inner = frame.iloc[seen[0] : seen[-1] + 1]
    starts = gaps_table[["start_time", "end_time"]].astype("datetime64[ns, UTC]").astype(np.int64).to_numpy()
    outside = np.ones(len(inner), bool)
    for low, high in starts:
        outside &= (inner["start_ns"] < low) | (inner["start_ns"] >= high)
    requests = float(inner.loc[outside, "request_count"].sum())
    return float(inner.loc[outside, "trace_count"].sum()) / requests if requests else 0.0


def _gaps(finding: Finding) -> pd.DataFrame:
    """Return the gaps of ``gap.scan``, each at its reported level."""
    rows = finding.evidence
    if "loss_ratio" not in rows:
        return pd.DataFrame(columns=_GAPS)
    once = (rows["status"] == "failed") & (rows["reported_as"] == rows["scope"])
    renamed = rows[once].rename(columns={"traces": "trace_count", "expected_traces": "expected_count"})
    return renamed.assign(kind="gap").sort_values("start_time", ignore_index=True)[_GAPS]


def _silences(finding: Finding) -> pd.DataFrame:
    """Return the silences of ``gap.silence`` as gaps."""
    rows = finding.evidence
    if "due_count" not in rows or finding.severity == "info":
        return pd.DataFrame(columns=_GAPS)
    end = rows["start_time"] + pd.to_timedelta(rows["gap_ns"], unit="ns")
    filled = rows.assign(scope=ALL, kind="silence", end_time=end, trace_count=0, expected_count=rows["due_count"])
    return filled.assign(loss_ratio=1.0, low=np.nan, high=np.nan)[_GAPS]
