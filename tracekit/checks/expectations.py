"""Expectations for a sample: sampling rate, detected incidents, counts of other systems."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracekit.checks.collector_metrics import read_counters

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGES = ("instrumented", "sampled", "indexed")


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
        Increase of the metrics of a tail-sampling collector in that period (``collector_metrics.COUNTERS``).
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
