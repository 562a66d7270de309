"""Spans and summaries of the custom tracer of REL06-BP07, and the findings it reports."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.aws.reader import Reader
from tracekit.aws.tracer.records import Record, records_of, span_of, trace_id_of, without_surrogates
from tracekit.errors import MISSHAPEN, LoadError, PullError
from tracekit.findings import STATUS_OF_SEVERITY, Estimate, Finding, Findings, finding
from tracekit.readable_tables import as_html
from tracekit.stats.intervals import wilson
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.findings import Severity

_REQUIRED = ("trace_id", "span_id", "name", "start_ns", "end_ns")
_SUMMARY = (
    "start_time",
    "end_time",
    "duration_ms",
    "service_count",
    "span_count",
    "error_count",
    "root_operation",
    "services",
)
_COUNTS = ("service_count", "span_count", "error_count")
_EXEMPLARS = 5
_STATE = ".state.json"


@dataclass(frozen=True)
class TracerTables:
    """The data of the custom tracer.

    Parameters
    ----------
    traces
        The spans.  Their inclusion probability is not recorded; the documented tracer writes every span regardless of
        its sampling flag, so ``traces.with_weights(1)`` applies.
    summaries
        One row per trace summary, indexed by ``trace_id``: ``start_time``, ``end_time``, ``duration_ms``,
        ``service_count``, ``span_count``, ``error_count``, ``root_operation``, ``services``.
    quarantined
        One row per invalid record: ``source``, ``record``, ``problem``.
    counts
        ``seen`` = ``spans`` + ``merged`` + ``summaries`` + ``quarantined``.

    Examples
    --------
    >>> span = {"trace_id": "1732170000-00f067aa0ba902b7", "span_id": "a1", "operation_name": "GET /"}
    >>> tables = read_dynamodb_tracer(
    ...     [{**span, "service_name": "web", "timestamp": "2024-11-21T06:20:00", "duration_ms": 6200}]
    ... )
    >>> tables
    TracerTables(1 spans, 0 merged, 0 summaries, 0 quarantined)
    >>> print(tables.insights()[0].headline)
    1 of 1 traces took longer than 5,000 ms.
    """

    traces: TraceSet
    summaries: pd.DataFrame = field(repr=False)
    quarantined: pd.DataFrame = field(repr=False)
    counts: dict[str, int] = field(repr=False)

    def insights(self, *, slow_ms: float = 5000, error_count: int = 0, service_count: int = 5) -> Findings:
        """Return the findings that the tracer would report about its traces.

        Parameters
        ----------
        slow_ms
            Slower traces are reported.
        error_count
            Traces with more error spans are reported.
        service_count
            Traces with more services are reported.

        Returns
        -------
        Findings
            ``tracer.slow_trace``, ``tracer.trace_errors`` and ``tracer.high_service_count``, each with the share of
            traces, its 95% CI and exemplar traces; also if there are none.

        Notes
        -----
        The documented tracer does not write root spans, so the duration runs from the first start to the last end.
        """
        summary = self.traces.summary
        starts = self.traces.forest.starts[:-1]
        spans = self.traces.columns.spans
        duration_ms = (
            (_ends(self.traces, starts) - np.minimum.reduceat(spans.start_ns, starts)) / 1e6
            if len(starts)
            else np.zeros(0)
        )
        limits = {
            "slow_trace": (duration_ms, slow_ms, "warning", f"took longer than {slow_ms:,.0f} ms"),
            "trace_errors": (
                summary["error_count"].to_numpy(),
                error_count,
                "critical",
                f"contain more than {error_count} error spans" if error_count else "contain an error span",
            ),
            "high_service_count": (
                summary["service_count"].to_numpy(),
                service_count,
                "info",
                f"span more than {service_count} services",
            ),
        }
        return Findings([self._insight(name, *limit) for name, limit in limits.items()])

    def _insight(self, name: str, values: Array, limit: float, severity: Any, text: str) -> Finding:
        """Return one insight over all traces."""
        count = len(values)
        rows = np.flatnonzero(values > limit)
        rows = rows[np.argsort(-values[rows], kind="stable")]
        ids = np.asarray(self.traces.trace_ids, dtype=object)[rows] if count else np.zeros(0, object)
        share = len(rows) / count if count else 0.0
        low, high = wilson(share, count) if count else (0.0, 1.0)
        found: Severity = severity if len(rows) else "info"
        return finding(
            f"tracer.{name}",
            STATUS_OF_SEVERITY[found] if count else "not_assessable",
            f"{len(rows):,} of {count:,} traces {text}.",
            pd.DataFrame({"trace_id": ids, "value": values[rows], "limit": limit}),
            estimate=Estimate(share, "ratio", float(low), float(high), count) if count else None,
            exemplars=tuple(ids[:_EXEMPLARS]),
            remedy="Inspect the exemplar traces." if len(rows) else "",
            code="tk.read_dynamodb_tracer(source).insights()",
            severity=found,
        )

    def __repr__(self) -> str:
        parts = ", ".join(f"{self.counts[name]:,} {name}" for name in ("spans", "merged", "summaries", "quarantined"))
        return f"TracerTables({parts})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{as_html(self.quarantined.head(10))}"


def _ends(traces: TraceSet, starts: Array) -> Array:
    """Return the last end of every trace; an unfinished span ends at its start."""
    spans = traces.columns.spans
    return np.asarray(np.maximum.reduceat(np.where(traces.has_duration, spans.end_ns, spans.start_ns), starts))


def read_dynamodb_tracer(source: Any) -> TracerTables:
    """Read spans, trace summaries and Kinesis records of the custom tracer of REL06-BP07.

    Parameters
    ----------
    source
        A file or a folder (of ``pull_dynamodb_tracer``, of ``aws dynamodb scan``, of DynamoDB's export to S3, of ``aws
        kinesis get-records``, of Firehose; gzip or not), bytes, or the records themselves.

    Returns
    -------
    TracerTables
        ``.traces``, ``.summaries``, ``.quarantined``.

    Raises
    ------
    LoadError
        No records of the tracer found.

    Notes
    -----
    Trace ids of the tracer (seconds, a dash, 16 hex digits) become 32 hex digits; the original is the attribute
    ``tracer.trace_id``.  Span logs are the attribute ``tracer.logs``, as JSON.  If a span is in both table and stream,
    the more complete record is kept.  Source: REL06-BP07.

    Examples
    --------
    >>> record = {"trace_id": "1732170000-00f067aa0ba902b7", "span_id": "a1", "start_time": "2024-11-21T06:20:00.5"}
    >>> record |= {"end_time": "2024-11-21T06:20:00.75", "span_kind": "client", "status": "timeout", "tags": {"n": 1}}
    >>> spans = read_dynamodb_tracer([record]).traces.spans
    >>> spans[["duration_ns", "kind", "status_code"]].to_dict("records")
    [{'duration_ns': 250000000, 'kind': 'CLIENT', 'status_code': 'ERROR'}]
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    summaries: dict[str, dict[str, Any]] = {}
    bad: list[tuple[str, int, str]] = []
    seen = merged = 0
    if not isinstance(source, str | bytes | PathLike | list | tuple):
        message = f"expected a file, a folder, bytes or a list of records, found {type(source).__name__}"
        raise TypeError(f"{message}; tk.pull_dynamodb_tracer(...) fetches them")
    for record in _found(source):
        seen += 1
        if not record.problem and _is_summary(record.value):
            try:
                summaries[trace_id_of(record.value["trace_id"])] = _cells(record.value)
            except MISSHAPEN as error:
                bad.append((record.source, record.number, f"expected a summary, found {error!s:.100}"))
            continue
        row, problem = span_of(record.value) if not record.problem else ({}, record.problem)
        if problem:
            bad.append((record.source, record.number, problem))
            continue
        key = (row["trace_id"], row["span_id"].rjust(16, "0"))
        merged += key in rows
        if key not in rows or len(row) >= len(rows[key]):
            rows[key] = row
    if not seen:
        raise LoadError(f"expected records of the tracer, found none in {source!r:.120}", source=str(source)[:120])
    counts = {"seen": seen, "spans": len(rows), "merged": merged, "quarantined": len(bad)}
    counts["summaries"] = seen - len(rows) - merged - len(bad)
    quarantined = pd.DataFrame(bad, columns=["source", "record", "problem"])
    return TracerTables(
        TraceSet.from_spans(_frame(list(rows.values()))), _summary_frame(summaries), quarantined, counts
    )


def _found(source: Any) -> list[Record]:
    """Return the records of a source; LoadError for a missing path."""
    try:
        return list(records_of(source))
    except OSError as error:
        message = f"expected records of the tracer, found none at {source}: {error.strerror}"
        raise LoadError(message, source=str(source)) from error


def _is_summary(value: Any) -> bool:
    """Return whether a record is the summary of a trace."""
    return (
        isinstance(value, dict)
        and "span_count" in value
        and "span_id" not in value
        and bool(trace_id_of(value.get("trace_id")))
    )


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame of spans, with integer columns."""
    frame = pd.DataFrame(rows, columns=None if rows else list(_REQUIRED)).astype(object)
    for column in ("start_ns", "end_ns"):
        frame[column] = frame[column].astype("Int64")
    return frame


def _cells(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a summary with numbers converted; a malformed one raises an error."""
    cells = {name: without_surrogates(cell) if isinstance(cell, str) else cell for name, cell in summary.items()}
    cells["duration_ms"] = None if cells.get("duration_ms") is None else float(cells["duration_ms"])
    for name in _COUNTS:
        if cells.get(name) is not None:
            cells[name] = count = int(float(cells[name]))
            if not 0 <= count < 2**53:
                raise ValueError(f"a {name} of {summary[name]!r:.40}")
    return cells


def _summary_frame(summaries: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Return the summaries, times in UTC."""
    frame = pd.DataFrame(
        [[one.get(name) for name in _SUMMARY] for one in summaries.values()],
        columns=list(_SUMMARY),
        index=pd.Index(list(summaries), name="trace_id", dtype=object),
    )
    for name in ("start_time", "end_time"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce")
    frame["duration_ms"] = pd.to_numeric(frame["duration_ms"], errors="coerce").astype("float64")
    for name in _COUNTS:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("Int64")
    return frame


def pull_dynamodb_tracer(
    table: str,
    folder: str | Path,
    *,
    session: Any = None,
    region: str | None = None,
    profile: str | None = None,
    page: int = 1000,
) -> Path:
    """Copy a table of the tracer into a folder for ``read_dynamodb_tracer``; a stopped copy resumes.

    Parameters
    ----------
    table
        DynamoDB table: spans or traces.
    folder
        Folder for the pages, one file each.
    session, region, profile
        As in boto3.
    page
        Maximum number of items per page.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    PullError
        A call failed, or credentials are missing; call again to resume.
    ValueError
        The folder contains another table, or ``page`` is less than 1.

    Notes
    -----
    Only ``Scan`` is called; a scan reads, and is billed for, every item.  Pages are written atomically.

    Examples
    --------
    >>> pull_dynamodb_tracer("trace-spans", "spans", page=0)
    Traceback (most recent call last):
    ...
    ValueError: expected a page of 1 item or more, found 0
    """
    if page < 1:
        raise ValueError(f"expected a page of 1 item or more, found {page}")
    folder = Path(folder)
    state = _state(folder, table)
    if state["done"]:
        return folder
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy

    client = Reader(session, region=region, profile=profile).client("dynamodb")
    while not state["done"]:
        more = {"ExclusiveStartKey": state["next"]} if state["next"] else {}
        try:
            answer = client.scan(TableName=table, Limit=page, **more)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            message = f"expected a page of table {table}, found {code}; call again with {folder} to resume"
            raise PullError(message, operation="Scan") from None
        except (BotoCoreError, OSError) as error:
            message = (
                f"expected a page of table {table}, found {type(error).__name__}; call again with {folder} to resume"
            )
            raise PullError(message, operation="Scan") from None
        lines = "".join(json.dumps({"Item": item}, default=_text) + "\n" for item in answer.get("Items", ()))
        _write(folder / f"page-{state['page']:06}.jsonl", lines)
        after = answer.get("LastEvaluatedKey")
        state = {"table": table, "page": state["page"] + 1, "next": after, "done": not after}
        _write(folder / _STATE, json.dumps(state))
    return folder


def _state(folder: Path, table: str) -> dict[str, Any]:
    """Return the state of a copy."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _STATE
    if not path.exists():
        return {"table": table, "page": 1, "next": None, "done": False}
    try:
        state = dict(json.loads(path.read_text(encoding="utf-8")))
        is_valid = (
            isinstance(state["page"], int) and isinstance(state["done"], bool) and {"table", "next"} <= set(state)
        )
    except MISSHAPEN:
        is_valid = False
    if not is_valid:
        raise PullError(f"expected the state of a copy in {path}, found other content; choose another folder")
    if state["table"] != table:
        raise ValueError(f"expected a folder of table {table}, found {state['table']} in {folder}")
    return state


def _write(path: Path, text: str) -> None:
    """Write a file atomically."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _text(value: Any) -> str:
    """Return bytes as hex, other values as text."""
    return value.hex() if isinstance(value, bytes) else str(value)
