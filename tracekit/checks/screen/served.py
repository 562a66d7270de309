"""Which versions of a service took part in requests, from when to when, and whether they still do at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

_GONE: Final = 0.001  # probability that a version which still serves takes no part in the requests after its last one


def served(traces: TraceSet, service_name: str) -> pd.DataFrame:
    """Return ``version``, ``first_ns`` and ``last_ns`` (starts of requests), ``request_count``, ``is_serving``."""
    service, version = traces.codes("service_name"), traces.codes("service_version")
    spans, forest = traces.columns.spans, traces.forest
    has_start = (spans.quality & Quality.NO_START) == 0
    root = forest.root_row[forest.trace]
    is_mine = has_start & has_start[root] & ~traces.is_inferred & (version.codes >= 0)
    is_mine &= service.series().eq(service_name).to_numpy(bool)
    names = np.array(version.labels, object)[version.codes[is_mine]]
    columns = {"version": names, "trace": forest.trace[is_mine], "start_ns": spans.start_ns[root[is_mine]]}
    seen = pd.DataFrame(columns).drop_duplicates(["version", "trace"])
    starts = np.sort(seen["start_ns"].to_numpy(np.int64))
    table = seen.groupby("version")["start_ns"].agg(first_ns="min", last_ns="max", request_count="size").reset_index()
    begin = starts.searchsorted(table["first_ns"].to_numpy(np.int64), side="left")
    end = starts.searchsorted(table["last_ns"].to_numpy(np.int64), side="right")
    share = table["request_count"].to_numpy(float) / (end - begin + 1)
    return table.assign(is_serving=(1 - share) ** (len(starts) - end) >= _GONE)


def served_last(traces: TraceSet, service_name: str, other: str, until_ns: int | None) -> str | None:
    """Return the version, other than one, that served most of those that served last; None without one.

    ``until_ns``: only requests before it count.
    """
    part = traces if until_ns is None else traces.between(None, pd.Timestamp(until_ns, tz="UTC"))
    table = served(part, service_name)
    table = table[table["version"] != other]
    serving = table[table["is_serving"]]
    if table.empty:
        return None
    ranked = table.sort_values("last_ns") if serving.empty else serving.sort_values("request_count")
    return str(ranked["version"].iloc[-1])
