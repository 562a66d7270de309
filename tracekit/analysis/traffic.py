"""Traces by start time, in steps of equal length."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array


class Traffic(NamedTuple):
    """Traces per step; all steps between the first and the last trace, also empty ones.

    Parameters
    ----------
    start_ns
        int64, one per step: its start in ns since the epoch.
    weight, failed
        float64, one per step: traces, and those with a failed request, weighted.
    step_ns
        Length of a step.
    first_ns, last_ns
        Start of the first and of the last trace.
    """

    start_ns: Array
    weight: Array
    failed: Array
    step_ns: int
    first_ns: int
    last_ns: int

    @classmethod
    def of(cls, start_ns: Array, weight: Array, is_error: Array, *, step_ns: int) -> Traffic:
        """Return traces per step; there has to be at least one."""
        edges = int(start_ns.min()), int(start_ns.max())
        first = edges[0] // step_ns * step_ns
        step = (start_ns - first) // step_ns
        totals = np.bincount(step, weight)
        failed = np.bincount(step, weight * is_error, len(totals))
        return cls(first + np.arange(len(totals)) * step_ns, totals, failed, step_ns, *edges)
