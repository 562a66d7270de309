"""The chain of calls from the entry of the requests to a suspect: where on it the time was added.

The times of all steps of one side sum to the duration of the entry spans, so the changes sum to its change.  A step is
the own time of a service, its other calls, or the gap of the next call (the client span without the callee's span).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.calls import OWN, times
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


OWN_TIME, OTHER_CALLS, NEXT_CALL = "own time", "other calls", "gap of the next call"


class Side(NamedTuple):
    """A side with the own time of every component (ns), at the row of its entry."""

    window: Window
    own_ns: Array

    @classmethod
    def of(cls, window: Window) -> Side:
        """Return a side with its own times."""
        found = times(window)
        rows = found.kind == OWN
        own = np.zeros(len(window.parent))
        own[found.row[rows]] = found.time_ns[rows]
        return cls(window, own)


class Chain(NamedTuple):
    """Rows of the components of a chain, the entry of the request first; one column per request, one row per level."""

    rows: Array
    clients: Array


def path_to(sides: tuple[Side, Side], entry: Array, excess: Array) -> pd.DataFrame:
    """Return the steps of the most affected chain to a suspect.

    Parameters
    ----------
    sides
        Baseline and current side.
    entry
        Rows of the current side: components of the suspect with evidence.
    excess
        Excess of each.
    """
    now = sides[1].window
    levels = _levels(now, entry[_exemplar(now, entry, excess)])
    chains = [_matching(side.window, now, levels) for side in sides]
    rows = []
    means = [_means(side, chain) for side, chain in zip(sides, chains, strict=True)]
    counts = [chain.rows.shape[1] for chain in chains]
    for k, row in enumerate(levels):
        is_last = k == len(levels) - 1
        callee = None if is_last else now.names.service[now.service[levels[k + 1]]]
        place = now.names.service[now.service[row]], now.names.operation[now.operation[row]], callee
        rows.append((OWN_TIME, *place[:2], None, *(time[k][0] for time in means), row))
        if any(time[k][1] for time in means):
            rows.append((OTHER_CALLS, *place[:2], None, *(time[k][1] for time in means), row))
        if not is_last and any((chain.clients[k + 1] >= 0).any() for chain in chains):
            rows.append((NEXT_CALL, *place, *(time[k][2] for time in means), now.parent[levels[k + 1]]))
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


def _means(side: Side, chain: Chain) -> list[tuple[int, int, int]]:
    """Return by level the mean own time, time of other calls and gap of the next call, in whole ns."""
    window = side.window
    weight = window.weight[window.trace[chain.rows[-1]]]
    took = window.traces.duration_ns

    def mean(values: Array) -> int:
        return round(float(np.average(values, weights=weight))) if weight.sum() > 0 else 0

    found = []
    for level, rows in enumerate(chain.rows):
        whole, own, called, gap = mean(took[rows]), mean(side.own_ns[rows]), 0, 0
        if level + 1 < len(chain.rows):
            callee, client = chain.rows[level + 1], chain.clients[level + 1]
            called = mean(np.where(client >= 0, took[np.maximum(client, 0)], took[callee]))
            gap = called - mean(took[callee])
        found.append((own, whole - own - called, gap))
    return found
