"""One table of a comparison: the same groups on both sides, their figures, changes and contributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.compare.effects import METRICS
from tracekit.analysis.compare.figures import figures
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.differences import Limited, difference_limits
from tracekit.text import count
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.compare.effects import Effects, Settings
    from tracekit.analysis.compare.figures import Figures
    from tracekit.analysis.compare.sums import SidePowers, SideSums
    from tracekit.columns import Array

_TINY = 1e-300  # a rate that is none


class Groups(NamedTuple):
    """The groups of one table: their keys, and the figures of both sides."""

    keys: pd.DataFrame
    sides: tuple[Figures, Figures]


def groups_of(
    level: str, sums: tuple[SideSums, SideSums], powers: tuple[SidePowers, SidePowers], *, confidence: float
) -> Groups:
    """Return the groups of both sides with their figures, for one of the tables."""
    both = Aggregate.concatenate([side.levels[level].groups for side in sums])
    _, keys = both.groups(list(both.keys))
    found = (
        figures(side, side.levels[level], own.levels[level], own.base, keys, confidence=confidence)
        for side, own in zip(sums, powers, strict=True)
    )
    rows = len(next(iter(keys.values())))
    return Groups(pd.DataFrame(keys, index=pd.RangeIndex(rows), dtype=object), (next(found), next(found)))


def table_of(groups: Groups, found: Effects, path: pd.DataFrame, why: str) -> tuple[pd.DataFrame, Array]:
    """Return one table, and the group of each row.

    ``path`` has the contributions by some of the keys, ``why`` the reason where the sides are not comparable.
    """
    keys, both = groups
    parts, only_on_path = _contributions(keys, path, both[0].trace_count + both[1].trace_count)
    table = keys.assign(verdict=found.verdicts(parts[["calls_ns", "time_ns"]].to_numpy(float).T))
    table["reason"] = _reasons(table["verdict"], both, found.settings, why)
    table = pd.concat([table, parts.drop(columns=["calls_ns", "time_ns"]), *_columns(found, both)], axis=1)
    order = np.lexsort((-table["current_trace_count"], -table["contribution_ns"].abs()))
    return _with(table.iloc[order].reset_index(drop=True), only_on_path), order


def names_of(keys: pd.DataFrame) -> list[str]:
    """Return each group in words: its keys with a space between them."""
    return [" ".join(str(value) for value in row if value is not None) for row in keys.to_numpy(object)]


_PATH = {
    "change_ns": "contribution_ns",
    "change_low_ns": "contribution_low_ns",
    "change_high_ns": "contribution_high_ns",
}


def _contributions(keys: pd.DataFrame, path: pd.DataFrame, traces: Array) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the contribution of each group, and those of groups that are on the path only.

    Where several groups share the keys of the path (a call and a message between two services), the one with the most
    traces has the contribution.
    """
    on = [name for name in keys if name in path]
    calls = path["presence_change_ns"] + path["frequency_change_ns"]
    numbers = path[[*on, *_PATH]].rename(columns=_PATH).assign(calls_ns=calls, time_ns=path["duration_change_ns"])
    own, theirs = ([tuple(row) for row in frame[on].fillna("").to_numpy(object)] for frame in (keys, numbers))
    place = {key: at for at, key in enumerate(theirs)}
    row = np.full(len(keys), -1)
    taken = set()
    for at in np.argsort(-traces, kind="stable").tolist():
        if own[at] in place and own[at] not in taken:
            row[at] = place[own[at]]
            taken.add(own[at])
    found = numbers.drop(columns=on).reindex(row).set_axis(keys.index)
    absent = row < 0
    found.loc[absent, ["contribution_ns", "calls_ns", "time_ns"]] = 0
    found["contribution_ns"] = found["contribution_ns"].astype(np.int64)
    rest = numbers[np.array([key not in taken for key in theirs], bool)].drop(columns=["calls_ns", "time_ns"])
    return found, rest


def _with(table: pd.DataFrame, rest: pd.DataFrame) -> pd.DataFrame:
    """Return the table with rows for time on the critical path that no observation has, such as missing spans."""
    if rest.empty:
        return table
    more = rest.reindex(columns=table.columns).assign(verdict="too few", reason="time without recorded spans")
    counts = [f"{side}_trace_count" for side in SIDES]
    more[counts] = 0
    return pd.concat([table, more.astype(table.dtypes.to_dict())], ignore_index=True)


def _reasons(verdicts: pd.Series, sides: Sequence[Figures], settings: Settings, why: str) -> list[str]:
    """Return why a row has no verdict; empty where it has one."""
    counts = zip(*(side.trace_count for side in sides), strict=True)
    few = [f"{count(before)} and {count(now)} traces, {settings.min_traces} needed" for before, now in counts]
    words: dict[str, Any] = {"not comparable": [why] * len(few), "too few": few}
    return [words[verdict][at] if verdict in words else "" for at, verdict in enumerate(verdicts)]


def _columns(found: Effects, sides: Sequence[Figures]) -> list[pd.DataFrame]:
    """Return the figures of both sides as columns, how the rate changed, and the smallest q value."""
    shown = []
    for name, side, values in zip(SIDES, sides, (found.before, found.now), strict=True):
        figure = {"trace_count": side.trace_count, "calls_per_s": side.calls_per_s.value}
        figure |= dict(zip(METRICS, np.asarray(values.value).T, strict=True))
        shown.append(pd.DataFrame(figure).add_prefix(f"{name}_"))
    known = np.asarray(np.isfinite(found.q_value).any(axis=1))
    least = np.full(len(known), np.nan)
    least[known] = np.nanmin(found.q_value[known], axis=1)
    return [*shown, _rate_factors(sides), pd.DataFrame({"q_value": least})]


def _rate_factors(sides: Sequence[Figures]) -> pd.DataFrame:
    """Return how many times as many calls per second there are, with limits by MOVER of the logarithms."""
    logs = []
    for side in sides:
        has_any = np.asarray(side.calls_per_s.value) > _TINY
        logs.append(
            Limited(*(np.log(np.where(has_any, np.maximum(value, _TINY), np.nan)) for value in side.calls_per_s))
        )
    factor = (np.exp(value) for value in difference_limits(*logs))
    return pd.DataFrame(dict(zip(("rate_factor", "rate_factor_low", "rate_factor_high"), factor, strict=True)))
