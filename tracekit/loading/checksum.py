"""A checksum of what was recorded: the same for the same spans in whatever order, file or format they are stored.

Every text gets a hash of its own (BLAKE2b), every row of a table a mixture of its values (splitmix64), and rows are
added up: their order does not matter, nor do the codes that stand for texts.  It detects changes, also deliberate ones
of single values; it is no signature.
"""

from __future__ import annotations

from dataclasses import fields
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.columns import SpanColumns
from tracekit.loading.building.pool import mix
from tracekit.loading.text_hashes import blake2b_hashes, blake2b_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.columns import Array, Columns
    from tracekit.ragged import Ragged
    from tracekit.traces import TraceSet

_WHERE: Final = {"source", "record_number", "byte_offset", "quality", "span_row"}  # where it was read, and conclusions
_NAMES: Final = {"name": "names"}
_TEXTS: Final = {"status_message", "trace_state", "schema_url", "version"}


def checksum(traces: TraceSet) -> str:
    """Return the checksum of the spans of a set, with their attributes, events and links.

    Parameters
    ----------
    traces
        Any traces; sampling weights, positions in files and data-quality conclusions are not part of it.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> checksum(shop) == checksum(shop.where("duration_ns >= 0")), checksum(shop) == checksum(baseline)
    (True, False)
    """
    return digest(sums_of(traces))


def sums_of(traces: TraceSet) -> Array:
    """Return what the checksum is made of: uint64, one row per table, which can be added for parts of a set."""
    columns = traces.columns
    names, texts = _text_hashes(columns.names), _text_hashes(columns.texts)
    kv = _attribute_hashes(columns)

    def rows(table: Any, attributes: Ragged | None, *more: Array) -> Array:
        """Return the hash of each row of a table with its attributes."""
        own = [_column(table, field.name, names, texts) for field in fields(table) if field.name not in _WHERE]
        bags = [] if attributes is None else [attributes.sums(kv)]
        return mix([*own, *bags, *more])

    resource = rows(columns.resources, columns.resource_attributes)
    scope = rows(columns.scopes, columns.scope_attributes)
    spans = rows(columns.spans, columns.attributes, _taken(resource, columns.spans.resource),
                 _taken(scope, columns.spans.scope))  # fmt: skip
    owner = mix([columns.spans.trace_hi, columns.spans.trace_lo, columns.spans.span_id])
    events = rows(columns.events, columns.event_attributes, owner[columns.events.span_row])
    links = rows(columns.links, columns.link_attributes, owner[columns.links.span_row])
    parts = [spans, events, links, rows(columns.facts, None)]
    with np.errstate(over="ignore"):
        sums = [(part.sum(dtype=np.uint64), mix([part]).sum(dtype=np.uint64)) for part in parts]
    return np.array([(len(part), *both) for part, both in zip(parts, sums, strict=True)], np.uint64)


def digest(sums: Array) -> str:
    """Return the checksum of such sums."""
    return blake2b(sums.tobytes()).hexdigest()[:32]


def _text_hashes(texts: Iterable[str]) -> Array:
    """Return a 64-bit hash of each text, and 0 at the end, for the code -1."""
    return blake2b_of([*texts, None])


def _attribute_hashes(columns: Columns) -> Array:
    """Return a hash of each distinct attribute."""
    kv = columns.kv
    keys, namespaces = _text_hashes(kv.keys), _text_hashes(kv.namespaces)
    text = blake2b_hashes(kv.text)
    return mix([keys[kv.key], kv.type, text, kv.integer, kv.double.view(np.uint64), namespaces[kv.namespace]])


def _column(table: Any, name: str, names: Array, texts: Array) -> Array:
    """Return a column with hashes in place of codes."""
    values: Array = getattr(table, name)
    if name in {"resource", "scope"}:
        return np.zeros(len(values), np.uint64)  # by content, not by code
    if name in _TEXTS or (name == "name" and not isinstance(table, SpanColumns)):
        return texts[values]
    return names[values] if name in _NAMES else values


def _taken(hashes: Array, codes: Array) -> Array:
    """Return the hashes of codes, 0 for none."""
    return np.append(hashes, np.uint64(0))[codes]
