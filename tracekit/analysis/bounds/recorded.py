"""What is recorded of each request: its endpoint, whether its outcome is known, and the least that it can be."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.completeness import extents, is_open, root_counts
from tracekit.schema import Quality
from tracekit.text import clean, plural

if TYPE_CHECKING:
    from tracekit.analysis.bounds.claims import Claim
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


class Endpoints(NamedTuple):
    """What traces say of the endpoint that a claim names; those of parts add.

    Parameters
    ----------
    is_known, is_plain
        Whether a request is of it; and one named without its service.
    others
        Requests by endpoint as long as none is of it.
    """

    is_known: bool
    is_plain: bool
    others: dict[tuple[str, str], int]

    def plus(self, other: Endpoints) -> Endpoints:
        """Return those of two parts."""
        is_known = self.is_known or other.is_known
        others = Counter(self.others) + Counter(other.others)
        return Endpoints(is_known, self.is_plain or other.is_plain, {} if is_known else dict(others))

    def is_qualified(self, place: str | None) -> bool:
        """Return whether the endpoint is named with its service; ValueError with the endpoints if it is unknown."""
        if place is None:
            return False
        if not self.is_known:
            often = sorted(self.others, key=lambda name: (-self.others[name], name))
            shown = ", ".join(clean(name[1], limit=80) for name in often[:4])
            listed = f"; {plural(len(often), 'endpoint')}: {shown}" if often else ", in no traces"
            raise ValueError(f"expected an endpoint of the traces, found {clean(place, limit=80)!r}{listed}")
        return not self.is_plain


class Recorded(NamedTuple):
    """The requests of traces, one entry per trace.

    Parameters
    ----------
    root
        Row of the root span; of the earliest span without one.
    has_root
        bool: whether a root span is recorded.
    is_known
        bool: whether the outcome that a claim is about is recorded.
    value
        float64: the duration in ns; 1 and 0 for a share; undefined where the outcome is unknown.
    least_ns
        float64: the least that a request of unknown duration took.
    in_place
        bool: whether it is known to be a request of the endpoint of the claim.
    endpoints
        What the traces say of the endpoint that the claim names.
    """

    root: Array
    has_root: Array
    is_known: Array
    value: Array
    least_ns: Array
    in_place: Array
    endpoints: Endpoints

    @property
    def is_unfinished(self) -> Array:
        """bool: the root span is recorded, but not the outcome."""
        return np.asarray(self.has_root & ~self.is_known)


def recorded(traces: TraceSet, claim: Claim, *, ends_last: bool) -> Recorded:
    """Return what is recorded of each request."""
    forest, look = traces.forest, traces.lookup
    root = forest.root_row
    has_root = root_counts(forest) > 0
    started = (traces.columns.spans.quality[root] & Quality.NO_START) == 0
    known = has_root & started & ~is_open(look)[root]
    if claim.metric != "failed":
        known &= traces.has_duration[root]
    value = claim.values(np.where(traces.has_duration[root], traces.duration_ns[root], 0), traces.is_error[root])
    least = np.zeros(len(root))
    if ends_last:
        first, last = extents(look, forest)
        least = np.where(first.is_known & last.is_known, last.value - first.value, 0).astype(float)
    in_place, endpoints = _in_place(traces, root, claim.place)
    return Recorded(root, has_root, known, value, least, has_root & in_place, endpoints)


def _in_place(traces: TraceSet, root: Array, place: str | None) -> tuple[Array, Endpoints]:
    """Return which requests are of an endpoint, and what the traces say of it."""
    if place is None:
        return np.ones(len(root), bool), Endpoints(is_known=True, is_plain=False, others={})
    service, operation = (traces.codes(name).take(root) for name in ("service_name", "operation"))
    span = len(operation.labels) + 1
    pair = (service.codes.astype(np.int64) + 1) * span + operation.codes + 1
    pairs, place_of, often = np.unique(pair, return_inverse=True, return_counts=True)
    names = [_names(service.labels, operation.labels, *divmod(one, span)) for one in pairs.tolist()]
    found = np.array([place in both for both in names], bool)
    is_known = bool(found.any())
    others = {} if is_known else dict(zip(names, often.tolist(), strict=True))
    endpoints = Endpoints(is_known, any(place == name for name, _ in names), others)
    return np.asarray(found[place_of.ravel()]), endpoints


def _names(services: list[str], operations: list[str], service: int, operation: int) -> tuple[str, str]:
    """Return an endpoint without and with its service; the codes are numbered from 1, 0 is missing."""
    name = operations[operation - 1] if operation else ""
    return name, " ".join(filter(None, (services[service - 1] if service else "", name)))
