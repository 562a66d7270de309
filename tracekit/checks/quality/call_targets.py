"""Which service a client span called, also where no answer arrived."""

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
    """Return the client spans whose callee emits server spans, and the code of that service.

    Of an answered call it is the service of the server span below.  Of others, the service that most answered calls
    of the same service, name and peer went to; else the one named by ``peer_service_name`` or by the first label of
    the peer's address.  Calls of databases, queues and of peers that never emit a server span are left out.
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
        target[open_ones] = _concluded(case, client, target, open_ones)
    known = target >= 0
    return client[known], target[known]


def unanswered(case: Case) -> tuple[Array, Array]:
    """Return the calls of services that emit server spans without one below, and whom they called."""
    traces = case.traces
    parent, kind = traces.forest.parent_row, traces.columns.spans.kind
    answered = np.zeros(len(parent), bool)
    answered[parent[(parent >= 0) & (kind == Kind.SERVER)]] = True
    client, target = case.result(call_targets)
    open_ones = ~answered[client] & traces.has_duration[client]
    return client[open_ones], target[open_ones]


def unknown_peers(case: Case) -> Array:
    """Return rows of client spans without an answer that may have called a service nobody can name."""
    traces, spans = case.traces, case.traces.columns.spans
    named, _ = case.result(call_targets)
    has_child = np.diff(traces.forest.child_offsets) > 0
    free = (spans.kind == Kind.CLIENT) & ~traces.is_inferred & ~has_child & ~_elsewhere(case)
    free[named] = False
    return np.flatnonzero(free)


def _elsewhere(case: Case) -> Array:
    """Return whether a span calls what never emits server spans: databases, queues, clouds."""
    kind = case.traces.codes("peer_type")
    away = np.array([label in _OTHER_TYPES for label in kind.labels] + [False])
    return np.asarray(away[kind.codes])


def _concluded(case: Case, client: Array, target: Array, open_ones: Array) -> Array:
    """Return the service that each unanswered client span called, -1 where unknown."""
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
    found[_elsewhere(case)[client[open_ones]]] = -1
    return found


def _by_name(case: Case, rows: Array) -> Array:
    """Return the service whose name the peer of these spans has, -1 for none that emits server spans."""
    spans, service = case.traces.columns.spans, case.service
    serving = np.unique(service.codes[spans.kind == Kind.SERVER])
    number = {service.labels[code]: int(code) for code in serving if code >= 0}
    found = np.full(len(rows), -1, np.int64)
    for column in ("peer_address", "peer_service_name"):  # the latter says it outright and is written last
        codes = case.traces.codes(column).take(rows)
        named = np.array([number.get(label, number.get(label.partition(".")[0], -1)) for label in codes.labels] + [-1])
        found = np.where(named[codes.codes] >= 0, named[codes.codes], found)
    return found
