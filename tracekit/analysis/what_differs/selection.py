"""Which traces are set apart from which: a condition, the slowest of an endpoint, or two sets of traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.completeness import latencies
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.text import plural
from tracekit.traces import TraceSet, matching

if TYPE_CHECKING:
    from tracekit.columns import Array

_BAND: Final = re.compile(r"slowest (\d+(?:\.\d+)?) ?%(?: of (.+))?")
FAILED: Final = "failed"


class Side(NamedTuple):
    """Some traces of a set.

    Parameters
    ----------
    traces
        The set.
    chosen
        bool, one per trace.
    name
        What they are.
    """

    traces: TraceSet
    chosen: Array
    name: str

    @property
    def trace_count(self) -> int:
        """Recorded traces."""
        return int(self.chosen.sum())


def sides_of(traces: TraceSet, selection: Any) -> tuple[Side, Side]:
    """Return the selected traces and those that they are compared with."""
    if isinstance(selection, TraceSet):
        every = (np.ones(len(side), bool) for side in (traces, selection))
        return Side(traces, next(every), "current"), Side(selection, next(every), "baseline")
    if isinstance(selection, str) and selection == FAILED:
        chosen, among = traces.summary["is_error"].to_numpy(bool), np.ones(len(traces), bool)
        return Side(traces, chosen, "failed"), Side(traces, among & ~chosen, "succeeded")
    if isinstance(selection, str) and (band := _BAND.fullmatch(" ".join(selection.split()))):
        return _slowest(traces, selection, float(band[1]) / 100, band[2])
    chosen = matching(traces, selection)
    name = selection if isinstance(selection, str) else "selected"
    return Side(traces, chosen, name), Side(traces, ~chosen, "the rest")


def _slowest(traces: TraceSet, selection: str, share: float, endpoint: str | None) -> tuple[Side, Side]:
    """Return the slowest finished requests, of one endpoint if it is named, and the others of it."""
    if not 0 < share < 1:
        raise ValueError(f"expected a share between 0 and 100%, such as 'slowest 5%', found {selection!r}")
    took = latencies(traces.lookup, traces.forest)
    among = took.is_known & _of_endpoint(traces, endpoint)
    limit = weighted_quantiles(took.value[among], traces.weights.value[among], (1 - share,))[0]
    chosen = among & (took.value > limit)
    return Side(traces, chosen, selection), Side(traces, among & ~chosen, "the rest")


def _of_endpoint(traces: TraceSet, endpoint: str | None) -> Array:
    """Return the traces whose root span has this operation, with or without its service; ValueError lists them."""
    if endpoint is None:
        return np.ones(len(traces), bool)
    root = traces.forest.root_row
    service, operation = (traces.codes(name).take(root) for name in ("service_name", "operation"))
    pairs, place = np.unique(np.stack([service.codes, operation.codes]), axis=1, return_inverse=True)
    names = [[codes.labels[code] if code >= 0 else "" for codes, code in zip((service, operation), pair, strict=True)]
             for pair in pairs.T.tolist()]  # fmt: skip
    found = np.array([endpoint in {name[1], " ".join(name)} for name in names], bool)
    if not found.any():
        often = np.argsort(-np.bincount(place.ravel(), minlength=len(names)), kind="stable")[:4]
        known = ", ".join(" ".join(names[at]) for at in often.tolist())
        raise ValueError(f"expected an endpoint, found {endpoint!r}; {plural(len(names), 'endpoint')}: {known}")
    return np.asarray(found[place.ravel()])
