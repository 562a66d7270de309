"""Order of siblings over all traces, by call path."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tracekit.columns import Array

SHARE = 0.01  # of the parent: a smaller overlap is not a contradiction


class Siblings(NamedTuple):
    """Synchronous nodes below another node: parent, call path, trace, and window.

    ``limit_ns`` is the overlap of two children of this parent that does not contradict their order.
    """

    parent: Array
    code: Array
    trace: Array
    start: Array
    end: Array
    limit_ns: Array


def occasions(siblings: Siblings, earlier: Array, later: Array) -> pd.DataFrame:
    """Return the observed order of pairs of call paths in every trace.

    If one parent calls both several times, in a loop, the first of the later calls need not follow any.
    """
    size = int(max(column.max(initial=0) for column in (siblings.code, earlier))) + 1
    group_of = siblings.parent.astype(np.int64) * size + siblings.code
    order = np.lexsort((siblings.start, group_of))
    groups, first = np.unique(group_of[order], return_index=True)
    count = np.diff(np.append(first, len(order)))
    reached = pd.Series(siblings.end[order]).groupby(np.repeat(np.arange(len(groups)), count)).cummax().to_numpy()
    moment, rank = np.unique(siblings.start, return_inverse=True)
    place = np.repeat(np.arange(len(groups)), count) * len(moment) + rank[order]

    pair, row = _with_later(siblings.code, later)
    wanted = siblings.parent[row].astype(np.int64) * size + earlier[pair]
    at = np.minimum(np.searchsorted(groups, wanted), max(len(groups) - 1, 0))
    both = (groups[at] == wanted) & (count[at] > (earlier[pair] == later[pair]))
    pair, row, at = pair[both], row[both], at[both]
    found = np.searchsorted(place, at * len(moment) + rank[row]) - 1
    preceded = found >= first[at]
    over = np.where(preceded, reached[found] - siblings.start[row], np.iinfo(np.int64).max)
    table = pd.DataFrame(
        {
            "pair": pair,
            "trace": siblings.trace[row],
            "parent": siblings.parent[row],
            "preceded": preceded,
            "is_before": over <= 0,
            "is_contradicted": over > siblings.limit_ns[row],
        }
    )
    some = table.groupby(["pair", "parent"])["preceded"].transform("any")
    observed = table[table["preceded"] | ~some]  # the first iteration of a loop is not an observation
    by_trace = observed.groupby(["pair", "trace"])
    return pd.DataFrame(
        {"is_before": by_trace["is_before"].all(), "is_contradicted": by_trace["is_contradicted"].any()}
    ).reset_index()


def _with_later(code: Array, later: Array) -> tuple[Array, Array]:
    """Return every combination of a pair and a row of its later call path."""
    rows = np.argsort(code, kind="stable")
    low, high = (np.searchsorted(code[rows], later, side=side) for side in ("left", "right"))
    counts = high - low
    pair = np.repeat(np.arange(len(later)), counts)
    inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return pair, rows[low[pair] + inside]
