"""What the extension scanned, in any format: columns, and the builder's codes of the distinct texts and attributes.

Each distinct text and attribute of a source is decoded once: strings, numbers and booleans of attributes by the
extension, everything else by the tolerant reader of the format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tracekit.columns import EventColumns, LinkColumns, SpanColumns
from tracekit.loading.building.batches import Batch
from tracekit.loading.building.ledger import Position
from tracekit.loading.ids import PADDED
from tracekit.loading.microseconds import RESOLUTION_NS
from tracekit.ragged import Ragged
from tracekit.schema import Origin, ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.records import Line

HANDED_BACK = -1  # in place of a code
AT_ONCE = 16 << 20  # bytes of records: every batch asks for its distinct texts again
ATTRIBUTES = ("attributes", "event_attributes", "link_attributes")
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("trace_hi", "trace_lo", "span_id", "parent_id"), np.uint64),
    **dict.fromkeys(("start_ns", "end_ns"), np.int64),
    **dict.fromkeys(("name", "trace_state", "status_message", "attribute_count", "attributes"), np.int32),
    **dict.fromkeys(("flags", "dropped_attributes", "dropped_events", "dropped_links"), np.uint32),
    **dict.fromkeys(("kind", "status_code", "rounded"), np.int8),
    **dict.fromkeys(("event_span_row", "event_time_ns"), np.int64),
    **dict.fromkeys(("event_name", "event_attribute_count", "event_attributes"), np.int32),
    "event_dropped": np.uint32,
    "event_rounded": np.int8,
    "link_span_row": np.int64,
    **dict.fromkeys(("link_trace_hi", "link_trace_lo", "link_span_id"), np.uint64),
    **dict.fromkeys(("link_trace_state", "link_attribute_count", "link_attributes"), np.int32),
    **dict.fromkeys(("link_flags", "link_dropped"), np.uint32),
    "link_relation": np.int8,
    **dict.fromkeys(("line_number", "line_start", "line_stop", "line_spans"), np.int64),
    **dict.fromkeys(("other_number", "other_start", "other_stop"), np.int64),
    "scope": np.int32,
    "quality": np.uint32,
    "padded": np.int64,
}


class Found:
    """The columns of some records.

    Parameters
    ----------
    made
        What the extension returns: bytes of columns, and lists of distinct strings.
    more
        The types of the columns of the format.
    """

    def __init__(self, made: dict[str, Any], more: dict[str, Any]) -> None:
        self.made = made
        self._more = more

    def __getitem__(self, name: str) -> Array:
        return np.frombuffer(self.made[name], self._more.get(name) or _COLUMNS[name])


class Distinct:
    """The builder's codes of what is distinct in a source.

    Parameters
    ----------
    builder
        Receives the texts and the attributes.
    extension
        The module ``tracekit.loading.native._scan``.
    notation
        How attributes are written, for the extension.
    origin
        The origin of attributes.
    """

    def __init__(self, builder: Builder, extension: Any, notation: str, origin: Origin = Origin.ATTRIBUTE) -> None:
        self._builder = builder
        self._extension = extension
        self._origin = origin
        self._table = extension.attributes(notation)
        self._kv, self._keys = array("i"), array("i")  # by the table's codes
        self._is_go = bytearray()  # likewise: 1 for values in a struct of Go
        self._names: dict[bytes, int] = {}
        self._texts: dict[bytes, int] = {}

    def _decoded(self, raws: Sequence[bytes]) -> list[str]:
        """Return texts that are known to be valid JSON strings without their quotes."""
        if not raws:
            return []
        texts: list[str] = msgspec.json.decode(b'["' + b'","'.join(raws) + b'"]', type=list[str])
        return texts

    def _coded(self, raws: Sequence[bytes], known: dict[bytes, int], code: Callable[[str], int]) -> Array:
        """Return the builder's codes of texts as they are written in JSON."""
        fresh = [raw for raw in raws if raw not in known]
        known.update(zip(fresh, map(code, self._decoded(fresh)), strict=True))
        return np.array([known[raw] for raw in raws], np.int32)

    # ---------------------------------------------------------------- attributes

    def _learned(self, data: bytes | memoryview, places: bytes, shapes: bytes = b"") -> dict[str, Any]:
        """Return the table's codes of the distinct attributes of a chunk, and what is new; it needs no builder."""
        learned: dict[str, Any] = self._extension.learn(self._table, data, places, shapes)
        return learned

    def _learn(self, learned: dict[str, Any]) -> Array:
        """Return the table's codes of the distinct attributes of a chunk, and give new ones to the builder."""
        kinds = np.frombuffer(learned["type"], np.int8)
        if len(kinds):
            self._keys.extend(map(self._builder.attributes.keys.code, self._decoded(learned["keys"])))
            self._kv.frombytes(self._added(learned, kinds).tobytes())
            self._is_go += learned["is_go"]
        return np.frombuffer(learned["codes"], np.int32)

    def _added(self, learned: dict[str, Any], kinds: Array) -> Array:
        """Return the builder's codes of new attributes."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        is_text = np.packbits((kinds == ValueType.STR) | (kinds >= ValueType.ARRAY), bitorder="little")
        buffers = [pa.py_buffer(learned["offsets"]), pa.py_buffer(learned["text"]), pa.py_buffer(is_text)]
        texts = pa.LargeStringArray.from_buffers(len(kinds), *buffers)
        integers, doubles = self._numbers(learned, kinds)
        key = np.frombuffer(learned["key"], np.int32)
        first = len(self._kv)
        codes = np.full(len(kinds), HANDED_BACK, np.int32)
        plain = np.flatnonzero(kinds >= 0)
        if len(plain):
            if len(plain) < len(kinds):
                texts = texts.take(pa.array(plain))
            keys = np.array(self._keys, np.int32)[key[plain]]
            begin = self._builder.attributes.extend_columns(
                keys, kinds[plain], texts, integers[plain], doubles[plain], self._origin
            )
            codes[plain] = np.arange(begin, begin + len(plain))
        for at, raw in zip(np.flatnonzero(kinds < 0).tolist(), learned["others"], strict=True):
            codes[at] = self._alone(raw, first + at)
        return codes

    def _numbers(self, learned: dict[str, Any], kinds: Array) -> tuple[Array, Array]:
        """Return the integers and the doubles of new attributes, 0 for the others."""
        doubles = np.zeros(len(kinds))
        doubles[kinds == ValueType.DOUBLE] = list(map(float, learned["doubles"]))
        return np.frombuffer(learned["integer"], np.int64), doubles

    def _alone(self, raw: bytes, code: int) -> int:  # noqa: ARG002 - for formats with more forms of attributes
        """Return the builder's code of an attribute of any other form; -1, so that it is handed back, without any."""
        return HANDED_BACK

    # ---------------------------------------------------------------- rows

    def _batch_of(self, found: Found, kv: Array, *, own: dict[str, Array], record: Array, offset: Array) -> Batch:
        """Return the rows of some records with the builder's codes.

        ``own`` are the columns of the format, and the sources of the spans if they are not the present one.
        """
        names = self._coded(found.made["names"], self._names, self._builder.names.code)
        texts = np.append(self._coded(found.made["texts"], self._texts, self._builder.texts.optional), np.int32(-1))
        spans = SpanColumns(
            **{name: found[name] for name in ("trace_hi", "trace_lo", "span_id", "parent_id", "kind", "status_code")},
            **{name: found[name] for name in ("start_ns", "end_ns", "flags")},
            **{name: found[name] for name in ("dropped_attributes", "dropped_events", "dropped_links")},
            name=names[found["name"]],
            status_message=texts[found["status_message"]],
            trace_state=texts[found["trace_state"]],
            record_kind=np.zeros(len(record), np.int8),
            **{"source": np.full(len(record), self._builder.source, np.int32), **own},
            record_number=record,
            byte_offset=offset,
        )
        of_spans, of_events, of_links = (
            Ragged.from_counts(found[f"{name[:-1]}_count"], kv.take(found[name])) for name in ATTRIBUTES
        )
        events = EventColumns(
            found["event_span_row"], found["event_time_ns"], texts[found["event_name"]], found["event_dropped"]
        )
        links = LinkColumns(
            **{name: found[f"link_{name}"] for name in ("span_row", "trace_hi", "trace_lo", "span_id")},
            trace_state=texts[found["link_trace_state"]],
            flags=found["link_flags"],
            dropped_attributes=found["link_dropped"],
            relation=found["link_relation"],
        )
        return Batch(spans, of_spans, events, of_events, links, of_links)


class Records(Distinct, ABC):
    """Loads records, each of which is read whole or handed back; a format says how."""

    work_ahead = None

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load records; yield every other one once those before it are loaded."""
        kept: list[Line] = []
        size = 0
        for line in lines:
            kept.append(line)
            size += len(line.data)
            if size > AT_ONCE:
                yield from self._read(kept)
                kept, size = [], 0
        if kept:
            yield from self._read(kept)

    def _read(self, lines: list[Line]) -> Iterator[Line]:
        """Load records; yield those that are handed back in their turn."""
        columns = self._columns(lines)
        is_other = columns.is_other(len(lines))
        if not is_other.any():
            self._give(columns, _places(lines))
            return
        for other, run in groupby(zip(lines, is_other.tolist(), strict=True), lambda pair: pair[1]):
            some = [line for line, _ in run]
            if other:
                yield from some
            else:
                self._give(self._columns(some), _places(some))

    @abstractmethod
    def _columns(self, lines: Sequence[Line]) -> Any:
        """Return the columns of records, and what their codes mean."""

    @abstractmethod
    def _give(self, columns: Any, places: Array) -> None:
        """Give records that are all read to the builder, and count them; ``places``: the number and offset of each."""

    def _note(self, name: str, found: Found, places: Array) -> None:
        """Count records of a format, and the ids of traces that were padded in them."""
        ledger = self._builder.ledger
        ledger.record_count += len(places)
        ledger.formats[name] += len(places)
        for number in np.flatnonzero(found["padded"]).tolist():
            ledger.tally("ID_64BIT", PADDED, Position(*places[number].tolist()), int(found["padded"][number]))

    def _rows(self, columns: Any, own: dict[str, Array], places: Array) -> Batch:
        """Return the rows of records that are all read; ``own`` are the columns of the format."""
        found, kv = columns.found, columns.kv
        own |= {
            "resolution_ns": np.full(len(found["kind"]), RESOLUTION_NS, np.int32),
            "scope": self._scopes(found)[found["scope"]],
            "quality": found["quality"],
        }
        record, offset = (np.repeat(column, found["line_spans"]) for column in places.T)
        return self._batch_of(found, kv, own=own, record=record, offset=offset)

    def _scopes(self, found: Found) -> Array:
        """Return the builder's numbers of scopes."""
        texts = [*self._decoded(found.made["texts"]), ""]  # the last for -1, a missing one
        pairs = (np.frombuffer(pair, np.int32).tolist() for pair in found.made["scopes"])
        return np.array([self._builder.scope(texts[name], texts[version]) for name, version in pairs], np.int32)


def _places(lines: Sequence[Line]) -> Array:
    """Return the number and the offset of each line."""
    numbers = np.fromiter((line.number for line in lines), np.int64, len(lines))
    return np.column_stack((numbers, np.fromiter((line.offset for line in lines), np.int64, len(lines))))


def rows_of(found: Found, attributes: str) -> Array:
    """Return the row of the span of each owner of attributes."""
    if attributes == "attributes":
        return np.arange(len(found["kind"]))
    return found["event_span_row" if attributes == "event_attributes" else "link_span_row"]


def lines_with(found: Found, is_bad: Array) -> Array:
    """Return the number of the record of every use of attributes that are bad, by the table's code."""
    if not is_bad.any():
        return np.zeros(0, np.int64)
    rows = [
        rows_of(found, name)[np.repeat(np.arange(len(counts)), counts)[is_bad[found[name]]]]
        for name in ATTRIBUTES
        for counts in [found[f"{name[:-1]}_count"]]
    ]
    line: Array = np.repeat(found["line_number"], found["line_spans"])
    return np.asarray(line[np.concatenate(rows)])
