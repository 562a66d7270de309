"""Requests from access logs and request counts in common formats, as two frames."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.errors import LoadError
from tracekit.loading.opening.container import open_bytes
from tracekit.loading.opening.sources import expand
from tracekit.loading.requests.counts import metric_rows, table_rows
from tracekit.loading.requests.logs import alb_rows, cloudfront_rows, gateway_rows, report_rows
from tracekit.readable_tables import as_html
from tracekit.weights.counts import BALANCER, NAMES, read_counts
from tracekit.wildcards import around_stars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tracekit.loading.opening.source import Source

_HEAD = 4096
_PIECE = 1 << 20
_UNMATCHED = "other"
_STAR = "\0"
_STRATA = ("service", "route", "method", "status")
_ALB_HEAD = re.compile(r"^(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT[\d:.]+Z \S+ ")


class Format(NamedTuple):
    """A file format: its name, the test of its first characters, and its reader."""

    name: str
    begins: Callable[[str], bool]
    rows: Callable[[Iterator[tuple[int, str]], Callable[[int, str], None]], Iterator[dict[str, Any]]] | None


FORMATS = (
    Format("alb", lambda head: bool(_ALB_HEAD.match(head)), alb_rows),
    Format("cloudfront", lambda head: head.startswith(("#Version", "#Fields")), cloudfront_rows),
    Format("metrics", lambda head: '"MetricDataResults"' in head, None),
    Format("lambda", lambda head: "REPORT RequestId:" in head or '"platform.report"' in head, report_rows),
    Format("api-gateway", lambda head: head.startswith("{") and '"requestTime' in head, gateway_rows),
    Format("csv", lambda head: bool(re.match(r"^[^\n{]*[,;\t][^\n]*\n", head)), None),
)
"""The formats in the order in which they are tried; a new log is a function in ``logs`` and a line here."""


@dataclass(frozen=True)
class Requests:
    r"""Requests from a source other than traces.

    Parameters
    ----------
    counts
        One row per window and stratum, for ``requests=`` of ``sampling``, ``quality`` and ``coverage``: ``time``
        (start, UTC), ``end``, ``service``, ``route``, ``method``, ``status`` (class; ``elb 5xx`` for responses of the
        load balancer itself), ``count``; without columns that are unknown.
    log
        One row per request, for ``log=``: ``trace_id``, ``time``, ``service``, ``route``, ``method``, ``status``,
        ``duration_ns``, for load balancers ``target_status`` and ``is_dispatched``, for functions ``is_cold_start``;
        None if the source contains only counts.
    issues
        One row per record that could not be read fully: ``source``, ``line``, ``message``.
    format
        The format of the sources.

    Examples
    --------
    >>> tk.read_requests(b"time,route,count\n2026-01-01T12:00:00Z,/cart,4\n2026-01-01T12:00:00Z,/pay,6\n", format="csv")
    Requests(10 requests from csv)
    """

    counts: pd.DataFrame
    log: pd.DataFrame | None
    issues: pd.DataFrame
    format: str

    def __repr__(self) -> str:
        known = 0 if self.log is None else int(self.log["trace_id"].notna().sum())
        traced = f", {known:,} with a trace id" if known else ""
        issues = f", {len(self.issues):,} issues" if len(self.issues) else ""
        return f"Requests({self.counts['count'].sum():,.0f} requests from {self.format}{traced}{issues})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{as_html(self.counts.head(10))}"


def read_requests(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002 - as in tk.read
    window: str = "1min",
    count_by: Sequence[str] = ("service", "route", "status"),
    routes: Sequence[str] = (),
    services: Mapping[str, str] | str | None = None,
    strict: bool = False,
) -> Requests:
    """Read request counts or access logs: the reference for trace coverage.

    Parameters
    ----------
    source
        A frame of counts or requests, or any source of ``tk.read``: a path, a glob, a folder, bytes, a list; plain or
        compressed.
    format
        ``alb``, ``cloudfront``, ``api-gateway``, ``lambda`` (REPORT lines), ``metrics`` (GetMetricData saved as JSON),
        ``csv``; default: detected from the content.
    window
        Length of the time windows in which log lines are counted.
    count_by
        The columns to count by: any of ``service``, ``route``, ``method``, ``status``.  Each of them must be on the
        root spans as well.
    routes
        Templates (``/orders/{id}``) for the paths in logs; the first match is used, otherwise ``other``.  Without
        templates there is no route, because paths contain ids and sometimes PII.
    services
        Mapping from target group, host or API id to the service name used in the traces; a string applies to all.
    strict
        Raise at the first row that cannot be read.

    Returns
    -------
    Requests
        ``.counts``, ``.log``, ``.issues``.

    Raises
    ------
    LoadError
        The format is unknown, nothing could be read, or, with ``strict``, a row is invalid; the message names the line.
    ValueError
        A count is negative or missing, some times have a time zone and others do not, or windows overlap; the message
        names the row.

    Notes
    -----
    ALB and API Gateway log the trace id of every request, sampled or not, so ``log=`` shows exactly which
    requests have a trace. CloudFront does so if the log includes the header with the trace id.

    Examples
    --------
    >>> entry = (
    ...     "https 2026-11-21T14:00:03.186641Z app/shop/50dc 10.0.1.7:2817 10.0.0.1:80 0.0 0.048 0.0 502 502 34 366 "
    ...     '"POST https://shop.example:443/orders/4711/pay HTTP/1.1" "curl/8" ECDHE TLSv1.2 '
    ...     "arn:aws:elasticloadbalancing:eu-west-1:123:targetgroup/cart/943f "
    ...     '"Root=1-6a0ebb13-36d228ad5d99923122bbe354"'
    ... )
    >>> seen = read_requests(entry.encode(), routes=["/orders/{id}/pay"])
    >>> seen
    Requests(1 requests from alb, 1 with a trace id)
    >>> seen.counts[["service", "route", "status", "count"]].values.tolist()
    [['cart', '/orders/{id}/pay', '5xx', 1]]
    """
    known = {one.name: one for one in FORMATS}
    if format is not None and format not in known:
        raise ValueError(f"expected format {', '.join(known)} or None, found {format!r}")
    if unknown := sorted(set(count_by) - set(_STRATA)):
        raise ValueError(f"expected count_by to be any of {', '.join(_STRATA)}, found {', '.join(unknown)}")
    if pd.Timedelta(window) <= pd.Timedelta(0):
        raise ValueError(f"expected a positive window such as '1min', found {window!r}")
    issues: list[tuple[str, int, str]] = []
    if isinstance(source, pd.DataFrame):
        return _whole([("frame", source)], issues, (window, count_by), routes, services)
    frames = [_frame_of(one, known.get(format or ""), issues, strict) for one in expand(source)]
    return _whole(frames, issues, (window, count_by), routes, services)


def _frame_of(
    source: Source, chosen: Format | None, issues: list[tuple[str, int, str]], strict: bool
) -> tuple[str, pd.DataFrame]:
    """Return the format of a source and its rows."""
    with open_bytes(source) as stream:
        pieces = iter(lambda: stream.read(_PIECE), b"")
        text = b"".join(pieces).decode("utf-8", "replace")

    def add_issue(line: int, message: str) -> None:
        if strict:
            raise LoadError(f"{source.uri}, line {line}: {message}", source=source.uri, record=line)
        issues.append((source.uri, line, message))

    if not stream.complete:
        add_issue(0, f"the source ends early: {stream.stop_reason}")
    head = text[:_HEAD].lstrip()
    found = chosen or next((one for one in FORMATS if one.begins(head)), None)
    if found is None:
        names = ", ".join(one.name for one in FORMATS)
        raise LoadError(
            f"{source.uri}: expected requests in one of {names}, found {head[:60]!r}; pass format=",
            source=source.uri,
        )
    frame = _rows_of(found, text, source.uri, add_issue)
    if not len(frame):
        message = f"{source.uri}: expected requests as {found.name}, found none that could be read"
        raise LoadError(message, source=source.uri)
    return found.name, frame


def _rows_of(found: Format, text: str, uri: str, add_issue: Callable[[int, str], None]) -> pd.DataFrame:
    """Return the rows of one source."""
    try:
        if found.name == "metrics":
            return metric_rows(text, add_issue)
        if found.rows is None:
            return table_rows(text)
    except (json.JSONDecodeError, KeyError, TypeError, RecursionError, pd.errors.ParserError) as error:
        message = f"{uri}: expected {found.name}, found: {error!r:.200}"
        raise LoadError(message, source=uri) from error
    lines = ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
    frame = pd.DataFrame(list(found.rows(lines, add_issue)))
    if not len(frame):
        return frame
    times, is_invalid = _utc(frame["time"])
    for number, time in zip(frame.loc[is_invalid, "line"], frame.loc[is_invalid, "time"], strict=True):
        add_issue(int(number), f"expected a time, found {str(time)[:40]!r}")
    return frame.assign(time=times)[~is_invalid].drop(columns="line").reset_index(drop=True)


def _whole(
    frames: list[tuple[str, pd.DataFrame]],
    issues: list[tuple[str, int, str]],
    strata: tuple[str, Sequence[str]],
    routes: Sequence[str],
    services: Mapping[str, str] | str | None,
) -> Requests:
    """Return the requests of all sources."""
    kinds = list(dict.fromkeys(kind for kind, _ in frames))
    rows = frames[0][1] if len(frames) == 1 else pd.concat([frame for _, frame in frames], ignore_index=True)
    table = pd.DataFrame(issues, columns=["source", "line", "message"])
    rows = _renamed(rows, services)
    if any(name in rows for name in NAMES["count"]):
        counts = rows.reset_index(drop=True)
        read_counts(rows)  # raises on invalid rows
        return Requests(counts, None, table, "+".join(kinds))
    if "trace_id" not in rows and "time" not in rows:
        columns = ", ".join(map(str, rows.columns)) or "none"
        raise LoadError(f"expected a column count, or one row a request with trace_id or time, found columns {columns}")
    log = _log(rows, routes)
    return Requests(_counted(log, *strata), log, table, "+".join(kinds))


def _renamed(rows: pd.DataFrame, services: Mapping[str, str] | str | None) -> pd.DataFrame:
    """Return the rows with service names as in the traces."""
    if services is None:
        return rows
    if isinstance(services, str):
        return rows.assign(service=services)
    column = next((name for name in NAMES["service_name"] if name in rows), None)
    if column is None:
        raise ValueError(f"expected a column service to rename, found {', '.join(map(str, rows.columns))}")
    return rows.assign(**{column: rows[column].map(lambda name: services.get(name, name))})


def _log(rows: pd.DataFrame, routes: Sequence[str]) -> pd.DataFrame:
    """Return one row per request, with times, and routes instead of paths."""
    log = rows.copy()
    if "time" in log:
        log["time"] = _times(log["time"])
    if "trace_id" in log:
        plain = log["trace_id"].astype(object).where(log["trace_id"].notna(), None)
        ids = [None if one is None else str(one).lower().removeprefix("1-").replace("-", "") for one in plain]
        log["trace_id"] = pd.Series(ids, index=log.index, dtype=object)
    else:
        log["trace_id"] = pd.Series(None, index=log.index, dtype=object)
    if "path" in log:
        paths = log.pop("path")
        if routes:
            patterns = [(route, _pattern(route)) for route in routes]
            matched = {path: _route(path, patterns) for path in paths.unique()}
            log["route"] = paths.map(matched)
    kept = {"trace_id", "target_status"}
    return log.loc[:, [name for name in log if name in kept or log[name].notna().any()]]


def _times(column: pd.Series) -> pd.Series:
    """Return times in UTC; ValueError names the first invalid row."""
    times, is_invalid = _utc(column)
    if is_invalid.any():
        at = int(np.flatnonzero(is_invalid)[0])
        raise ValueError(f"expected a time in row {column.index[at]!r}, found {column.iloc[at]!r}")
    return times


def _utc(column: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return times in UTC, and which values are invalid; numbers are nanoseconds since the epoch."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        times = pd.to_datetime(column, utc=True).astype("datetime64[ns, UTC]")
        return times, times.isna() & column.notna()
    numbers = pd.to_numeric(column, errors="coerce")
    texts = column.where(numbers.isna()).astype(object)
    times = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601").astype("datetime64[ns, UTC]")
    stamps = pd.to_datetime(numbers, unit="ns", utc=True, errors="coerce").astype("datetime64[ns, UTC]")
    times = times.fillna(stamps)
    return times, times.isna() & column.notna()


def _pattern(route: str) -> re.Pattern[str]:
    """Return the pattern of a route: a segment in braces matches one segment, a star the rest."""
    parts = [
        r"[^/]+" if part.startswith(("{", ":")) else _STAR if part == "*" else re.escape(part)
        for part in route.split("/")
    ]
    return re.compile(around_stars(*"/".join(parts).split(_STAR)) + "/?")


def _route(path: Any, patterns: list[tuple[str, re.Pattern[str]]]) -> str:
    """Return the first matching route."""
    return next((route for route, pattern in patterns if pattern.fullmatch(str(path))), _UNMATCHED)


def _counted(log: pd.DataFrame, window: str, by: Sequence[str]) -> pd.DataFrame:
    """Return the requests of a log, counted by window and the given columns."""
    keys = [name for name in by if name in log]
    table = log[keys].copy()
    if "status" in table:
        status = pd.to_numeric(table["status"], errors="coerce")
        table["status"] = [f"{int(code) // 100}xx" if np.isfinite(code) else None for code in status]
        if "target_status" in log:
            alone = (log["target_status"].isna() & np.isfinite(status)).to_numpy(bool)
            table.loc[alone, "status"] = BALANCER + table.loc[alone, "status"]
    if "time" in log and log["time"].notna().all():
        table.insert(0, "time", log["time"].dt.floor(window))
        table.insert(1, "end", table["time"] + pd.Timedelta(window))
    names = list(table)
    if not names:
        return pd.DataFrame({"count": [len(log)]})
    return table.groupby(names, dropna=False, sort=True).size().rename("count").reset_index()
