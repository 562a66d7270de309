"""S12: losses in the collector's own metrics: traces evicted before the decision, lost spans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.checks.collector_metrics import EVICTED, LATE, LOSSES, RECEIVED, Loss
from tracekit.checks.verdicts import finding, worst_status
from tracekit.checks.words import number, percent
from tracekit.findings import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status

CHECK = "tail.truncation"
_MOST_LOST = 0.01


def evictions(case: Case) -> list[Finding]:
    """Return the traces that the collector evicted and the spans that it lost, from its metrics.

    Share = lost over all, both counted, so without an interval.  With ``num_traces`` traces in memory a collector
    removes the oldest for each new one, before any policy is applied: failing and slow traces too, mostly at high load.
    Weights do not represent them, totals are too low by that share, and a policy that keeps every error misses some.
    Spans that arrived after the decision are reported, not assessed: a decision cache may have kept them.  Assumes that
    the counters increased by these values in the period of the traces.  Source: the collector's tail_sampling processor
    and its own telemetry.
    """
    counted = case.expected.collector
    if not counted:
        return []
    rows = [_row(loss, counted, case.margin) for loss in LOSSES if loss.counter in counted or loss.counter == EVICTED]
    table = pd.DataFrame(rows, columns=["loss", "count", "of", "estimate", "status"])
    evicted, status = table.iloc[0], worst_status(table["status"].tolist())
    table["late_spans"] = counted.get(LATE, math.nan)
    parts = [_evicted(evicted), *(_lost(row) for _, row in table.iloc[1:].iterrows() if row["count"])]
    if late := counted.get(LATE):
        parts.append(f"{number(late)} spans arrived after the decision")
    share = float(evicted["estimate"])
    known = Estimate(share, "ratio", share, share, int(evicted["of"])) if share <= 1 else None
    return [
        finding(CHECK, status, "; ".join(parts) + ".", table, estimate=known, remedy=_remedy(table),
              assumptions=("the counters increased by these values in the period of the traces",), is_critical=False)
    ]  # fmt: skip


def _row(loss: Loss, counted: Mapping[str, float], margin: float) -> tuple[str, float, float, float, Status]:
    """Return one loss with its share and status."""
    lost, base = counted.get(loss.counter, math.nan), counted.get(loss.of, math.nan)
    whole = base if loss.is_within else base + lost
    share = lost / whole if whole else 0.0 if not lost else math.inf
    if math.isnan(lost):
        return loss.words, lost, whole, lost, "not_assessable"
    if math.isnan(share):
        return loss.words, lost, whole, share, "inconclusive" if lost else "ok"
    status: Status = "failed" if share > max(margin, _MOST_LOST) else "warning" if share > _MOST_LOST else "ok"
    return loss.words, lost, whole, share, status


def _evicted(row: pd.Series) -> str:
    """Return the clause about evictions."""
    lost, whole = row["count"], row["of"]
    if math.isnan(lost):
        return f"Collector evictions: not assessable: needs {EVICTED}"
    if lost > whole:
        return (
            f"Collector evictions: {number(lost)} traces of {number(whole)} received; the counters cover different"
            " periods"
        )
    if not lost:
        return f"Collector evictions: none of {'its' if math.isnan(whole) else number(whole)} traces"
    of = "" if math.isnan(whole) else f" of {number(whole)}"
    share = f"share unknown, needs {RECEIVED}" if math.isnan(whole) else percent(row["estimate"])
    missing = "these traces are missing, and no sampling weight represents them"
    return f"Collector evictions: {number(lost)}{of} traces ({share}) before the sampling decision; {missing}"


def _lost(row: pd.Series) -> str:
    """Return the clause about lost spans."""
    share = f" ({percent(row['estimate'])})" if math.isfinite(row["estimate"]) else ""
    return f"{number(row['count'])} {row['loss']}{share}"


def _remedy(table: pd.DataFrame) -> str:
    """Return the remedy."""
    bad = table["status"].isin(["warning", "failed", "inconclusive"])
    advice = "Raise num_traces above the number of traces within decision_wait at peak load, or add collectors behind a"
    parts = [f"{advice} load balancer that routes by trace ID."] if bad.iloc[0] else []
    parts += ["Increase the memory of the collector and the queue of its exporter."] if bad.iloc[1:].any() else []
    return " ".join(parts)
