"""What a postmortem asks of all traces of a side, in memory or in a store: each is worked out once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.partials import over_parts
from tracekit.checks.drawn import drawn
from tracekit.checks.overview import overview

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_INSTANCE = ("service_name", "service_version", "service_instance_id")
Instances = frozenset[tuple[str, str | None, str | None]]


def has_versions(case: Case) -> bool:
    """Return whether any span has a service version."""
    return over_parts(case.source, _has_versions, bool.__or__).state


def _has_versions(traces: TraceSet) -> bool:
    """Return whether any span of some traces has one."""
    return bool((traces.codes("service_version").codes >= 0).any())


def failed_count(case: Case) -> int:
    """Return the number of recorded requests that failed."""
    return over_parts(case.source, _failed_count, int.__add__).state


def _failed_count(traces: TraceSet) -> int:
    """Return that of some traces."""
    return int(traces.is_error[traces.forest.root_row].sum())


def instances(case: Case) -> Instances:
    """Return each instance with its service and version; None for what is not recorded."""
    return over_parts(case.source, _instances, _either).state


def _either(first: frozenset[Any], second: frozenset[Any]) -> frozenset[Any]:
    """Return what is in either part."""
    return first | second


def _instances(traces: TraceSet) -> Instances:
    """Return those of some traces."""
    codes = np.stack([traces.codes(key).codes for key in _INSTANCE], axis=1).astype(np.int64)
    labels = [[*traces.codes(key).labels, None] for key in _INSTANCE]
    rows = np.unique(codes, axis=0).tolist() if len(codes) else []
    return frozenset((str(labels[0][a]), labels[1][b], labels[2][c]) for a, b, c in rows if a >= 0)


def root_names(traces: TraceSet | Parts, service: str, operation: str) -> frozenset[str | None]:
    """Return the names that the root spans of an endpoint have."""
    return over_parts(traces, partial(_root_names, service=service, operation=operation), _either).state


def _root_names(traces: TraceSet, service: str, operation: str) -> frozenset[str | None]:
    """Return those of some traces."""
    root = traces.forest.root_row
    columns = ("service_name", "operation", "name")
    names = {key: traces.codes(key).series().astype(object).to_numpy()[root] for key in columns}
    is_mine = (names["service_name"] == service) & (names["operation"] == operation)
    return frozenset(name if isinstance(name, str) else None for name in names["name"][is_mine])


def middle_ns(case: Case) -> int | None:
    """Return the time at which half of the traces have started, of a store from a random sample; None without times."""
    starts = case.result(drawn).traces.summary["start_ns"].dropna()
    return int(starts.median()) if len(starts) else None


def path_of(case: Case) -> tuple[CriticalPath, str]:
    """Return the critical paths of the requests, of a store those of a random sample, and what they are of in words."""
    paths = case.result(overview).paths
    if isinstance(paths, CriticalPath):
        return paths, ""
    sample = case.result(drawn)
    words = " of a random sample" * sample.is_sample
    return critical_path(sample.traces, skew=paths.offsets or "off"), words
