"""The inputs of a report beside its traces, as files: log lines and request counts as Parquet, the rest as JSON.

``lines_file`` and ``counts_file`` return the bytes of a table, ``lines_in`` and ``counts_in`` what they contain; both
refuse a file with other columns or with values that reading the original sources cannot give.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.loading.logs.table import TEXTS, LogLines
from tracekit.text import VALUE_LIMIT, short_names
from tracekit.weights.counts import COUNT, DIMENSIONS, Counts, read_counts
from tracekit.weights.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

_IDS: Final = ("trace_hi", "trace_lo", "span_id")
_LINES: Final[dict[str, pa.DataType]] = {
    "time_ns": pa.int64(), **dict.fromkeys((*TEXTS, "message"), pa.large_string()),
    **dict.fromkeys(_IDS, pa.uint64()), "source": pa.int32(), "line": pa.int64(), "byte_offset": pa.int64(),
}  # fmt: skip
_COUNTS: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(DIMENSIONS, pa.large_string()), "start_ns": pa.int64(), "end_ns": pa.int64(), COUNT: pa.float64(),
}  # fmt: skip
_WINDOW: Final = ("start_ns", "end_ns")
_RESOLUTIONS: Final = (1, 10**3, 10**6, 10**9)
_ISSUES: Final = ("source", "line", "byte_offset", "code", "action", "message", "issue_count")


class LogSource(msgspec.Struct, forbid_unknown_fields=True):
    """A source of log lines: a row of ``LogLines.sources``."""

    source: str
    format: str
    line_count: int
    accepted_count: int
    continued_count: int
    rejected_count: int
    resolution_ns: int
    is_complete: bool


class Deployment(msgspec.Struct, forbid_unknown_fields=True):
    """A deployment that was given: service, versions, and its time (ns since the epoch)."""

    service_name: str
    service_version: str | None
    previous_version: str | None
    first_ns: int


class StatedPrice(msgspec.Struct, forbid_unknown_fields=True):
    """A price whose spans an expression chooses."""

    name: str
    where: str
    usd_per_million: float = 0.0
    usd_per_hour: float = 0.0
    usd_per_gb_hour: float = 0.0


class Facts(msgspec.Struct, forbid_unknown_fields=True):
    """What is not a table: None where the report was made without it.

    Parameters
    ----------
    log_sources
        Rows of ``LogLines.sources``.
    request_notes
        Assumptions made when request counts were read.
    rules
        Sampling rules.
    deployments
        Deployments in order of time.
    slo, prices
        Objective and price table.
    left_out
        Names of inputs that no file can hold, such as a mask.
    """

    log_sources: list[LogSource] | None = None
    request_notes: list[str] | None = None
    rules: Rules | None = None
    deployments: list[Deployment] | None = None
    slo: dict[str, Any] | None = None
    prices: list[StatedPrice] | None = None
    left_out: list[str] = msgspec.field(default_factory=list)


def facts_file(facts: Facts) -> bytes:
    """Return facts as JSON; rates that are not known are NaN."""
    plain = {name: _plain(getattr(facts, name)) for name in facts.__struct_fields__}
    return json.dumps(plain, ensure_ascii=False, sort_keys=True).encode("utf-8")


def facts_in(data: bytes) -> Facts:
    """Return the facts in a file; ValueError if it has others."""
    facts = msgspec.convert(json.loads(data), Facts)
    rules = facts.rules or Rules()
    rates = [rate for rule in rules.head for rate in (rule.rate, rule.max_rate)]
    for rate in [*rates, *(policy.probability for policy in rules.tail)]:
        if not (math.isnan(rate) or 0 <= rate <= 1):
            raise ValueError(f"expected sampling rates from 0 to 1, found {rate!r}")
    return facts


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Rules):
        return asdict(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value


# -------------------------------------------------------------------- log lines


def log_sources(lines: LogLines) -> list[LogSource]:
    """Return the sources of log lines, without their folders."""
    short = lines.sources.assign(source=short_names(lines.sources["source"].astype(str).tolist()))
    rows = ({name: _scalar(value) for name, value in row.items()} for row in short.to_dict("records"))
    return [LogSource(**{str(name): value for name, value in row.items()}) for row in rows]


def _scalar(value: Any) -> Any:
    """Return a number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def lines_file(lines: LogLines) -> bytes:
    """Return log lines as a Parquet file."""
    return _written(lines.frame, _LINES)


def lines_in(data: bytes, sources: list[LogSource]) -> LogLines:
    """Return the log lines in a file; ValueError if they cannot be those of the sources."""
    table = _read(data, _LINES, "log lines")
    _check_full(table, [name for name in _LINES if name not in TEXTS])
    columns: dict[str, Any] = {}
    for name in _LINES:
        values = table.column(name)
        if name in TEXTS:
            columns[name] = _categorical(values)
        else:
            columns[name] = np.array(values.to_pylist(), object) if name == "message" else values.to_numpy()
    source = columns["source"]
    if len(source) and not (source.min() >= 0 and source.max() < len(sources)):
        raise ValueError(f"expected log lines of {len(sources)} sources, found lines of another one")
    if (longest := max(map(len, columns["message"]), default=0)) > VALUE_LIMIT:
        raise ValueError(f"expected log messages of at most {VALUE_LIMIT:,} characters, found one of {longest:,}")
    if wrong := [one.resolution_ns for one in sources if one.resolution_ns not in _RESOLUTIONS]:
        raise ValueError(f"expected times of log lines in s, ms, us or ns, found a resolution of {wrong[0]} ns")
    facts = pd.DataFrame([msgspec.to_builtins(one) for one in sources], columns=list(LogSource.__struct_fields__))
    issues = pd.DataFrame(columns=list(_ISSUES))
    return LogLines(pd.DataFrame(columns), facts, issues)


def _categorical(values: pa.ChunkedArray) -> pd.Categorical:
    """Return texts as a categorical in order of first use, as they are read."""
    codes, labels = pd.factorize(np.array(values.to_pylist(), object))
    return pd.Categorical.from_codes(codes, pd.Index(labels, dtype=object))


# -------------------------------------------------------------------- request counts


def counts_file(counts: Counts) -> bytes:
    """Return request counts as a Parquet file, with those of the load balancer itself."""
    frame = counts.frame
    if len(counts.by_balancer):
        frame = pd.concat([frame, counts.by_balancer], ignore_index=True)
    return _written(frame, {name: kind for name, kind in _COUNTS.items() if name in frame})


def counts_in(data: bytes, notes: list[str]) -> Counts:
    """Return the request counts in a file, checked as if they had been given; ValueError if they cannot be counts."""
    table = _read(data, _COUNTS, "request counts")
    _check_full(table, [name for name in table.column_names if name not in DIMENSIONS])
    frame = pd.DataFrame(
        {
            name: values.to_numpy() if name not in DIMENSIONS else np.array(values.to_pylist(), object)
            for name, values in zip(table.column_names, table.columns, strict=True)
        }
    )
    if has_time := [name for name in _WINDOW if name in frame]:
        if len(has_time) < len(_WINDOW):
            raise ValueError(f"expected start and end of windows of request counts, found only {has_time[0]}")
        times = {name: pd.to_datetime(frame.pop(name), utc=True) for name in _WINDOW}
        frame = frame.assign(time=times["start_ns"], end=times["end_ns"])
    return replace(read_counts(frame), notes=tuple(notes))


# -------------------------------------------------------------------- one table


def _written(frame: pd.DataFrame, kinds: Mapping[str, pa.DataType]) -> bytes:
    """Return columns of a frame as a Parquet file of the same bytes each time."""
    columns = {}
    for name, kind in kinds.items():
        values = frame[name]
        is_text = pa.types.is_large_string(kind)
        plain = values.astype(object).where(values.notna(), None).tolist() if is_text else values.to_numpy()
        columns[name] = pa.array([_whole(one) for one in plain], kind) if is_text else pa.array(plain, kind)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd", use_dictionary=False, write_page_checksum=True)
    return bytes(sink.getvalue())


def _whole(text: str | None) -> str | None:
    """Return a text with half surrogates, which no file can hold, as question marks."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _read(data: bytes, kinds: Mapping[str, pa.DataType], what: str) -> pa.Table:
    """Return the table in a Parquet file if it has columns of these names and kinds."""
    table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    table.validate(full=True)
    strange = [one.name for one in table.schema if kinds.get(one.name) != one.type]
    if strange or len(set(table.column_names)) < len(table.column_names):
        raise ValueError(f"expected the columns of {what}, found others: {', '.join(table.column_names)[:200]}")
    return table


def _check_full(table: pa.Table, names: list[str]) -> None:
    """Raise ValueError unless a table has these columns, with a value in every row."""
    for name in names:
        missing = table.num_rows if name not in table.column_names else table.column(name).null_count
        if name not in table.column_names or missing:
            raise ValueError(f"expected a value of {name} in every row, found {missing:,} without")
