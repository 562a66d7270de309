"""What-if analysis: every request replayed with other self times, in the recorded order.

Within a span, the gap before a child (from the last sibling that had ended when it began, or from the start of the
span) and the tail after the last child are the span's self time, and a change multiplies them. Queues, contention, and
other work that would start earlier are not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tracekit.analysis.critical_path.kernel import walk
from tracekit.analysis.critical_path.keys import codes_of
from tracekit.analysis.critical_path.replay import Plan, own_times
from tracekit.analysis.critical_path.tree import matching
from tracekit.analysis.waiting import Waiting
from tracekit.findings import Shown
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.stats.grouping import group_rows
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.quantiles import quantile_limits, weighted_quantiles
from tracekit.stats.weighted_means import mean_limits
from tracekit.text import from_to, plural
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tracekit.analysis.critical_path.cells import Requests
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.grouping import By

Selector: TypeAlias = "str | Callable[[pd.DataFrame], Any]"
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_SAME_NS = 0.5
FACTORS = tuple(step / 8 for step in range(17))  # from 0 to twice as slow, in steps of 1/8


@dataclass(frozen=True, slots=True)
class CapSelfTime:
    """Cap on self time: in nanoseconds, or at a quantile of the self times of the selected spans.

    Examples
    --------
    >>> cap = tk.CapSelfTime(ns=20_000_000)
    >>> tk.critical_path(shop).what_if({"name == 'SELECT entries'": cap}).table.loc["mean", "saved_ns"].item()
    60000000.0
    """

    ns: float | None = None
    quantile: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MatchDistribution:
    """Replace the self times of the selected spans by a given distribution, rank by rank (slowest by slowest).

    Examples
    --------
    >>> baseline_ns = tk.MatchDistribution([20_000_000] * 4)
    >>> tk.critical_path(shop).what_if({"name == 'SELECT entries'": baseline_ns}).table.loc["mean", "saved_ns"].item()
    60000000.0
    """

    own_ns: Sequence[float] | Array


Change: TypeAlias = float | CapSelfTime | MatchDistribution


@dataclass(frozen=True, repr=False)
class WhatIf(Weighted, Shown):
    """Predicted latency of requests with other self times.

    Parameters
    ----------
    traces
        One row per request: ``trace_id``, ``latency_ns``, ``new_latency_ns``, ``saved_ns`` and ``naive_saved_ns`` (from
        critical-path time of the changed spans alone), ``is_taken_over``: its critical path shifts to another branch.
    table
        One row for the mean and each of p50, p90, p95, p99, indexed by ``statistic``: ``latency_ns``,
        ``new_latency_ns`` with ``new_low_ns`` and ``new_high_ns``, ``saved_ns``, and ``naive_saved_ns`` for the mean.
    changed_count
        Spans with changed self time.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.

    Examples
    --------
    >>> saved = tk.critical_path(shop).what_if({"name == 'SELECT entries'": 0})
    >>> saved.table.loc["mean", ["latency_ns", "new_latency_ns"]].tolist()
    [152000000.0, 80000000.0]
    """

    traces: pd.DataFrame
    table: pd.DataFrame
    changed_count: int
    statement: str = ""

    def _line(self) -> str:
        """Return the counts in one line."""
        mean = self.table.to_dict("index")["mean"]
        shifted = f"{int(self.traces['is_taken_over'].sum()):,} of {len(self.traces):,} requests"
        if not self.changed_count:
            return "WhatIf(no span changed: no span matches the conditions)"
        return (
            f"WhatIf(mean latency {from_to(mean['latency_ns'], mean['new_latency_ns'])}, "
            f"{plural(self.changed_count, 'span')} changed, "
            f"critical path shifts to another branch in {shifted})"
        )

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table, index=True)}"


class Rerun:
    """Requests prepared for replay with other self times.

    Parameters
    ----------
    path
        Their critical paths.

    Examples
    --------
    >>> rerun = Rerun(tk.critical_path(shop.trace("b2")))
    >>> rerun.latency(np.full(6, 0.5)).tolist()
    [50000000.0]
    """

    def __init__(self, path: CriticalPath) -> None:
        tree, above = path.tree, path.tree.parent.astype(np.int64)
        awaited = tree.waiting == Waiting.AWAITED
        rows = walk(above, tree.start, tree.end, awaited, touching=path.is_touching, excluded=tree.excluded)
        self.path = path
        self.walk = rows
        self.own_ns = own_times(above, rows)
        self.plan = Plan.of(above, rows)

    def latency(self, factor: Array) -> Array:
        """Return the latency of every request, float64 ns, with multiplied self times of nodes."""
        return np.asarray(self.plan.run(factor)[self.path.tree.root])

    def naive_saved(self, factor: Array) -> Array:
        """Return the savings of every request suggested by critical-path time alone, float64 ns."""
        on_path = np.flatnonzero(self.path.on_path)
        saved = self.path.own_ns[on_path] * (1.0 - factor[on_path])
        return np.bincount(self.path.request[on_path], saved, len(self.path.tree.root))


def what_if(path: CriticalPath, changes: Mapping[Selector, Change], *, confidence: float = 0.95) -> WhatIf:
    """Return the predicted latency of requests if the self times of some spans change.

    Order and gaps are as recorded: queues do not get shorter, and calls that wait for something else do not start
    earlier. ``naive_saved_ns``, computed from critical-path time alone, is an upper bound of the savings, because the
    critical path may shift to another branch.
    """
    return what_if_of(path.requests, replayed(path, changes), path.statement, confidence)


class Replayed(NamedTuple):
    """Requests with other self times.

    Parameters
    ----------
    new_ns, naive_saved_ns
        float64, one per request: latency, and what critical-path time alone suggests as savings.
    changed_count
        Spans with changed self time.
    """

    new_ns: Array
    naive_saved_ns: Array
    changed_count: int


def replayed(path: CriticalPath, changes: Mapping[Selector, Change]) -> Replayed:
    """Return the requests with other self times of some spans."""
    factor, changed = _factors(path, changes)
    return Replayed(path.rerun.latency(factor), path.rerun.naive_saved(factor), changed)


def what_if_of(requests: Requests, found: Replayed, statement: str, confidence: float) -> WhatIf:
    """Return the predicted latency of replayed requests."""
    now, new, naive = requests.latency_ns, found.new_ns, found.naive_saved_ns
    traces = pd.DataFrame(
        {
            "trace_id": requests.ids(np.arange(len(requests))),
            "latency_ns": now,
            "new_latency_ns": np.rint(new).astype(np.int64),
            "saved_ns": now - np.rint(new).astype(np.int64),
            "naive_saved_ns": np.rint(naive).astype(np.int64),
            "is_taken_over": np.abs(now - new - naive) > _SAME_NS,
        }
    )
    return WhatIf(traces, _statistics(requests, new, naive, confidence), found.changed_count, statement)


def _factors(path: CriticalPath, changes: Mapping[Selector, Change]) -> tuple[Array, int]:
    """Return the factor of every node, and the number of selected spans."""
    factor, changed = np.ones(len(path.tree)), np.zeros(path.tree.span_count, bool)
    for selector, change in changes.items():
        rows = np.flatnonzero(matching(path.source, selector))
        rows = rows[path.tree.waiting[rows] != Waiting.INFERRED]
        factor[rows] *= _factor(change, path.rerun.own_ns[rows].astype(np.float64))
        changed[rows] = True
    return factor, int(changed.sum())


def _factor(change: Change, own: Array) -> Array | float:
    """Return the factor, or factors, for spans with these self times."""
    if isinstance(change, CapSelfTime):
        if (change.ns is None) == (change.quantile is None):
            raise ValueError(f"expected a cap in ns or a quantile, found {change}")
        limit = (
            change.ns if change.ns is not None else float(np.quantile(own, change.quantile or 0.0)) if len(own) else 0.0
        )
        wanted = np.minimum(own, limit)
    elif isinstance(change, MatchDistribution):
        others = np.asarray(change.own_ns, np.float64)
        if not len(others) or (others < 0).any():
            raise ValueError(f"expected self times of 0 ns or more, found {change.own_ns}")
        place = np.empty(len(own))
        place[np.argsort(own, kind="stable")] = (np.arange(len(own)) + 0.5) / max(len(own), 1)
        wanted = np.quantile(others, place) if len(own) else own
    elif not np.isfinite(change) or change < 0:
        raise ValueError(f"expected a factor of 0 or more, a CapSelfTime or a MatchDistribution, found {change!r}")
    else:
        return float(change)
    return np.divide(wanted, own, out=np.ones(len(own)), where=own > 0)


def _statistics(requests: Requests, new: Array, naive: Array, confidence: float) -> pd.DataFrame:
    """Return mean and percentiles as recorded and as predicted, with intervals, in ns."""
    weight, now, trace = requests.weight, requests.latency_ns.astype(np.float64), requests.trace
    rows, total = [], weight.sum() if len(weight) else np.nan
    size = np.bincount(trace, weight, len(requests.trace_weight))
    mean, mean_new, mean_naive = ((weight * values).sum() / total for values in (now, new, naive))
    about = Denominator.of(size, weight=requests.trace_weight)
    moved = influence(np.zeros(len(new), np.int64), trace, weight * new, about, 1)
    low, high = mean_limits(np.array([mean_new]), moved.moments(), confidence=confidence)
    rows.append(("mean", mean, mean_new, low[0], high[0], mean - mean_new, mean_naive))
    positive = weight > 0
    found = quantile_limits(
        np.minimum(1 / weight[positive], 1),
        new[positive],
        list(SHARES.values()),
        clusters=trace[positive],
        target="process",
        confidence=confidence,
    )
    before = weighted_quantiles(now, weight, list(SHARES.values()))
    for name, was, after in zip(SHARES, before, found, strict=True):
        rows.append((name, was, after.value, after.low, after.high, was - after.value, np.nan))
    names = ["statistic", "latency_ns", "new_latency_ns", "new_low_ns", "new_high_ns", "saved_ns", "naive_saved_ns"]
    return pd.DataFrame(rows, columns=names).set_index("statistic")


def opportunities(
    path: CriticalPath,
    by: By = ("service_name", "operation"),
    *,
    top: int = 20,
    factor: float = 0.0,
    roots: bool = True,
) -> pd.DataFrame:
    """Return the operations with the largest savings: each is made faster alone and all requests simulated.

    ``roots``: also those of the requests themselves, without which there would be none.
    """
    if not 0 <= factor < 1:
        raise ValueError(f"expected a factor from 0 to less than 1, found {factor}")
    on_path = np.flatnonzero(path.on_path)
    coded = codes_of(path, by)
    group, labels = group_rows({key: (codes.codes, codes.labels) for key, codes in coded.items()}, len(path.tree))
    weight, count = path.weight, len(labels)
    total = weight.sum() if len(weight) else np.nan
    weighted = path.own_ns[on_path] * weight[path.request[on_path]]
    naive = np.bincount(group[on_path], weighted, count) * (1 - factor) / total
    if not roots:
        naive[group[path.tree.root]] = 0
    now, p95 = path.latency_ns, [SHARES["p95"]]
    before = weighted_quantiles(now.astype(np.float64), weight, p95)[0] if len(now) else np.nan
    found: dict[int, tuple[float, float, int]] = {}
    for at in np.argsort(-naive, kind="stable").tolist():
        best = sorted((saved for saved, _, _ in found.values()), reverse=True)[:top]
        if naive[at] <= 0 or (len(best) == top and naive[at] <= best[-1]):
            break  # critical-path time bounds the savings
        new = path.rerun.latency(np.where(group == at, factor, 1.0))
        taken = np.abs(now - new - path.rerun.naive_saved(np.where(group == at, factor, 1.0))) > _SAME_NS
        after = weighted_quantiles(new, weight, p95)[0]
        found[at] = (float((weight * (now - new)).sum() / total), before - after, int(taken.sum()))
    rows = np.array(list(found), np.int64)
    table = labels.iloc[rows].reset_index(drop=True)
    for place, name in enumerate(("saved_mean_ns", "saved_p95_ns", "taken_over_count")):
        table[name] = np.array([values[place] for values in found.values()], np.int64 if place > 1 else np.float64)
    table.insert(len(coded), "naive_saved_mean_ns", naive[rows])
    ranked = table.sort_values("saved_mean_ns", ascending=False, kind="stable", ignore_index=True)
    return ranked.head(top)


@dataclass(frozen=True, repr=False)
class WhatIfCurve(Weighted, Shown):
    """Latency at many factors of the self time of some spans.

    Parameters
    ----------
    table
        One row per factor and statistic (mean, p50, p90, p95, p99): ``factor``, ``statistic``, ``latency_ns`` as
        recorded, ``new_latency_ns`` with ``new_low_ns`` and ``new_high_ns``, ``saved_ns``, ``naive_saved_ns`` for the
        mean, ``taken_over_count`` of requests whose critical path shifts to another branch.
    changed_count
        Spans with changed self time.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.

    Examples
    --------
    >>> tk.critical_path(shop).what_if_curve("name == 'SELECT entries'", factors=[0, 0.5, 1])
    WhatIfCurve(3 factors from 0 to 1, 3 spans changed; sampling weights unknown)
    """

    table: pd.DataFrame
    changed_count: int
    statement: str = ""

    def _line(self) -> str:
        """Return the counts in one line."""
        factors = self.table["factor"].unique()
        reach = f"{factors.min():g} to {factors.max():g}"
        return f"WhatIfCurve({len(factors):,} factors from {reach}, {self.changed_count:,} spans changed)"

    def _repr_html_(self) -> str:
        wide = self.table.pivot_table(index="factor", columns="statistic", values="new_latency_ns", sort=False)
        return f"{self.heading()}{as_html(wide.add_suffix('_ns'), index=True)}"


def what_if_curve(
    path: CriticalPath, selector: Selector, *, factors: Sequence[float] = FACTORS, confidence: float = 0.95
) -> WhatIfCurve:
    """Return latency as a function of the speed of some spans: where further speed-up stops helping.

    Each factor is a separate ``what_if``, with the same assumptions.
    """
    if not len(factors):
        raise ValueError("expected at least one factor, found none")
    runs = [path.what_if({selector: factor}, confidence=confidence) for factor in factors]
    tables = [
        run.table.reset_index().assign(factor=float(factor), taken_over_count=int(run.traces["is_taken_over"].sum()))
        for factor, run in zip(factors, runs, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    return WhatIfCurve(table[["factor", *table.columns.drop("factor")]], runs[0].changed_count, runs[0].statement)
