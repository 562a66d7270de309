"""Metrics of a tail-sampling collector: names and reading."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAIL = "otelcol_processor_tail_sampling_"
EVICTED, RECEIVED = f"{_TAIL}sampling_trace_dropped_too_early", f"{_TAIL}new_trace_id_received"
LATE = f"{_TAIL}sampling_late_span_age_count"
_ACCEPTED, _SENT = "otelcol_receiver_accepted_spans", "otelcol_exporter_sent_spans"


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
