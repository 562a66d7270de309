"""S14: calibration of weights to known request totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.trace_rows import Rows
from tracekit.checks.merged import Merged
from tracekit.checks.outcomes import rows_one_by_one
from tracekit.checks.sampling.weights_used import weights_needed
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.intervals import effective_n
from tracekit.stats.raking import rake
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.text import count, number, plural, ratio
from tracekit.weights.tally import stratum_codes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.weights.counts import Counts

CHECK = "calibrate"
_DEAR, _OFF = 2.0, 0.01
_DIGITS = 12  # of the imbalance: the rest is rounding


def calibration(case: Case) -> list[Finding]:
    """Return the effect and the cost of calibrating the weights to request counts.

    Post-stratification of weights that start at 1 / p if p is known for all traces, otherwise at 1, bounded to 1/5 and
    5 times the mean (``stats.raking``).  If strata of several dimensions have no traces, but every single route,
    method, ... has some, the totals of each dimension are raked instead.  The interval treats the totals as estimated,
    so it is conservative.  Removes only the bias that the strata explain, not differences inside a stratum.
    ``traces.with_weights(requests)`` applies such weights, unbounded.  Source: Deville and Sarndal 1992.
    """
    subject = "Calibration to request counts"
    if missing := case.counts_needed:
        return [not_assessable(CHECK, subject, missing)]
    assert case.counts is not None
    rows = case.result(Merged(_Strata(case.counts), Rows.plus, rows_one_by_one, limit=Rows.distinct))
    cell, totals, labels, lost = _cells(case.counts, rows)
    if not (cell >= 0).any():
        return [not_assessable(CHECK, subject, "counts of the strata that the roots of traces belong to")]
    margins = _margins(case.counts, rows) if lost else None
    if margins is not None:
        lost, chosen, parts, what = 0.0, *margins
    else:
        chosen = np.flatnonzero(cell >= 0)
        parts, what = [(cell[chosen], totals)], "1 stratum" if len(totals) == 1 else f"{count(len(totals))} strata"
    failed, is_known = rows["failed"].to_numpy(), not weights_needed(case) and bool(rows["is_base"].all())
    raked = rake(1 / rows["probability"].to_numpy()[chosen] if is_known else np.ones(len(chosen)), parts)
    raw = float(failed[chosen].mean())
    deff = len(chosen) / effective_n(raked.weights)
    rate = weighted_rate(1 / np.maximum(raked.weights, 1), failed[chosen], target="process", confidence=case.confidence)
    recorded = np.bincount(cell[cell >= 0], minlength=len(totals))
    table = pd.DataFrame(
        {"scope": labels, "requests": totals, "traces": recorded, "weight": totals / np.maximum(recorded, 1)}
    )
    table["imbalance"] = round(raked.imbalance, _DIGITS)
    problems = [f"{plural(raked.at_bound, 'weight')} at a bound"] * (raked.at_bound > 0)
    problems += [f"{plural(lost, 'request')} in strata without a trace"] * (lost > 0)
    problems += [f"totals still off by up to {ratio(raked.imbalance)}"] * (raked.imbalance > _OFF)
    problems += [f"design effect {number(deff)}"] * (deff > _DEAR)
    status: Status = "warning" if problems else "measured"
    size = f"effective sample size {count(effective_n(raked.weights))}, design effect {number(deff)}"
    limits = f"Problems: {'; '.join(problems)}. " * bool(problems)
    text = (
        f"Calibrated to the totals of {what}, the error rate changes from {ratio(raw)} to {ratio(rate.value)}"
        f" (n = {count(len(chosen))}, {size}). {limits}Differences inside a"
        " stratum are not corrected."
    )
    estimate = Estimate(rate.value, "ratio", rate.low, rate.high, len(chosen), effective_n(raked.weights))
    assumed = ("selection depends only on the strata", *case.caveats)
    remedy = "Merge strata with few traces." if status == "warning" else ""
    return [
        finding(CHECK, status, text, table.assign(status=status), estimate=estimate, assumptions=assumed,
              remedy=remedy, is_critical=False)
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Strata:
    """Returns the strata of the counted requests, the probability and the outcome of the traces of a part."""

    counts: Counts

    def __call__(self, case: Case) -> Rows:
        """Return those of a case."""
        root = case.traces.forest.root_row
        strata = {key: stratum_codes(case.traces, key, self.counts).take(root) for key in self.counts.dimensions}
        return Rows.of(strata | {"probability": case.probability, "is_base": case.base, "failed": case.failed})


def _margins(counts: Counts, rows: pd.DataFrame) -> tuple[Array, list[tuple[Array, Array]], str] | None:
    """Return traces, cells and totals of each dimension, and their names; None if a total has no trace."""
    keys = list(counts.dimensions)
    if len(keys) < 2:  # noqa: PLR2004 - one dimension is its strata
        return None
    columns = {}
    for key in keys:
        requested = counts.frame.groupby(key, dropna=False)["count"].sum()
        requested = requested[requested > 0]
        own = pd.Index(rows[key].astype(object))
        columns[key] = pd.Index(requested.index).get_indexer(own), requested.to_numpy(np.float64)
    chosen = np.flatnonzero(np.all([at >= 0 for at, _ in columns.values()], axis=0))
    parts = [(at[chosen], total) for at, total in columns.values()]
    if not len(chosen) or any((np.bincount(at, minlength=len(total)) == 0).any() for at, total in parts):
        return None
    names = " and ".join(f"{len(total):,} of {key}" for key, (_, total) in columns.items())
    return chosen, parts, f"{names}, separately"


def _cells(counts: Counts, rows: pd.DataFrame) -> tuple[Array, Array, list[str], float]:
    """Return the cell of each trace (-1: not counted), totals and labels of the cells, requests of empty cells."""
    keys = list(counts.dimensions)
    if not keys:
        only = 0 if counts.total > 0 else -1
        return np.full(len(rows), only), np.array([counts.total]), ["all requests"], 0.0
    requested = counts.frame.groupby(keys, dropna=False)["count"].sum()
    own = rows[keys].astype(object)
    index = requested.index if len(keys) > 1 else pd.Index(requested.index, name=keys[0])
    wanted = pd.MultiIndex.from_frame(own) if len(keys) > 1 else pd.Index(own[keys[0]])
    at = index.get_indexer(wanted)
    recorded = np.bincount(at[at >= 0], minlength=len(requested))
    full = (recorded > 0) & (requested.to_numpy() > 0)
    number_of = np.where(full, np.cumsum(full) - 1, -1)
    cell = np.where(at >= 0, number_of[at], -1)
    labels = [" ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in index[full]]
    return cell, requested.to_numpy()[full].astype(np.float64), labels, float(requested.to_numpy()[recorded == 0].sum())
