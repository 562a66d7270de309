"""S14, what does it take to make the sample agree with known totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.words import counted, number, percent
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate
from tracekit.stats.intervals import effective_n
from tracekit.stats.raking import rake
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.weights.tally import stratum_codes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array

CHECK = "calibrate"
_DEAR, _OFF = 2.0, 0.01


def calibration(case: Case) -> list[Finding]:
    """Return what calibrating the traces to counted requests changes, costs and leaves open.

    Post-stratification of weights that start at 1 / p where p is known for all and else at 1, bounded to 1/5 and 5
    times the mean (``stats.raking``).  Where strata of several dimensions are without traces, but every single route,
    method, ... has some, the totals of each dimension are raked instead.  The interval takes the totals for estimated,
    so it is rather too wide.  Removes only the bias that the strata explain and never claims more: what
    differs inside a stratum stays.  ``traces.with_weights(requests)`` gives the traces such weights, unbounded.
    Source: Deville and Sarndal 1992.
    """
    subject = "What weights by counted requests would change"
    if missing := case.counts_needed:
        return [not_assessable(CHECK, subject, missing)]
    cell, totals, labels, lost = _cells(case)
    if not (cell >= 0).any():
        return [not_assessable(CHECK, subject, "counts of the strata that the roots of traces belong to")]
    margins = _margins(case) if lost else None
    if margins is not None:
        lost, chosen, parts, what = 0.0, *margins
    else:
        chosen = np.flatnonzero(cell >= 0)
        parts, what = [(cell[chosen], totals)], "1 stratum" if len(totals) == 1 else f"{number(len(totals))} strata"
    start = np.ones(len(chosen)) if case.weights_needed or not case.base.all() else 1 / case.probability[chosen]
    raked = rake(start, parts)
    raw = float(case.failed[chosen].mean())
    deff = len(chosen) / effective_n(raked.weights)
    rate = weighted_rate(
        1 / np.maximum(raked.weights, 1), case.failed[chosen], target="process", confidence=case.confidence
    )
    held = np.bincount(cell[cell >= 0], minlength=len(totals))
    table = pd.DataFrame({"scope": labels, "requests": totals, "traces": held, "weight": totals / np.maximum(held, 1)})
    table["imbalance"] = raked.imbalance
    problems = [f"{counted(raked.at_bound, 'weight')} held by a bound"] * (raked.at_bound > 0)
    problems += [f"{counted(lost, 'request')} belong to strata without a trace"] * (lost > 0)
    problems += [f"sums are still off by up to {percent(raked.imbalance)}"] * (raked.imbalance > _OFF)
    problems += [f"the weights cost a design effect of {deff:.2g}"] * (deff > _DEAR)
    status: Status = "warning" if problems else "measured"
    cost = f"n = {number(len(chosen))}, effective {number(effective_n(raked.weights))}, design effect {deff:.3g}"
    text = (
        f"Weights now match the totals of {what}{'; but ' * bool(problems)}{'; '.join(problems)};"
        f" the error rate goes from {percent(raw)} to {percent(rate.value)} ({cost}); what differs inside a stratum is"
        " not corrected."
    )
    estimate = Estimate(rate.value, "ratio", rate.low, rate.high, len(chosen), effective_n(raked.weights))
    assumed = ("selection depends on nothing but the strata", *case.caveats)
    remedy = "Merge strata with few traces." if status == "warning" else ""
    return [
        finding(CHECK, status, text, table.assign(status=status), estimate=estimate, assumptions=assumed,
              remedy=remedy, is_critical=False)
    ]  # fmt: skip


def _margins(case: Case) -> tuple[Array, list[tuple[Array, Array]], str] | None:
    """Return traces, cells and totals of each dimension, and their names; None where a total has no trace."""
    assert case.counts is not None
    keys, root = list(case.counts.dimensions), case.traces.forest.root_row
    if len(keys) < 2:  # noqa: PLR2004 - one dimension is its strata
        return None
    columns = {}
    for key in keys:
        asked = case.counts.frame.groupby(key, dropna=False)["count"].sum()
        asked = asked[asked > 0]
        own = stratum_codes(case.traces, key, case.counts).take(root).series().astype(object)
        columns[key] = pd.Index(asked.index).get_indexer(pd.Index(own)), asked.to_numpy(np.float64)
    chosen = np.flatnonzero(np.all([at >= 0 for at, _ in columns.values()], axis=0))
    parts = [(at[chosen], total) for at, total in columns.values()]
    if not len(chosen) or any((np.bincount(at, minlength=len(total)) == 0).any() for at, total in parts):
        return None
    names = " and ".join(f"{len(total):,} of {key}" for key, (_, total) in columns.items())
    return chosen, parts, f"{names}, each by itself"


def _cells(case: Case) -> tuple[Array, Array, list[str], float]:
    """Return the cell of each root (-1 = not counted), totals and names of the cells, requests of empty ones."""
    assert case.counts is not None
    keys, root = list(case.counts.dimensions), case.traces.forest.root_row
    if not keys:
        only = 0 if case.counts.total > 0 else -1
        return np.full(len(root), only), np.array([case.counts.total]), ["all requests"], 0.0
    asked = case.counts.frame.groupby(keys, dropna=False)["count"].sum()
    codes = {key: stratum_codes(case.traces, key, case.counts).take(root) for key in keys}
    own = pd.DataFrame({key: column.series().astype(object) for key, column in codes.items()})
    index = asked.index if len(keys) > 1 else pd.Index(asked.index, name=keys[0])
    wanted = pd.MultiIndex.from_frame(own) if len(keys) > 1 else pd.Index(own[keys[0]])
    at = index.get_indexer(wanted)
    held = np.bincount(at[at >= 0], minlength=len(asked))
    full = (held > 0) & (asked.to_numpy() > 0)
    number_of = np.where(full, np.cumsum(full) - 1, -1)
    cell = np.where(at >= 0, number_of[at], -1)
    labels = [" ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in index[full]]
    return cell, asked.to_numpy()[full].astype(np.float64), labels, float(asked.to_numpy()[held == 0].sum())
