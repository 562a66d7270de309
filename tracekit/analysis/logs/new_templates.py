"""Templates of log lines that the baseline does not have, and that come with failing requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.stats.differences import absence_probability
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.columns import Array

KEYS: Final = ["service_name", "level", "template"]


class Side(NamedTuple):
    """The lines of one side that are joined by id, in finished requests.

    Parameters
    ----------
    lines
        One row per template and trace: ``service_name``, ``level``, ``template``, ``trace``.
    is_failed, weight
        One entry per trace.
    """

    lines: pd.DataFrame
    is_failed: Array
    weight: Array


def new_templates(now: Side, before: Side, *, fdr: float = 0.05) -> pd.DataFrame:
    """Return the templates of one side that the other does not have, and how they go with failing requests.

    Parameters
    ----------
    now, before
        Both sides.
    fdr
        False discovery rate of ``is_significant``.

    Returns
    -------
    pandas.DataFrame
        One row per service, level and template that the baseline does not have: ``trace_count``, ``failed_count`` (of
        which the request failed), ``covered_count`` and ``covered_failed_count`` (traces with any line of the service),
        ``baseline_covered_count``, ``p_value``, ``q_value``, ``is_significant``; most failing traces first.

    Notes
    -----
    The unit is the trace, and only traces with a line of the service count, so that a log that was not collected does
    not make lines new.  ``p_value`` is the larger one of two: that chance put all traces with the template on this side
    (hypergeometric), and that chance put so many of them among the failing requests of this side (Fisher's exact test,
    one-sided; without a request that succeeded only the first).  With sampling weights the first assumes the lowest
    inclusion probability of the baseline, so that a template is not new because its requests were sampled less.
    Adjusted over all templates of both sides (Benjamini and Hochberg 1995).
    """
    table = _counts(now)
    known = pd.MultiIndex.from_frame(before.lines[KEYS[::2]].drop_duplicates())
    is_new = ~pd.MultiIndex.from_frame(table[KEYS[::2]]).isin(known)
    tried = len(pd.MultiIndex.from_frame(table[KEYS[::2]]).union(known))
    covered, covered_before = _covered(now), _covered(before)
    table = table[is_new].merge(covered, on="service_name", how="left")
    sizes = covered_before.rename(columns={"covered_count": "baseline_covered_count", "size": "baseline_size"})
    names = ["service_name", "baseline_covered_count", "baseline_size"]
    table = table.merge(sizes[names], on="service_name", how="left")
    table["baseline_covered_count"] = table["baseline_covered_count"].fillna(0).astype(np.int64)
    p = np.where(table["baseline_covered_count"] > 0, np.maximum(_p_new(table), _p_failing(table)), np.nan)
    rest = np.ones(max(tried - len(p), 0))
    table["p_value"], table["q_value"] = p, false_discovery(np.concatenate([p, rest]))[: len(p)]
    table["is_significant"] = table["q_value"] <= fdr
    table = table.drop(columns=["size", "traffic", "weight_mean", "baseline_size"])
    return table.sort_values(
        ["is_significant", "failed_count", "trace_count"], ascending=False, kind="stable", ignore_index=True
    )


def _counts(side: Side) -> pd.DataFrame:
    """Return traces and failing traces by service, level and template, with the mean weight of the traces."""
    failed, weight = side.is_failed[side.lines["trace"]], side.weight[side.lines["trace"]]
    rows = side.lines.assign(failed_count=failed.astype(np.int64), weight_mean=weight)
    found = rows.groupby(KEYS, observed=True, sort=True, dropna=False)
    return found.agg(
        trace_count=("trace", "size"), failed_count=("failed_count", "sum"), weight_mean=("weight_mean", "mean")
    ).reset_index()


def _covered(side: Side) -> pd.DataFrame:
    """Return the traces with any line of each service: recorded, failed, and as many as all traffic has at least.

    ``size`` is the estimated number of requests divided by the largest weight: the number of traces if all had been
    sampled at the lowest rate.
    """
    rows = side.lines[["service_name", "trace"]].drop_duplicates()
    weight = side.weight[rows["trace"]]
    rows = rows.assign(failed=side.is_failed[rows["trace"]].astype(np.int64), weight=weight)
    found = rows.groupby("service_name", observed=True, dropna=False)
    table = found.agg(
        covered_count=("trace", "size"),
        covered_failed_count=("failed", "sum"),
        total=("weight", "sum"),
        most=("weight", "max"),
    ).reset_index()
    table["size"] = table["total"] / table.pop("most").clip(lower=1e-300)
    return table.rename(columns={"total": "traffic"})


def _p_new(table: pd.DataFrame) -> Array:
    """Return the probability that chance left the baseline without a template."""
    mine = table["traffic"] / table["weight_mean"].clip(lower=1e-300)
    sizes = np.maximum(mine, table["trace_count"]), table["baseline_size"].fillna(0)
    each = zip(table["trace_count"], *sizes, strict=True)
    return np.array([float(absence_probability(np.array(k), n, other)) for k, n, other in each])


def _p_failing(table: pd.DataFrame) -> Array:
    """Return the probability that chance put so many traces with a template among the failing ones."""
    k, n = table["failed_count"].to_numpy(), table["covered_count"].to_numpy()
    failed, drawn = table["covered_failed_count"].to_numpy(), table["trace_count"].to_numpy()
    p = scipy.stats.hypergeom.sf(k - 1, n, failed, drawn)
    return np.where(failed == n, np.where(k > 0, 0.0, 1.0), np.where(k > 0, p, 1.0))
