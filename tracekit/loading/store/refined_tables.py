"""Tables of some parts of a store: what is asked of a column, and intervals for the values of the whole store."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.stats.random_groups import group_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.columns import Array

LARGE: Final = 0.01  # rows with this share of the spans must be as accurate as asked
_UNTIL: Final = re.compile(r"\s*(\w+)\s*(?:\+-|±|\+/-)\s*(\d+(?:\.\d+)?)\s*(%|ns|us|µs|ms|s|)\s*")
_UNITS: Final = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "": 1}
_TOTALS: Final = {  # of the first table of a result: they grow with every part
    "span_count", "call_count", "error_count", "request_count", "trace_count", "bad_count", "weight_sum", "fault_count",
    "client_count", "throttle_count", "unspecified_count", "unfinished_count", "path_time_ns", "self_time_ns", "usd",
}  # fmt: skip
_AVERAGES: Final = re.compile(r"(?!.*_(low|high)(_|$))((.*_)?(mean|p\d+)(_.*)?_ns|.*_ratio|calls_per_request)")
_JUDGED: Final = {"verdict", "reason", "status"}  # what is said of a row, not what it is about


@dataclass(frozen=True)
class Goal:
    """A column of the result and how accurate it must be: a share of the value, or an amount."""

    column: str
    reach: float
    is_share: bool

    @classmethod
    def of(cls, text: str) -> Goal:
        """Return the goal of a text such as ``p95_ns +- 2%``."""
        match = _UNTIL.fullmatch(text)
        if match is None or not 0 < float(match[2]) < np.inf:
            raise ValueError(f'expected until= as a column and its accuracy, "p95_ns +- 2%", found {text!r}')
        amount = float(match[2])
        return cls(match[1], amount / 100 if match[3] == "%" else amount * _UNITS[match[3]], match[3] == "%")

    def is_met(self, intervals: pd.DataFrame) -> bool:
        """Return whether every large row is as accurate as asked."""
        rows = intervals[(intervals["column"] == self.column) & (intervals["share"] >= LARGE)]
        reach = (rows["high"] - rows["low"]) / 2
        return bool(len(rows) and (reach <= self.reach * (rows["estimate"].abs() if self.is_share else 1)).all())


def table_of(result: Any, goal: Goal | None) -> tuple[pd.DataFrame, bool]:
    """Return the table with the column of the goal, without a goal the first one, and whether it is the first."""
    found = list(_tables(result).values())
    for at, table in enumerate(found):
        if goal is None or goal.column in estimated(table, with_totals=not at):
            return table.reset_index() if table.index.names != [None] else table, not at
    if goal is None:
        raise ValueError(f"expected a result with tables, found {type(result).__name__}; call it without tk.refine")
    known = [name for at, table in enumerate(found) for name in estimated(table, with_totals=not at)]
    columns = ", ".join(dict.fromkeys(known))
    raise ValueError(f"expected until= about a column that is estimated, found {goal.column!r}; there are {columns}")


def _tables(result: Any) -> dict[str, pd.DataFrame]:
    """Return the tables of a result by name."""
    if isinstance(result, pd.DataFrame):
        return {"": result}
    names = [field.name for field in fields(result)] if is_dataclass(result) else []
    return {name: value for name in names if isinstance(value := getattr(result, name), pd.DataFrame)}


def estimated(table: pd.DataFrame, *, with_totals: bool) -> list[str]:
    """Return the columns whose value in the whole store is estimated."""
    numbers = table.select_dtypes("number").columns
    return [name for name in numbers if _AVERAGES.fullmatch(name) or (with_totals and name in _TOTALS)]


def keys_of(table: pd.DataFrame, arguments: Mapping[str, Any]) -> list[str]:
    """Return the columns that say what a row is about: the first ones without numbers, and those asked for."""
    by = arguments.get("by", ())
    asked = {by} if isinstance(by, str) else set(by)
    numbers = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    first = numbers.index(True) if True in numbers else len(numbers)
    return [name for at, name in enumerate(table.columns) if (at < first or name in asked) and name not in _JUDGED]


def intervals_of(
    table: pd.DataFrame,
    groups: list[pd.DataFrame],
    sizes: Array,
    part_count: int,
    keys: list[str],
    averages: list[str],
    confidence: float,
) -> pd.DataFrame:
    """Return the estimates of the whole store with their intervals, a row per row and column of a table."""
    columns = [name for name in averages if name not in keys]
    whole = _scaled(table[columns], part_count / sizes.sum())
    some = np.full((len(sizes), whole.size), np.nan)
    for at, other in enumerate(groups):
        some[at] = _values(other, table, keys, columns, part_count / sizes[at]).ravel()
    low, high = group_limits(whole.ravel(), some, sizes, part_count, confidence=confidence)
    is_positive = np.tile(np.nanmin(whole, axis=0, initial=0.0) >= 0, len(table))
    counted = next((name for name in columns if name in _TOTALS and name.endswith("_count")), None)
    share = np.ones(len(table)) if counted is None else table[counted].to_numpy(float) / max(table[counted].sum(), 1)
    long = table[keys].loc[table.index.repeat(len(columns))].reset_index(drop=True)
    return long.assign(
        column=np.tile(np.array(columns, object), len(table)).astype(str),
        estimate=whole.ravel(),
        low=np.where(is_positive, np.maximum(low, 0.0), low),
        high=high,
        share=np.repeat(share, len(columns)),
    )


def _values(table: pd.DataFrame, rows: pd.DataFrame, keys: list[str], columns: list[str], factor: float) -> Array:
    """Return the columns for the rows of another table, totals scaled; NaN for rows that are missing or not unique."""
    if keys:
        table = rows[keys].merge(table[[*keys, *columns]].drop_duplicates(keys, keep=False), on=keys, how="left")
    elif len(table) != len(rows):
        table = pd.DataFrame(np.nan, index=rows.index, columns=columns)
    return _scaled(table[columns], factor)


def _scaled(table: pd.DataFrame, factor: float) -> Array:
    """Return a table as numbers, totals multiplied by a factor."""
    scale = [factor if name in _TOTALS else 1.0 for name in table.columns]
    return np.asarray(table.to_numpy(np.float64, na_value=np.nan) * scale)
