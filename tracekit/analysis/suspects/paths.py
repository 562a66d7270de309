"""The chain of calls from the entry of the requests to a suspect: where on it the time was added.

The times of all steps of one side sum to the duration of the entry spans, so the changes sum to its change.  A step is
the self time of a service, its other calls, or the gap of the next call (the client span without the callee's span).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.calls import OWN, times
from tracekit.analysis.suspects.evidence import exemplar_ids
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.weighted_means import difference

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
    "excess_low_ns",
    "excess_high_ns",
    "baseline_count",
    "current_count",
    "exemplar_trace_id",
    "exemplar_span_id",
)
_LONGEST: Final = 100  # components of a chain


SELF_TIME, OTHER_CALLS, NEXT_CALL = "self time", "other calls", "gap of the next call"


class Side(NamedTuple):
    """A side with the self time of every component (ns), at the row of its entry."""

    window: Window
    own_ns: Array

    @classmethod
    def of(cls, window: Window) -> Side:
        """Return a side with its self times."""
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
    table = _places(now, levels)
    steps = [_steps(side, chain) for side, chain in zip(sides, chains, strict=True)]
    weights = [side.window.weight[side.window.trace[chain.rows[-1]]] for side, chain in zip(sides, chains, strict=True)]
    means = [_means(*pair) for pair in zip(steps, weights, strict=True)]
    low, high = _limits(steps, weights)
    table = table.assign(
        baseline_ns=_whole(means[0]),
        current_ns=_whole(means[1]),
        excess_low_ns=low,
        excess_high_ns=high,
        baseline_count=len(weights[0]),
        current_count=len(weights[1]),
    )
    table["excess_ns"] = table["current_ns"] - table["baseline_ns"]
    is_there = [(np.abs(side) > 0).any(axis=1) if side.size else np.zeros(len(side), bool) for side in steps]
    table = table[is_there[0] | is_there[1] | (table["step"] == SELF_TIME).to_numpy()].reset_index(drop=True)
    return table.assign(position=table.index, **exemplar_ids(now, table["row"].to_numpy(np.int64)))[list(COLUMNS[1:])]


def _places(now: Window, levels: list[int]) -> pd.DataFrame:
    """Return step, service, operation, callee and exemplar row of every step."""
    rows: list[tuple[str, str, str, str | None, int]] = []
    for row, following in zip(levels, [*levels[1:], -1], strict=True):
        place = now.names.service[now.service[row]], now.names.operation[now.operation[row]]
        callee = now.names.service[now.service[following]] if following >= 0 else None
        client = int(now.parent[following]) if following >= 0 else row
        rows += [(SELF_TIME, *place, None, row), (OTHER_CALLS, *place, None, row), (NEXT_CALL, *place, callee, client)]
    return pd.DataFrame(rows, columns=["step", "service_name", "operation", "callee_service", "row"])


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


def _steps(side: Side, chain: Chain) -> Array:
    """Return the time of every step (rows) in every request (columns): self time, other calls, gap of the next call."""
    took = side.window.traces.duration_ns.astype(np.float64)
    found = []
    for level, rows in enumerate(chain.rows):
        called = gap = np.zeros(len(rows))
        if level + 1 < len(chain.rows):
            callee, client = chain.rows[level + 1], chain.clients[level + 1]
            called = np.where(client >= 0, took[np.maximum(client, 0)], took[callee])
            gap = called - took[callee]
        own = side.own_ns[rows]
        found += [own, took[rows] - own - called, gap]
    return np.array(found)


def _means(steps: Array, weight: Array) -> Array:
    """Return the weighted mean of every step."""
    total = float(weight.sum())
    return np.asarray(steps @ weight / total) if total > 0 else np.zeros(len(steps))


def _whole(means: Array) -> Array:
    """Return the means as integers that sum to the rounded sum."""
    return np.asarray(np.diff(np.rint(np.cumsum(means)), prepend=0).astype(np.int64))


def _limits(steps: list[Array], weights: list[Array]) -> tuple[Array, Array]:
    """Return the 95% CIs of the changes; NaN with fewer than 20 requests on one side."""
    if not all(len(weight) and weight.sum() > 0 for weight in weights):
        return np.full(len(steps[0]), np.nan), np.full(len(steps[0]), np.nan)
    moments = []
    for side, weight in zip(steps, weights, strict=True):
        step, request = (part.ravel() for part in np.indices(side.shape))
        moments.append(influence(step, request, (side * weight).ravel(), Denominator.of(weight), len(side)).moments())
    change = _means(steps[1], weights[1]) - _means(steps[0], weights[0])
    found = difference(change, *moments)
    return found.low, found.high
