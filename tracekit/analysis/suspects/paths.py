"""The chain of calls from the entry of the requests to a suspect: where on it the time was added.

The times of all steps of one side sum to the duration of the entry spans, so the changes sum to its change.  A step is
either a service (its component without the next call) or a call (its client span without the entry span of the callee).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.evidence import exemplar_ids

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

COLUMNS: Final = (
    "rank",
    "position",
    "step",
    "service_name",
    "operation",
    "callee_service",
    "baseline_ns",
    "current_ns",
    "excess_ns",
    "baseline_count",
    "current_count",
    "exemplar_trace_id",
    "exemplar_span_id",
)
_LONGEST: Final = 100  # components of a chain


class Chain(NamedTuple):
    """Rows of the components of a chain, the entry of the request first; one column per request, one row per level."""

    rows: Array
    clients: Array


def path_to(before: Window, now: Window, entry: Array, excess: Array) -> pd.DataFrame:
    """Return the steps of the most affected chain to a suspect.

    Parameters
    ----------
    before, now
        Both sides.
    entry
        Rows of the current side: components of the suspect with evidence.
    excess
        Excess of each.
    """
    levels = _levels(now, entry[_exemplar(now, entry, excess)])
    sides = [_matching(window, now, levels) for window in (before, now)]
    rows = []
    times = [_means(window, chain) for window, chain in zip((before, now), sides, strict=True)]
    counts = [chain.rows.shape[1] for chain in sides]
    for k, row in enumerate(levels):
        is_last = k == len(levels) - 1
        callee = None if is_last else now.names.service[now.service[levels[k + 1]]]
        place = now.names.service[now.service[row]], now.names.operation[now.operation[row]], callee
        rows.append(("service", *place, *(time[2 * k] for time in times), row))
        if not is_last and any((side.clients[k + 1] >= 0).any() for side in sides):
            client = now.parent[levels[k + 1]]
            rows.append(("call", *place, *(time[2 * k + 1] for time in times), client))
    names = ["step", "service_name", "operation", "callee_service", "baseline_ns", "current_ns", "row"]
    table = pd.DataFrame(rows, columns=names)
    table = table.assign(
        position=np.arange(len(table)), baseline_count=counts[0], current_count=counts[1],
        excess_ns=table["current_ns"] - table["baseline_ns"],
        **exemplar_ids(now, table["row"].to_numpy(np.int64)),
    )  # fmt: skip
    return table.reindex(columns=list(COLUMNS))


def _exemplar(now: Window, entry: Array, excess: Array) -> int:
    """Return which entry has the largest excess, among those with the caller and root that have most of it."""
    above = np.maximum(now.parent[entry], 0)
    root = now.traces.forest.root_row[now.trace[entry]]
    keys = pd.DataFrame(
        {
            "operation": now.operation[entry],
            "caller": np.where(now.parent[entry] >= 0, now.service[above], -1),
            "root_service": now.service[root],
            "root_operation": now.operation[root],
        }
    )
    group = keys.groupby(list(keys.columns), sort=True).ngroup().to_numpy()
    total = np.bincount(group, np.maximum(excess, 0))
    mine = np.flatnonzero(group == total.argmax())
    return int(mine[np.argmax(excess[mine])])


def _levels(window: Window, row: int) -> list[int]:
    """Return the components above a component and itself, the entry of the request first."""
    levels = [int(row)]
    while (above := window.parent[levels[-1]]) >= 0 and len(levels) < _LONGEST:
        levels.append(int(window.component[above]))
    return levels[::-1]


def _matching(window: Window, now: Window, levels: list[int]) -> Chain:
    """Return the chains of one side with the same services and operations, the longest last component of each trace."""
    known, last = window.traces.has_duration, levels[-1]
    rows = np.flatnonzero(
        window.is_entry & known & (window.service == now.service[last]) & (window.operation == now.operation[last])
    )
    found = [rows]
    for level in levels[-2::-1]:
        above = window.component[window.parent[found[0]]]
        is_same = (window.parent[found[0]] >= 0) & (window.service[above] == now.service[level])
        is_same &= (window.operation[above] == now.operation[level]) & known[above]
        found = [above[is_same], *(part[is_same] for part in found)]
    is_whole = window.parent[found[0]] < 0 if now.parent[levels[0]] < 0 else np.ones(len(found[0]), bool)
    chain = np.array(found)[:, is_whole]
    order = np.argsort(-window.traces.duration_ns[chain[-1]], kind="stable")
    first = np.unique(window.trace[chain[-1][order]], return_index=True)[1]
    chain = chain[:, order[first]]
    return Chain(chain, np.array([_client_of(window, part) for part in chain]))


def _client_of(window: Window, rows: Array) -> Array:
    """Return the client span above each component; -1 without one."""
    above = np.maximum(window.parent[rows], 0)
    has_client = (window.parent[rows] >= 0) & window.is_client[above] & (window.component[above] != above)
    return np.where(has_client & window.traces.has_duration[above], above, -1)


def _means(window: Window, chain: Chain) -> list[int]:
    """Return the mean time of every step in whole ns: component, call, component, ..."""
    weight = window.weight[window.trace[chain.rows[-1]]]
    if not weight.sum() > 0:
        return [0] * (2 * len(chain.rows) - 1)
    took = window.traces.duration_ns
    totals = []
    for level, (rows, clients) in enumerate(zip(chain.rows, chain.clients, strict=True)):
        if level:
            called = np.where(clients >= 0, took[np.maximum(clients, 0)], took[rows])
            totals.append(round(float(np.average(called, weights=weight))))
        totals.append(round(float(np.average(took[rows], weights=weight))))
    return [*(high - low for high, low in pairwise(totals)), totals[-1]]
