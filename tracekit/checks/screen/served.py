"""Which versions of a service took part in requests, from when to when, and whether they still do at the end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_GONE: Final = 0.001  # probability that a version which still serves takes no part in the requests after its last one


def served(traces: TraceSet | Parts, service_name: str, until_ns: int | None = None) -> pd.DataFrame:
    """Return ``version``, ``first_ns`` and ``last_ns`` (starts of requests), ``request_count``, ``is_serving``.

    ``until_ns``: only requests that start before it count.
    """
    seen = over_parts(traces, partial(_requests, service_name=service_name, until_ns=until_ns), _both).state
    starts = np.sort(seen["start_ns"].to_numpy(np.int64))
    table = seen.groupby("version")["start_ns"].agg(first_ns="min", last_ns="max", request_count="size").reset_index()
    begin = starts.searchsorted(table["first_ns"].to_numpy(np.int64), side="left")
    end = starts.searchsorted(table["last_ns"].to_numpy(np.int64), side="right")
    share = table["request_count"].to_numpy(float) / (end - begin + 1)
    return table.assign(is_serving=(1 - share) ** (len(starts) - end) >= _GONE)


def _both(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the requests of two parts."""
    return pd.concat([first, second], ignore_index=True)


def _requests(traces: TraceSet, service_name: str, until_ns: int | None) -> pd.DataFrame:
    """Return version and start of each request that a version of a service took part in: 16 bytes each."""
    seen = took_part(traces, service_name)[["version", "start_ns"]]
    return seen if until_ns is None else seen[seen["start_ns"] < until_ns]


def took_part(traces: TraceSet, service_name: str) -> pd.DataFrame:
    """Return ``version``, ``trace`` (position) and ``start_ns`` of each request that a version took part in."""
    service, version = traces.codes("service_name"), traces.codes("service_version")
    spans, forest = traces.columns.spans, traces.forest
    has_start = (spans.quality & Quality.NO_START) == 0
    root = forest.root_row[forest.trace]
    is_mine = has_start & has_start[root] & ~traces.is_inferred & (version.codes >= 0)
    is_mine &= service.series().eq(service_name).to_numpy(bool)
    names = np.array(version.labels, object)[version.codes[is_mine]]
    columns = {"version": names, "trace": forest.trace[is_mine], "start_ns": spans.start_ns[root[is_mine]]}
    return pd.DataFrame(columns).drop_duplicates(["version", "trace"])


def served_last(traces: TraceSet | Parts, service_name: str, other: str, until_ns: int | None) -> str | None:
    """Return the version, other than one, that served most of those that served last; None without one.

    ``until_ns``: only requests before it count.
    """
    table = served(traces, service_name, until_ns)
    table = table[table["version"] != other]
    serving = table[table["is_serving"]]
    if table.empty:
        return None
    ranked = table.sort_values("last_ns") if serving.empty else serving.sort_values("request_count")
    return str(ranked["version"].iloc[-1])
