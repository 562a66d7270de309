"""The callee of each client span, also where its server span is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.attributes import Codes
from tracekit.checks.merged import Merged
from tracekit.checks.shares import added
from tracekit.schema import Kind
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, positions
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_OTHER_TYPES = frozenset({"db", "messaging", "aws"})
_PRIVATE: Final = frozenset({"svc", "local", "internal", "cluster", "consul", "lan", "localdomain", "intranet"})
_PUBLIC: Final = frozenset({"com", "net", "org", "dev", "app", "cloud", "info", "example"})
_COUNTRY: Final = 2  # letters of the top-level domain of a country; other single labels are a namespace of Kubernetes
_ALIKE: Final = ["service_name", "peer_address", "name"]


class Calls(NamedTuple):
    """Client spans, and the services that they call: ``callee`` has the names of all services."""

    client: Array
    callee: Codes

    def where(self, chosen: Array) -> Calls:
        """Return some of them."""
        return Calls(self.client[chosen], self.callee.take(chosen))


class Answers(NamedTuple):
    """Who answers calls.

    Parameters
    ----------
    votes
        ``call_count`` of the answered calls by caller, address of the peer, name and callee.
    serving
        Names of the services with server spans.
    """

    votes: Aggregate
    serving: frozenset[str]

    def plus(self, other: Answers) -> Answers:
        """Return those of two parts."""
        return Answers(added(self.votes, other.votes), self.serving | other.serving)


class Callees(NamedTuple):
    """The callee of most answered calls by caller, address of the peer and name, and all services with server spans."""

    alike: dict[str, Array]
    callee: Array
    serving: tuple[str, ...]


def call_targets(case: Case) -> Calls:
    """Return the client spans that call a service with server spans, and that service.

    For an answered call, the service of the child server span.  Otherwise the service that most answered calls with
    the same caller, name and peer went to; else the one named by ``peer_service_name`` or by the peer's address, of
    addresses in a private network (``pay.shop.svc.cluster.local``) by their first label: ``api.partner.example`` is
    not the service ``api``.  A peer with the name of the caller itself (a keyspace, a proxy) is unknown.  Calls to
    databases, queues and peers that never emit a server span are excluded.  In the case of a part, answered calls and
    server spans are those of all parts.
    """
    known, labels = case.result(CALLEES), case.service.labels
    names = [*labels, *sorted(set(known.serving) - set(labels))]
    client, target = _answered(case)
    open_ones = np.flatnonzero(target < 0)
    if len(open_ones):
        target[open_ones] = _inferred_targets(case, client[open_ones], known, names)
    return Calls(client, Codes(target, names)).where(np.flatnonzero(target >= 0))


def unanswered(case: Case) -> Calls:
    """Return client spans without a child server span, where the callee emits server spans."""
    traces = case.traces
    parent, kind = traces.forest.parent_row, traces.columns.spans.kind
    answered = np.zeros(len(parent), bool)
    answered[parent[(parent >= 0) & (kind == Kind.SERVER)]] = True
    calls = case.result(call_targets)
    return calls.where(np.flatnonzero(~answered[calls.client] & traces.has_duration[calls.client]))


def unknown_peers(case: Case) -> Array:
    """Return rows of unanswered client spans with an unknown callee."""
    traces, spans = case.traces, case.traces.columns.spans
    has_child = np.diff(traces.forest.child_offsets) > 0
    free = (spans.kind == Kind.CLIENT) & ~traces.is_inferred & ~has_child & ~_calls_uninstrumented(case)
    free[case.result(call_targets).client] = False
    return np.flatnonzero(free)


def _answered(case: Case) -> tuple[Array, Array]:
    """Return all client spans, and the code of the service of the child server span, -1 without one."""
    traces, spans = case.traces, case.traces.columns.spans
    parent = traces.forest.parent_row
    client = np.flatnonzero((spans.kind == Kind.CLIENT) & ~traces.is_inferred)
    below = np.flatnonzero((spans.kind == Kind.SERVER) & (parent >= 0) & ~traces.is_inferred)
    below = below[spans.kind[parent[below]] == Kind.CLIENT]
    answer = np.full(len(spans), -1, np.int64)
    answer[parent[below[::-1]]] = case.service.codes[below[::-1]]
    return client, answer[client]


def _answers(case: Case) -> Answers:
    """Return who answers the calls of a part."""
    client, target = _answered(case)
    answered = target >= 0
    alike = _alike(case, client[answered]) | {"callee": (target[answered], case.service.labels)}
    group, keys = group_codes(alike, int(answered.sum()))
    counts = {"call_count": np.bincount(group, minlength=int(group.max(initial=-1)) + 1)}
    votes = Aggregate(keys, counts, Histogram.empty()).by(list(keys))
    serving = np.unique(case.service.codes[case.traces.columns.spans.kind == Kind.SERVER])
    return Answers(votes, frozenset(case.service.labels[code] for code in serving if code >= 0))


def _elected(_: Case, found: Answers) -> Callees:
    """Return the callee of most calls; of several with as many, the first by name."""
    votes = found.votes
    group, keys = votes.groups(_ALIKE)
    order = np.lexsort((-votes.sums["call_count"], group))  # stable: callees are sorted by name
    first = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
    return Callees(keys, votes.keys["callee"][first], tuple(sorted(found.serving)))


CALLEES: Final[Merged[Callees]] = Merged(_answers, Answers.plus, _elected)


def _alike(case: Case, rows: Array) -> dict[str, tuple[Array, list[str]]]:
    """Return the columns by which calls are alike."""
    address, names = case.traces.codes("peer_address").take(rows), case.traces.columns.names
    return {
        "service_name": case.service.take(rows),
        "peer_address": address,
        "name": (case.traces.columns.spans.name[rows], names),
    }


def _calls_uninstrumented(case: Case) -> Array:
    """Return whether a span calls a peer that never emits server spans: a database, queue or cloud service."""
    kind = case.traces.codes("peer_type")
    away = np.array([label in _OTHER_TYPES for label in kind.labels] + [False])
    return np.asarray(away[kind.codes])


def _inferred_targets(case: Case, rows: Array, known: Callees, names: list[str]) -> Array:
    """Return the callee of these unanswered client spans, a code of ``names``; -1 where unknown."""
    number = {name: code for code, name in enumerate(names)}
    group, keys = group_codes(_alike(case, rows), len(rows))
    at = positions(known.alike, keys, _ALIKE)
    most = np.array([number[known.callee[one]] if one >= 0 else -1 for one in at.tolist()], np.int64)
    found = most[group]
    blank = np.flatnonzero(found < 0)
    found[blank] = _by_name(case, rows[blank], {name: number[name] for name in known.serving})
    found[_calls_uninstrumented(case)[rows]] = -1
    return found


def _by_name(case: Case, rows: Array, number: dict[str, int]) -> Array:
    """Return another service with the name of the peer of these spans, -1 for none that emits server spans."""
    found = np.full(len(rows), -1, np.int64)
    for column in ("peer_address", "peer_service_name"):  # the explicit name takes precedence
        codes = case.traces.codes(column).take(rows)
        named = np.array([number.get(label, number.get(_local_name(label), -1)) for label in codes.labels] + [-1])
        found = np.where(named[codes.codes] >= 0, named[codes.codes], found)
    return np.where(found == case.service.codes[rows], -1, found)


def _local_name(address: str) -> str:
    """Return the first label of an address in a private network, "" for one of the public internet."""
    first, _, domain = address.rstrip(".").partition(".")
    top = domain.rpartition(".")[2]
    return first if top in _PRIVATE or (domain == top and top not in _PUBLIC and len(top) != _COUNTRY) else ""
