"""Instances of services: which services have several, and which instances begin during the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from tracekit.attributes import pick
from tracekit.checks.merged import Merged
from tracekit.checks.patterns.process_times import timed_spans
from tracekit.stats.grouping import dense_codes, group_codes, group_labels

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

LABELS: Final = {"k8s_pod_name": "pod", "host_name": "host", "service_instance_id": "instance"}
"""Columns that tell the instances of a service apart, and what an instance is called by each."""
_MOST_EXACT: Final = ("service_instance_id", "k8s_pod_name", "host_name")
_LATER: Final = 0.05  # of the recording before the first request of an instance: it is new
_KEYS: Final = ("service_name", "instance")
_Names: TypeAlias = "dict[tuple[str, str], tuple[str, str]]"  # by label and service


def instances(case: Case) -> Codes:
    """Return the instance of every span: process, pod or host."""
    return pick([case.traces.codes(name) for name in _MOST_EXACT])[0]


def _names(case: Case) -> _Names:
    """Return the first and last name of the instances in a part."""
    found: _Names = {}
    service = case.service
    for label in LABELS:
        codes = case.traces.codes(label)
        row = np.flatnonzero((service.codes >= 0) & (codes.codes >= 0))
        name = codes.take(row).used()
        size = max(len(name.labels), 1)
        _, pair = dense_codes(service.codes[row].astype(np.int64) * size + name.codes, len(service.labels) * size)
        owner, place = pair // size, pair % size  # in the order of services and of their names
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        last = np.append(first[1:], len(owner))[: len(first)] - 1
        for one, low, high in zip(owner[first].tolist(), place[first].tolist(), place[last].tolist(), strict=True):
            found[label, service.labels[one]] = name.labels[low], name.labels[high]
    return found


def _outermost(first: _Names, second: _Names) -> _Names:
    """Return the first and last names of two parts."""
    both = {one: (*first.get(one, ()), *second.get(one, ())) for one in {**first, **second}}
    return {one: (min(names), max(names)) for one, names in both.items()}


def _with_several(_: Case, found: _Names) -> frozenset[tuple[str, str]]:
    """Return the labels and services with several instances."""
    return frozenset(one for one, (first, last) in found.items() if first != last)


SEVERAL: Final[Merged[frozenset[tuple[str, str]]]] = Merged(_names, _outermost, _with_several)
"""The labels and services with several instances."""


class _Begun(NamedTuple):
    """When instances begin: their keys, the start of their first span, and the first and last start of all spans."""

    keys: dict[str, Array]
    first_ns: Array
    low_ns: int
    high_ns: int


def _begun(case: Case) -> _Begun:
    """Return when the instances of a part begin."""
    row = case.result(timed_spans)
    instance = instances(case)
    row = row[instance.codes[row] >= 0]
    start = case.traces.columns.spans.start_ns[row]
    columns = dict(zip(_KEYS, (case.service.take(row), instance.take(row)), strict=True))
    group, keys = group_codes(columns, len(row))
    later, earlier = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    first = np.full(len(keys["instance"]), later)
    np.minimum.at(first, group, start)
    return _Begun(keys, first, int(start.min(initial=later)), int(start.max(initial=earlier)))


def _earlier(first: _Begun, second: _Begun) -> _Begun:
    """Return when the instances of two parts begin."""
    keys = {name: np.concatenate([first.keys[name], second.keys[name]]) for name in _KEYS}
    group, labels = group_labels(keys, list(_KEYS), len(keys["instance"]))
    begun = np.full(len(labels["instance"]), np.iinfo(np.int64).max)
    np.minimum.at(begun, group, np.append(first.first_ns, second.first_ns))
    return _Begun(labels, begun, min(first.low_ns, second.low_ns), max(first.high_ns, second.high_ns))


def _new(_: Case, found: _Begun) -> dict[str, Array]:
    """Return the instances whose first span begins after the beginning of the recording."""
    if not len(found.first_ns):
        return found.keys
    is_new = found.first_ns > found.low_ns + _LATER * (found.high_ns - found.low_ns)
    return {name: labels[is_new] for name, labels in found.keys.items()}


NEW: Final[Merged[dict[str, Array]]] = Merged(_begun, _earlier, _new)
"""The instances that begin during the recording."""
