"""S12, what the collector itself counted: traces evicted before it decided, spans that it lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.checks.collector_metrics import EVICTED, LATE, LOSSES, RECEIVED, Loss
from tracekit.checks.sampling.words import number, percent
from tracekit.checks.verdicts import finding, worst_status
from tracekit.findings import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status

CHECK = "tail.truncation"
_MOST_LOST = 0.01


def evictions(case: Case) -> list[Finding]:
    """Return what the collector counted of traces that it evicted and spans that it lost.

    Share = lost over all, both counted, so without an interval.  A collector that holds ``num_traces`` removes the
    oldest for each new one, before any policy saw it: failing and slow ones too, and most of them in busy times.
    Weights know nothing of it, totals are too low by that share, and a policy that keeps every error does not.  Spans
    that came after the decision are told and not judged: a decision cache may have kept them.  Assumes that the
    counters grew by so much in the time of the traces.  Source: the collector's tail_sampling processor and its own
    telemetry.
    """
    counted = case.expected.collector
    if not counted:
        return []
    rows = [_row(loss, counted, case.margin) for loss in LOSSES if loss.counter in counted or loss.counter == EVICTED]
    table = pd.DataFrame(rows, columns=["loss", "count", "of", "estimate", "status"])
    evicted, status = table.iloc[0], worst_status(table["status"].tolist())
    table["late_spans"] = counted.get(LATE, math.nan)
    told = [_evicted(evicted), *(_words(row) for _, row in table.iloc[1:].iterrows() if row["count"])]
    if late := counted.get(LATE):
        told.append(f"{number(late)} spans came after the decision")
    share = float(evicted["estimate"])
    known = Estimate(share, "ratio", share, share, int(evicted["of"])) if share <= 1 else None
    return [
        finding(CHECK, status, "; ".join(told) + ".", table, estimate=known, remedy=_remedy(table),
              assumptions=("the counters grew by so much in the time of the traces",), is_critical=False)
    ]  # fmt: skip


def _row(loss: Loss, counted: Mapping[str, float], margin: float) -> tuple[str, float, float, float, Status]:
    """Return one loss with its share of all and its verdict."""
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
    """Return the sentence about evictions, without its end."""
    lost, whole = row["count"], row["of"]
    if math.isnan(lost):
        return f"Whether the collector evicted traces: not assessable: needs {EVICTED}"
    if lost > whole:
        return (
            f"The collector counted {number(lost)} evicted traces of {number(whole)}: the counters are not of one time"
        )
    if not lost:
        return f"The collector evicted none of {'its' if math.isnan(whole) else number(whole)} traces before it decided"
    of = "" if math.isnan(whole) else f" of {number(whole)}"
    share = f"of how many needs {RECEIVED}" if math.isnan(whole) else percent(row["estimate"])
    missing = "whatever they were, they are missing, and no weight stands for them"
    return f"The collector evicted {number(lost)}{of} traces ({share}) before it decided: {missing}"


def _words(row: pd.Series) -> str:
    """Return what is said of lost spans."""
    share = f" ({percent(row['estimate'])})" if math.isfinite(row["estimate"]) else ""
    return f"{number(row['count'])} {row['loss']}{share}"


def _remedy(table: pd.DataFrame) -> str:
    """Return what to do."""
    bad = table["status"].isin(["warning", "failed", "inconclusive"])
    advice = "Raise num_traces above the traces of decision_wait at the busiest time, or add collectors behind a load"
    parts = [f"{advice} balancer by trace id."] if bad.iloc[0] else []
    parts += ["Give the collector memory and its exporter a longer queue."] if bad.iloc[1:].any() else []
    return " ".join(parts)
