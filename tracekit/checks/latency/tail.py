"""Why the slowest requests of the slowest endpoint take longer than its faster half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.critical_path.shares import bands as latency_bands
from tracekit.checks.names import KEYS, name_of
from tracekit.checks.overview import ENOUGH, Overview, overview
from tracekit.findings import Estimate, Finding, Severity
from tracekit.text import count, duration, mean_count, ratio, round_ratio

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.stored import ReadPaths
    from tracekit.checks.case import Case
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_BANDS: Final = ((0.0, 0.5), (0.95, 1.0))  # the slowest requests are compared with the faster half
_LEAST: Final = 5  # requests at least among the slowest
_EXPLAINS: Final = 0.25  # share of the difference that one operation must explain to be named
_MANY_TIMES: Final = 3.0  # calls per request, relative to the faster half: worth saying
_WORTH: Final = 1.5  # times the usual latency: below, there is no tail to explain
_APART: Final = 3.0  # p95 over p50 from which a tail with one cause is a warning


def tail(case: Case) -> list[Finding]:
    """Return the operation that the slowest requests wait for and the faster half does not."""
    found = _tail(case.result(overview))
    return [] if found is None else [found]


def _paths(source: TraceSet | Parts) -> CriticalPath | ReadPaths:
    """Return the critical paths of requests; of a store, their time by operation, read once."""
    found = critical_path(source)
    return found if isinstance(found, CriticalPath) else found.read([KEYS])


def _tail(seen: Overview) -> Finding | None:
    """Return where the slowest requests of the slowest endpoint spend their time, and the faster half does not."""
    if seen.slowest_entries.empty:
        return None
    entry = seen.slowest_entries.iloc[0]
    path = _paths(seen.slowest_requests)
    if np.count_nonzero(path.weight) < ENOUGH:
        return None
    bands = latency_bands(path, list(KEYS), _BANDS, min_traces=_LEAST)
    faster, slowest = (row for _, row in bands.bands.iterrows())
    more = slowest["mean_latency_ns"] - faster["mean_latency_ns"]
    if more <= 0 or slowest["mean_latency_ns"] < _WORTH * faster["mean_latency_ns"]:
        return None
    table = bands.table[bands.table["band"] == slowest["band"]]
    table = table.sort_values("excess_ns", ascending=False, kind="stable")
    row = table.iloc[0]
    if row["excess_ns"] < _EXPLAINS * more:
        return None
    keys = list(KEYS)
    same = (bands.table[keys].fillna("") == row[keys].fillna("")).all(axis=1) & (bands.table["band"] == faster["band"])
    usual_ns = row["mean_ns"] - row["excess_ns"]
    calls = float(row["calls_per_request"])
    usual_calls = float(bands.table.loc[same, "calls_per_request"].fillna(0.0).sum())
    is_repeated = bool(calls >= _MANY_TIMES * max(usual_calls, 1.0))
    often = f"; calls per request {mean_count(calls)} vs {mean_count(usual_calls)}" * is_repeated
    slow = round_ratio(round(1 - slowest["low_quantile"], 3))
    share = min(1.0, row["excess_ns"] / more)
    text = (
        f"Tail latency: the slowest {slow} of {seen.recorded}{name_of(entry)} requests spend "
        f"{duration(row['mean_ns'])} in {name_of(row)}, vs {duration(usual_ns)} in the faster half "
        f"({ratio(share)} of the latency difference{often})."
    )
    number = Estimate(row["excess_ns"], "ns", row["excess_low_ns"], row["excess_high_ns"], int(slowest["trace_count"]))
    method = f"Mean critical-path time: slowest {count(slowest['trace_count'])} requests vs the faster half."
    apart = entry["p95_ns"] >= _APART * entry["p50_ns"] and row["excess_ns"] >= more / 2
    severity: Severity = "warning" if apart and row["excess_low_ns"] > 0 else "notice"
    (worst,) = path.requests.ids(np.array([path.requests.latency_ns.argmax()]))
    traces = f"traces.where({seen.slowest_condition!r})"
    code = f"tk.critical_path({traces}).bands({list(KEYS)}, {list(_BANDS)}, min_traces={_LEAST})"
    return Finding("tail", severity, text, number, table.head(10), (str(worst),), method=method, code=code)
