"""X-Ray trace summaries as a table, with sampling weights."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.aws.pull.result import Pull
from tracekit.aws.pull.trace_ids import to_w3c_id, to_xray_id
from tracekit.errors import MISSHAPEN, LoadError, PullError
from tracekit.pull.folder import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

_NS = 1e9
_HTTP = {
    "http_request_method": "HttpMethod",
    "url_full": "HttpURL",
    "http_response_status_code": "HttpStatus",
    "user_agent": "UserAgent",
    "client_address": "ClientIp",
}
_FLAGS = {"is_fault": "HasFault", "is_error": "HasError", "is_throttle": "HasThrottle", "is_partial": "IsPartial"}
_CAUSES = {
    "fault_root_causes": "FaultRootCauses",
    "error_root_causes": "ErrorRootCauses",
    "response_time_root_causes": "ResponseTimeRootCauses",
}
_LISTS = {
    "services": ("ServiceIds", "Name"),
    "users": ("Users", "UserName"),
    "resource_arns": ("ResourceARNs", "ARN"),
    "instance_ids": ("InstanceIds", "Id"),
    "availability_zones": ("AvailabilityZones", "Name"),
}
_TYPES = {
    "start_time": "datetime64[ns, UTC]",
    "matched_event_time": "datetime64[ns, UTC]",
    "duration_ns": "Int64",
    "response_time_ns": "Int64",
    **dict.fromkeys(_FLAGS, "boolean"),
    "http_response_status_code": "Int16",
    "revision": "Int64",
    "weight": "float64",
}
COLUMNS = (
    "xray_id",
    "start_time",
    "duration_ns",
    "response_time_ns",
    *_FLAGS,
    *_HTTP,
    "root_service_name",
    "root_service_type",
    *_LISTS,
    "annotations",
    *_CAUSES,
    "revision",
    "matched_event_time",
    "weight",
    "weight_source",
)


def trace_summaries(source: Pull | str | Path) -> pd.DataFrame:
    """Return the trace summaries of a pull, or of a file with GetTraceSummaries responses.

    Parameters
    ----------
    source
        A pull, its folder, or the output of ``aws xray get-trace-summaries``.

    Returns
    -------
    pandas.DataFrame
        One row per trace (latest revision), indexed by ``trace_id`` like ``traces.summary``: ``xray_id``;
        ``start_time`` (UTC); ``duration_ns`` of the whole trace and ``response_time_ns`` of its root; ``is_fault``,
        ``is_error``, ``is_throttle`` of the root segment, ``is_partial``; the root's request
        (``http_request_method``, ``url_full``, ``http_response_status_code``, ``user_agent``, ``client_address``);
        ``root_service_name`` and ``root_service_type``; ``services``, ``users``, ``resource_arns``, ``instance_ids``,
        ``availability_zones`` and ``annotations`` (key to values) as JSON text; ``fault_root_causes``,
        ``error_root_causes`` and ``response_time_root_causes`` as X-Ray JSON, missing if there are none;
        ``revision``, ``matched_event_time``; ``weight`` and ``weight_source``.

        Malformed summaries are excluded; ``.attrs["quarantined"]`` lists their number and the reason.

    Raises
    ------
    LoadError
        There are no valid summaries.

    Notes
    -----
    ``weight`` is the sampling weight relative to the traces in X-Ray: 1 / rate for a pull with ``sampling=rate``, 1
    without sampling, and 1 with source ``unknown`` if X-Ray chose the rate.  Head sampling by the services is not
    included.  ``xray_filter(traces, expression, summaries=...)`` uses this table for ``rootcause.*``.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "summaries.json"
    >>> _ = file.write_text(
    ...     '{"TraceSummaries": [{"Id": "1-58406520-a006649127e371903a2de979", "Duration": 0.25, "HasFault": true}]}'
    ... )
    >>> table = trace_summaries(file)
    >>> table.index.tolist(), table["duration_ns"].tolist(), table["is_fault"].tolist()
    (['58406520a006649127e371903a2de979'], [250000000], [True])
    """
    if not isinstance(source, Pull | str | Path):
        message = f"expected a pull, its folder or a file of GetTraceSummaries answers, found {type(source).__name__}"
        raise TypeError(f"{message}; traces.summary has one row per trace of a TraceSet")
    path = source.folder if isinstance(source, Pull) else Path(source)
    if path.is_dir():
        files = sorted((path / ".pull").glob("summaries-*.jsonl.zst"))
        found = [summary for file in files for line in read_lines(file) for summary in _of_answer(json.loads(line))]
        weight = _weight(path)
        expected = f"trace summaries in {path}, found none: it was pulled by ids, or is not a folder of pull_xray"
    else:
        found = list(_of_file(path))
        weight = 1.0, "unknown"
        expected = f"answers of GetTraceSummaries (TraceSummaries) in {path}, found none"
    if not found:
        raise LoadError(f"expected {expected}; use traces.summary for the data in the traces", source=str(path))
    rows, quarantined = _latest(found, weight)
    try:
        table = _table(rows)
    except MISSHAPEN:
        problems = {trace_id: problem for trace_id, row in rows.items() if (problem := _problem(trace_id, row))}
        quarantined += problems.values()
        table = _table({trace_id: row for trace_id, row in rows.items() if trace_id not in problems})
    if not len(table):
        raise LoadError(f"expected {expected} that is valid; {quarantined[0]}", source=str(path))
    table.attrs["quarantined"] = quarantined
    return table


def _latest(found: list[Any], weight: tuple[float, str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the row of every trace's latest revision, and the problems of malformed summaries."""
    latest: dict[str, tuple[float, dict[str, Any]]] = {}
    quarantined: list[str] = []
    for number, summary in enumerate(found, 1):
        try:
            trace_id, revision = to_w3c_id(to_xray_id(summary["Id"])), float(summary.get("Revision") or 0)
            row = _row(summary, *weight)
        except (PullError, *MISSHAPEN) as error:
            quarantined.append(f"summary {number}: {type(error).__name__}: {error!s:.100}")
            continue
        if trace_id not in latest or revision >= latest[trace_id][0]:
            latest[trace_id] = revision, row
    return {trace_id: row for trace_id, (_, row) in latest.items()}, quarantined


def _table(rows: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Return the table of rows by trace id; a malformed row raises an error."""
    index = pd.Index(list(rows), name="trace_id", dtype="str")
    return pd.DataFrame(list(rows.values()), index=index, columns=list(COLUMNS)).astype(_TYPES).sort_index()


def _problem(trace_id: str, row: dict[str, Any]) -> str:
    """Return the problem of a malformed row, or an empty text."""
    try:
        _table({trace_id: row})
    except MISSHAPEN as error:
        return f"summary of {trace_id}: {type(error).__name__}: {error!s:.100}"
    return ""


def _of_file(file: Path) -> Iterator[Any]:
    """Yield the summaries of a file with one document, or one per line."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise LoadError(f"expected a file or a folder, found {file}: {error.strerror}", source=str(file)) from error
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        try:
            answer, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        except (ValueError, RecursionError) as error:
            message = f"expected JSON in {file}, found {text[at : at + 40]!r}: {error}"
            raise LoadError(message, source=str(file)) from error
        yield from _of_answer(answer)


def _of_answer(answer: Any) -> list[Any]:
    """Return the summaries of an answer."""
    found = answer.get("TraceSummaries") if isinstance(answer, dict) else None
    return found if isinstance(found, list) else []


def _weight(folder: Path) -> tuple[float, str]:
    """Return the sampling weight of the traces of a pull, and its source."""
    plan = folder / ".pull" / "plan.json"
    share = json.loads(plan.read_text(encoding="utf-8")).get("sampling", False) if plan.exists() else False
    if isinstance(share, bool):
        return 1.0, "unknown" if share else "pulled without sampling"
    return 1 / share, f"pulled at a fixed rate of {share:g}"


def _row(summary: dict[str, Any], weight: float, source: str) -> dict[str, Any]:
    """Return one row of the table."""
    http, root = summary.get("Http") or {}, summary.get("EntryPoint") or {}
    return {
        "xray_id": to_xray_id(summary["Id"]),
        "start_time": _time(summary.get("StartTime")),
        "duration_ns": _nanoseconds(summary.get("Duration")),
        "response_time_ns": _nanoseconds(summary.get("ResponseTime")),
        **{column: summary.get(member) for column, member in _FLAGS.items()},
        **{column: http.get(member) for column, member in _HTTP.items()},
        "root_service_name": root.get("Name"),
        "root_service_type": root.get("Type"),
        **{
            column: json.dumps([item.get(member) for item in summary.get(name) or ()])
            for column, (name, member) in _LISTS.items()
        },
        "annotations": json.dumps({key: _values(values) for key, values in (summary.get("Annotations") or {}).items()}),
        **{column: json.dumps(summary[member]) if summary.get(member) else None for column, member in _CAUSES.items()},
        "revision": summary.get("Revision"),
        "matched_event_time": _time(summary.get("MatchedEventTime")),
        "weight": weight,
        "weight_source": source,
    }


def _values(values: list[dict[str, Any]]) -> list[Any]:
    """Return the values of an annotation."""
    return [value for item in values for value in (item.get("AnnotationValue") or {}).values()]


def _nanoseconds(seconds: float | None) -> int | None:
    """Return seconds as nanoseconds."""
    return None if seconds is None else round(float(seconds) * _NS)


def _time(moment: float | str | None) -> datetime | pd.Timestamp | None:
    """Return a time from the API (seconds) or the AWS CLI (ISO 8601)."""
    if moment is None:
        return None
    stamp = pd.Timestamp(moment) if isinstance(moment, str) else pd.Timestamp(round(moment * _NS), unit="ns", tz="UTC")
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert(UTC)
