"""The compiled lane of span documents of OpenSearch: the extension writes them as flat spans, which it then scans.

A record with anything unexpected goes to ``prepper.py`` whole, which is what the extension does, in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.loading.building.scanned import Found
from tracekit.loading.loader import Taken
from tracekit.loading.otlp import compiled
from tracekit.loading.otlp.compiled import COLUMNS, Known
from tracekit.loading.records import Line, Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tracekit.columns import Array
    from tracekit.loading.loader import Place

_HEAD = 1 << 14  # bytes of a chunk, enough to see whether it has such documents
_COLUMNS: dict[str, Any] = {"answer": np.uint8}
_NONE = np.zeros(0, np.int64)


def _begins(data: bytes | memoryview) -> bool:
    """Return whether some bytes begin with a span document, or a hit or an answer with one."""
    return b'"durationInNanos"' in bytes(data[:_HEAD])


class _Flat(NamedTuple):
    """Records that are written as flat spans: where they are, the columns of the spans, and what their codes mean."""

    records: Found
    spans: Found
    known: Known

    @property
    def bad(self) -> Array:
        """The numbers of records that the scanner of flat spans hands back."""
        lines = np.union1d(self.spans["other_number"], self.known.bad_lines(self.spans))
        return np.unique(np.repeat(self.records["line_number"], self.records["line_spans"])[lines])


class Scanner(compiled.Scanner):
    """Loads lines of OTLP JSON, and span documents of OpenSearch, into a builder; see ``otlp.compiled``."""

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load the lines that need no remark, all at once; then yield the others."""
        if isinstance(lines, Lines) and _begins(lines.data):
            others = list(self._documents(lines))
            back = self.scan_each(others) if others else set()
            yield from (line for number, line in enumerate(others) if number in back)
        else:
            yield from super().scan(lines)

    def work_ahead(self, data: bytes | memoryview) -> dict[str, Any]:
        """Return the columns of a chunk; it needs nothing of the builder."""
        if not _begins(data):
            return super().work_ahead(data)
        flat = self._extension.flat_spans(data, b"")
        return {"documents": flat, "flat_spans": self._extension.scan(flat["flat"], b""), "other_number": _NOT_LEARNED}

    def load_list(self, data: bytes, place: Place) -> Taken:
        """Load the first items of a list, as many as it can."""
        if _begins(data):
            return self._load_documents(data, place, self._extension.flat_span_items)
        return super().load_list(data, place)

    def load_documents(self, data: bytes, place: Place) -> Taken:
        """Load the first documents in some bytes, as many as it can."""
        if _begins(data):
            return self._load_documents(data, place, self._extension.flat_span_stream)
        return super().load_documents(data, place)

    def _documents(self, part: Lines) -> Iterator[Line]:
        """Load the lines of a chunk that are span documents; yield the others."""
        ahead = None if part.ahead is None else part.ahead.result()
        flat = self._flat(ahead or {"documents": self._extension.flat_spans(part.data, b"")})
        if len(flat.bad):
            flat = self._flat({"documents": self._extension.flat_spans(part.data, flat.bad.tobytes())})
        records = flat.records
        places = (part.first_line + records["line_number"], part.first_offset + records["line_start"])
        self._give_documents(flat, np.column_stack(places))
        columns = (records[f"other_{name}"].tolist() for name in ("number", "start", "stop"))
        for number, start, stop in zip(*columns, strict=True):
            yield Line(part.first_line + number, part.first_offset + start, bytes(part.data[start:stop]))

    def _load_documents(self, data: bytes, place: Place, write: Callable[[bytes, bytes], dict[str, Any]]) -> Taken:
        """Load the first documents in some bytes, as many as it can."""
        flat = self._flat({"documents": write(data, b"")})
        may_be_cut: bool = flat.records.made["is_cut"]
        if len(flat.bad):
            may_be_cut = False
            flat = self._flat({"documents": write(data, flat.bad[:1].tobytes())})
        records = flat.records
        count = len(records["line_number"])
        if not count:
            return Taken(may_be_cut=may_be_cut)
        numbers = place.number(0) + np.arange(count) * (not place.line)
        self._give_documents(flat, np.column_stack((numbers, place.offset + records["line_start"])))
        return Taken(int(records["line_stop"][-1]), count, items=count)

    def _flat(self, made: dict[str, Any]) -> _Flat:
        """Return what the extension makes of documents."""
        data = made["documents"]["flat"]
        spans = Found(made.get("flat_spans") or self._extension.scan(data, b""), COLUMNS)
        return _Flat(Found(made["documents"], _COLUMNS), spans, self._known(spans, Lines(data, 0, 0)))

    def _give_documents(self, flat: _Flat, places: Array) -> None:
        """Give the spans of records to the builder, and count them."""
        ledger, answers = self._builder.ledger, int(np.count_nonzero(flat.records["answer"]))
        span_count = len(flat.spans["line_number"])
        if answers:
            ledger.dialect("opensearch_hits", answers)
        if span_count:
            ledger.dialect("data_prepper", span_count)
        of_spans = np.repeat(places, flat.records["line_spans"], axis=0)
        self._load(flat.spans, flat.known, Lines(b"", 0, 0), of_spans, len(places))


_NOT_LEARNED = _NONE.tobytes() + b"\0" * 8  # so that another thread does not learn of bytes that are not scanned
