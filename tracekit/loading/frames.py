"""``tk.from_frame``: spans in a DataFrame with columns of any name."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit import semconv
from tracekit.errors import SchemaError
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.formats import loaders_of
from tracekit.loading.from_frame import REQUIRED
from tracekit.loading.from_frame import from_frame as from_own_columns
from tracekit.loading.opening.source import Source
from tracekit.loading.progress import Meter
from tracekit.loading.reading import SourceReader, collector_paused, read_all
from tracekit.loading.tables import layout
from tracekit.loading.tables.layout import ROWS, Blocks, attributes, hexadecimal, lines, nanoseconds, text
from tracekit.loading.tables.layouts import LAYOUTS, layout_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tracekit.traces import TraceSet

_UNITS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "time": 1}
_TIME: Final = re.compile(r"(start|end|duration)_(ns|us|ms|s|time)")
_SPAN: Final = ("trace_id", "span_id", "parent_span_id", "name", "kind", "status_code", "status_message", "trace_state")
_GROUPS: Final = ("attributes", "resource_attributes")
_SPAN_KEYS: Final = {column: keys[0] for column, keys in {**semconv.SPAN_KEYS, **semconv.NUMBER_KEYS}.items()}
_RESOURCE_KEYS: Final = {"service_name": "service.name"} | {c: k[0] for c, k in semconv.RESOURCE_KEYS.items()}


def from_frame(frame: pd.DataFrame, columns: Mapping[str, str] | None = None) -> TraceSet:
    """Return the traces of a frame of spans, whatever its columns are called.

    Parameters
    ----------
    frame
        One row per span; not modified.
    columns
        The frame's column for each of these: ``trace_id``, ``span_id``, ``name``; a start and an end or a duration, as
        ``start_time`` and ``end_time`` (dates, UTC if they have no time zone) or as numbers with their unit
        (``start_ns``, ``end_us``, ``duration_ms``, ``duration_s``); optional ``parent_span_id``, ``kind``,
        ``status_code``, ``status_message``, ``trace_state``, ``service_name``, columns of ``TraceSet.spans`` that come
        from attributes (``http_route``, ``host_name``), ``attributes`` and ``resource_attributes`` (dicts, lists of
        pairs, or JSON text), ``attributes.KEY`` and ``resource.KEY``.  Ids are hex digits, bytes, or integers of 64
        bits.  Columns that are not named become attributes of the span, with their own names.  By default, the columns
        of ``TraceSet.spans``, of the collector's ClickHouse exporter, of SigNoz, or of Phoenix.

    Returns
    -------
    TraceSet
        Every row is a span, or an issue; events and links of the known layouts only.

    Raises
    ------
    SchemaError
        Columns are missing; the message names them, and similar ones.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {
    ...         "TraceId": ["a1", "a1"],
    ...         "Id": ["b1", "b2"],
    ...         "Parent": [None, "b1"],
    ...         "Label": ["GET /", "SELECT"],
    ...         "App": ["shop", "shop"],
    ...         "At": pd.to_datetime(["2026-11-21 05:00:00"] * 2),
    ...         "Took": [12.5, 3.0],
    ...     }
    ... )
    >>> names = {"trace_id": "TraceId", "span_id": "Id", "parent_span_id": "Parent", "name": "Label"}
    >>> more = {"service_name": "App", "start_time": "At", "duration_ms": "Took"}
    >>> from_frame(frame, names | more).spans[["name", "service_name", "depth", "duration_ns"]].values.tolist()
    [['GET /', 'shop', 0, 12500000], ['SELECT', 'shop', 1, 3000000]]
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"expected a DataFrame with a row per span, found {type(frame).__name__}; files: tk.read(path)")
    found = [str(column) for column in frame.columns]
    if columns is None and set(REQUIRED) <= set(found):
        return from_own_columns(frame)
    if columns is not None:
        requests = _mapped(dict(columns), found)
    elif known := layout_of(found):
        requests = known.requests
    else:
        layouts = ", ".join(each.name for each in LAYOUTS)
        message = (
            f"expected the columns of TraceSet.spans ({', '.join(REQUIRED)}; missing: "
            f"{', '.join(sorted(set(REQUIRED) - set(found)))}), or those of {layouts}; found: "
            f"{', '.join(found) or 'no columns'}; pass columns={{'trace_id': ..., 'span_id': ..., ...}}"
        )
        raise SchemaError(message, missing=sorted(set(REQUIRED) - set(found)), found=found)
    blocks = (lines(requests(_cells(frame.iloc[at : at + ROWS]))) for at in range(0, len(frame), ROWS))
    source = Source("<frame>", "stream", lambda: Blocks(blocks))
    builder = Builder()
    with collector_paused(), Meter(None, None) as meter:
        read_all(SourceReader(builder, loaders_of("otlp"), meter), [source])
    return to_trace_set(builder)


def _cells(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the cells of a frame by column, None where they are missing."""
    return {
        str(name): [None if gone else value for value, gone in zip(column.tolist(), _missing(column), strict=True)]
        for name, column in ((name, frame.iloc[:, at]) for at, name in enumerate(frame.columns))
    }


def _missing(column: pd.Series) -> list[bool]:
    """Return which cells are missing."""
    gone: list[bool] = column.isna().tolist()
    return gone


def _mapped(columns: dict[str, str], found: list[str]) -> Callable[[dict[str, list[Any]]], Iterator[dict[str, Any]]]:
    """Return the function that turns rows into requests, given the column of each target."""
    _check(columns, found)
    own = {target: name for target, name in columns.items() if target in _SPAN}
    times = {(match[1], _UNITS[match[2]]): columns[target] for target in columns if (match := _TIME.fullmatch(target))}
    spans, resources = _keys(columns, _SPAN_KEYS, "attributes."), _keys(columns, _RESOURCE_KEYS, "resource.")
    rest = {name: name for name in found if name not in columns.values()}

    def requests(cells: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
        for row in (dict(zip(cells, values, strict=True)) for values in zip(*cells.values(), strict=True)):
            given = {target: row[name] for target, name in own.items()}
            start, end = _interval({part: (row[name], factor) for (part, factor), name in times.items()})
            groups = {name: row[columns[name]] if name in columns else None for name in _GROUPS}
            yield layout.request(
                attributes(groups["resource_attributes"], {key: row[name] for name, key in resources.items()}),
                {},
                {
                    "traceId": hexadecimal(given["trace_id"], 32),
                    "spanId": hexadecimal(given["span_id"], 16),
                    "parentSpanId": hexadecimal(given.get("parent_span_id"), 16),
                    "traceState": text(given.get("trace_state")),
                    "name": text(given["name"]),
                    "kind": layout.kind(given.get("kind")),
                    **layout.interval(start, end),
                    "attributes": attributes(
                        {key: row[name] for name, key in {**rest, **spans}.items()}, groups["attributes"]
                    ),
                    "status": layout.status(given.get("status_code"), given.get("status_message")),
                },
            )

    return requests


def _interval(times: dict[str, tuple[Any, int]]) -> tuple[int | None, int | None]:
    """Return start and end in nanoseconds from two of start, end and duration."""
    start, end, took = (nanoseconds(*times[part]) if part in times else None for part in ("start", "end", "duration"))
    if end is None and start is not None and took is not None:
        end = start + took
    if start is None and end is not None and took is not None:
        start = end - took
    return start, end


def _keys(columns: dict[str, str], promoted: dict[str, str], prefix: str) -> dict[str, str]:
    """Return the attribute key of each column of the frame that is mapped to one."""
    wide = {name: target.removeprefix(prefix) for target, name in columns.items() if target.startswith(prefix)}
    return {columns[target]: key for target, key in promoted.items() if target in columns} | wide


def _check(columns: dict[str, str], found: list[str]) -> None:
    """Raise SchemaError for targets that are missing or unknown, and columns that the frame does not have."""
    known = {*_SPAN, *_GROUPS, *_SPAN_KEYS, *_RESOURCE_KEYS}
    odd = [
        target
        for target in columns
        if target not in known and not _TIME.fullmatch(target) and not target.startswith(("attributes.", "resource."))
    ]
    if odd:
        close = [match for target in odd for match in get_close_matches(target, [*known, "start_time", "end_time"], 1)]
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        message = f"expected keys of columns= such as trace_id, start_time, duration_ms, found {', '.join(odd)}{hint}"
        raise SchemaError(message, found=odd)
    parts = {match[1] for target in columns if (match := _TIME.fullmatch(target))}
    missing = [target for target in ("trace_id", "span_id", "name") if target not in columns]
    if len(parts) < 2:  # noqa: PLR2004 - two of start, end and duration
        missing.append("two of start_time, end_time and duration_ms (or with another unit)")
    if missing:
        message = f"expected columns= to name {', '.join(missing)}; the frame has {', '.join(found) or 'no columns'}"
        raise SchemaError(message, missing=missing, found=found)
    absent = [name for name in columns.values() if name not in found]
    if absent:
        close = [match for name in absent for match in get_close_matches(name, found, 1)]
        hint = f"; similar: {', '.join(close)}" if close else ""
        message = f"expected the columns {', '.join(map(repr, absent))}, found {', '.join(found) or 'none'}{hint}"
        raise SchemaError(message, missing=absent, found=found)
