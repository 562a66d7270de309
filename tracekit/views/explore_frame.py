"""Explore in a frame: the columns that its controls select from, and the waterfalls that it can open."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.grouping import column
from tracekit.schema import Quality
from tracekit.text import clean, count, plural
from tracekit.views import choices
from tracekit.views.details import Strings
from tracekit.views.tkw1 import Payload, compact, encode
from tracekit.views.waterfall.drawing import EMBEDDED_SPANS, opening_rows
from tracekit.views.waterfall.payload import encoded, trace_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.traces import TraceSet

MOST_SPANS: Final = 200_000  # that the controls of a frame search
MOST_CELLS: Final = 3_000_000  # spans times attributes that it searches
_SLOWEST, _FAILED = 25, 15  # traces with an embedded waterfall
_NONE: Final = -1e300  # a missing duration or start


@dataclass(frozen=True)
class Control:
    """One control of the frame.

    Parameters
    ----------
    name, label
        Its name in the front end, and for people.
    options
        Label, value (None: no condition) and text in the code of each option.
    at
        The selected option.
    choices
        For a control with a second one: the options of that, by option of this.
    at_value
        The selected option of the second control.
    """

    name: str
    label: str
    options: list[tuple[str, Any, str]]
    at: int
    choices: list[list[tuple[str, Any, str]]] = field(default_factory=list)
    at_value: int = 0


def name_control(traces: TraceSet, column: str, label: str, options: Sequence[choices.Choice], at: int) -> Control:
    """Return the control of a column with names; its values are codes."""
    codes = {name: code for code, name in enumerate(traces.codes(column)[1])}
    entries = [(words, codes[name] if name else None, f"{column} == {name!r}" * bool(name)) for words, name in options]
    return Control(label, label, entries, at)


def error_control(traces: TraceSet, options: Sequence[choices.Choice], at: int) -> Control:
    """Return the control of errors: any error is -1."""
    codes = {name: code for code, name in enumerate(traces.codes("error_class")[1])}
    entries = [
        (words, -1, choices.FAILED)
        if name == choices.FAILED
        else (words, codes.get(name, -2) if name else None, f"error_class == {name!r}" * bool(name))
        for words, name in options
    ]
    return Control("error", "error", entries, at)


def latency_controls(options: Sequence[choices.Choice], ends: tuple[int, int]) -> list[Control]:
    """Return the controls of the shortest and the longest duration."""
    low = [
        (words, value if k else None, f"duration_ns >= {value}" * bool(k)) for k, (words, value) in enumerate(options)
    ]
    last = len(options) - 1
    high = [
        (words, value if k < last else None, f"duration_ns < {value}" * (k < last))
        for k, (words, value) in enumerate(options)
    ]
    return [Control("low", "duration from", low, ends[0]), Control("high", "to", high, ends[1])]


def period_controls(options: Sequence[choices.Choice], ends: tuple[int, int], base_ns: int) -> list[Control]:
    """Return the controls of the first and the last start, in ns from ``base_ns``."""
    last = len(options) - 1
    first = [
        (words, value - base_ns if k else None, str(choices.instant(value if k else None, pd.Timestamp.min)))
        for k, (words, value) in enumerate(options)
    ]
    final = [
        (
            words,
            value - base_ns if k < last else None,
            str(choices.instant(value if k < last else None, pd.Timestamp.max)),
        )
        for k, (words, value) in enumerate(options)
    ]
    return [Control("from", "start from", first, ends[0]), Control("to", "to", final, ends[1])]


def attribute_control(traces: TraceSet, options: Sequence[choices.Choice], key: str, value: str) -> Control:
    """Return the control of the attribute key and that of its value; values are codes of the column of the key."""
    (words, _), *keys = options
    most = max(1, MOST_CELLS // max(1, min(len(traces.columns.spans), MOST_SPANS)))
    listed = [option for k, option in enumerate(keys) if k < most or option[1] == key]
    more = f"any of {count(len(keys))} ({count(len(listed))} listed)" if len(listed) < len(keys) else words
    values: list[list[tuple[str, Any, str]]] = [[("any", None, "")]]
    for _, name in listed:
        codes = {label: code for code, label in enumerate(column(traces, name).labels)}
        values.append(
            [
                (label, codes[text] if text else None, choices.of_attribute(name, text) if text else "")
                for label, text in choices.names_of(traces, name)
            ]
        )
    at = 1 + [name for _, name in listed].index(key) if key else 0
    wanted = choices.of_attribute(key, value) if key and value else ""
    at_value = [text for *_, text in values[at]].index(wanted)
    return Control("attribute", "attribute", [(more, None, ""), *((w, k, k) for w, k in listed)], at, values, at_value)


def explore_data(traces: TraceSet, controls: Sequence[Control], base_ns: int) -> bytes:
    """Return the buffer of the frame: traces in the order of their durations, their spans, and some waterfalls."""
    summary = traces.summary
    total = summary["duration_ns"].to_numpy(float, na_value=np.nan)
    order = np.argsort(-np.nan_to_num(total, nan=-1.0), kind="stable")
    sizes = summary["span_count"].to_numpy(np.int64)[order]
    order = order[: max(1, int(np.searchsorted(np.cumsum(sizes), MOST_SPANS, "right")))]
    rank = np.full(len(total), -1)
    rank[order] = np.arange(len(order))
    strings = Strings()
    keys = [key for control in controls if control.choices for _, key, _ in control.options[1:]]
    columns = _trace_columns(traces, order, base_ns, strings) | _span_columns(traces, rank, keys)
    opened = _embedded(summary["error_count"].to_numpy(np.int64)[order])
    ids = [str(traces.trace_ids[k]) for k in order]
    buffers = []
    for k, row in zip(opened, opening_rows(traces, order[opened].tolist()), strict=True):
        is_small = summary["span_count"].iloc[order[k]] <= EMBEDDED_SPANS
        payload = trace_payload(traces, ids[k], with_details=bool(is_small))
        payload.meta["focus"] = row
        buffers.append(encoded(payload, is_packed=True))
    ends = np.cumsum([0, *map(len, buffers)]).tolist()
    columns["waterfalls"] = np.frombuffer(b"".join(buffers), np.uint8)
    rest = len(total) - len(order)
    note = f"The slowest {count(len(order))} of {plural(len(total), 'trace')}; live() has all." if rest else ""
    if sample := choices.sample_of(traces):
        note = f"{note} In the list: {sample}.".lstrip()
    meta = {
        "controls": [control.__dict__ for control in controls],
        "ids": ids,
        "embedded": opened,
        "parts": list(pairwise(ends)),
        "note": note,
    }
    return encode(
        Payload({name: compact(column) for name, column in columns.items()}, strings.texts, meta), in_planes=True
    )


def _trace_columns(traces: TraceSet, order: Array, base_ns: int, strings: Strings) -> dict[str, Array]:
    """Return duration, start, root and counts of each trace."""
    summary = traces.summary.iloc[order]
    root, spans = traces.forest.root_row[order], traces.columns.spans
    dated = (spans.quality[root] & Quality.NO_START) == 0
    names = [
        clean(f"{service} {name}", limit=80)
        for service, name in zip(summary["root_service_name"], summary["root_name"], strict=True)
    ]
    return {
        "total": summary["duration_ns"].to_numpy(float, na_value=_NONE),
        "begin": np.where(dated, spans.start_ns[root] - base_ns, _NONE),
        "root": strings.add(names),
        "spans": summary["span_count"].to_numpy(np.uint32),
        "errors": summary["error_count"].to_numpy(np.uint32),
    }


def _span_columns(traces: TraceSet, rank: Array, keys: Sequence[str]) -> dict[str, Array]:
    """Return what the controls ask of each span, each combination within a trace once."""
    of = rank[traces.forest.trace]
    table = pd.DataFrame(
        {
            "of": of,
            "svc": traces.codes("service_name")[0],
            "op": traces.codes("operation")[0],
            "err": traces.codes("error_class")[0],
            "bad": traces.is_error,
            "dur": np.where(traces.has_duration, traces.duration_ns, _NONE),
            **{f"attribute{k + 1}": column(traces, key).codes for k, key in enumerate(keys)},
        }
    )[of >= 0].drop_duplicates()
    return {
        "of": table["of"].to_numpy(np.uint32),
        "bad": table["bad"].to_numpy(np.uint8),
        "dur": table["dur"].to_numpy(float),
        **{name: table[name].to_numpy(np.int32) for name in ("svc", "op", "err")},
        **{name: (table[name] + 1).to_numpy(np.uint32) for name in table.columns[6:]},  # 0: the span does not have it
    }


def _embedded(errors: Array) -> list[int]:
    """Return the traces with an embedded waterfall: the slowest, and the slowest with errors."""
    failed = np.flatnonzero(errors > 0)[:_FAILED]
    return sorted({*range(min(_SLOWEST, len(errors))), *failed.tolist()})
