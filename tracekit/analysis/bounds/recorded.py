"""What is recorded of each request: its endpoint, whether its outcome is known, and the least that it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.completeness import extents, is_open, root_counts
from tracekit.schema import Quality
from tracekit.text import clean, plural

if TYPE_CHECKING:
    from tracekit.analysis.bounds.claims import Claim
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


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
    is_qualified
        Whether the claim names the endpoint with its service.
    """

    root: Array
    has_root: Array
    is_known: Array
    value: Array
    least_ns: Array
    in_place: Array
    is_qualified: bool

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
    in_place, is_qualified = _in_place(traces, root, claim.place)
    return Recorded(root, has_root, known, value, least, has_root & in_place, is_qualified)


def _in_place(traces: TraceSet, root: Array, place: str | None) -> tuple[Array, bool]:
    """Return which requests are of an endpoint, and whether it was named with its service; or list the endpoints."""
    if place is None:
        return np.ones(len(root), bool), False
    service, operation = (traces.codes(name).take(root) for name in ("service_name", "operation"))
    span = len(operation.labels) + 1
    pair = (service.codes.astype(np.int64) + 1) * span + operation.codes + 1
    pairs, place_of, often = np.unique(pair, return_inverse=True, return_counts=True)
    names = [_names(service.labels, operation.labels, *divmod(one, span)) for one in pairs.tolist()]
    found = np.array([place in both for both in names], bool)
    if not found.any():
        shown = (clean(names[at][1], limit=80) for at in np.argsort(-often, kind="stable")[:4].tolist())
        listed = f"; {plural(len(names), 'endpoint')}: {', '.join(shown)}" if names else ", in no traces"
        raise ValueError(f"expected an endpoint of the traces, found {clean(place, limit=80)!r}{listed}")
    return np.asarray(found[place_of.ravel()]), all(place != name for name, _ in names)


def _names(services: list[str], operations: list[str], service: int, operation: int) -> tuple[str, str]:
    """Return an endpoint without and with its service; the codes are numbered from 1, 0 is missing."""
    name = operations[operation - 1] if operation else ""
    return name, " ".join(filter(None, (services[service - 1] if service else "", name)))
