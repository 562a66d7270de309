"""Expectations for a sample: sampling rate, detected incidents, counters of a collector, counts of other systems."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES = ("instrumented", "sampled", "indexed")
_TAIL = "otelcol_processor_tail_sampling_"
EVICTED, RECEIVED = f"{_TAIL}sampling_trace_dropped_too_early", f"{_TAIL}new_trace_id_received"
LATE = f"{_TAIL}sampling_late_span_age_count"
_ACCEPTED, _SENT = "otelcol_receiver_accepted_spans", "otelcol_exporter_sent_spans"


@dataclass(frozen=True)
class Expected:
    """Expectations for the sample.

    Parameters
    ----------
    rate
        Expected trace coverage.
    incident
        Requests of the smallest incident to detect, and the number of traces needed.
    capture
        Share of the failing requests that should be captured.
    stages
        Counts of other systems in the same window: ``instrumented`` (requests with spans created by an SDK),
        ``sampled``, ``indexed``.
    processes
        Number of processes that start traces; default: those found in the traces.
    attributes
        Attributes to test for sampling bias, in addition to those that look like tenants and versions.
    collector
        Increase of the metrics of a tail-sampling collector in that period (``COUNTERS``).
    """

    rate: float | None = None
    incident: tuple[int, int] | None = None
    capture: float = 0.9
    stages: Mapping[str, float] = field(default_factory=dict)
    processes: int | None = None
    attributes: tuple[str, ...] = ()
    collector: Mapping[str, float] = field(default_factory=dict)


def expectations(given: Mapping[str, Any] | None) -> Expected:
    """Return expectations from a mapping."""
    known, values = set(Expected.__dataclass_fields__), dict(given or {})
    if unknown := sorted(set(values) - known):
        raise ValueError(f"expected any of {', '.join(sorted(known))} as expectations, found {', '.join(unknown)}")
    for name in ("rate", "capture"):
        if values.get(name) is not None and not 0 < values[name] <= 1:
            raise ValueError(f"expected {name} above 0 and up to 1, found {values[name]!r}")
    if isinstance(values.get("incident"), int):
        values["incident"] = (values["incident"], 1)
    if (incident := values.get("incident")) is not None:
        is_pair = isinstance(incident, (tuple, list)) and [type(n) for n in incident] == [int, int]
        if not is_pair or min(incident) < 1:
            raise ValueError(f"expected incident as a number of occurrences and of traces needed, found {incident!r}")
    if unknown := sorted(set(values.get("stages", ())) - set(STAGES)):
        raise ValueError(f"expected stages among {', '.join(STAGES)}, found {', '.join(unknown)}")
    values["attributes"] = tuple(values.get("attributes", ()))
    values["collector"] = read_counters(values.get("collector", {}))
    return Expected(**values)


class Loss(NamedTuple):
    """A counter of losses, its description, the counter of the total, and whether that includes the losses."""

    counter: str
    words: str
    of: str
    is_within: bool


LOSSES = (
    Loss(EVICTED, "traces were evicted before the decision", RECEIVED, is_within=True),
    Loss("otelcol_receiver_refused_spans", "spans were refused on arrival", _ACCEPTED, is_within=False),
    Loss("otelcol_processor_dropped_spans", "spans were dropped by processors", _ACCEPTED, is_within=True),
    Loss("otelcol_exporter_enqueue_failed_spans", "spans were rejected by a full queue", _SENT, is_within=False),
    Loss("otelcol_exporter_send_failed_spans", "spans could not be sent", _SENT, is_within=False),
)
COUNTERS = (RECEIVED, LATE, _ACCEPTED, _SENT, *(loss.counter for loss in LOSSES))
"""Supported metrics of the collector."""


def read_counters(given: Mapping[str, Any]) -> dict[str, float]:
    """Return validated counters of a collector by name."""
    found = {}
    for name, value in given.items():
        counter = str(name).removesuffix("_total")
        if counter not in COUNTERS:
            raise ValueError(f"expected counters of the collector among {', '.join(COUNTERS)}, found {name}")
        if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
            raise ValueError(f"expected the increase of {name} (0 or more), found {value!r}")
        found[counter] = float(value)
    return found
