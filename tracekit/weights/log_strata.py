"""Weights from a log with the trace id of every request: logged over traced requests by stratum."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes
from tracekit.weights.counts import BALANCER, DIMENSIONS, log_columns
from tracekit.weights.known import LOG
from tracekit.weights.tally import Tally
from tracekit.weights.trace_times import TraceIds
from tracekit.weights.xray_reservoir import Shares

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

DURATION = "duration_ns"
_FEWEST = 5


def logged_ids(log: pd.DataFrame) -> pd.Index:
    """Return the trace id of each logged request as traces have them."""
    return pd.Index(log["trace_id"].astype(str).str.lower().str.removeprefix("1-").str.replace("-", "").to_numpy())


class LogJoin(NamedTuple):
    """Logged requests joined with traces by trace id.

    Parameters
    ----------
    is_held
        bool, one per request: it has a trace.
    trace_count, outside_count
        Traces, and those of them that are not in the log.
    """

    is_held: Array
    trace_count: int
    outside_count: int


def log_join(ids: TraceIds, log: pd.DataFrame) -> LogJoin:
    """Return which requests of a log have a trace among these ids, in any order.

    Examples
    --------
    >>> found = log_join(TraceIds.of(shop), pd.DataFrame({"trace_id": [shop.trace_ids[0], "77", shop.trace_ids[0]]}))
    >>> found.is_held.tolist(), found.trace_count, found.outside_count
    ([True, False, True], 5, 4)
    """
    at = ids.held(logged_ids(log))
    return LogJoin(at >= 0, len(ids), len(ids) - len(np.unique(at[at >= 0])))


def log_tally(found: LogJoin, log: pd.DataFrame) -> Tally:
    """Return how many of the logged requests have a trace, by stratum."""
    named = log_columns(log)
    table = named[[name for name in DIMENSIONS if name in named]].assign(
        requests=1, traces=found.is_held.astype(np.int64)
    )
    if "status_class" in table:
        table = table[~table["status_class"].str.startswith(BALANCER, na=False)]
    keys = [name for name in table.columns[:-2] if table[name].notna().any()]
    sums = table[["requests", "traces"]]
    frame = (
        table.groupby(keys, dropna=False, sort=True)[list(sums)].sum().reset_index()
        if keys
        else sums.sum().to_frame().T
    )
    return Tally(frame, pd.DataFrame(), found.outside_count, pd.DataFrame())


def log_weights(traces: TraceSet, log: pd.DataFrame) -> Shares:
    """Return logged over traced requests of the stratum of each trace.

    Assumes equal sampling within each stratum, so strata must separate everything that the sampler used. Samplers that
    keep slow traces use the duration: if it is logged, requests of one route and status are split by half powers of two
    of it, and adjacent classes are joined, from the slowest on, until each has five traces. A log without durations
    gives a wrong p95 with such a sampler, and the log does not show it.
    """
    at = TraceIds.of(traces).held(logged_ids(log))
    names = log_columns(log)
    by = names.groupby(list(names), dropna=False, sort=False) if names.shape[1] else None
    stratum = np.zeros(len(log), np.int64) if by is None else by.ngroup().to_numpy()
    code = stratum if DURATION not in log else _split_by_duration(stratum, log[DURATION].to_numpy(np.float64), at >= 0)
    logged, kept = np.bincount(code), np.bincount(code, at >= 0)
    weight = np.full(len(traces), np.nan)
    weight[at[at >= 0]] = (logged / np.where(kept > 0, kept, 1))[code[at >= 0]]
    return Shares(weight, Codes(np.where(np.isnan(weight), -1, 0).astype(np.int32), [LOG]), {})


def _split_by_duration(stratum: Array, took_ns: Array, is_kept: Array) -> Array:
    """Return strata split by duration as well, with enough traces in each, numbered from 0."""
    pace = np.where(took_ns > 0, np.round(2 * np.log2(np.where(took_ns > 0, took_ns, 1))), -1)
    cells = pd.DataFrame({"stratum": stratum, "pace": -pace, "kept": is_kept}).groupby(["stratum", "pace"], sort=True)
    kept = cells["kept"].sum()
    owner, left = kept.index.get_level_values("stratum"), kept[::-1].groupby(level="stratum").cumsum()[::-1]
    number, held, joined = 0, 0, np.zeros(len(kept), np.int64)
    for cell, (count, rest) in enumerate(zip(kept, left, strict=True)):
        if cell and (owner[cell] != owner[cell - 1] or min(held, rest) >= _FEWEST):
            number, held = number + 1, 0
        joined[cell], held = number, held + int(count)
    return np.asarray(joined[cells.ngroup().to_numpy()])
