"""Whose requests are slow or failed: the keys that can say so, and the share of some requests that are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.stats.weighted_rates import clustered_rates

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.result import Differences
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.columns import Array

MOST_KEYS: Final = 8  # keys that are tried, those with the surest differences first
# keys of what happened to a request, or of how it was recorded: they do not say whose it was
_OUTCOMES: Final = (
    "operation", "service.name", "peer.service", "otel.", "telemetry.", "db.", "error", "exception", "http.response.",
    "http.request.resend_count", "http.resend_count", "faas.coldstart",
    "http.status_code", "rpc.response", "messaging.message", "code.", "thread.", "process.",
    "aws.xray.error", "aws.xray.fault", "aws.xray.throttle",
)  # fmt: skip


def request_keys(differences: Differences) -> list[str]:
    """Return the keys of values that significantly more of the selected requests have, the surest first."""
    table = differences.table
    sure = table[table["is_significant"] & (table["difference_ratio"] > 0)]
    names: list[str] = []
    for row in sure.to_dict("records"):
        also = [part.removeprefix("not ").partition("=")[0] for part in row["also"].split("; ") if part]
        names += [str(row["key"]), *also]
    return [key for key in dict.fromkeys(names) if not key.startswith(_OUTCOMES)]


def share_of(sides: tuple[Side, Side], mask: Array, confidence: float) -> tuple[float, float, float]:
    """Return which weighted share of the requests in the mask is selected, with its limits."""
    selection, baseline = sides
    rows = np.flatnonzero((selection.chosen | baseline.chosen) & mask)
    group, is_chosen = np.zeros(len(rows), np.int64), selection.chosen[rows]
    found = clustered_rates(group, rows, is_chosen, selection.roots.weight, 1, confidence=confidence)
    return float(found.ratio[0]), float(found.low[0]), float(found.high[0])


def slowest_of(selection: Side, mask: Array) -> tuple[str, ...]:
    """Return the id of the longest selected trace in the mask, as an exemplar."""
    roots, rows = selection.roots, np.flatnonzero(selection.chosen & mask)
    took = np.where(roots.is_timed[rows], roots.duration_ns[rows], -1)
    return tuple(roots.ids(rows[[took.argmax()]])) if len(rows) else ()
