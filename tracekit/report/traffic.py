"""Traces over time: the bars of the chart of the traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.timeline.compute import started_between
from tracekit.analysis.traffic import Traffic
from tracekit.views.scales import time_step

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview


def traffic_of(seen: Overview) -> Traffic | None:
    """Return traces over time; None if no trace has a start and a weight above 0."""
    period_ns = started_between(seen.source)
    if period_ns is None:
        return None
    low, high = period_ns
    step = time_step(low, high)
    first = low // step * step
    bars = (high - first) // step + 1
    totals, failed = seen.volume(first, step, bars)
    return Traffic(first + np.arange(bars) * step, totals, failed, step, low, high) if totals.any() else None
