"""Requests of OTLP as JSON from the columns of a set: texts are built column by column, for a block of traces at once.

Spans of one trace that begin at the same time keep their order, so that reading the lines gives the same rows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.columns import Columns, trace_starts
from tracekit.loading.flat import hexes
from tracekit.loading.otlp.times import ROUNDED_NS
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array, KeyValues
    from tracekit.ragged import Ragged

SPANS_PER_LINE = 500  # about; a trace is never divided
_TEXT = pa.large_string()
_ESCAPED = r'["\\\x00-\x1f]'
_MEMBERS = {
    ValueType.STR: "stringValue",
    ValueType.INT: "intValue",
    ValueType.DOUBLE: "doubleValue",
    ValueType.BOOL: "boolValue",
    ValueType.BYTES: "bytesValue",
}


class Texts:
    """The distinct texts, attributes, resources and scopes of a set as JSON."""

    def __init__(self, columns: Columns) -> None:
        self.names = _quoted(pa.array(columns.names, _TEXT))
        self.texts = _quoted(pa.array(columns.texts, _TEXT))
        self.attributes = _attributes(columns.kv)
        self.resources = _joined(
            '"resource":{',
            _members(
                _member(',"attributes":[', _lists(columns.resource_attributes, self.attributes), "]"),
                _number(',"droppedAttributesCount":', columns.resources.dropped_attributes),
            ),
            "}",
        )
        self.resource_urls = _member(',"schemaUrl":', self.of(columns.resources.schema_url), "")
        self.scopes = _joined(
            '"scope":{',
            _members(
                _member(',"name":', self.of(columns.scopes.name), ""),
                _member(',"version":', self.of(columns.scopes.version), ""),
                _member(',"attributes":[', _lists(columns.scope_attributes, self.attributes), "]"),
                _number(',"droppedAttributesCount":', columns.scopes.dropped_attributes),
            ),
            "}",
        )
        self.scope_urls = _member(',"schemaUrl":', self.of(columns.scopes.schema_url), "")

    def of(self, codes: Array) -> pa.Array:
        """Return texts as JSON, null for none."""
        return self.texts.take(pa.array(codes, mask=codes < 0))


def _quoted(texts: pa.Array) -> pa.Array:
    """Return texts as JSON strings."""
    plain = _join('"', texts, '"')
    odd = pc.match_substring_regex(texts, _ESCAPED)
    if not pc.any(odd).as_py():
        return plain
    encoded = [json.dumps(text, ensure_ascii=False) for text in texts.filter(odd).to_pylist()]
    return pc.replace_with_mask(plain, pc.fill_null(odd, fill_value=False), pa.array(encoded, _TEXT))


def _attributes(kv: KeyValues) -> pa.Array:
    """Return all distinct attributes as JSON."""
    values = np.full(len(kv), "", object)
    for wanted, encode in (
        (ValueType.DOUBLE, lambda rows: map(_double, kv.double[rows].tolist())),
        (ValueType.BOOL, lambda rows: np.where(kv.integer[rows] != 0, "true", "false")),
        (ValueType.INT, lambda rows: (f'"{number}"' for number in kv.integer[rows].tolist())),
    ):
        rows = np.flatnonzero(kv.type == wanted)
        values[rows] = list(encode(rows))
    nested = np.flatnonzero((kv.type == ValueType.ARRAY) | (kv.type == ValueType.MAP))
    values[nested] = [_member_of(json.loads(text)) for text in kv.text.take(pa.array(nested)).to_pylist()]
    texts = pa.array(np.isin(kv.type, (ValueType.ARRAY, ValueType.MAP)))
    content = pc.if_else(texts, None, _quoted(kv.text))
    names = np.full(max(ValueType) + 1, "", object)
    for kind, name in _MEMBERS.items():
        names[kind] = f'"{name}":'
    return _join(
        '{"key":',
        _quoted(pa.array(kv.keys, _TEXT)).take(pa.array(kv.key)),
        ',"value":{',
        pa.array(names[kv.type], _TEXT),
        pc.coalesce(content, pa.array(values, _TEXT)),
        "}}",
    )


def _double(value: float) -> str:
    """Return a double as JSON, as protobuf writes those without digits."""
    if value != value:  # noqa: PLR0124 - NaN
        return '"NaN"'
    return repr(value) if abs(value) != float("inf") else '"Infinity"' if value > 0 else '"-Infinity"'


def _member_of(value: Any) -> str:
    """Return the member of an AnyValue for a value of an array or map, "" for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'"boolValue":{json.dumps(value)}'
    if isinstance(value, int):
        return f'"intValue":"{value}"'
    if isinstance(value, float):
        return f'"doubleValue":{_double(value)}'
    if isinstance(value, str):
        return f'"stringValue":{json.dumps(value, ensure_ascii=False)}'
    if isinstance(value, list):
        return f'"arrayValue":{{"values":[{",".join(f"{{{_member_of(one)}}}" for one in value)}]}}'
    pairs = (
        f'{{"key":{json.dumps(key, ensure_ascii=False)},"value":{{{_member_of(one)}}}}}' for key, one in value.items()
    )
    return f'"kvlistValue":{{"values":[{",".join(pairs)}]}}'


# -------------------------------------------------------------------- lines


def lines(columns: Columns, texts: Texts) -> pa.Buffer:
    """Return the lines of whole traces, whose texts are those of their set."""
    spans = columns.spans
    starts = trace_starts(spans)
    trace = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    line = starts[:-1][trace] // SPANS_PER_LINE
    keys = (spans.scope, spans.resource, _runs(columns, trace), line)
    order = np.lexsort(keys)
    first = _changes([key[order] for key in keys])
    rows = order[first]
    joined = _ranges(_spans(columns, texts).take(pa.array(order)), np.append(first, len(order)))
    scopes, resources = pa.array(spans.scope[rows]), pa.array(spans.resource[rows])
    groups = _join(
        *(
            "{",
            texts.resources.take(resources),
            ',"scopeSpans":[{',
            texts.scopes.take(scopes),
            ',"spans":[',
            joined,
            "]",
        ),
        *(texts.scope_urls.take(scopes), "}]", texts.resource_urls.take(resources), "}"),
        nulls="replace",
    )
    ends = _changes([line[rows]])
    lines = _joined('{"resourceSpans":[', _ranges(groups, np.append(ends, len(rows))), "]}\n")
    _, _, data = lines.buffers()
    return data


def _runs(columns: Columns, trace: Array) -> Array:
    """Return 0 for spans that may be sorted by resource and scope, else the run of spans of one resource and scope.

    Of spans with different owners that begin at the same time, only the order of the file says which is first.
    """
    spans = columns.spans
    changes = np.append(False, (np.diff(spans.resource) != 0) | (np.diff(spans.scope) != 0))
    tied = changes & np.append(False, (np.diff(spans.start_ns) == 0) & (np.diff(trace) == 0))
    is_tied = np.bincount(trace, tied) > 0
    return np.where(is_tied[trace], 1 + np.cumsum(changes | np.append(True, np.diff(trace) != 0)), 0)


def _changes(keys: Sequence[Array]) -> Array:
    """Return the rows at which a key differs from the row before."""
    change = np.zeros(len(keys[0]), bool)
    change[0] = True
    for key in keys:
        change[1:] |= np.diff(key) != 0
    return np.flatnonzero(change)


def _spans(columns: Columns, texts: Texts) -> pa.Array:
    """Return the spans as JSON."""
    spans = columns.spans
    is_number = spans.resolution_ns == ROUNDED_NS
    return _join(
        *('{"traceId":"', hexes(spans.trace_hi, spans.trace_lo), '","spanId":"', hexes(spans.span_id), '"'),
        _member(',"traceState":', texts.of(spans.trace_state), ""),
        _member(',"parentSpanId":"', hexes(spans.parent_id), '"'),
        _number(',"flags":', spans.flags),
        *(',"name":', texts.names.take(pa.array(spans.name))),
        _number(',"kind":', spans.kind),
        *(',"startTimeUnixNano":', _times(spans.start_ns, is_number)),
        *(',"endTimeUnixNano":', _times(spans.end_ns, is_number)),
        _member(',"attributes":[', _lists(columns.attributes, texts.attributes), "]"),
        _number(',"droppedAttributesCount":', spans.dropped_attributes),
        _member(',"events":[', _ranges(_events(columns, texts), _offsets(columns.events.span_row, len(spans))), "]"),
        _number(',"droppedEventsCount":', spans.dropped_events),
        _member(',"links":[', _ranges(_links(columns, texts), _offsets(columns.links.span_row, len(spans))), "]"),
        _number(',"droppedLinksCount":', spans.dropped_links),
        _joined(
            ',"status":{',
            _members(
                _number(',"code":', spans.status_code), _member(',"message":', texts.of(spans.status_message), "")
            ),
            "}",
            empty="",
        ),
        "}",
        nulls="replace",
    )


def _events(columns: Columns, texts: Texts) -> pa.Array:
    """Return the events as JSON."""
    events = columns.events
    return _join(
        *('{"timeUnixNano":', _times(events.time_ns, np.zeros(len(events), bool))),
        _member(',"name":', texts.of(events.name), ""),
        _member(',"attributes":[', _lists(columns.event_attributes, texts.attributes), "]"),
        _number(',"droppedAttributesCount":', events.dropped_attributes),
        "}",
        nulls="replace",
    )


def _links(columns: Columns, texts: Texts) -> pa.Array:
    """Return the links as JSON."""
    links = columns.links
    return _join(
        *('{"traceId":"', hexes(links.trace_hi, links.trace_lo), '","spanId":"', hexes(links.span_id), '"'),
        _member(',"traceState":', texts.of(links.trace_state), ""),
        _member(',"attributes":[', _lists(columns.link_attributes, texts.attributes), "]"),
        _number(',"droppedAttributesCount":', links.dropped_attributes),
        _number(',"flags":', links.flags),
        "}",
        nulls="replace",
    )


# -------------------------------------------------------------------- columns of text


def _join(*parts: Any, nulls: str = "emit_null") -> pa.Array:
    """Return texts joined row by row; a part is a column or the same text in every row."""
    own = [pa.scalar(part, _TEXT) if isinstance(part, str) else part.cast(_TEXT) for part in (*parts, "")]
    return pc.binary_join_element_wise(*own, null_handling=nulls)


def _joined(before: str, texts: pa.Array, behind: str, empty: str | None = None) -> pa.Array:
    """Return texts with something around them; where there is none, only that, or ``empty``."""
    made = _join(before, texts, behind, nulls="replace")
    return made if empty is None else pc.if_else(pc.equal(texts, ""), empty, made)


def _member(before: str, texts: pa.Array, behind: str) -> pa.Array:
    """Return texts with something around them, null where there is none."""
    return _join(before, texts, behind)


def _number(before: str, values: Array) -> pa.Array:
    """Return numbers as text behind their name, null for 0."""
    return _member(before, pa.array(values, mask=values == 0).cast(_TEXT), "")


def _times(values: Array, is_number: Array) -> pa.Array:
    """Return nanoseconds as JSON: digits in quotes, without quotes those that were read so, and negative ones."""
    quote = pc.if_else(pa.array(is_number | (values < 0)), "", '"')
    return _join(quote, pa.array(values).cast(_TEXT), quote)


def _members(*members: pa.Array) -> pa.Array:
    """Return members that begin with commas without the first comma, "" without any."""
    return pc.utf8_slice_codeunits(_join(*members, nulls="replace"), 1)


def _lists(table: Ragged, attributes: pa.Array) -> pa.Array:
    """Return lists of attributes, null for an empty one."""
    return _ranges(attributes.take(pa.array(table.codes)), table.offsets)


def _offsets(owner: Array, count: int) -> Array:
    """Return where the items of each owner begin, and last their number."""
    return np.asarray(np.searchsorted(owner, np.arange(count + 1)))


def _ranges(texts: pa.Array, offsets: Array) -> pa.Array:
    """Return ranges of texts with commas between, null for an empty one."""
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), texts)
    return pc.if_else(pa.array(np.diff(offsets) > 0), pc.binary_join(lists, pa.scalar(",", _TEXT)), None)
