"""Dispatch of parsed JSON records to loaders, and messages about records of no known format."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tracekit.loading import formats, native
from tracekit.loading.building.ledger import PULL_KEY, Position
from tracekit.loading.loader import (
    DocumentScanner,
    FieldScanner,
    FileScanner,
    HitScanner,
    ListScanner,
    Taken,
    WholeScanner,
)
from tracekit.loading.numbers import exact_number
from tracekit.loading.prefixed import DOCKER, EachScanner, note_prefix, scan_prefixed
from tracekit.loading.protobuf.compiled import Scanner
from tracekit.loading.protobuf.messages import load as load_message
from tracekit.loading.records import MAX_DEPTH, Lines, parse, strip_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.loader import Document, Loader, Place
    from tracekit.loading.loader import Scanner as FormatScanner
    from tracekit.loading.protobuf.messages import Aside
    from tracekit.loading.records import Line, Note, Parsed

_SIGNALS = {
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
    "resourceLogs": "logs",
    "resource_logs": "logs",
    "resourceProfiles": "profiles",
    "resource_profiles": "profiles",
}
_ERROR_KEYS = {"__type", "message", "Message", "error", "errors", "code", "statusCode", "details", "status", "msg"}
_ERROR_TEXT = re.compile(
    rb"(?i)(?:[\w ]{0,40}: )?(?:(?:HTTP )?[45]\d\d\b[^{}]*|[^{}]*\bnot found\b[^{}]*|unauthori[sz]ed\b.*|forbidden\b.*"
    rb"|access denied\b.*|bad gateway\b.*|service unavailable\b.*|gateway time-?out\b.*|too many requests\b.*)",
    re.DOTALL,
)
OTLP = "otlp"
_BEGINNING = 4096  # bytes of a chunk, enough to see whose scanner its first line is for
_MOST_OF_AN_ERROR = 1000  # bytes
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NONFINITE = re.compile(rb"NaN|Infinity")
_BY_EYE = "which is meant for human readers"
_KNOWN = (
    ({"context", "kind", "start_time"}, f"output of the Python SDK's ConsoleSpanExporter, {_BY_EYE}"),
    ({"SpanContext", "SpanKind", "StartTime"}, f"output of Go's stdouttrace exporter, {_BY_EYE}"),
    (
        {"trace_id", "id", "annotations"},
        "a Zipkin v1 span as Thrift JSON, which is not supported (api/v2 returns JSON that is)",
    ),
)


class Dispatcher:
    """Passes records to loaders.

    Parameters
    ----------
    builder
        Receives the spans, and has the ledger of the current source.
    loaders
        In the order in which they are tried.

    Attributes
    ----------
    scans_lists : bool
        Whether any scanner reads items of lists.
    file_scanner : FileScanner | None
        The scanner of the format with one small file for each trace.
    """

    def __init__(self, builder: Builder, loaders: Iterable[Loader]) -> None:
        self._builder = builder
        self._loaders = tuple(loaders)
        # typed decoding does not detect duplicate keys, so strict reading parses every line
        made = {
            loader.name: loader.scanner(builder) for loader in self._loaders if loader.scanner and not builder.strict
        }
        scanners = {name: scanner for name, scanner in made.items() if scanner is not None}
        self._scanners = list(scanners.values())
        self._scanner_by_name = scanners
        self._whole = [one for one in self._scanners if isinstance(one, WholeScanner)]
        self._tellers = [(one.takes, one) for one in self._scanners if one.takes is not None]
        extension = native.compiled()
        self._items = None if extension is None else extension.items
        self._scanner_of_field = {
            name: scanners[loader.name]
            for loader in self._loaders
            if loader.name in scanners
            for name in loader.scanned
        }
        self.scans_lists = extension is not None and bool(scanners)
        self.file_scanner = next((one for one in self._scanners if isinstance(one, FileScanner)), None)
        self._messages = None if extension is None else Scanner(builder, extension)
        self._reads_otlp = any(loader.name == OTLP for loader in self._loaders)
        self._exact = False  # the source's numbers are wanted as Decimal

    def scanner_of(self, name: str) -> FormatScanner | None:
        """Return the scanner of a format; None without one, and where it would read decimal numbers otherwise."""
        return None if self._exact and name == OTLP else self._scanner_by_name.get(name)

    @property
    def list_scanners(self) -> list[ListScanner]:
        """The scanners of the formats whose documents may be lists."""
        found = map(self.scanner_of, self._scanner_by_name)
        return [one for one in found if isinstance(one, ListScanner)]

    @property
    def hit_scanners(self) -> list[HitScanner]:
        """The scanners of the formats that are stored in Elasticsearch or OpenSearch."""
        found = map(self.scanner_of, self._scanner_by_name)
        return [one for one in found if isinstance(one, HitScanner)]

    @property
    def document_scanner(self) -> DocumentScanner | None:
        """The scanner of the format with documents one after the other."""
        return next(
            (one for one in map(self.scanner_of, self._scanner_by_name) if isinstance(one, DocumentScanner)), None
        )

    @property
    def streams(self) -> set[str]:
        """Fields of top-level objects with items that are records of their own."""
        return {name for loader in self._loaders for name in loader.streams}

    def places_of(self, field: str) -> Callable[[bytes], bytes] | None:
        """Return what finds the items of a list, None in the Python lane, and where no scanner reads them."""
        return self._items if field in self._scanner_of_field else None

    def load_field(self, field: str, data: bytes, place: Place) -> Taken:
        """Load the first items of a list at once, if its scanner can."""
        scanner = self._scanner_of_field[field]
        if not isinstance(scanner, FieldScanner):
            return Taken()
        return scanner.load_field(data, place)

    def scan_items(self, field: str, lines: Iterable[Line]) -> None:
        """Load items of a list that ``places_of`` found, as lines with one item each."""
        for number, offset, data in self._scanner_of_field[field].scan(lines):
            self._builder.ledger.record_count += 1
            parsed = parse(data, parse_float=self.parse_float, max_depth=MAX_DEPTH + 2)  # the field and its list
            self.value(parsed.value, Position(number, offset))

    @property
    def parse_float(self) -> Callable[[str], Any] | None:
        """The parser of decimal numbers for the next record."""
        return exact_number if self._exact else None

    def expect(self, first: bytes) -> None:
        """Choose how decimal numbers are parsed from the first bytes of a document."""
        self._exact = any(loader.exact_marker and loader.exact_marker in first for loader in self._loaders)

    @property
    def work_ahead(self) -> Callable[[bytes], Any] | None:
        """What other threads may do with the bytes of later chunks: the first scanner gets them whole."""
        return self._scanners[0].work_ahead if self._scanners else None

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load what the formats' scanners load; yield every other line when it may be loaded.

        Lines of the formats whose scanners recognise theirs are loaded in the order of the source.
        """
        if isinstance(lines, Lines):
            head = bytes(lines.data[:_BEGINNING])
            if any(one.begins(head) and one.scan_whole(lines) for one in self._whole):
                return
        for scanner in self._scanners:
            if scanner.takes is None:
                lines = scanner.scan(lines)
                if isinstance(scanner, EachScanner):
                    lines = scan_prefixed(lines, scanner, self._builder)
        for own, run in groupby(lines, self._scanner_for):
            if own is None:
                yield from run
            else:
                yield from own.scan(run)

    def _scanner_for(self, line: Line) -> FormatScanner | None:
        """Return the scanner that a line may be for, None without one."""
        for takes, scanner in self._tellers:
            if takes(line.data):
                return scanner
        return None

    @property
    def protobuf_work_ahead(self) -> Callable[[bytes], Any] | None:
        """As ``work_ahead``, for OTLP protobuf."""
        return None if self._messages is None else self._messages.work_ahead

    def messages(self, messages: Lines) -> None:
        """Load ResourceSpans in protobuf."""
        if not self._reads_otlp:
            ledger = self._builder.ledger
            ledger.record_count += 1
            self._refuse("", Position(messages.first_line, messages.first_offset), b"", OTLP)
            return
        for number, offset, data in messages if self._messages is None else self._messages.scan(messages):
            load_message(data, Position(number, offset), self._builder)

    def aside(self, aside: Aside) -> None:
        """Load or report what is between ResourceSpans in protobuf."""
        if self._reads_otlp:
            aside.load(self._builder)

    def walk(self, key: str, document: Document) -> Callable[[dict[str, Any]], object] | None:
        """Let a format read a field piece by piece; None, with nothing read, if none does."""
        walks = (loader.walk(key, document) for loader in self._loaders if loader.walk is not None)
        return next((load_others for load_others in walks if load_others is not None), None)

    def line(self, data: bytes, at: Position, *, may_be_cut: bool = False) -> None:
        """Parse a line and load it, or quarantine it."""
        self.expect(data)  # whatever the lines before were: which of them come here depends on the scanners
        parsed = self._parse(data)
        if parsed.failure is not None or data.lstrip().startswith(DOCKER):
            rest, prefix = strip_prefix(data)
            if prefix:
                again = self._parse(rest)
                if again.failure is None or not may_be_cut:
                    note_prefix(prefix, at, self._builder)
                    data, parsed = rest, again
        self._builder.ledger.record_count += 1
        if parsed.failure is None:
            self.add_notes(parsed.notes, at)
            if (b"NaN" in data or b"Infinity" in data) and _NONFINITE.search(_TEXT.sub(b"", data)):
                self._builder.ledger.tally("JSON_NONFINITE", "expected numbers, found NaN or Infinity; accepted", at)
            self.value(parsed.value, at, data)
        elif may_be_cut and parsed.cut:
            self._builder.ledger.incomplete("the last record is truncated")
            self._builder.ledger.quarantine(
                "JSON_TRUNCATED_TAIL",
                f"the last record is truncated ({len(data):,} bytes): the file is still being written, or was cut off",
                at=at,
                raw=data,
            )
        else:
            self._fail(parsed, at, data)

    def _parse(self, data: bytes) -> Parsed:
        """Parse a line; look for duplicate keys in strict mode only, because it takes time."""
        return parse(data, parse_float=self.parse_float, find_duplicate_keys=self._builder.strict)

    def _fail(self, parsed: Parsed, at: Position, data: bytes) -> None:
        failure = parsed.failure
        assert failure is not None
        if len(data) < _MOST_OF_AN_ERROR and self._builder.ledger.record_count == 1 and _ERROR_TEXT.fullmatch(data):
            message = f"expected trace data, found an error response as text: {data[:200]!r}; repeat the request"
            self._builder.ledger.quarantine("API_ERROR_JSON", message, at=at, raw=data)
            return
        self._builder.ledger.quarantine(failure.code, failure.message, at=at, raw=failure.raw)

    def add_notes(self, notes: Iterable[Note], at: Position) -> None:
        """Add notes on bytes to the ledger, and count lost records; offsets are relative to ``at``."""
        ledger = self._builder.ledger
        for note in notes:
            where = Position(at.record, at.offset + (note.byte_offset or 0))
            if note.action == "quarantined":
                ledger.quarantine(note.code, note.message, at=where, raw=note.raw)
            else:
                ledger.issue(
                    note.code, note.message, at=where, severity=note.severity, action=note.action, raw=note.raw
                )

    def value(self, value: Any, at: Position, raw: bytes = b"") -> None:
        """Load a parsed record, or quarantine it."""
        loader = next((loader for loader in self._loaders if loader.recognises(value)), None)
        if loader is None:
            self._without_loader(value, at, raw)
            return
        if bool(loader.exact_marker) != self._exact and raw:
            self._exact = bool(loader.exact_marker)
            value = parse(raw, parse_float=self.parse_float).value
        self._builder.ledger.formats[loader.name] += 1
        loader.load(value, at, self._builder)

    def _without_loader(self, value: Any, at: Position, raw: bytes) -> None:
        """Load the items of a list, skip other signals, and quarantine the rest with a description."""
        ledger = self._builder.ledger
        if isinstance(value, list):
            if value:
                ledger.dialect("json_array")
            else:
                ledger.formats["empty"] += 1
            for item in value:
                if isinstance(item, list):
                    self._refuse("a list in a list", at, raw)
                else:
                    self.value(item, at)
            return
        if isinstance(value, dict) and value.keys() == {PULL_KEY} and isinstance(value[PULL_KEY], dict):
            ledger.pull.append(value[PULL_KEY])
            return
        signal = next((name for key, name in _SIGNALS.items() if isinstance(value, dict) and key in value), None)
        if signal is not None:
            ledger.skip(signal)
        elif isinstance(value, dict) and _is_error(value):
            message = f"expected trace data, found an API error response: {str(value)[:200]}"
            ledger.quarantine("API_ERROR_JSON", message, at=at, raw=raw or str(value))
        else:
            other = next((loader.name for loader in formats.LOADERS if loader.recognises(value)), "")
            self._refuse(_described(value), at, raw or str(value)[:1000], other)

    def _refuse(self, found: str, at: Position, raw: bytes | str, other: str = "") -> None:
        """Quarantine a record of no allowed format; ``other`` is its format, if it has a known one."""
        names = ", ".join(dict.fromkeys(loader.name for loader in self._loaders))
        remedy = f"omit the format (--format), or use {other}" if other else None
        message = f"this is {other} data, not {names}; skipped"
        if not other:
            message = f"no trace data (tried: {names}), found {found}; skipped"
        self._builder.ledger.quarantine("FORMAT_UNKNOWN", message, at=at, raw=raw, remedy=remedy)


def _is_error(value: dict[str, Any]) -> bool:
    """Return whether an object contains only fields of an error response."""
    present = {key for key, content in value.items() if content not in (None, 0, "", [], {})}
    return bool(present) and present <= _ERROR_KEYS


def _described(value: Any) -> str:
    """Return a short description of a record of unknown format."""
    if not isinstance(value, dict):
        return f"a bare {type(value).__name__}: {value!r:.80}"
    known = next((what for keys, what in _KNOWN if keys <= value.keys()), None)
    if known:
        return known
    keys = ", ".join(f"{key!r:.40}" for key in list(value)[:12])
    return f"a JSON object with {keys or 'no fields'}"
