"""The callee of each client span, also where its server span is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.schema import Kind

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_OTHER_TYPES = frozenset({"db", "messaging", "aws"})


def call_targets(case: Case) -> tuple[Array, Array]:
    """Return the client spans that call a service with server spans, and the code of that service.

    For an answered call, the service of the child server span.  Otherwise the service that most answered calls with
    the same caller, name and peer went to; else the one named by ``peer_service_name`` or by the first label of the
    peer's address.  Calls to databases, queues and peers that never emit a server span are excluded.
    """
    traces, spans = case.traces, case.traces.columns.spans
    parent, service = traces.forest.parent_row, case.service
    client = np.flatnonzero((spans.kind == Kind.CLIENT) & ~traces.is_inferred)
    below = np.flatnonzero((spans.kind == Kind.SERVER) & (parent >= 0) & ~traces.is_inferred)
    below = below[spans.kind[parent[below]] == Kind.CLIENT]
    answer = np.full(len(spans), -1, np.int64)
    answer[parent[below[::-1]]] = service.codes[below[::-1]]
    target = answer[client]
    open_ones = np.flatnonzero(target < 0)
    if len(open_ones):
        target[open_ones] = _inferred_targets(case, client, target, open_ones)
    known = target >= 0
    return client[known], target[known]


def unanswered(case: Case) -> tuple[Array, Array]:
    """Return client spans without a child server span, and their callees, where the callee emits server spans."""
    traces = case.traces
    parent, kind = traces.forest.parent_row, traces.columns.spans.kind
    answered = np.zeros(len(parent), bool)
    answered[parent[(parent >= 0) & (kind == Kind.SERVER)]] = True
    client, target = case.result(call_targets)
    open_ones = ~answered[client] & traces.has_duration[client]
    return client[open_ones], target[open_ones]


def unknown_peers(case: Case) -> Array:
    """Return rows of unanswered client spans with an unknown callee."""
    traces, spans = case.traces, case.traces.columns.spans
    named, _ = case.result(call_targets)
    has_child = np.diff(traces.forest.child_offsets) > 0
    free = (spans.kind == Kind.CLIENT) & ~traces.is_inferred & ~has_child & ~_calls_uninstrumented(case)
    free[named] = False
    return np.flatnonzero(free)


def _calls_uninstrumented(case: Case) -> Array:
    """Return whether a span calls a peer that never emits server spans: a database, queue or cloud service."""
    kind = case.traces.codes("peer_type")
    away = np.array([label in _OTHER_TYPES for label in kind.labels] + [False])
    return np.asarray(away[kind.codes])


def _inferred_targets(case: Case, client: Array, target: Array, open_ones: Array) -> Array:
    """Return the callee of each unanswered client span, -1 where unknown."""
    spans, service = case.traces.columns.spans, case.service
    address = case.traces.codes("peer_address")
    key = (service.codes[client].astype(np.int64) + 1) * (len(address.labels) + 1) + address.codes[client] + 1
    key = key * len(case.traces.columns.names) + spans.name[client]
    same, _ = pd.factorize(key)
    answered = np.flatnonzero(target >= 0)
    votes = (
        pd.Series(1, index=pd.MultiIndex.from_arrays([same[answered], target[answered]])).groupby(level=[0, 1]).sum()
    )
    most = np.full(int(same.max(initial=0)) + 1, -1, np.int64)
    ordered = votes.sort_values(kind="stable")
    most[ordered.index.get_level_values(0)] = ordered.index.get_level_values(1)
    found = most[same[open_ones]]
    blank = np.flatnonzero(found < 0)
    found[blank] = _by_name(case, client[open_ones[blank]])
    found[_calls_uninstrumented(case)[client[open_ones]]] = -1
    return found


def _by_name(case: Case, rows: Array) -> Array:
    """Return the service with the name of the peer of these spans, -1 for none that emits server spans."""
    spans, service = case.traces.columns.spans, case.service
    serving = np.unique(service.codes[spans.kind == Kind.SERVER])
    number = {service.labels[code]: int(code) for code in serving if code >= 0}
    found = np.full(len(rows), -1, np.int64)
    for column in ("peer_address", "peer_service_name"):  # the explicit name takes precedence
        codes = case.traces.codes(column).take(rows)
        named = np.array([number.get(label, number.get(label.partition(".")[0], -1)) for label in codes.labels] + [-1])
        found = np.where(named[codes.codes] >= 0, named[codes.codes], found)
    return found
