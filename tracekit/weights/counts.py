"""Request counts from another source, by service, route, method, status and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence


COUNT, TIME, END, ZONE = "count", "time", "end", "cloud_availability_zone"
NAMES = {
    TIME: ("time", "start", "start_time", "timestamp", "window_start", "Timestamp"),
    END: ("end", "end_time", "window_end"),
    "service_name": ("service_name", "service"),
    "http_route": ("http_route", "route"),
    "http_request_method": ("http_request_method", "method"),
    "status_class": ("status_class", "status", "status_code", "http_response_status_code"),
    ZONE: (ZONE, "availability_zone", "zone", "AvailabilityZone"),
    "host_name": ("host_name",),
    "service_instance_id": ("service_instance_id", "instance"),
    "sampling_rule": ("sampling_rule", "rule", "RuleName"),
    COUNT: ("count", "requests", "request_count", "RequestCount"),
}
DIMENSIONS = (
    "service_name", "http_route", "http_request_method", "status_class", ZONE, "host_name", "service_instance_id",
    "sampling_rule",
)  # fmt: skip
"""Dimensions of request counts besides time."""
BALANCER = "elb "
"""Prefix of the status class of responses from the load balancer itself, such as ``elb 5xx``."""


@dataclass(frozen=True)
class Counts:
    """Validated request counts by stratum and window.

    Parameters
    ----------
    frame
        One row per stratum and window: some of ``DIMENSIONS``, ``start_ns`` and ``end_ns`` if times are known, and
        ``count``.
    dimensions
        The dimensions present.
    notes
        Assumptions made in reading them.
    by_balancer
        Rows of the same form, not in ``frame``: responses from the load balancer itself.
    """

    frame: pd.DataFrame
    dimensions: tuple[str, ...]
    notes: tuple[str, ...] = ()
    by_balancer: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["status_class", COUNT]))

    @property
    def balancer_errors(self) -> float:
        """Requests that failed in the load balancer itself."""
        return float(self.by_balancer.loc[self.by_balancer["status_class"] == f"{BALANCER}5xx", COUNT].sum())

    @property
    def has_time(self) -> bool:
        """Whether the windows are known."""
        return "start_ns" in self.frame

    @property
    def total(self) -> float:
        """All requests."""
        return float(self.frame[COUNT].sum())

    @property
    def window_s(self) -> float | None:
        """Length of the longest window in seconds; None without times."""
        if not self.has_time:
            return None
        return float((self.frame["end_ns"] - self.frame["start_ns"]).max()) / 1e9


def read_counts(frame: pd.DataFrame) -> Counts:
    """Return counts of requests from a frame."""
    a_frame(frame, "counts")
    found = {name: next((c for c in choices if c in frame.columns), None) for name, choices in NAMES.items()}
    if found[COUNT] is None or not len(frame):
        columns = ", ".join(map(str, frame.columns)) or "none"
        raise ValueError(f"expected rows with a column {COUNT!r}, found {len(frame)} rows with columns {columns}")
    table = pd.DataFrame(index=frame.index)
    notes: list[str] = []
    for name in DIMENSIONS:
        if (column := found[name]) is not None:
            table[name] = _labels(frame[column], name)
    if (column := found[TIME]) is not None:
        table["start_ns"] = times_ns(frame[column], notes)
        table["end_ns"] = _ends(table["start_ns"], frame, found[END], notes)
    table[COUNT] = _numbers(frame[found[COUNT]])
    dimensions = tuple(name for name in DIMENSIONS if name in table)
    _check_windows(table, dimensions)
    return _counts(table.reset_index(drop=True), dimensions, tuple(dict.fromkeys(notes)))


def _counts(table: pd.DataFrame, dimensions: tuple[str, ...], notes: tuple[str, ...] = ()) -> Counts:
    """Return counts with responses from the load balancer itself separated; no other statuses, no status dimension."""
    if "status_class" not in table:
        return Counts(table, dimensions, notes)
    alone = np.array([isinstance(label, str) and label.startswith(BALANCER) for label in table["status_class"]], bool)
    if alone.all():
        raise ValueError(
            f"expected requests that reached a service, found only {len(table)} rows of the load balancer itself"
        )
    if not alone.any():
        return Counts(table, dimensions, notes)
    many = table.loc[alone, COUNT].sum()
    notes = (*notes, f"{many:,.0f} requests answered by the load balancer itself are excluded")
    rest = table[~alone].reset_index(drop=True)
    if rest["status_class"].isna().all():
        rest, dimensions = rest.drop(columns="status_class"), tuple(n for n in dimensions if n != "status_class")
    return Counts(rest, dimensions, notes, table[alone].reset_index(drop=True))


def _labels(column: pd.Series, name: str) -> pd.Series:
    """Return the labels of a column, None where missing; each distinct value is parsed once."""
    read = _status_class if name == "status_class" else _text
    codes, distinct = pd.factorize(column)
    texts = np.array([*(read(value) for value in distinct), None], object)
    return pd.Series(texts[codes], index=column.index, dtype=object)


def _text(value: Any) -> str | None:
    """Return a label."""
    return None if pd.isna(value) else str(value)


def _status_class(value: Any) -> str | None:
    """Return the class of a status code: 503 and HTTPCode_Target_5XX are 5xx, HTTPCode_ELB_5XX is elb 5xx."""
    text = "" if pd.isna(value) else str(value).removesuffix(".0").lower()
    parts = text.replace(" ", "_").split("_")
    code = next((part for part in parts if part[:1] in set("12345") and len(part) == 3), "")  # noqa: PLR2004 - 503, 5xx
    return f"{BALANCER * ('elb' in parts)}{code[0]}xx" if code else (text or None)


def _numbers(column: pd.Series) -> pd.Series:
    """Return counts as float64; ValueError for the first row without a count."""
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(wrong):
        at = wrong[0]
        message = f"expected a count of 0 or more in row {column.index[at]!r}, found {column.tolist()[at]!r}"
        raise ValueError(f"{message}, and {len(wrong) - 1} more such rows")
    return numbers


def times_ns(column: pd.Series, notes: list[str]) -> pd.Series:
    """Return nanoseconds since the epoch."""
    if isinstance(column.dtype, pd.DatetimeTZDtype) and column.notna().all():
        zoned: pd.Series = column.dt.tz_convert("UTC").astype("datetime64[ns, UTC]").astype(np.int64)
        return zoned
    naive = column.map(
        lambda moment: getattr(pd.Timestamp(moment), "tzinfo", None) is None if _is_time(moment) else None
    )
    if naive.isna().any():
        at = int(np.flatnonzero(naive.isna())[0])
        raise ValueError(f"expected a time in row {column.index[at]!r}, found {column.iloc[at]!r}")
    if naive.astype(bool).any():
        if not naive.astype(bool).all():
            at = int(np.flatnonzero(naive.astype(bool))[0])
            message = f"expected times that all have a time zone, found {column.iloc[at]!r} in row {column.index[at]!r}"
            raise ValueError(f"{message} without one")
        notes.append("times without a time zone were read as UTC")
    moments = pd.to_datetime(column, utc=True, format="mixed" if column.dtype == object else None)
    return moments.astype("datetime64[ns, UTC]").astype(np.int64)


def _is_time(moment: Any) -> bool:
    """Return whether pandas can read a time."""
    try:
        return not pd.isna(pd.Timestamp(moment))
    except (ValueError, TypeError):
        return False


def _ends(start: pd.Series, frame: pd.DataFrame, column: str | None, notes: list[str]) -> pd.Series:
    """Return the ends of the windows: as given, else one shortest step after their start."""
    if column is not None:
        return times_ns(frame[column], notes)
    steps = np.diff(np.unique(start))
    if not len(steps):
        notes.append("a single window without an end was assumed to last one minute")
    return start + (int(steps.min()) if len(steps) else 60 * 10**9)


def _check_windows(table: pd.DataFrame, dimensions: Sequence[str]) -> None:
    """Raise ValueError if the same requests are counted twice."""
    keys = list(dimensions)
    if "start_ns" not in table:
        twice = table.duplicated(keys) if keys else pd.Series(np.arange(len(table)) > 0, index=table.index)
        if twice.any():
            at = table.index[twice][0]
            raise ValueError(
                f"expected one row per stratum, found a second one in row {at!r}; sum them, or add their times"
            )
        return
    ordered = table.sort_values([*keys, "start_ns"], kind="stable")
    same = np.ones(len(ordered) - 1, bool)
    for key in keys:
        same &= ordered[key].fillna("").to_numpy()[1:] == ordered[key].fillna("").to_numpy()[:-1]
    start, end = ordered["start_ns"].to_numpy(), ordered["end_ns"].to_numpy()
    empty = np.flatnonzero(end <= start)
    if len(empty):
        raise ValueError(
            f"expected windows that end after they begin, found an empty one in row {ordered.index[empty[0]]!r}"
        )
    overlap = np.flatnonzero(same & (start[1:] < end[:-1]))
    if len(overlap):
        one, other = ordered.index[overlap[0]], ordered.index[overlap[0] + 1]
        raise ValueError(
            f"expected windows that do not overlap, found overlapping rows {one!r} and {other!r} of one stratum"
        )
    _check_grid(table)


def _check_grid(table: pd.DataFrame) -> None:
    """Raise ValueError if windows of two strata overlap without being equal: each trace must be in one window."""
    windows = table.drop_duplicates(["start_ns", "end_ns"]).sort_values(["start_ns", "end_ns"])
    overlap = np.flatnonzero(windows["start_ns"].to_numpy()[1:] < windows["end_ns"].to_numpy()[:-1])
    if len(overlap):
        one, other = windows.index[overlap[0]], windows.index[overlap[0] + 1]
        raise ValueError(
            f"expected the same windows for all strata, found rows {one!r} and {other!r} that overlap in part;"
            " count them into the same windows"
        )


def counts_of_log(log: pd.DataFrame) -> Counts:
    """Return the number of requests in a log, by its dimensions."""
    a_frame(log, "log")
    if not len(log):
        raise ValueError("expected one row per request in the log, found none")
    named = log_columns(log)
    keys = [name for name in DIMENSIONS if name in named]
    if not keys:
        return Counts(pd.DataFrame({COUNT: [float(len(log))]}), ())
    grouped = named.groupby(keys, dropna=False, sort=True).size().rename(COUNT).astype(np.float64).reset_index()
    return _counts(grouped, tuple(keys))


def log_columns(log: pd.DataFrame) -> pd.DataFrame:
    """Return the dimensions in a log, under the names of ``spans``, one row per request."""
    table = pd.DataFrame(index=log.index)
    for name in DIMENSIONS:
        column = next((c for c in NAMES[name] if c in log.columns), None)
        if column is not None:
            table[name] = _labels(log[column], name)
    if "target_status" in log and "status_class" in table:
        alone = (log["target_status"].isna() & table["status_class"].notna()).to_numpy(bool)
        table.loc[alone, "status_class"] = BALANCER + table.loc[alone, "status_class"]
    return table


def a_frame(value: object, part: str) -> None:
    """Raise TypeError if this is not a DataFrame; the message names the part of a ``read_requests`` result to use."""
    if not isinstance(value, pd.DataFrame):
        hint = f"pass its .{part}" if hasattr(value, part) else "tracekit.read_requests reads files"
        raise TypeError(f"expected a DataFrame of requests, found {type(value).__name__}; {hint}")
