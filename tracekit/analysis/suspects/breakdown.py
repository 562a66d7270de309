"""Where within a suspect: which operations, versions, hosts, pods and instances have the excess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.affected import Affected
from tracekit.schema import Quality
from tracekit.stats.exceedance import Sample, exceeds, larger
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.attributes import Codes
    from tracekit.columns import Array

ATTRIBUTES: Final = ("operation", "service_version", "k8s_pod_name", "host_name", "service_instance_id")
COLUMNS: Final = (
    "rank",
    "service_name",
    "attribute",
    "value",
    "baseline_count",
    "current_count",
    "excess_ns",
    "deviating_count",
    "excess_ratio",
    "p_value",
    "is_confined",
    "is_new",
    "first_time",
)
_MOST: Final = 20  # values of an attribute, the most frequent ones
_MOST_EXCESS: Final = 0.9  # share of the excess from which it is confined to a value
_NOT_ALL: Final = 0.75  # share of the traces that such a value may have at most
_MAX_P: Final = 0.01  # of a value compared with the others, adjusted for the number of values


def breakdown(before: Window, now: Window, calls: Affected, service: int) -> pd.DataFrame:
    """Return the values of each attribute at a suspect, with their part of the excess; none without spans of it."""
    mine = now.service[calls.span] == service
    calls = Affected(*(column[mine] for column in calls))
    weight = now.weight[now.trace[calls.span]]
    tables = []
    for name in ATTRIBUTES:
        old, seen = _values(name, before, now, calls, service)
        if seen.notna().any():
            part = _of(old, seen, calls, now.trace[calls.span], weight)
            tables.append(part.assign(attribute=name, first_time=_first(part["value"], seen, calls.component, now)))
    found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return found.reindex(columns=list(COLUMNS))


def _values(name: str, before: Window, now: Window, calls: Affected, service: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return the distinct values and traces of an attribute at a service in the baseline, and its values by call."""
    if name == "operation":
        rows = np.flatnonzero(before.is_entry & (before.service == service))
        names = np.array(now.names.operation, object)
        old, seen = names[before.operation[rows]], names[now.operation[calls.component]]
    else:
        rows = np.flatnonzero(before.is_live & (before.service == service))
        old, seen = (_text(window.traces.codes(name), at) for window, at in ((before, rows), (now, calls.span)))
    frame = pd.DataFrame({"value": old, "trace": before.trace[rows]})
    return frame.dropna().drop_duplicates(), pd.Series(seen, dtype=object)


def _of(old: pd.DataFrame, seen: pd.Series, calls: Affected, trace: Array, weight: Array) -> pd.DataFrame:
    """Return one row per value of an attribute, the largest excess first."""
    kept = seen.notna().to_numpy()
    code, labels = pd.factorize(seen[kept], sort=True)
    n, weight = len(labels), weight[kept]
    is_event = bool(calls.is_deviating.any())
    excess = sum_by(code, calls.excess[kept] * weight, n)
    pairs = pd.DataFrame({"code": code, "trace": trace[kept], "weight": weight}).drop_duplicates(["code", "trace"])
    counts = np.bincount(pairs["code"], minlength=n)
    traces = sum_by(pairs["code"].to_numpy(), pairs["weight"].to_numpy(float), n)
    was = old.groupby("value").size().reindex(labels).fillna(0).to_numpy(np.int64)
    share = excess / max(np.maximum(excess, 0).sum(), 1e-9)
    p = _against_others(code, calls.relative[kept], weight, n, is_event=is_event)
    is_part = counts <= _NOT_ALL * pairs["trace"].nunique()
    table = pd.DataFrame(
        {
            "value": np.asarray(labels, object),
            "baseline_count": was,
            "current_count": counts,
            "excess_ns": np.nan if is_event else excess / np.maximum(traces, 1e-9),
            "deviating_count": np.bincount(code, calls.is_deviating[kept], n).astype(np.int64),
            "excess_ratio": share,
            "p_value": p,
            "is_confined": (share >= _MOST_EXCESS) & is_part & (p <= _MAX_P),
            "is_new": (was == 0) & (len(old) > 0),
        }
    )
    return table.sort_values(["excess_ratio", "value"], ascending=[False, True], kind="stable").head(_MOST)


def _first(values: pd.Series, seen: pd.Series, component: Array, now: Window) -> pd.Series:
    """Return when the first call with each value started; missing where no start is known."""
    spans = now.traces.columns.spans
    dated = (spans.quality[component] & Quality.NO_START) == 0
    starts = pd.Series(spans.start_ns[component], seen.array)[dated].groupby(level=0).min()
    return pd.to_datetime(values.map(starts), utc=True)


def _text(codes: Codes, rows: Array) -> Array:
    """Return an attribute of some spans as text; None where missing."""
    return np.asarray(np.array([*codes.labels, None], object)[codes.codes[rows]])


def _against_others(code: Array, value: Array, weight: Array, values: int, *, is_event: bool) -> Array:
    """Return by value of an attribute a p-value for its calls having more excess than those with other values."""
    tried = np.argsort(-np.bincount(code, minlength=values), kind="stable")[:_MOST]
    p = np.ones(values)
    if len(tried) > 1:
        n = len(tried)
        group, at = np.repeat(np.arange(n), len(code)), np.tile(np.arange(len(code)), n)
        sample = Sample(group, value[at], code[at] == tried[group], weight[at], np.zeros(len(at), np.int64), n)
        found = exceeds(sample, (value[at] > 0)[:, None]) if is_event else larger(sample)
        p[tried] = np.minimum(1.0, found.p_value * n)
    return p
