"""One trace in an answer: its spans in order, or the attributes and events of one of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.traces import TraceSet

_TEXT: Final = 300  # characters of an attribute value


def with_trace(sides: Iterable[TraceSet | TraceStore | None], trace_id: str) -> TraceSet:
    """Return the trace with an id or unique prefix, of the first of these sets that has it."""
    present = [one for one in sides if one is not None]
    for one in present:
        with suppress(ValueError):
            return one.trace(trace_id.strip().lower())
    return present[0].trace(trace_id)  # says what is expected


def spans_in_order(traces: TraceSet) -> list[dict[str, Any]]:
    """Return the spans of one trace in the order of their start."""
    spans = traces.spans
    path = critical_path(traces).spans
    on_path = dict(zip(path["span_id"].astype(str), path["path_time_ns"].astype(int), strict=True))
    first = spans["start_ns"].min()
    columns = [
        "span_id",
        "parent_span_id",
        "service_name",
        "operation",
        "kind",
        "start_ns",
        "duration_ns",
        "is_error",
    ]
    rows = spans.sort_values("start_ns", kind="stable")[columns].to_dict("records")
    return [_span(row, first, on_path) for row in rows]


def _span(row: dict[Hashable, Any], first: Any, on_path: dict[str, int]) -> dict[str, Any]:
    """Return one span; what is missing is left out."""
    named = {name: clean(row[name], limit=_TEXT) for name in ("service_name", "operation", "kind")}
    item = {"span_id": row["span_id"], "parent_span_id": row["parent_span_id"] or None, **named}
    item |= {"starts_after_ns": row["start_ns"] - first, "duration_ns": row["duration_ns"]}
    item |= {"critical_path_ns": on_path.get(str(row["span_id"]), 0), "is_error": bool(row["is_error"])}
    return {name: value for name, value in item.items() if not pd.isna(value) and value is not False}


def details(traces: TraceSet, at: int) -> list[dict[str, Any]]:
    """Return the attributes of a span and of its resource, and its events."""
    table, span = traces.attributes, traces.spans.iloc[at]
    is_mine = (table["owner"] == "span") & (table["owner_id"] == at)
    is_mine |= (table["owner"] == "resource") & (table["owner_id"] == span["resource_id"])
    columns = [name for name in table.columns if name.startswith("value_") and name != "value_type"]
    items = []
    for row in table[is_mine].to_dict("records"):
        value = next((row[name] for name in columns if not pd.isna(row[name])), "")
        items.append({"of": str(row["owner"]), "key": str(row["key"]), "value": _value(value)})
    if isinstance(span["status_message"], str) and span["status_message"]:
        items.append({"of": "span", "key": "status message", "value": _value(span["status_message"])})
    events = traces.events
    for row in events[events["span_row"] == at].to_dict("records"):
        message = row["exception_message"]
        items.append({"of": "event", "key": str(row["name"]), "value": "" if pd.isna(message) else _value(message)})
    return items


def _value(value: Any) -> Any:
    """Return a value; of a long text the beginning, with its length."""
    if isinstance(value, str | bytes) and len(value) > _TEXT:
        text = value if isinstance(value, str) else value.hex()
        return f"{text[:_TEXT]}… ({len(text):,} characters)"
    return value.hex() if isinstance(value, bytes) else value
