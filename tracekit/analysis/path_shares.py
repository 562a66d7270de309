"""Time on the path by service, operation, call path or any attribute: over all requests, and by latency band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.path_intervals import bootstrap_means
from tracekit.analysis.path_keys import key_codes
from tracekit.stats.grouping import group_rows, sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.path_result import CriticalPath
    from tracekit.columns import Array

BANDS = ((0.45, 0.55), (0.90, 0.95), (0.95, 0.99), (0.99, 1.0))
_DENSE = 4


class Cells(NamedTuple):
    """Path time of every (group, request) that occurs, by group, then request; ``keys`` are the labels of groups."""

    keys: pd.DataFrame
    group: Array
    request: Array
    time_ns: Array


@dataclass(frozen=True, repr=False)
class Bands:
    """Path time by latency band.

    Parameters
    ----------
    table
        One row a band and group: ``band``, the keys, the columns of ``CriticalPath.by`` without exemplars, and
        ``excess_ns``: how much more of it a request of this band waits for than one of the first band, on average.
        Means of a band add up to its latency, and so do its excesses.
    bands
        One row a band: ``band``, ``low_quantile`` and ``high_quantile`` as used, ``is_widened``, ``trace_count``,
        ``low_latency_ns``, ``high_latency_ns``, ``mean_latency_ns``, ``excess_ns``.

    Examples
    --------
    >>> Bands(pd.DataFrame(), pd.DataFrame({"band": ["p99 to p100"], "trace_count": [31]}))
    Bands(p99 to p100: 31)
    """

    table: pd.DataFrame
    bands: pd.DataFrame

    def __repr__(self) -> str:
        counts = zip(self.bands["band"], self.bands["trace_count"], strict=True)
        return f"Bands({', '.join(f'{band}: {count:,}' for band, count in counts)})"

    def _repr_html_(self) -> str:
        shown = self.table.groupby("band", sort=False).head(5) if len(self.table) else self.table
        return "".join(frame.to_html(index=False, border=0) for frame in (self.bands, shown))


def shares(path: CriticalPath, keys: str | Sequence[str] = "service_name", *, level: float = 0.95) -> pd.DataFrame:
    """Return the own time on the path by service, operation, call path or any attribute.

    Parameters
    ----------
    path
        Critical paths.
    keys
        One or several of the category columns of ``spans`` (``service_name``, ``operation``, ``host_name``,
        ``service_version``, ...), attribute keys, ``trace_id``, ``caller_service`` or ``call_path``.
    level
        Confidence level of the limits.

    Returns
    -------
    pandas.DataFrame
        The keys; ``path_time_ns``, the sum in hand, an integer: the column adds up to the sum of the latencies;
        with weights: ``share_ratio`` of all latency, ``presence_ratio`` of requests that wait for it, ``mean_ns``
        over all requests with ``mean_low_ns`` and ``mean_high_ns``; ``trace_count`` of requests with it on their
        path, ``partial_count`` of those whose traces are partial; ``typical_trace_id``, closest to the mean, and
        ``largest_trace_id``.  Largest first.

    Raises
    ------
    ValueError
        A key that no span has.

    Notes
    -----
    Limits are for the mean of a request of the process that these are a sample of: traces are drawn again, never
    spans.  Spans that have no such thing are a group of their own, without a label.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.critical_path import critical_path
    >>> shop = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": "a1",
    ...             "span_id": ["1", "2"],
    ...             "parent_span_id": [None, "1"],
    ...             "service_name": ["shop", "ledger"],
    ...             "name": ["POST /pay", "charge"],
    ...             "start_ns": [0, 30],
    ...             "end_ns": [100, 90],
    ...         }
    ...     )
    ... )
    >>> critical_path(shop).by("service_name")[["service_name", "path_time_ns"]].to_numpy().tolist()
    [['ledger', 60], ['shop', 40]]
    """
    cells = cells_of(path, keys)
    everything = np.ones(len(path.tree.root), bool)
    table = _contributions(path, cells, everything, level)
    typical, largest = _exemplars(path, cells, table["mean_ns"].to_numpy(float))
    table = table.assign(typical_trace_id=typical, largest_trace_id=largest)
    return table.sort_values("path_time_ns", ascending=False, kind="stable", ignore_index=True)


def cells_of(path: CriticalPath, keys: str | Sequence[str]) -> Cells:
    """Return the path time of every group and request, in integers."""
    columns = [keys] if isinstance(keys, str) else list(keys)
    nodes = np.flatnonzero(path.on_path)
    found = {key: key_codes(path.source, path.tree, key) for key in columns}
    coded = {key: (codes.codes[nodes], codes.labels) for key, codes in found.items()}
    group, labels = group_rows(coded, len(nodes))
    count = len(path.tree.root)
    pair = group.astype(np.int64) * count + path.request[nodes]
    if len(labels) * count <= _DENSE * len(nodes):
        total, present = np.zeros(len(labels) * count, np.int64), np.zeros(len(labels) * count, bool)
        np.add.at(total, pair, path.own_ns[nodes])
        present[pair] = True
        distinct = np.flatnonzero(present)
        total = total[distinct]
    else:
        at, distinct = pd.factorize(pair, sort=True)
        total = np.zeros(len(distinct), np.int64)
        np.add.at(total, at, path.own_ns[nodes])
    return Cells(labels, distinct // max(count, 1), distinct % max(count, 1), total)


def _contributions(path: CriticalPath, cells: Cells, chosen: Array, level: float) -> pd.DataFrame:
    """Return sums, shares, means and presence of every group over the chosen requests."""
    trace, groups = path.tree.trace[path.tree.root], len(cells.keys)
    weight = np.where(chosen, path.weight, 0.0)
    inside = chosen[cells.request]
    group, request, time = cells.group[inside], cells.request[inside], cells.time_ns[inside]
    exact = np.zeros(groups, np.int64)
    np.add.at(exact, group, time)
    weighted = weight[request] * time
    total, whole = float(weight.sum()), float((weight * path.latency_ns).sum())
    total, whole = (value if value > 0 else np.nan for value in (total, whole))
    size = np.bincount(trace, weight, len(path.source))
    low, high = bootstrap_means(group, trace[request], weighted, size, groups, level=level)
    return cells.keys.assign(
        path_time_ns=exact,
        share_ratio=sum_by(group, weighted, groups) / whole,
        presence_ratio=sum_by(group, weight[request], groups) / total,
        mean_ns=sum_by(group, weighted, groups) / total,
        mean_low_ns=low,
        mean_high_ns=high,
        trace_count=np.bincount(group, minlength=groups),
        partial_count=np.bincount(group[path.is_partial[request]], minlength=groups),
    )


def _exemplars(path: CriticalPath, cells: Cells, mean: Array) -> tuple[Array, Array]:
    """Return for every group the trace that is closest to its mean, and the one that waited longest."""
    trace = path.tree.trace[path.tree.root][cells.request]
    ids = np.array(path.source.trace_ids, object)
    picked = []
    for distance in (np.abs(cells.time_ns - mean[cells.group]), -cells.time_ns):
        order = np.lexsort((cells.request, distance, cells.group))
        first = np.flatnonzero(np.diff(cells.group[order], prepend=-1))
        picked.append(ids[trace[order[first]]])
    return picked[0], picked[1]


def bands(
    path: CriticalPath,
    keys: str | Sequence[str] = "service_name",
    quantiles: Sequence[tuple[float, float]] = BANDS,
    *,
    least: int = 20,
    level: float = 0.95,
) -> Bands:
    """Return the own time on the path among median requests and among slow ones: what makes slow requests slow.

    Parameters
    ----------
    path
        Critical paths.
    keys
        As in ``by``.
    quantiles
        Bands of latency; excesses are over the first.
    least
        Bands with fewer requests are widened on both sides, and say so.
    level
        Confidence level of the limits.

    Returns
    -------
    Bands
        ``.table`` and ``.bands``.

    Raises
    ------
    ValueError
        Quantiles that are none, or a key that no span has.

    Notes
    -----
    Requests are ranked by latency, with their weights; equal ones in the order of ``traces``.  Means over the
    requests of one band add up to its mean latency, which quantiles of single services never do.

    Examples
    --------
    Nine requests wait 10 ns for the ledger, one waits 900:

    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.critical_path import critical_path
    >>> shop = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": [f"a{i}" for i in range(10)],
    ...             "span_id": "1",
    ...             "service_name": "ledger",
    ...             "name": "charge",
    ...             "start_ns": 0,
    ...             "end_ns": [10] * 9 + [900],
    ...         }
    ...     )
    ... )
    >>> slow = critical_path(shop).bands("service_name", [(0.4, 0.6), (0.9, 1.0)], least=1)
    >>> slow, slow.table["excess_ns"].tolist()
    (Bands(p40 to p60: 2, p90 to p100: 1), [0.0, 890.0])
    """
    if not quantiles:
        raise ValueError("expected at least one band of quantiles, found none")
    for low, high in quantiles:
        if not 0 <= low < high <= 1:
            raise ValueError(f"expected quantiles 0 <= low < high <= 1, found ({low}, {high})")
    cells, latency = cells_of(path, keys), path.latency_ns
    order = np.lexsort((np.arange(len(latency)), latency))
    weight = path.weight[order]
    middle = (np.cumsum(weight) - weight / 2) / weight.sum() if len(order) else np.zeros(0)
    tables, facts = [], []
    for low, high in quantiles:
        place = _widened(middle, low, high, least)
        chosen = np.zeros(len(latency), bool)
        chosen[order[place]] = True
        name = f"p{100 * low:g} to p{100 * high:g}"
        table = _contributions(path, cells, chosen, level)
        table.insert(0, "band", name)
        tables.append(table)
        facts.append({"band": name, **_facts(path, chosen, (low, high), middle[place])})
    about = pd.DataFrame(facts)
    about["excess_ns"] = about["mean_latency_ns"] - about["mean_latency_ns"].iloc[0]
    base = tables[0]
    excess = [table.assign(excess_ns=table["mean_ns"] - base["mean_ns"]) for table in tables]
    kept = [table[(table["trace_count"] > 0) | (base["trace_count"] > 0)] for table in excess]
    ordered = [table.sort_values("mean_ns", ascending=False, kind="stable") for table in kept]
    return Bands(pd.concat(ordered, ignore_index=True), about)


def _widened(middle: Array, low: float, high: float, least: int) -> slice:
    """Return the places within the quantiles, and as many more on both sides as make up the least number."""
    count = len(middle)
    first, last = np.searchsorted(middle, (low, high)).tolist()
    last = count if high == 1.0 else last
    lack = min(least, count) - (last - first)
    if lack > 0:
        first = max(0, min(first - (lack + 1) // 2, count - min(least, count)))
        last = first + min(least, count)
    return slice(first, last)


def _facts(path: CriticalPath, chosen: Array, asked: tuple[float, float], middle: Array) -> dict[str, object]:
    """Return what a reader must know of one band."""
    latency, weight = path.latency_ns[chosen], path.weight[chosen]
    found = len(latency) > 0
    low, high = (float(middle[0]), float(middle[-1])) if found else (np.nan, np.nan)
    return {
        "low_quantile": min(asked[0], low),
        "high_quantile": max(asked[1], high),
        "is_widened": bool(found and (low < asked[0] or high > asked[1])),
        "trace_count": len(latency),
        "low_latency_ns": latency.min() if found else pd.NA,
        "high_latency_ns": latency.max() if found else pd.NA,
        "mean_latency_ns": float((weight * latency).sum() / weight.sum()) if found else np.nan,
    }
