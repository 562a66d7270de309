"""Weights inferred from trace ids alone, if only a sampler can explain their distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.attributes import Codes, join
from tracekit.schema import ParentState
from tracekit.weights.id_edges import (
    Family,
    RootIds,
    ids_of,
    periods,
    rest_is_shown,
    root_columns,
    sampler_edges,
    services_of_roots,
)
from tracekit.weights.id_maps import ID_MAPS, LANGUAGE_MAPS
from tracekit.weights.known import BEYOND, TRACE_IDS
from tracekit.weights.xray_reservoir import Shares, root_attribute

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.stats.step_scan import Part
    from tracekit.traces import TraceSet


class Reading(NamedTuple):
    """The evidence in the ids of one service: edges that a sampler may have left, and why they give no weights.

    ``parts`` are the traces by rate of the first edge; ``doubt`` is empty if a sampler is the only explanation.
    """

    edges: list[Family]
    parts: list[Part]
    doubt: str

    @property
    def is_sampler(self) -> bool:
        """Whether a single sampler is the only explanation."""
        return bool(self.edges) and not self.doubt


@dataclass(frozen=True)
class SdkIds(RootIds):
    """Trace ids with the SDKs of their roots.

    Parameters
    ----------
    language, sdk
        Language of the SDK; language, name and version.
    has_begun
        bool: the root has no parent.
    """

    language: Codes
    sdk: Codes
    has_begun: Array

    @classmethod
    def of(cls, traces: TraceSet) -> SdkIds:
        """Return those of some traces."""
        parts = [root_attribute(traces, f"telemetry.sdk.{part}") for part in ("language", "name", "version")]
        has_begun = traces.forest.state[traces.forest.root_row] == ParentState.ROOT
        return cls(*root_columns(traces), parts[0], join(parts), np.asarray(has_begun))


def read_ids(ids: SdkIds, rows: Array) -> Reading:
    """Return the evidence in the ids of the traces that begin in one service.

    Leading zero bits also leave an edge at a power of two. Then ids beyond it must come from roots of the same recorded
    SDK (name, language and version), which generates ids in the same way.
    """
    edges = sampler_edges(ids, rows)
    if not edges:
        return Reading([], [], "")
    language = ids.language.take(rows)
    own = {name for code in np.unique(language.codes[language.codes >= 0]) for name in _maps(language.labels[code])}
    if edges[0].name in _SAME_BITS and own & _SAME_BITS:
        edges[0] = edges[0]._replace(name=min(own & _SAME_BITS))
    best = edges[0]
    parts = periods(ids, rows, best.name)
    if len(edges) > 1:
        doubt = f"so does {edges[1].name}, and the rates of two samplers multiply"
    elif own and best.name.endswith("TraceIdRatio") and best.name not in own:
        doubt = "the recorded SDK samples differently"
    elif not rest_is_shown(ids, best, parts, _comparable(ids, rows, best)):
        doubt = "no other ids use the rest of the id space"
    else:
        doubt = ""
    return Reading(edges, parts, doubt)


_SAME_BITS = {"Python TraceIdRatio", "Go TraceIdRatio"}  # the same ids, with or without the last bit


def _maps(language: str) -> tuple[str, ...]:
    """Return the maps of an SDK's language."""
    return LANGUAGE_MAPS.get(language.lower(), ())


def _comparable(ids: SdkIds, rows: Array, family: Family) -> Array:
    """Return which traces have comparable ids; for an edge at a power of two, those of the same recorded SDK."""
    if not family.ends_with_a_bit:
        return np.ones(len(ids.low), bool)
    own = np.unique(ids.sdk.codes[rows])
    if len(own) > 1 or own[0] < 0:
        return np.zeros(len(ids.low), bool)
    return np.asarray((ids.sdk.codes == own[0]) & ids.has_begun)


def forensic_weights(traces: TraceSet) -> Shares | None:
    """Return weights by the rate that the ids of each root service show, 0 for ids outside the sample."""
    weight, source = np.full(len(traces), np.nan), np.full(len(traces), -1, np.int32)
    labels, obstacles = [BEYOND], {}
    ids = SdkIds.of(traces)
    for service, rows in services_of_roots(ids):
        reading = read_ids(ids, rows)
        if len(reading.edges) > 1 and not all(edge.ends_with_a_bit for edge in reading.edges):
            one, other = (f"{edge.name} at {edge.step.threshold:.3g}" for edge in reading.edges[:2])
            obstacles[f"the ids of {service} show two samplers, {one} and {other}"] = len(rows)
        if not reading.is_sampler:
            continue
        name = reading.edges[0].name
        labels.append(f"{TRACE_IDS} ({name})")
        for part in reading.parts:
            inside = ID_MAPS[name](*ids_of(ids, part.at)) <= part.step.threshold
            weight[part.at] = np.where(inside, 1 / part.step.threshold, 0.0)
            source[part.at] = np.where(inside, len(labels) - 1, 0)
    return Shares(weight, Codes(source, labels), obstacles) if len(labels) > 1 or obstacles else None
