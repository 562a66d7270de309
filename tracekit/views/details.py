"""Columns of the detail pane: attributes, events, links, resource and source of spans.

They are embedded for all spans of a small trace, and sent for the selected span of a large one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.attributes import texts_of
from tracekit.schema import RELATIONS
from tracekit.text import VALUE_LIMIT, clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.columns import Array
    from tracekit.ragged import Ragged
    from tracekit.traces import TraceSet

NO_TIME: Final = -float(2**53)  # time of an event without one; the same in tracekit.js


class Strings:
    r"""The distinct texts of a payload, cleaned; number 0 is the empty text."""

    def __init__(self, texts: Iterable[str] = ("",)) -> None:
        self._numbers: dict[str, int] = {text: number for number, text in enumerate(texts)}

    @property
    def texts(self) -> list[str]:
        """All texts, in order of their numbers."""
        return list(self._numbers)

    def add(self, texts: Iterable[str]) -> Array:
        """Return the numbers of these texts."""
        numbers = self._numbers
        cleaned = (clean(text, limit=VALUE_LIMIT, block=True) for text in texts)
        return np.array([numbers.setdefault(text, len(numbers)) for text in cleaned], np.uint32)

    def add_codes(self, codes: Array, labels: list[str]) -> Array:
        """Return the numbers of coded texts; code -1 is the empty text."""
        used, inverse = np.unique(codes, return_inverse=True)
        return self.add([labels[code] if code >= 0 else "" for code in used])[inverse].astype(np.uint32)


def detail_columns(traces: TraceSet, rows: Array, base_ns: int, strings: Strings) -> dict[str, Array]:
    """Return the columns of the detail pane for these spans."""
    columns = traces.columns
    spans = columns.spans
    resources, resource = np.unique(spans.resource[rows], return_inverse=True)
    return {
        **_halves(spans.span_id[rows]),
        "parId": _parents(traces, rows, strings),
        "status": strings.add_codes(spans.status_message[rows], columns.texts),
        "src": spans.source[rows].astype(np.uint32),
        "rec": spans.record_number[rows].astype(np.float64),
        "off": spans.byte_offset[rows].astype(np.float64),
        **_pairs(traces, "attr", columns.attributes, rows, strings),
        "res": resource.astype(np.uint32),
        **_pairs(traces, "res", columns.resource_attributes, resources, strings),
        **event_columns(traces, rows, base_ns, strings),
        **_event_attributes(traces, rows, strings),
        **_links(traces, rows, strings),
    }


def event_columns(traces: TraceSet, rows: Array, base_ns: int, strings: Strings) -> dict[str, Array]:
    """Return names and times of the events of these spans."""
    events = traces.columns.events
    counts, entries = _owned(events.span_row, rows)
    time = events.time_ns[entries]
    return {
        "evN": counts,
        "evAt": np.where(time == 0, NO_TIME, (time - base_ns).astype(np.float64)),
        "evName": strings.add_codes(events.name[entries], traces.columns.texts),
    }


def _halves(ids: Array) -> dict[str, Array]:
    """Return 64-bit span ids as two 32-bit columns."""
    ids = ids.astype(np.uint64)
    return {"spanHi": (ids >> np.uint64(32)).astype(np.uint32), "spanLo": ids.astype(np.uint32)}


def _parents(traces: TraceSet, rows: Array, strings: Strings) -> Array:
    """Return the numbers of the ids of missing parents."""
    named = traces.columns.spans.parent_id[rows]
    lost = np.flatnonzero((traces.forest.parent_row[rows] < 0) & (named != 0))
    out = np.zeros(len(rows), np.uint32)
    out[lost] = strings.add(f"{identity:016x}" for identity in named[lost])
    return out


def _pairs(traces: TraceSet, name: str, table: Ragged, rows: Array, strings: Strings) -> dict[str, Array]:
    """Return keys and values of the attributes of these rows."""
    attributes = table.take(rows)
    kv = traces.columns.kv
    used, inverse = np.unique(attributes.codes, return_inverse=True)
    keys = strings.add([_key(traces, int(code)) for code in used])
    values = strings.add(texts_of(kv, used))
    return {
        f"{name}N": np.diff(attributes.offsets).astype(np.uint32),
        f"{name}K": keys[inverse].astype(np.uint32),
        f"{name}V": values[inverse].astype(np.uint32),
    }


def _key(traces: TraceSet, code: int) -> str:
    """Return an attribute key, prefixed with X-Ray's metadata namespace."""
    kv = traces.columns.kv
    namespace = int(kv.namespace[code])
    return f"{kv.namespaces[namespace]}: {kv.keys[kv.key[code]]}" if namespace >= 0 else kv.keys[kv.key[code]]


def _owned(owners: Array, rows: Array) -> tuple[Array, Array]:
    """Return the number and positions of the entries of each row, in a table sorted by owner."""
    first, last = np.searchsorted(owners, rows, "left"), np.searchsorted(owners, rows, "right")
    counts = last - first
    before = np.cumsum(counts) - counts
    entries = np.repeat(first - before, counts) + np.arange(counts.sum())
    return counts.astype(np.uint32), entries.astype(np.int64)


def _event_attributes(traces: TraceSet, rows: Array, strings: Strings) -> dict[str, Array]:
    """Return the attributes of the events of these spans."""
    _, entries = _owned(traces.columns.events.span_row, rows)
    return _pairs(traces, "evAttr", traces.columns.event_attributes, entries, strings)


def _links(traces: TraceSet, rows: Array, strings: Strings) -> dict[str, Array]:
    """Return the links of these spans as text."""
    links = traces.columns.links
    counts, entries = _owned(links.span_row, rows)
    words = [
        f"trace {links.trace_hi[k]:016x}{links.trace_lo[k]:016x} span {links.span_id[k]:016x}"
        + ("" if links.relation[k] == 0 else f" ({RELATIONS[links.relation[k]]})")
        for k in entries
    ]
    return {"lnN": counts, "lnText": strings.add(words)}
