"""Edges in the distribution of trace ids that a sampler may have left, excluding those of id formats.

Ids with a timestamp, counter, leading zeros or version are not uniform on 0 to 1 either. A sampler keeps a uniform part
``[0, p)`` under its map; an id format has an edge at a power of two, or occupies a small part of the space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.step_scan import Part, Step, step_scan, step_slices, uniform_p
from tracekit.stats.tests import false_discovery
from tracekit.weights.id_maps import FIRST_BYTES, ID_MAPS, PLAIN_BITS, SEEN_BITS, begins_with_time

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

FEWEST = 100
SURE = 0.001
_LOWEST_RATE, _EMPTY_BELOW, _LEAST_REST, _GAP = 1e-4, 0.2, 20, 7
_HIGHEST_RATE = 0.8  # higher rates matter little, and look like chance or uneven formats


@dataclass(frozen=True)
class RootIds:
    """Trace ids with what their roots say, one entry per trace in the order of ids.

    Parameters
    ----------
    high, low
        Halves of the ids.
    start_ns, service
        Start and service of the roots.
    """

    high: Array
    low: Array
    start_ns: Array
    service: Codes

    @classmethod
    def of(cls, traces: TraceSet) -> RootIds:
        """Return those of some traces."""
        return cls(*root_columns(traces))


def root_columns(traces: TraceSet) -> tuple[Array, Array, Array, Codes]:
    """Return both halves of the ids, and start and service of the roots."""
    spans, first, root = traces.columns.spans, traces.forest.starts[:-1], traces.forest.root_row
    service = traces.codes("service_name").take(root)
    return spans.trace_hi[first], spans.trace_lo[first], spans.start_ns[root], service


class Family(NamedTuple):
    """A sampler family and the edge of ids under its map; ``q`` is its p-value after Benjamini and Hochberg.

    ``n`` is the number of ids.
    """

    name: str
    q: float
    step: Step
    n: int = FEWEST

    @property
    def ends_with_a_bit(self) -> bool:
        """Whether leading zero bits explain the edge: at a power of two, under a map that does not hash."""
        if self.name not in PLAIN_BITS:
            return False
        step = self.step  # the edge is beyond the last of k by more than 7 / k once in a thousand
        high = step.threshold * (1 + _GAP / max(step.inside * self.n, 1))
        return bool(2.0 ** np.floor(np.log2(high)) >= step.low)


def families(high: Array, low: Array, *, begin_with_time: bool) -> list[Family]:
    """Return every sampler family with its edge, the most likely first."""
    names = [name for name in ID_MAPS if not (begin_with_time and name in FIRST_BYTES)]
    steps = [step_scan(ID_MAPS[name](high, low)) for name in names]
    q = false_discovery(np.array([step.p for step in steps]))
    found = [
        Family(name, float(adjusted), step, len(high)) for name, adjusted, step in zip(names, q, steps, strict=True)
    ]
    return sorted(found, key=lambda family: -family.step.llr)


def group_families(ids: RootIds, rows: Array) -> list[Family]:
    """Return ``families`` of some of the ids."""
    high, low = ids_of(ids, rows)
    return families(high, low, begin_with_time=begins_with_time(high, ids.start_ns[rows]))


def sampler_edges(ids: RootIds, rows: Array, *, sure: float = SURE) -> list[Family]:
    """Return the edges that a sampler may have left: at most one for each part of the id that samplers use.

    An edge counts if the ids below it are uniform down to 0 (Kolmogorov and Smirnov, p = 0.001; by period if the rate
    changed), cover at least 1 in 10,000 of the space (ids that begin with a timestamp, counters and leading zeros cover
    less) and significantly at most 4 in 5.
    """
    found: dict[str, Family] = {}
    for family in group_families(ids, rows):
        bits = SEEN_BITS[family.name]
        if family.q <= sure and bits not in found and _is_even(ids, rows, family):
            found[bits] = family
    return list(found.values())


def _is_even(ids: RootIds, rows: Array, family: Family) -> bool:
    """Return whether the ids below an edge are uniform down to 0, in each period of one rate."""
    value, limit = ID_MAPS[family.name](*ids_of(ids, rows)), family.step.threshold
    inside = value[value <= limit]
    if limit < _LOWEST_RATE or family.step.high > _HIGHEST_RATE or inside.min() > _EMPTY_BELOW * limit:
        return False
    if uniform_p(inside / limit) >= SURE:
        return True
    parts = periods(ids, rows, family.name)
    edges = [(ID_MAPS[family.name](*ids_of(ids, part.at)), part.step.threshold) for part in parts]
    return len(parts) > 1 and all(
        uniform_p(value[value <= limit] / limit) >= SURE / len(parts) for value, limit in edges
    )


def periods(ids: RootIds, rows: Array, family: str) -> list[Part]:
    """Return the traces by rate of a sampler: one part, or several if the rate changed over time."""
    ordered = rows[np.argsort(ids.start_ns[rows], kind="stable")]
    found = step_slices(ID_MAPS[family](*ids_of(ids, ordered)))
    return [Part(np.sort(ordered[part.at]), part.step) for part in found]


def rest_is_shown(ids: RootIds, family: Family, parts: list[Part], alike: Array) -> bool:
    """Return whether uniform ids occur beyond an edge: those of other samplers, services or periods."""
    if len(parts) > 1 and not family.ends_with_a_bit:
        return True
    value, limit = ID_MAPS[family.name](*ids_of(ids, np.flatnonzero(alike))), family.step.high
    beyond = value[value > limit]
    return len(beyond) >= _LEAST_REST and uniform_p((beyond - limit) / (1 - limit)) >= SURE


def services_of_roots(ids: RootIds, least: int = FEWEST) -> list[tuple[str, Array]]:
    """Return the services that are the root of enough traces, with those traces."""
    service = ids.service
    count = np.bincount(service.codes[service.codes >= 0], minlength=len(service.labels))
    many = [code for code in range(len(count)) if count[code] >= least]
    order = sorted(many, key=lambda code: (-count[code], service.labels[code]))
    return [(service.labels[code], np.flatnonzero(service.codes == code)) for code in order]


def ids_of(ids: RootIds, rows: Array) -> tuple[Array, Array]:
    """Return both halves of some ids."""
    return ids.high[rows], ids.low[rows]
