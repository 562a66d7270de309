"""From entries and texts to segment documents, parsed or quarantined; OpenTelemetry's are loaded as OTLP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from tracekit.loading.numbers import exact_number
from tracekit.loading.otlp import flat as otlp_flat
from tracekit.loading.otlp import loader as otlp
from tracekit.loading.records import MAX_DEPTH, BigInt, nests_deeper, parse
from tracekit.loading.xray.segment import Segment, decode, from_object

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position


class DocumentParser:
    """Parses the documents of one builder.

    Parameters
    ----------
    builder
        Its ledger takes what does not parse; OpenTelemetry spans among the documents are loaded into it.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def of_entry(self, entry: Any, at: Position, trace: str = "") -> list[tuple[Segment, str]]:
        """Return the documents of an entry ``{"Id", "Document"}`` of this trace, with the entry's id."""
        if not isinstance(entry, dict) or "Document" not in entry:
            self._lose(f"an entry with Id and Document, found {excerpt(entry)}", entry, at, trace)
            return []
        name = str(entry.get("Id") or "")
        document = entry["Document"]
        if isinstance(document, dict):
            self._builder.ledger.dialect("document_objects")
            return [(found, name) for found in self.of_object(document, at)]
        if isinstance(document, str) and not isinstance(document, BigInt):
            return [(found, name) for found in self.of_text(document, at, trace, name)]
        self._lose(f"a document as a string or an object, found {excerpt(document)}", document, at, trace, name)
        return []

    def of_text(self, text: str, at: Position, trace: str = "", entry: str = "") -> list[Segment]:
        """Return the documents in a text: one, or a list of them."""
        is_deep = text.count("{") + text.count("[") > MAX_DEPTH and nests_deeper(text.encode("utf-8", "replace"))
        if not is_deep:
            try:
                return [decode(text)]
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
        parsed = parse(text.encode("utf-8", "surrogatepass"), parse_float=exact_number)
        ledger = self._builder.ledger
        for note in parsed.notes:
            ledger.issue(note.code, note.message, at=at, action=note.action, severity=note.severity, trace_id=trace)
        if parsed.failure is not None:
            code = "JSON_TOO_DEEP" if parsed.failure.code == "JSON_TOO_DEEP" else "XR_DOC_NOT_JSON"
            message = f"the segment's document: {parsed.failure.message}"
            span = entry[:16]
            ledger.quarantine(code, message, at=at, trace_id=trace, span_id=span, field="Document", raw=text[:500])
            return []
        items = parsed.value if isinstance(parsed.value, list) else [parsed.value]
        return [document for item in items for document in self.of_object(item, at)]

    def of_object(self, document: Any, at: Position) -> list[Segment]:
        """Return a parsed document as a list; an OpenTelemetry span is loaded at once and the list is empty."""
        if not isinstance(document, dict):
            self._lose(f"an object in the segment's document, found {excerpt(document)}", document, at)
            return []
        for loader in (otlp_flat.LOADER, otlp.LOADER):
            if loader.recognises(document):
                loader.load(_with_floats(document), at, self._builder)
                return []
        return [from_object(document)]

    def _lose(self, expected: str, raw: Any, at: Position, trace: str = "", entry: str = "") -> None:
        """Quarantine what is no document."""
        message = f"expected {expected}; skipped"
        self._builder.ledger.quarantine(
            "XR_DOC_NOT_JSON", message, at=at, trace_id=trace, span_id=entry[:16], raw=str(raw)[:500]
        )


def _with_floats(document: dict[str, Any]) -> dict[str, Any]:
    """Return an object with floats for decimals, as the loaders of OTLP expect it."""
    value: dict[str, Any] = parse(json.dumps(document, default=float).encode()).value
    return value


def listed(value: Any) -> list[Any]:
    """Return a list as it is, nothing as no items, anything else as the only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def excerpt(value: Any) -> str:
    """Return the beginning of a JSON value as text, with its type."""
    return f"{type(value).__name__} {str(value)[:80]!r}"
