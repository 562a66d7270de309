"""Choices of ``explore``: options of its controls, the selected traces and the code of the selection."""

from __future__ import annotations

import keyword
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit import schema
from tracekit.columns import SAMPLE_OF_STORE
from tracekit.grouping import column as named_column
from tracekit.schema import ERROR_CLASSES, Quality
from tracekit.text import clean, count, duration, moment, plural, round_duration
from tracekit.views.scales import time_step
from tracekit.views.svg import image
from tracekit.views.themes import repainted_picture
from tracekit.views.volume import volume_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.traces import TraceSet
    from tracekit.views.markup import Markup

MOST_NAMES: Final = 300  # in a dropdown
MOST_ROWS: Final = 100  # in the table of traces
MOST_VALUES: Final = 50  # of an attribute to choose from
ANY: Final = ""
FAILED: Final = "is_error"
Choice = tuple[str, Any]  # label, value


def condition(
    service: str, operation: str, error: str, latency: tuple[int | None, int | None], attribute: tuple[str, str]
) -> str:
    """Return the condition on spans, as an expression for ``where``; ``attribute`` is a key and a value."""
    names = (("service_name", service), ("operation", operation), ("error_class", "" if error == FAILED else error))
    parts = [f"{column} == {value!r}" for column, value in names if value]
    parts += [FAILED] * (error == FAILED)
    parts += [of_attribute(*attribute)] if all(attribute) else []
    low, high = latency
    parts += [f"duration_ns >= {low}"] if low is not None else []
    parts += [f"duration_ns < {high}"] if high is not None else []
    return " and ".join(parts)


def of_attribute(key: str, value: str) -> str:
    """Return the condition that an attribute has a value."""
    return f"{key} == {value!r}"


def code_of(expression: str, period: tuple[int | None, int | None], opened: str | None) -> str:
    """Return the code that selects the traces and opens one of them."""
    where = f".where({expression!r})" if expression else ""
    start, end = period
    between = (
        ""
        if start is None and end is None
        else f'.between("{instant(start, pd.Timestamp.min)}", "{instant(end, pd.Timestamp.max)}")'
    )
    lines = [f"chosen = traces{between}{where}"]
    return "\n".join([*lines, *([f'tk.waterfall(chosen, "{opened}")'] if opened else [])])


def instant(time_ns: int | None, otherwise: pd.Timestamp) -> pd.Timestamp:
    """Return a time in UTC for ``between``."""
    return (otherwise if time_ns is None else pd.Timestamp(time_ns)).tz_localize("UTC")


def chosen_of(traces: TraceSet, expression: str, period: tuple[int | None, int | None]) -> TraceSet:
    """Return the selected traces, like the code of ``code_of``."""
    start, end = period
    if start is not None or end is not None:
        traces = traces.between(instant(start, pd.Timestamp.min), instant(end, pd.Timestamp.max))
    return traces.where(expression) if expression else traces


def names_of(traces: TraceSet, column: str, *, service: str = ANY) -> list[Choice]:
    """Return the distinct values of a column or attribute with their labels, those of most spans first."""
    codes, labels = named_column(traces, column)
    if service:
        of_service, services = traces.codes("service_name")
        codes = codes[of_service == services.index(service)] if service in services else codes[:0]
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    order = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k] and labels[k]]
    more = f"any of {count(len(order))} (top {MOST_NAMES} listed)" if len(order) > MOST_NAMES else "any"
    return [(more, ANY), *((clean(labels[k], limit=80), labels[k]) for k in order[:MOST_NAMES])]


def key_choices(traces: TraceSet) -> list[Choice]:
    """Return the attribute keys of spans and resources that have few values and that a condition can name."""
    kv, own = traces.columns.kv, set(schema.names("spans"))
    values = np.bincount(kv.key, minlength=len(kv.keys))
    indices = (traces.lookup.by_key, traces.lookup.resources_by_key)
    keys = sorted(
        key
        for key, number in zip(kv.keys, values, strict=True)
        if number <= MOST_VALUES
        and key not in own
        and _is_name(key)
        and any(len(index.of(key)[0]) for index in indices)
    )
    more = f"any of {count(len(keys))} ({MOST_NAMES} listed)" if len(keys) > MOST_NAMES else "any"
    return [(more, ANY), *((clean(key, limit=80), key) for key in keys[:MOST_NAMES])]


def _is_name(key: str) -> bool:
    """Return whether a condition can contain this key, as names joined by dots; Python's parser normalises names."""
    parts = key.split(".")
    is_normal = unicodedata.is_normalized("NFKC", key)
    return is_normal and all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)


def error_choices() -> list[Choice]:
    """Return the error classes with their labels."""
    return [("any", ANY), ("any error", FAILED), *((name, name) for name in ERROR_CLASSES if name != "none")]


def latency_choices(traces: TraceSet) -> list[Choice]:
    """Return round durations between the shortest and the longest, with their labels."""
    durations = traces.duration_ns[traces.has_duration]
    low, high = (int(durations.min()), int(durations.max())) if len(durations) else (0, 1)
    rounds = [step * 10**decade for decade in range(19) for step in (1, 2, 5)]
    between = [edge for edge in rounds if low < edge <= high]
    return [("shortest", low), *((round_duration(edge), edge) for edge in between), ("longest", high + 1)]


def period_choices(traces: TraceSet) -> list[Choice]:
    """Return round times between the first and the last start, with their labels."""
    root = traces.forest.root_row
    start = traces.columns.spans.start_ns[root[(traces.columns.spans.quality[root] & Quality.NO_START) == 0]]
    low, high = (int(start.min()), int(start.max())) if len(start) else (0, 0)
    step = time_step(low, high, bars=100)
    decimals = 0 if step >= 10**9 else 3 if step >= 10**6 else 9
    moments = range(low // step * step + step, high + 1, step)
    return [("start", low), *((moment(at, decimals=decimals)[5:], at) for at in moments), ("end", high + 1)]


def sample_of(traces: TraceSet) -> str:
    """Return which part of a store the traces are, in words; nothing for a whole recording."""
    said = traces.columns.notes.get(SAMPLE_OF_STORE)
    return f"a random sample of a store: {said}" if said else ""


def rows_of(chosen: TraceSet) -> list[Choice]:
    """Return the slowest traces with their labels."""
    slowest = chosen.summary.sort_values("root_duration_ns", ascending=False, kind="stable").head(MOST_ROWS)
    return [(_row(row), str(trace_id)) for trace_id, row in zip(slowest.index, slowest.to_dict("records"), strict=True)]


def picture_of(chosen: TraceSet) -> str:
    """Return the selected traces over time, as an ``img``."""
    return image(volume_of(chosen), f"{plural(len(chosen), 'trace')} over time", style="max-width:100%")


def volume_of(chosen: TraceSet) -> Markup:
    """Return the selected traces over time, as an ``svg``."""
    root = chosen.forest.root_row
    dated = (chosen.columns.spans.quality[root] & Quality.NO_START) == 0
    start, weight = chosen.columns.spans.start_ns[root[dated]], chosen.weights.value[dated]
    svg = volume_picture(start, weight, chosen.is_error[root[dated]], width=720, height=96, paper=True)
    return repainted_picture(svg, "page")


def _row(row: dict[Any, Any]) -> str:
    """Return the label of one trace."""
    start = row["start_ns"]
    parts: Sequence[str] = (
        duration(None if pd.isna(row["root_duration_ns"]) else int(row["root_duration_ns"])),
        clean(f"{row['root_service_name']} {row['root_name']}", limit=80),
        plural(row["span_count"], "span"),
        *([plural(row["error_count"], "error")] if row["error_count"] else []),
        *([] if pd.isna(start) else [f"{moment(int(start))[5:]} UTC"]),
    )
    return "  ·  ".join(parts)
