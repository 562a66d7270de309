"""Which row is the parent of each span: (trace id, span id) looked up inside the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from tracekit.on_demand import pd
from tracekit.schema import ParentState, Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array, SpanColumns

    LookUp: TypeAlias = Callable[[Array, Array, Array], tuple[Array, Array]]

GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiples of it are spread over all 64 bits."""


def parents(
    spans: SpanColumns, trace: Array, low: int, high: int, look_up: LookUp | None = None
) -> tuple[Array, Array]:
    """Return the parent and its state of every row of a block of whole traces.

    Parameters
    ----------
    spans
        Sorted columns.
    trace
        Number of the trace of each row.
    low, high
        First row of the block, and the row after the last.
    look_up
        Something faster than pandas: from ids, wanted ids and the number of the trace of each row to the first row of
        the trace with the wanted id (-1 without one), and whether there are several.

    Returns
    -------
    tuple
        Row of the parent within the block (-1 without one), and ``schema.ParentState``.
    """
    rows = slice(low, high)
    ids, wanted, quality = spans.span_id[rows], spans.parent_id[rows], spans.quality[rows]
    local_trace = (trace[rows] - trace[low]).astype(np.uint64)
    shared = (quality & Quality.SHARED) != 0
    with np.errstate(over="ignore"):
        salt = local_trace * GOLDEN
    own = np.zeros(high - low, bool)
    if shared.any():
        parent, twin, own = _parents_with_shared(spans, rows, local_trace, salt, shared)
    elif look_up is not None:
        parent, twin = look_up(ids, wanted, trace[rows])
    else:
        parent, twin = _look_up(ids, wanted, local_trace, salt)
    has_parent = (wanted != 0) | own
    state = np.full(high - low, ParentState.RESOLVED, np.int8)
    state[parent < 0] = ParentState.MISSING
    state[twin & (parent >= 0)] = ParentState.DUPLICATE
    state[~has_parent & ((quality & Quality.PARENT_ID_BAD) == 0)] = ParentState.ROOT
    parent[~has_parent] = -1
    itself = parent == np.arange(high - low)
    state[itself] = ParentState.SELF
    parent[itself] = -1
    return parent, state


def _look_up(ids: Array, wanted: Array, trace: Array, salt: Array) -> tuple[Array, Array]:
    """Return for every row the first row of its trace with the wanted id (-1), and whether there are several."""
    key, want = ids ^ salt, wanted ^ salt
    index = pd.Index(key)
    several = np.zeros(len(ids), bool)
    if index.is_unique:
        found = index.get_indexer(pd.Index(want))
    else:
        first = np.flatnonzero(~index.duplicated())
        at = index[first].get_indexer(pd.Index(want))
        found = np.where(at >= 0, first[at], -1)
        several = np.asarray(pd.Index(key[index.duplicated()]).unique().get_indexer(pd.Index(want))) >= 0
    hit = found >= 0
    right = hit & (ids[found] == wanted) & (trace[found] == trace)
    lost = np.flatnonzero(hit & ~right)
    if len(lost):  # two (trace, id) pairs with one key
        found, several = found.copy(), several.copy()
        found[lost], several[lost] = _look_up_exactly(ids, wanted[lost], trace, trace[lost])
        return found, several
    return np.where(right, found, -1), several


def _look_up_exactly(ids: Array, wanted: Array, trace: Array, wanted_trace: Array) -> tuple[Array, Array]:
    """Return what ``_look_up`` returns, comparing both columns instead of a hash of them."""
    pairs = pd.MultiIndex.from_arrays([trace, ids])
    first = np.flatnonzero(~pairs.duplicated())
    query = pd.MultiIndex.from_arrays([wanted_trace, wanted])
    at = pairs[first].get_indexer(query)
    several = pairs[pairs.duplicated()].unique().get_indexer(query) >= 0
    return np.where(at >= 0, first[at], -1), several


def _parents_with_shared(
    spans: SpanColumns, rows: slice, trace: Array, salt: Array, shared: Array
) -> tuple[Array, Array, Array]:
    """Return parents and duplicates where server spans share their client's id, and which rows have such a client."""
    ids, wanted, resource = spans.span_id[rows], spans.parent_id[rows], spans.resource[rows]
    plain, servers = np.flatnonzero(~shared), np.flatnonzero(shared)

    def among(candidates: Array, query: Array) -> tuple[Array, Array]:
        """Look up the wanted ids among some rows only."""
        keys = np.concatenate([ids[candidates], np.zeros(len(query), np.uint64)])
        asked = np.concatenate([np.zeros(len(candidates), np.uint64), wanted_ids[query]])
        traces = np.concatenate([trace[candidates], trace[query]])
        salts = np.concatenate([salt[candidates], salt[query]])
        found, several = _look_up(keys, asked, traces, salts)
        found = found[len(candidates) :]
        return np.where((found >= 0) & (found < len(candidates)), candidates[found % len(candidates)], -1) if len(
            candidates
        ) else np.full(len(query), -1), several[len(candidates) :]

    wanted_ids = ids
    client, _ = among(plain, servers)
    wanted_ids = wanted
    everyone = np.arange(len(ids))
    by_client, several_clients = among(plain, everyone)
    by_server, several_servers = among(servers, everyone)
    is_servers = (by_server >= 0) & ~((by_client >= 0) & (resource[by_client] == resource))
    parent = np.where(is_servers, by_server, by_client)
    several = np.where(is_servers, several_servers, several_clients)
    own = np.zeros(len(ids), bool)
    own[servers] = client >= 0
    parent[servers] = np.where(client >= 0, client, parent[servers])
    return parent, several & ~own, own
