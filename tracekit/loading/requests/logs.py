"""Requests in the logs of load balancers, CDNs, API gateways and functions: one row per request.

Every format is a function from numbered lines to rows; invalid lines are reported with their number.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from tracekit.errors import MISSHAPEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_ROOT = re.compile(r"(?:Root=|TraceId: ?)?1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_ALB = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|(\S+)')
_ALB_FIELDS, _ALB_CAME = 18, 21
_ALB_KINDS = frozenset({"http", "https", "h2", "grpcs", "ws", "wss"})
_REPORT = re.compile(r"REPORT RequestId: ([\w-]+)")
_MEASURE = re.compile(r"(Duration|Init Duration|Billed Duration): ([\d.]+) ms")
_STAMP = re.compile(r"^\s*(\d{4}-\d\d-\d\dT[\d:.]+Z?)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,5})?")
_CODE = re.compile(r"[0-9]{1,4}")
_LONGEST_NS = 2.0**63
_LONGEST = 200
_CLF_TIME = "%d/%b/%Y:%H:%M:%S %z"


def trace_id_in(text: str) -> str | None:
    """Return the trace id of an X-Ray header in a text as 32 hex digits."""
    found = _ROOT.search(text[max(text.find("Root="), 0) :])
    return "".join(found.groups()).lower() if found else None


def alb_rows(lines: Iterator[tuple[int, str]], add_issue: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the requests of an access log of an Application Load Balancer."""
    return _each(lines, add_issue, _alb_row)


def _each(
    lines: Iterator[tuple[int, str]], add_issue: Callable[[int, str], None], row: Callable[[str], dict[str, Any] | None]
) -> Iterator[dict[str, Any]]:
    """Yield the row of every line with its number; report invalid lines."""
    for number, line in lines:
        try:
            found = row(line)
        except MISSHAPEN as error:
            add_issue(number, f"{error or type(error).__name__}"[:_LONGEST])
            continue
        if found is not None:
            yield {"line": number, **found}


def _alb_row(line: str) -> dict[str, Any]:
    """Return the request of an entry."""
    cells = [quoted or plain for quoted, plain in _ALB.findall(line)]
    if len(cells) < _ALB_FIELDS or cells[0] not in _ALB_KINDS:
        raise ValueError(f"expected an ALB entry with {_ALB_FIELDS} fields or more, found {len(cells)}")
    group = re.search(r":targetgroup/([^/]+)/", cells[16])
    method, _, rest = cells[12].partition(" ")
    spent = [_ns(cell, 1e9) or 0 for cell in cells[5:8]]
    return {
        "time": _came(cells),
        "service": group[1] if group else cells[2].split("/")[1] if cells[2].count("/") else cells[2],
        "method": method,
        "path": urlsplit(rest.partition(" ")[0]).path or "/",
        "status": _status(cells[8]),
        "target_status": _status(cells[9]),
        "is_dispatched": cells[4] != "-",
        "duration_ns": sum(spent) if any(_NUMBER.fullmatch(cell) for cell in cells[5:8]) else None,
        "trace_id": trace_id_in(cells[17]),
    }


def _ns(amount: Any, unit_ns: float) -> int | None:
    """Return a duration in nanoseconds, None if it is not a number; ValueError if it is out of range."""
    if not _NUMBER.fullmatch(str(amount)):
        return None
    found = float(amount) * unit_ns
    if not found < _LONGEST_NS:
        raise ValueError(f"expected a duration of less than 292 years, found {str(amount)[:40]}")
    return round(found)


def _came(cells: list[str]) -> str:
    """Return the time of the request, or of the response if that is missing."""
    received = cells[_ALB_CAME] if len(cells) > _ALB_CAME else ""
    return received if _STAMP.match(received) else cells[1]


def _status(cell: str) -> int | None:
    """Return a status code."""
    return int(cell) if _CODE.fullmatch(cell) and cell != "000" else None


def cloudfront_rows(
    lines: Iterator[tuple[int, str]], add_issue: Callable[[int, str], None]
) -> Iterator[dict[str, Any]]:
    """Yield the requests of a CloudFront access log (W3C extended, with its ``#Fields`` line)."""
    fields: list[str] = []
    for number, line in lines:
        if line.startswith("#"):
            name, _, rest = line.partition(":")
            fields = rest.split() if name == "#Fields" else fields
            continue
        yield from _each(iter([(number, line)]), add_issue, partial(_cloudfront_row, fields))


def _cloudfront_row(fields: list[str], line: str) -> dict[str, Any]:
    """Return the request of a line."""
    cells = dict(zip(fields, line.split("\t"), strict=False))
    moment = _cloudfront_time(cells)
    if not fields or len(line.split("\t")) != len(fields) or moment is None:
        found = f"found {line.count(chr(9)) + 1} cells and {len(fields)} fields"
        raise ValueError(f"expected a line with the cells of #Fields and a time, {found}")
    return {
        "time": moment,
        "service": cells.get("x-host-header") or cells.get("cs(Host)") or cells.get("cs-host"),
        "method": cells.get("cs-method"),
        "path": cells.get("cs-uri-stem", "/").partition("?")[0],
        "status": _status(cells.get("sc-status", "")),
        "duration_ns": _ns(cells.get("time-taken", ""), 1e9),
        "trace_id": trace_id_in(unquote(line)) if "Root%3D" in line or "Root=" in line else None,
    }


def _cloudfront_time(cells: dict[str, str]) -> str | int | None:
    """Return the time of an entry: date and time, or seconds since the epoch."""
    if "date" in cells and "time" in cells:
        return f"{cells['date']}T{cells['time']}Z"
    stamp = cells.get("timestamp", "")
    return _ns(stamp, 1e9)


def gateway_rows(lines: Iterator[tuple[int, str]], add_issue: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the requests of API Gateway access logs: one JSON object per line, with ``$context`` names."""
    return _each(lines, add_issue, _gateway_row)


def _gateway_row(line: str) -> dict[str, Any]:
    """Return the request of a line."""
    entry = _object(line)
    moment = None if entry is None else _gateway_time(entry)
    if entry is None or moment is None:
        raise ValueError("expected a JSON object with requestTime or requestTimeEpoch")
    method, _, path = str(entry.get("routeKey", "")).partition(" ")
    return {
        "time": moment,
        "service": _text(entry.get("apiId") or entry.get("domainName")),
        "method": _text(entry.get("httpMethod") or method or None),
        "path": _text(entry.get("resourcePath") or path or entry.get("path") or "/"),
        "status": _status(str(entry.get("status", ""))),
        "duration_ns": _ns(entry.get("responseLatency", ""), 1e6),
        "trace_id": trace_id_in(str(entry.get("xrayTraceId", ""))),
    }


def _text(value: Any) -> str | None:
    """Return any value as text, with unpaired surrogates replaced by question marks."""
    return None if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def _object(line: str) -> dict[str, Any] | None:
    """Return a JSON object, None if the line is not one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _gateway_time(entry: dict[str, Any]) -> Any:
    """Return the time of an entry, from milliseconds since the epoch or the common log format."""
    epoch = str(entry.get("requestTimeEpoch", ""))
    if (milliseconds := _ns(epoch, 1e6)) is not None:
        return milliseconds
    try:
        return pd.to_datetime(str(entry["requestTime"]), format=_CLF_TIME).isoformat()
    except (KeyError, ValueError):
        return None


def report_rows(lines: Iterator[tuple[int, str]], add_issue: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the invocations in the REPORT lines of Lambda functions, plain or JSON; other lines are skipped."""
    pending: dict[str, Any] | None = None
    for number, line in lines:
        if pending is not None and "XRAY TraceId:" in line and "REPORT" not in line:
            pending |= _xray_part(line)
            continue
        if pending is not None:
            yield _timed(pending, add_issue)
            pending = None
        for row in _each(iter([(number, line)]), add_issue, _report):
            if row.pop("is_whole"):
                yield _timed(row, add_issue)
            else:
                pending = row  # the next line may be its trace
    if pending is not None:
        yield _timed(pending, add_issue)


def _report(line: str) -> dict[str, Any] | None:
    """Return the invocation of a line, and whether it is complete; None for any other line."""
    if '"platform.report"' in line:
        return {"is_whole": True, **_json_report(line)}
    if (found := _REPORT.search(line)) is None:
        return None
    stamp = _STAMP.match(line)
    times = {name: _ns(value, 1e6) for name, value in _MEASURE.findall(line)}
    return {
        "is_whole": False,
        "time": stamp[1] if stamp else None,
        "request_id": found[1],
        "duration_ns": times.get("Duration"),
        "init_duration_ns": times.get("Init Duration"),
        "is_cold_start": "Init Duration" in times,
        **_xray_part(line),
    }


def _xray_part(line: str) -> dict[str, Any]:
    """Return the trace fields of a line."""
    sampled = re.search(r"Sampled: (true|false)", line)
    found = {"trace_id": trace_id_in(line), "is_sampled": sampled[1] == "true" if sampled else None}
    return {name: value for name, value in found.items() if value is not None}


def _json_report(line: str) -> dict[str, Any]:
    """Return an invocation from a ``platform.report`` record."""
    entry = _object(line) or {}
    record = entry.get("record")
    if not isinstance(record, dict):
        raise TypeError("expected a platform.report with an object as record")
    metrics, tracing = (record.get(name) or {} for name in ("metrics", "tracing"))
    if not (isinstance(metrics, dict) and isinstance(tracing, dict)):
        raise TypeError("expected objects as metrics and tracing of a platform.report")
    header, first = str(tracing.get("value", "")), metrics.get("initDurationMs")
    for name in ("durationMs", "initDurationMs"):
        if metrics.get(name) is not None and _ns(metrics[name], 1e6) is None:
            raise ValueError(f"expected a number of 0 or more as {name}, found {metrics[name]!r:.60}")
    return {
        "time": _text(entry.get("time")),
        "request_id": _text(record.get("requestId")),
        "duration_ns": _ns(metrics.get("durationMs"), 1e6),
        "init_duration_ns": _ns(first, 1e6),
        "is_cold_start": first is not None,
        "is_sampled": header.endswith("Sampled=1") if "Sampled=" in header else None,
        "trace_id": trace_id_in(header),
    }


def _timed(row: dict[str, Any], add_issue: Callable[[int, str], None]) -> dict[str, Any]:
    """Return an invocation with a time, by default that of its trace id."""
    number = row["line"]
    if row.get("time") is None and row.get("trace_id"):
        row["time"] = int(row["trace_id"][:8], 16) * 1e9
    if row.get("time") is None:
        add_issue(number, "expected a time or an X-Ray trace id in a REPORT line, found neither; counted without it")
    return row
