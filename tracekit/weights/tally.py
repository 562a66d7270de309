"""Trace coverage: how many counted requests have a trace, by stratum and window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, pick
from tracekit.stats.grouping import group_codes
from tracekit.weights.counts import COUNT, ZONE
from tracekit.weights.xray_reservoir import RULE_NAME, hashed_rules, root_attribute

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.counts import Counts


_LATEST: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Tally:
    """Counts of requests and traces.

    Parameters
    ----------
    frame
        One row per stratum: the dimensions, ``requests`` and ``traces``.
    bins
        The same by window (``start_ns``); empty without times.
    outside_count
        Traces that begin outside all windows, or that are not in the log.
    unmatched
        Traces of strata that were not counted: the dimensions and ``traces``.
    """

    frame: pd.DataFrame
    bins: pd.DataFrame
    outside_count: int
    unmatched: pd.DataFrame

    @property
    def uncounted_services(self) -> list[str]:
        """Services in the traces without counts; counts of an entry point include no others."""
        if "service_name" not in self.unmatched or not self.frame["traces"].sum():
            return []
        return sorted(set(self.unmatched["service_name"].dropna()) - set(self.frame["service_name"]))

    @property
    def unmatched_count(self) -> int:
        """Number of traces of uncounted strata of counted services."""
        if not len(self.unmatched):
            return 0
        elsewhere = self.uncounted_services
        rows = self.unmatched[~self.unmatched["service_name"].isin(elsewhere)] if elsewhere else self.unmatched
        return int(rows["traces"].sum())


@dataclass(frozen=True)
class Held:
    """Traces by the strata and windows of request counts; those of parts add.

    Parameters
    ----------
    frame
        One row per stratum and window: the dimensions, ``start_ns`` of the window, and ``traces``.
    outside_count
        Traces that begin outside all windows.
    trace_count
        All traces.
    first_ns, last_ns
        First and last start of a root.
    root_services
        Services that traces begin with.
    """

    frame: pd.DataFrame
    outside_count: int
    trace_count: int
    first_ns: int
    last_ns: int
    root_services: frozenset[str]

    def plus(self, other: Held) -> Held:
        """Return those of two parts."""
        both = pd.concat([self.frame, other.frame], ignore_index=True)
        keys = [name for name in both if name != "traces"]
        return Held(
            both.groupby(keys, dropna=False)[["traces"]].sum().reset_index(),
            self.outside_count + other.outside_count,
            self.trace_count + other.trace_count,
            min(self.first_ns, other.first_ns),
            max(self.last_ns, other.last_ns),
            self.root_services | other.root_services,
        )


@dataclass(frozen=True, eq=False)
class HoldsTraces:
    """Returns the traces of a part by the strata and windows of request counts."""

    counts: Counts

    def __call__(self, traces: TraceSet) -> Held:
        """Return those of some traces."""
        root, service = traces.forest.root_row, traces.codes("service_name")
        start, begin = traces.columns.spans.start_ns[root], np.unique(service.codes[root])
        limits = int(start.min(initial=_LATEST)), int(start.max(initial=-_LATEST))
        services = frozenset(service.texts(begin[begin >= 0]))
        return Held(*_by_stratum(traces, self.counts), len(traces), *limits, services)


def tally(held: Held, counts: Counts) -> Tally:
    """Return how many of the counted requests have a trace."""
    return _compare(held.frame, counts, held.outside_count)


def _by_stratum(traces: TraceSet, counts: Counts) -> tuple[pd.DataFrame, int]:
    """Return the traces by stratum and window, and how many begin outside all windows."""
    rows = entry_rows(traces, by_service="service_name" in counts.dimensions)
    codes = {name: stratum_codes(traces, name, counts).take(rows) for name in counts.dimensions}
    window, starts = window_of(traces.columns.spans.start_ns[rows], counts)
    inside = window >= 0
    outside = len(np.unique(traces.forest.trace[rows[~inside]]))
    codes = {name: column.take(np.flatnonzero(inside)) for name, column in codes.items()}
    columns = codes | {"start_ns": Codes(window[inside], [str(start) for start in starts])}
    group, labels = group_codes({name: (c.codes, c.labels) for name, c in columns.items()}, int(inside.sum()))
    trace = traces.forest.trace[rows[inside]]
    seen = _distinct(group, trace, len(labels["start_ns"]))
    found = pd.DataFrame(labels | {"traces": seen})
    found["start_ns"] = found["start_ns"].astype(np.int64)
    return found, outside


def _distinct(group: Array, trace: Array, groups: int) -> Array:
    """Return the number of distinct traces of each group."""
    pair = np.unique(group.astype(np.int64) * (int(trace.max(initial=0)) + 1) + trace)
    return np.bincount(pair // (int(trace.max(initial=0)) + 1), minlength=groups)


def window_of(start_ns: Array, counts: Counts) -> tuple[Array, Array]:
    """Return the window of every start (-1 outside all), and the starts of windows; one window without times."""
    if not counts.has_time:
        return np.zeros(len(start_ns), np.int64), np.zeros(1, np.int64)
    begins = np.unique(counts.frame["start_ns"].to_numpy())
    ends = counts.frame.groupby("start_ns")["end_ns"].max().reindex(begins).to_numpy()
    at = np.searchsorted(begins, start_ns, "right") - 1
    return np.where((at >= 0) & (start_ns < ends[at]), at, -1), begins


def _compare(held: pd.DataFrame, counts: Counts, outside: int) -> Tally:
    """Return requests and their recorded traces by stratum."""
    keys = list(counts.dimensions)
    requests = counts.frame.rename(columns={COUNT: "requests"})
    requests = requests if counts.has_time else requests.assign(start_ns=0)
    both = requests.merge(held, on=[*keys, "start_ns"], how="outer", indicator=True)
    counted = both[both["_merge"] != "right_only"].fillna({"traces": 0}).astype({"traces": np.int64})
    uncounted = both[both["_merge"] == "right_only"]
    known = requests[keys].drop_duplicates() if keys else None
    if known is not None and len(uncounted):  # a counted stratum without a row for this window had no requests
        merged = uncounted.drop(columns="_merge").merge(known, on=keys, how="left", indicator=True)
        extra = merged[merged["_merge"] == "both"].assign(requests=0.0)
        counted = pd.concat([counted, extra.astype({"traces": np.int64})], ignore_index=True)
        uncounted = merged[merged["_merge"] != "both"]
    unmatched = uncounted.groupby(keys, dropna=False)["traces"].sum().reset_index() if keys else uncounted[["traces"]]
    total = (
        counted.groupby(keys, dropna=False, sort=True)[["requests", "traces"]].sum().reset_index()
        if keys
        else (counted[["requests", "traces"]].sum().to_frame().T.astype({"traces": np.int64}))
    )
    bins = counted[[*keys, "start_ns", "requests", "traces"]] if counts.has_time else pd.DataFrame()
    return Tally(total, bins.reset_index(drop=True), outside, unmatched.reset_index(drop=True))


def entry_rows(traces: TraceSet, *, by_service: bool) -> Array:
    """Return the entry spans of requests: of each service, or of the trace (the roots)."""
    if not by_service:
        return np.asarray(traces.forest.root_row)
    service, parent = traces.codes("service_name").codes, traces.forest.parent_row
    enters = (parent < 0) | (service[np.maximum(parent, 0)] != service)
    rows = np.flatnonzero(enters & ~traces.is_inferred)
    pair = traces.forest.trace[rows].astype(np.int64) * (int(service.max(initial=0)) + 2) + service[rows] + 1
    return np.asarray(rows[np.sort(np.unique(pair, return_index=True)[1])])


def stratum_codes(traces: TraceSet, name: str, counts: Counts | None = None) -> Codes:
    """Return a dimension of requests for every span; the status class is that of the code, else of ``is_error``."""
    if name == "http_route":
        route, operation = traces.codes("http_route"), traces.codes("operation")
        if (route.codes >= 0).all() or not operation.labels:
            return route
        shifted = np.where(route.codes >= 0, route.codes, operation.codes + len(route.labels))
        return Codes(shifted.astype(np.int32), [*route.labels, *operation.labels])
    if name == "sampling_rule":
        rules = [] if counts is None else counts.frame[name].dropna().unique().tolist()
        return pick([root_attribute(traces, *RULE_NAME), hashed_rules(traces, rules)])[0].take(traces.forest.trace)
    if name == ZONE:
        look, keys = traces.lookup, ("cloud.availability_zone", "cloud.zone")
        spans = look.by_key.codes_of(keys)
        return pick([spans, look.resources_by_key.codes_of(keys).take(traces.columns.spans.resource)])[0]
    if name != "status_class":
        return traces.codes(name)
    code, known = traces.lookup.http_status
    classes = np.where(known, code // 100, np.where(traces.is_error, 5, 2))
    return Codes(np.clip(classes, 0, 9).astype(np.int32), [f"{digit}xx" for digit in range(10)])
