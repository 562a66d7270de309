"""Requests in the logs of load balancers, content networks, gateways and functions: one row a request.

Every format is a function from numbered lines to rows; what is no row of the format is told with its line.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_ROOT = re.compile(r"(?:Root=|TraceId: ?)?1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_ALB = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|(\S+)')
_ALB_FIELDS, _ALB_CAME = 18, 21
_ALB_KINDS = frozenset({"http", "https", "h2", "grpcs", "ws", "wss"})
_REPORT = re.compile(r"REPORT RequestId: ([\w-]+)")
_MEASURE = re.compile(r"(Duration|Init Duration|Billed Duration): ([\d.]+) ms")
_STAMP = re.compile(r"^\s*(\d{4}-\d\d-\d\dT[\d:.]+Z?)")
_CLF_TIME = "%d/%b/%Y:%H:%M:%S %z"


def trace_id_in(text: str) -> str | None:
    """Return the trace id of an X-Ray header in a text as 32 hex digits.

    Examples
    --------
    >>> trace_id_in("Self=1-a;Root=1-67891233-abcdef012345678912345678;Sampled=1")
    '67891233abcdef012345678912345678'
    """
    found = _ROOT.search(text[max(text.find("Root="), 0) :])
    return "".join(found.groups()).lower() if found else None


def alb_rows(lines: Iterator[tuple[int, str]], tell: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the requests of an access log of an Application Load Balancer.

    Parameters
    ----------
    lines
        Numbered lines.
    tell
        Told the number of a line that is none, and why.

    Yields
    ------
    dict
        ``time`` (when the request came, as its trace began; older entries tell only when it was answered), ``service``
        (the target group, else the load balancer), ``method``, ``path``, ``status``, ``target_status`` (missing where
        the load balancer answered by itself), ``is_dispatched`` (False where it had not even chosen a target: such a
        request cannot be traced), ``duration_ns``, ``trace_id``.

    Source: AWS, access log entries of Application Load Balancers.
    """
    for number, line in lines:
        cells = [quoted or plain for quoted, plain in _ALB.findall(line)]
        if len(cells) < _ALB_FIELDS or cells[0] not in _ALB_KINDS:
            tell(number, f"expected an ALB entry with {_ALB_FIELDS} fields or more, found {len(cells)}")
            continue
        group = re.search(r":targetgroup/([^/]+)/", cells[16])
        method, _, rest = cells[12].partition(" ")
        spent = [float(cell) for cell in cells[5:8] if re.fullmatch(r"\d+(\.\d+)?", cell)]
        yield {
            "time": _came(cells),
            "service": group[1] if group else cells[2].split("/")[1] if cells[2].count("/") else cells[2],
            "method": method,
            "path": urlsplit(rest.partition(" ")[0]).path or "/",
            "status": _status(cells[8]),
            "target_status": _status(cells[9]),
            "is_dispatched": cells[4] != "-",
            "duration_ns": round(sum(spent) * 1e9) if spent else None,
            "trace_id": trace_id_in(cells[17]),
        }


def _came(cells: list[str]) -> str:
    """Return when a request came, else when it was answered."""
    told = cells[_ALB_CAME] if len(cells) > _ALB_CAME else ""
    return told if _STAMP.match(told) else cells[1]


def _status(cell: str) -> int | None:
    """Return a status code."""
    return int(cell) if cell.isdigit() and cell != "000" else None


def cloudfront_rows(lines: Iterator[tuple[int, str]], tell: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the requests of a CloudFront access log (W3C extended, with its ``#Fields`` line).

    Parameters
    ----------
    lines, tell
        As ``alb_rows`` takes them.

    Yields
    ------
    dict
        ``time``, ``service`` (the host asked), ``method``, ``path``, ``status``, ``duration_ns``, ``trace_id`` where
        the fields chosen hold the ``X-Amzn-Trace-Id`` header.

    Source: AWS, standard and real-time logs of CloudFront.
    """
    fields: list[str] = []
    for number, line in lines:
        if line.startswith("#"):
            name, _, rest = line.partition(":")
            fields = rest.split() if name == "#Fields" else fields
            continue
        cells = dict(zip(fields, line.split("\t"), strict=False))
        moment = _cloudfront_time(cells)
        if not fields or len(line.split("\t")) != len(fields) or moment is None:
            found = f"found {line.count(chr(9)) + 1} cells and {len(fields)} fields"
            tell(number, f"expected a line with the cells of #Fields and a time, {found}")
            continue
        taken = cells.get("time-taken", "")
        yield {
            "time": moment,
            "service": cells.get("x-host-header") or cells.get("cs(Host)") or cells.get("cs-host"),
            "method": cells.get("cs-method"),
            "path": cells.get("cs-uri-stem", "/").partition("?")[0],
            "status": _status(cells.get("sc-status", "")),
            "duration_ns": round(float(taken) * 1e9) if re.fullmatch(r"\d+(\.\d+)?", taken) else None,
            "trace_id": trace_id_in(unquote(line)) if "Root%3D" in line or "Root=" in line else None,
        }


def _cloudfront_time(cells: dict[str, str]) -> str | float | None:
    """Return the time of an entry: date and time, or seconds since the epoch."""
    if "date" in cells and "time" in cells:
        return f"{cells['date']}T{cells['time']}Z"
    stamp = cells.get("timestamp", "")
    return float(stamp) * 1e9 if re.fullmatch(r"\d+(\.\d+)?", stamp) else None


def gateway_rows(lines: Iterator[tuple[int, str]], tell: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the requests of API Gateway access logs: one JSON object a line, named as its ``$context`` variables.

    Parameters
    ----------
    lines, tell
        As ``alb_rows`` takes them.

    Yields
    ------
    dict
        ``time``, ``service`` (``apiId``), ``method``, ``path``, ``status``, ``duration_ns``, ``trace_id``.

    Source: AWS, ``$context`` variables for access logging.
    """
    for number, line in lines:
        entry = _object(line)
        moment = None if entry is None else _gateway_time(entry)
        if entry is None or moment is None:
            tell(number, "expected a JSON object with requestTime or requestTimeEpoch")
            continue
        method, _, path = str(entry.get("routeKey", "")).partition(" ")
        latency = str(entry.get("responseLatency", ""))
        yield {
            "time": moment,
            "service": entry.get("apiId") or entry.get("domainName"),
            "method": entry.get("httpMethod") or method or None,
            "path": entry.get("resourcePath") or path or entry.get("path") or "/",
            "status": _status(str(entry.get("status", ""))),
            "duration_ns": round(float(latency) * 1e6) if re.fullmatch(r"\d+(\.\d+)?", latency) else None,
            "trace_id": trace_id_in(str(entry.get("xrayTraceId", ""))),
        }


def _object(line: str) -> dict[str, Any] | None:
    """Return a JSON object, None where the line is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _gateway_time(entry: dict[str, Any]) -> Any:
    """Return the time of an entry: milliseconds since the epoch, or as web servers write it."""
    epoch = str(entry.get("requestTimeEpoch", ""))
    if epoch.isdigit():
        return int(epoch) * 1e6
    try:
        return pd.to_datetime(str(entry["requestTime"]), format=_CLF_TIME).isoformat()
    except (KeyError, ValueError):
        return None


def report_rows(lines: Iterator[tuple[int, str]], tell: Callable[[int, str], None]) -> Iterator[dict[str, Any]]:
    """Yield the invocations in the REPORT lines of Lambda functions, plain or JSON; other lines are passed over.

    Parameters
    ----------
    lines, tell
        As ``alb_rows`` takes them.

    Yields
    ------
    dict
        ``time`` (of the line, else that of the X-Ray trace id), ``request_id``, ``duration_ns``,
        ``init_duration_ns``, ``is_cold_start``, ``is_sampled``, ``trace_id``.

    Source: AWS, Lambda function logs; ``platform.report`` of the Telemetry API.
    """
    held: dict[str, Any] | None = None
    for number, line in lines:
        if held is not None and "XRAY TraceId:" in line and "REPORT" not in line:
            held |= _xray_part(line)
            continue
        if held is not None:
            yield _timed(held, tell)
            held = None
        if '"platform.report"' in line:
            yield _timed(_json_report(number, line), tell)
        elif found := _REPORT.search(line):
            stamp = _STAMP.match(line)
            times = {name: round(float(value) * 1e6) for name, value in _MEASURE.findall(line)}
            held = {
                "line": number,
                "time": stamp[1] if stamp else None,
                "request_id": found[1],
                "duration_ns": times.get("Duration"),
                "init_duration_ns": times.get("Init Duration"),
                "is_cold_start": "Init Duration" in times,
                **_xray_part(line),
            }
    if held is not None:
        yield _timed(held, tell)


def _xray_part(line: str) -> dict[str, Any]:
    """Return what a line says of the trace."""
    sampled = re.search(r"Sampled: (true|false)", line)
    found = {"trace_id": trace_id_in(line), "is_sampled": sampled[1] == "true" if sampled else None}
    return {name: value for name, value in found.items() if value is not None}


def _json_report(number: int, line: str) -> dict[str, Any]:
    """Return an invocation from a ``platform.report`` record."""
    entry = _object(line) or {}
    record = entry.get("record", {})
    metrics, header = record.get("metrics", {}), str(record.get("tracing", {}).get("value", ""))
    first = metrics.get("initDurationMs")
    return {
        "line": number,
        "time": entry.get("time"),
        "request_id": record.get("requestId"),
        "duration_ns": round(float(metrics["durationMs"]) * 1e6) if "durationMs" in metrics else None,
        "init_duration_ns": None if first is None else round(float(first) * 1e6),
        "is_cold_start": first is not None,
        "is_sampled": header.endswith("Sampled=1") if "Sampled=" in header else None,
        "trace_id": trace_id_in(header),
    }


def _timed(row: dict[str, Any], tell: Callable[[int, str], None]) -> dict[str, Any]:
    """Return an invocation with a time; where the line has none it is that of the trace id."""
    number = row.pop("line")
    if row.get("time") is None and row.get("trace_id"):
        row["time"] = int(row["trace_id"][:8], 16) * 1e9
    if row.get("time") is None:
        tell(
            number, "expected a time or an X-Ray trace id in a REPORT line, found neither: it is counted without a time"
        )
    return row
