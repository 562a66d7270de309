"""The compiled lane of Jaeger: the columns that the extension makes of answers, traces and spans become a batch.

Tags that the extension does not decode, and processes, are decoded here, each distinct one once, by the functions of
the Python lane (``loader.py``), which reads every record with anything unexpected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.loading.building.ledger import NOWHERE, Ledger, Position
from tracekit.loading.building.scanned import HANDED_BACK, Found, Records, lines_with
from tracekit.loading.ids import PADDED
from tracekit.loading.loader import Taken
from tracekit.loading.numbers import exact_number
from tracekit.loading.records.parse import parse
from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.loader import Place
    from tracekit.loading.opening.source import Source
    from tracekit.loading.records import Line, Lines

_BEGINNING = re.compile(
    rb'\s*(?:\{\s*"(?:data|total|limit|offset|errors|hits|took|timed_out|_shards|_scroll_id)"|\[?\s*\{\s*"(?:traceID|spans|processes'
    rb"|warnings|spanID|parentSpanID|operationName|references|startTime|startTimeMillis|logs|process|_source|_index|_id"
    rb'|_score|_type)")'
).match
_SHARED = re.compile(rb'\s*\[?\s*\{\s*"(?:duration|flags|tags?|@timestamp)"').match  # as in other formats
_FIRST = Position(1, 0)  # of the only line of a file
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("resource", "record_process"), np.int32),
    "process_count": np.int64,
    "answer": np.uint8,
}
_ANSWERS = {1: "jaeger_api", 2: "elasticsearch_hits"}


def _begins(data: bytes) -> bool:
    """Return whether a line begins like an answer, a trace, a span, or a document of Elasticsearch."""
    return _BEGINNING(data) is not None or (_SHARED(data) is not None and b'"spanID"' in data)


class Decode(NamedTuple):
    """The functions of the Python lane: the attributes of a list or a map of tags, and those of a process."""

    tags: Callable[[Any, Position, Builder], list[int]]
    process: Callable[[Any, Position, Builder], list[int]]


class Scanner(Records):
    """Loads records into a builder.

    Parameters
    ----------
    builder
        Receives the spans.
    decode
        The functions of the Python lane.
    extension
        The module ``tracekit.loading.native._scan``.
    """

    takes = begins = staticmethod(_begins)

    def __init__(self, builder: Builder, decode: Decode, extension: Any) -> None:
        super().__init__(builder, extension, "jaeger", Origin.TAG)
        self._decode = decode
        self._resources: dict[bytes, int] = {}
        self._kept: _Columns | None = None

    def scan_ahead(self, content: Sequence[bytes]) -> _Ahead:
        """Return what ``taken`` and ``load_files`` need of the lines; other threads may call it."""
        data = b"".join(content)
        ends = np.cumsum(list(map(len, content)), dtype=np.int64)
        return _Ahead(data, self._extension.scan_jaeger(data, ends.tobytes()))

    def taken(self, lines: Sequence[Line], ahead: object) -> list[bool]:
        """Return which lines can be loaded whole."""
        assert isinstance(ahead, _Ahead)
        self._kept = self._known(ahead)
        is_taken: list[bool] = (~self._kept.is_other(len(lines))).tolist()
        return is_taken

    def load_files(self, sources: Sequence[Source], lines: Sequence[Line], ahead: object) -> None:
        """Load sources with one line each, all of which were ``taken``; ``ahead`` is None for some of them."""
        columns = self._columns(lines) if ahead is None or self._kept is None else self._kept
        self._kept = None
        found, builder = columns.found, self._builder
        counts = found["line_spans"]
        facts = zip(found["answer"].tolist(), found["padded"].tolist(), strict=True)
        for source, line, (answer, padded) in zip(sources, lines, facts, strict=True):
            ledger = builder.open_source(source.uri)
            ledger.byte_count = len(line.data)
            ledger.record_count, ledger.formats["jaeger"] = 1, 1
            if answer:
                ledger.dialect(_ANSWERS[answer])
            if padded:
                ledger.tally("ID_64BIT", PADDED, _FIRST, padded)
            ledger.close()
        numbers = np.arange(builder.source + 1 - len(lines), builder.source + 1, dtype=np.int32)
        own = {"resource": columns.resources[found["resource"]], "source": np.repeat(numbers, counts)}
        builder.batch(self._rows(columns, own, np.array([_FIRST] * len(lines), np.int64)), counts.tolist())

    def scan_whole(self, lines: Lines) -> bool:
        """Load a chunk if all its lines are read; return whether it did."""
        columns = self._known(_Ahead(lines.data, self._extension.scan_jaeger_lines(lines.data)))
        found = columns.found
        starts = found["line_start"]
        if not len(starts) or columns.is_other(len(starts) + len(found["other_number"])).any():
            return False
        self._give(columns, np.column_stack((lines.first_line + found["line_number"], lines.first_offset + starts)))
        return True

    def load_list(self, data: bytes, place: Place) -> Taken:
        """Load the first items of a list, as many as it can."""
        while data and _begins(data):
            columns = self._known(_Ahead(data, self._extension.scan_jaeger_items(data)))
            starts, stops = np.frombuffer(columns.found.made["places"], np.int64).reshape(-1, 2).T
            if not len(starts):
                return Taken(may_be_cut=True)
            is_other = columns.is_other(len(starts))
            if not is_other.any():
                numbers = place.number(0) + np.arange(len(starts)) * (not place.line)
                self._give(columns, np.column_stack((numbers, place.offset + starts)))
                return Taken(int(stops[-1]), len(starts))
            first = int(np.argmax(is_other))
            data = data[: int(stops[first - 1])] if first else b""
        return Taken()

    def load_hits(self, data: bytes, place: Place) -> Taken:
        """Load the first hits of a search, as many as it can."""
        found = self.load_list(data, place)
        if found.records:
            self._builder.ledger.dialect(_ANSWERS[2], found.records)
        return found

    def _columns(self, lines: Sequence[Line]) -> _Columns:
        return self._known(self.scan_ahead([line.data for line in lines]))

    def _known(self, ahead: _Ahead) -> _Columns:
        """Return columns, and what their codes mean."""
        data, found = ahead.data, Found(ahead.made, _COLUMNS)
        codes = self._learn(self._learned(data, found.made["distinct_attributes"]))
        kv = np.frombuffer(self._kv, np.int32)[codes] if len(codes) else codes
        return _Columns(found, kv, np.array(list(map(self._resource, found.made["processes"])), np.int32))

    def _give(self, columns: _Columns, places: Array) -> None:
        found, ledger = columns.found, self._builder.ledger
        self._note("jaeger", found, places)
        counts = np.bincount(found["answer"], minlength=len(_ANSWERS) + 1).tolist()
        for number, name in _ANSWERS.items():
            if counts[number]:
                ledger.dialect(name, counts[number])
        if len(found["kind"]):
            self._builder.batch(self._rows(columns, {"resource": columns.resources[found["resource"]]}, places))

    # ---------------------------------------------------------------- what the codes mean

    def _alone(self, raw: bytes, code: int) -> int:  # noqa: ARG002 - for other formats
        """Return the builder's code of any tag; -1 for one that has to be reported."""
        written = b"[%b]" if raw.startswith(b"{") else b"{%b}"  # of a list, or of a map
        found = self._aside(written % raw, lambda tags: self._decode.tags(tags, NOWHERE, self._builder))
        return HANDED_BACK if found is None else found[0]

    def _resource(self, raw: bytes) -> int:
        """Return the number of the resource of a process; -1 for one that has to be reported."""
        if raw not in self._resources:
            found = self._aside(raw, lambda value: self._decode.process(value, NOWHERE, self._builder))
            self._resources[raw] = HANDED_BACK if found is None else self._builder.resource(found)
        return self._resources[raw]

    def _aside(self, raw: bytes, load: Callable[[Any], list[int]]) -> list[int] | None:
        """Return the attributes that a function makes of a JSON value; None if it has to report anything.

        None as well if they depend on how decimal numbers are parsed, which the source decides.
        """
        builder = self._builder
        own, builder.ledger = builder.ledger, Ledger("")
        try:
            parsed = [parse(raw, parse_float=parse_float) for parse_float in (None, exact_number)]
            if any(one.failure is not None or one.notes for one in parsed):
                return None
            found, exact = (load(one.value) for one in parsed)
            has_remarks = builder.ledger.has_remarks
        finally:
            builder.ledger = own
        return None if has_remarks or found != exact else found


class _Ahead(NamedTuple):
    """The bytes of some lines, and the columns that the extension made of them."""

    data: bytes | memoryview
    made: dict[str, Any]


class _Columns:
    """The columns of some lines, the builder's codes of their attributes, and the resources of their processes."""

    def __init__(self, found: Found, kv: Array, resources: Array) -> None:
        self.found, self.kv, self.resources = found, kv, resources

    def is_other(self, count: int) -> Array:
        """Return which of this many lines are handed back."""
        found = self.found
        other = np.zeros(count, bool)
        other[found["other_number"]] = True
        other[lines_with(found, self.kv < 0)] = True
        if (self.resources < 0).any():
            record = np.repeat(found["line_number"], found["process_count"])
            other[record[self.resources[found["record_process"]] < 0]] = True
        return other
