"""Columns to group critical-path time by: a code and a label for every node of a path tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.callees import callees
from tracekit.analysis.self_time import first_outside
from tracekit.attributes import Codes, pick
from tracekit.forest import path_hashes
from tracekit.grouping import column, named, of_traces
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.columns import Array
    from tracekit.grouping import By, Key
    from tracekit.traces import TraceSet

MISSING, NO_SPAN = "(missing)", "(no span)"
_SPELT = 24  # steps of a call path in its label


def codes_of(path: CriticalPath, by: By) -> dict[str, Codes]:
    """Return the columns to group time by, for every node."""
    return {name: key_codes(path.source, path.tree, key) for name, key in named(by).items()}


def key_codes(traces: TraceSet, tree: PathTree, key: Key) -> Codes:
    """Return one column to group time by, for every node.

    Beside the names of ``tracekit.grouping``, paths have ``caller_service``, ``callee_service``, ``call_path``, and the
    ends of the call that time belongs to: ``edge_caller`` and ``edge_callee``.
    """
    whole = of_traces(traces, key)
    if whole is not None:  # known for the nodes added for missing spans, too
        return whole.take(tree.trace)
    if not isinstance(key, str):
        return _with_added_nodes(column(traces, key), tree)
    if key == "caller_service":
        return _callers(tree, key_codes(traces, tree, "service_name"))
    if key == "callee_service":
        service, peer = (key_codes(traces, tree, name) for name in ("service_name", "peer_service_name"))
        return callees(tree.parent[: tree.span_count], service, peer)
    if key in {"edge_caller", "edge_callee"}:
        return _edge_ends(traces, tree)[key]
    if key == "call_path":
        found = call_tree(traces, tree)
        return Codes(found.code, _spell(found, tree))
    return _with_added_nodes(column(traces, key), tree)


def _with_added_nodes(found: Codes, tree: PathTree) -> Codes:
    """Return a column of spans for every node, with labels for the nodes added for missing spans."""
    codes, labels = found
    if len(tree) == tree.span_count:
        return Codes(codes, labels)
    behind = np.where(tree.is_virtual, len(labels) + 1, len(labels))
    return Codes(np.concatenate((codes, behind)), [*labels, MISSING, NO_SPAN])


def _callers(tree: PathTree, service: Codes) -> Codes:
    """Return the service of the nearest ancestor of another service."""
    up = tree.parent.astype(np.int64)
    caller = up[first_outside(up, (up >= 0) & (service.codes[up] == service.codes))]
    return Codes(np.where(caller >= 0, service.codes[caller], -1), service.labels)


def _edge_ends(traces: TraceSet, tree: PathTree) -> dict[str, Codes]:
    """Return the call that the time of every node belongs to.

    Time of a span that calls another service belongs to that call, all other time to the call that entered the service.
    """
    names = ("service_name", "caller_service", "callee_service")
    service, caller, callee = (key_codes(traces, tree, name) for name in names)
    number = {label: at for at, label in enumerate(service.labels)}
    same = np.array([*(number.get(label, -1) for label in callee.labels), -1])[callee.codes]
    leaves = (callee.codes >= 0) & (same != service.codes)
    outgoing = Codes(np.where(leaves, callee.codes, -1).astype(np.int32), callee.labels)
    return {
        "edge_caller": Codes(np.where(leaves, service.codes, caller.codes), service.labels),
        "edge_callee": pick([outgoing, service])[0],
    }


class CallTree(NamedTuple):
    """Call paths: nodes with the same services and operations from the root down have one call path.

    Parameters
    ----------
    code
        int64, one per node: its call path.
    first
        int64, one per call path: a node of it.
    parent
        int64, one per call path: the parent call path, -1 at the top.
    service, operation
        Columns of all nodes.
    """

    code: Array
    first: Array
    parent: Array
    service: Codes
    operation: Codes


def call_tree(traces: TraceSet, tree: PathTree) -> CallTree:
    """Return the call path of every node."""
    service, operation = (key_codes(traces, tree, column) for column in ("service_name", "operation"))
    step = service.codes.astype(np.int64) * (len(operation.labels) + 1) + operation.codes + 1
    up = tree.parent.astype(np.int64)
    codes, first_seen = pd.factorize(path_hashes(step, up))
    first = np.zeros(len(first_seen), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    above = np.where(up >= 0, codes[up], -1)
    if (step != step[first][codes]).any() or (above != above[first][codes]).any():
        raise RuntimeError("two call paths have the same 64-bit hash; this cannot happen by chance")
    return CallTree(codes, first, above[first], service, operation)


def _spell(calls: CallTree, tree: PathTree) -> list[str]:
    """Return the label of each call path, shortened in the middle if it is long."""
    labels = []
    for node in calls.first.tolist():
        steps: list[str] = []
        at = node
        while at >= 0 and len(steps) < _SPELT:
            words = (codes.at(at) or "" for codes in (calls.service, calls.operation))
            steps.append(" ".join(words))
            at = int(tree.parent[at])
        labels.append(" > ".join(["..."] * (at >= 0) + steps[::-1]))
    return labels
