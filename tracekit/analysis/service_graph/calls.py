"""Detection of calls between services in spans: client-server pairs, uninstrumented dependencies, messages.

A call is a span with a parent in another service, or an incoming span (SERVER, CONSUMER) with an outgoing parent
(CLIENT, PRODUCER) in the same service. An outgoing span without an incoming child is a call to the peer it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.self_time import first_outside
from tracekit.forest import blocks, visible_parents
from tracekit.messages import are_messages
from tracekit.schema import Kind, ParentState, Relation

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

CALL_TYPES = ("call", "message")
CALLEE_TYPES = ("service", "db", "messaging")  # a database called "orders" is not the service called "orders"
SERVICE = 0
_BLOCK = 65_536  # spans; a block fits the second-level cache


@dataclass(frozen=True, slots=True)
class Calls:
    """One entry per call; rows are rows of ``spans``.

    Parameters
    ----------
    caller
        Code of the calling service.
    callee
        Code of the callee in ``names``.
    callee_type
        Which of ``CALLEE_TYPES``.
    call_type
        Which of ``CALL_TYPES``.
    peer_type
        Code of the caller's ``peer_type``, -1 without an outgoing span.
    caller_row
        The nearest outgoing span of the caller; without one, the parent.
    callee_row
        The incoming span, -1 without one.
    is_paired
        Whether both an outgoing and an incoming span were recorded.
    names
        Names of callees; the first are the labels of ``service_name``.
    entry_rows
        Spans that begin a request in their service: incoming calls and roots.
    is_root
        Which of the entries have no recorded call.
    unnamed_rows
        Outgoing spans without an incoming span and without a peer name: not in the calls.
    """

    caller: Array
    callee: Array
    callee_type: Array
    call_type: Array
    peer_type: Array
    caller_row: Array
    callee_row: Array
    is_paired: Array
    names: list[str]
    entry_rows: Array
    is_root: Array
    unnamed_rows: Array


def find_calls(traces: TraceSet, node: Codes | None = None) -> Calls:
    """Return the calls between services, or between the nodes that spans belong to.

    * The caller of an incoming span is the nearest outgoing ancestor, skipping spans of the incoming span's service
    that are neither outgoing nor incoming, unless that ancestor names a database or topic; else the parent.  * A
    CONSUMER without a parent is joined by its links to outgoing spans of other traces; one call for each link.  * Spans
    inferred by a backend only name the callee of the outgoing span above them.  * A message is a call from a PRODUCER
    or to a CONSUMER, or one whose spans name a messaging system; see
      ``messages.message_spans``.
    * An outgoing span above another one of its service that has an incoming span, or that names the same peer, is the
    same call (HTTP libraries are often instrumented twice) and not counted again; a database call always counts.  * A
    root counts as a request unless it is an outgoing span; an orphan only if it is an incoming one.
    """
    spans, forest, inferred = traces.columns.spans, traces.forest, traces.is_inferred
    node, peer_type = node or traces.codes("service_name"), traces.codes("peer_type")
    service = node.codes
    up = visible_parents(forest.parent_row, inferred)
    consumer, producer = linked_consumers(traces, up)
    is_service = np.array([label not in CALLEE_TYPES for label in peer_type.labels] + [True])
    shape = _Shape(up, spans.kind, service, ~inferred, forest.state, is_service, peer_type.codes)
    parts = [_block(shape, low, high, producer) for low, high in blocks(forest.starts, _BLOCK)]
    nothing = (np.zeros(0, np.int64),) * 4
    child, caller, roots, silent = (np.concatenate(rows) for rows in zip(nothing, *parts, strict=True))
    sender, receiver = np.concatenate([caller, producer]), np.concatenate([child, consumer])
    names, name = _peer_names(traces, node, silent, np.flatnonzero(inferred))
    silent, name, unnamed = _distinct_peers(silent, name, up, spans.kind)
    kind = np.array([_callee_type(label) for label in peer_type.labels] + [SERVICE], np.int8)[peer_type.codes[silent]]
    consumed = (spans.kind[sender] == Kind.PRODUCER) | (spans.kind[receiver] == Kind.CONSUMER)
    consumed |= are_messages(traces.lookup, sender, receiver)
    has_outgoing = _outgoing(spans.kind[sender])
    no_callee = np.full(len(silent), -1, np.int64)
    return Calls(
        caller=np.concatenate([service[sender], service[silent]]),
        callee=np.concatenate([service[receiver], name]),
        callee_type=np.concatenate([np.full(len(sender), SERVICE, np.int8), kind]),
        call_type=np.concatenate([consumed, _sends(traces, silent)]).astype(np.int8),
        peer_type=np.concatenate([np.where(has_outgoing, peer_type.codes[sender], -1), peer_type.codes[silent]]),
        caller_row=np.concatenate([sender, silent]),
        callee_row=np.concatenate([receiver, no_callee]),
        is_paired=np.concatenate([has_outgoing, no_callee >= 0]),
        names=names,
        entry_rows=np.concatenate([child, roots]),
        is_root=np.repeat([False, True], [len(child), len(roots)]),
        unnamed_rows=unnamed,
    )


def _sends(traces: TraceSet, rows: Array) -> Array:
    """Return which outgoing spans send a message; receiving one is a call to the queue."""
    operation = traces.codes("messaging_operation_type")
    receives = np.array([label == "receive" for label in operation.labels] + [False])[operation.codes[rows]]
    is_producer = traces.columns.spans.kind[rows] == Kind.PRODUCER
    return np.asarray(is_producer | (traces.lookup.is_message[rows] & ~receives))


def _callee_type(peer_type: str) -> int:
    """Return the index in ``CALLEE_TYPES`` for this peer type."""
    return CALLEE_TYPES.index(peer_type) if peer_type in CALLEE_TYPES else SERVICE


class _Shape(NamedTuple):
    """The facts that determine calls, one entry per span."""

    up: Array
    kind: Array
    service: Array
    live: Array
    state: Array
    is_service: Array  # one per peer type, and one for none
    peer_type: Array


def _outgoing(kind: Array) -> Array:
    """Return which kinds are those of a caller."""
    return np.asarray((kind == Kind.CLIENT) | (kind == Kind.PRODUCER))


def _incoming(kind: Array) -> Array:
    """Return which kinds are those of a callee."""
    return np.asarray((kind == Kind.SERVER) | (kind == Kind.CONSUMER))


def _block(shape: _Shape, low: int, high: int, producer: Array) -> tuple[Array, Array, Array, Array]:
    """Return incoming calls, their callers, roots and unpaired outgoing spans of a block of whole traces."""
    up, kind, service, live, state = (column[low:high] for column in shape[:5])
    up = np.maximum(up.astype(np.int64) - low, -1)
    outgoing, incoming, above = _outgoing(kind) & live, _incoming(kind), np.maximum(up, 0)
    arrived = (up >= 0) & live & ((service[above] != service) | (outgoing[above] & incoming))
    child, roots = np.flatnonzero(arrived), np.flatnonzero((up < 0) & live)
    roots = roots[np.where(state[roots] == ParentState.ROOT, ~outgoing[roots], incoming[roots])]
    linked = producer[(producer >= low) & (producer < high)] - low
    answered, higher = _answered(np.concatenate([up[child], linked]), up, incoming)
    to_service = shape.is_service[shape.peer_type[low:high]]
    answered[higher[to_service[higher]]] = True
    caller, within = up[child], ~outgoing & ~incoming & live & (up >= 0) & (service[above] == service)
    loose = np.flatnonzero(within[caller])
    beyond = first_outside(up, within)[caller[loose]] if len(loose) else loose
    is_named = outgoing[beyond] & to_service[beyond]
    caller[loose[is_named]] = beyond[is_named]
    return child + low, caller + low, roots + low, np.flatnonzero(outgoing & ~answered) + low


def _answered(sender: Array, up: Array, incoming: Array) -> tuple[Array, Array]:
    """Return which spans have an incoming call below them, and those of the same service above them."""
    answered = np.zeros(len(up), bool)
    answered[sender] = True
    seen, higher, at = answered.copy(), [sender[:0]], sender
    while len(at):
        at = up[at[np.flatnonzero(~incoming[at])]]
        at = at[np.flatnonzero((at >= 0) & ~seen[at])]  # the span above a change of service is a sender, seen already
        seen[at] = True
        higher.append(at)
    return answered, np.concatenate(higher)


def _peer_names(traces: TraceSet, service: Codes, silent: Array, inferred: Array) -> tuple[list[str], Array]:
    """Return the names of all callees, and the callee of each unpaired span (-1 = not named)."""
    peer = traces.codes("peer_service_name")
    position = {label: at for at, label in enumerate(service.labels)}
    code = np.array([position.setdefault(label, len(position)) for label in peer.labels] + [-1], np.int32)
    name = code[peer.codes[silent]]
    inferred = inferred[traces.forest.parent_row[inferred] >= 0][::-1]
    if len(inferred):
        inferred_name = np.full(len(peer.codes), -1, np.int32)
        inferred_name[traces.forest.parent_row[inferred]] = service.codes[inferred]
        name = np.where(inferred_name[silent] >= 0, inferred_name[silent], name)
    return list(position), name


def _distinct_peers(silent: Array, name: Array, up: Array, kind: Array) -> tuple[Array, Array, Array]:
    """Return spans whose parent does not call the same peer, and separately those that name no peer."""
    named = name >= 0
    above = up[silent]
    below = np.flatnonzero(named & (above >= 0) & _outgoing(kind[above]))
    if len(below):
        called = np.full(len(up), -1, np.int32)
        called[silent] = name
        named[below[called[above[below]] == name[below]]] = False  # of one service, or the span above is paired
    return silent[named], name[named], silent[name < 0]


def linked_consumers(traces: TraceSet, up: Array) -> tuple[Array, Array]:
    """Return consumers without a parent and the outgoing spans they link to, one entry per pair."""
    spans, links = traces.columns.spans, traces.columns.links
    row = links.span_row
    wanted = np.flatnonzero(
        (up[row] < 0) & ((spans.kind[row] == Kind.CONSUMER) | (links.relation == Relation.XRAY_LINK))
    )
    live = _outgoing(spans.kind) & ~traces.is_inferred if len(wanted) else np.zeros(0, bool)
    candidates = np.flatnonzero(live)
    candidates = candidates[np.isin(spans.span_id[candidates], links.span_id[wanted])]
    if not len(candidates):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    keys = ["trace_hi", "trace_lo", "span_id"]
    linked = pd.DataFrame({key: getattr(links, key)[wanted] for key in keys}).assign(consumer=row[wanted])
    known = pd.DataFrame({key: getattr(spans, key)[candidates] for key in keys}).assign(producer=candidates)
    pairs = linked.merge(known.drop_duplicates(keys), on=keys).drop_duplicates(["consumer", "producer"])
    return pairs["consumer"].to_numpy(np.int64), pairs["producer"].to_numpy(np.int64)
