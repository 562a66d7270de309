"""AWS X-Ray: every shape of saved segment documents.

=============================================  =================================================================
shape                                          how it is recognised
=============================================  =================================================================
responses of BatchGetTraces                    ``Traces``, ``UnprocessedTraceIds``
traces, alone or in a list                     ``Segments`` with ``Document`` as text or (console) as object
responses of ListRetrievedTraces               ``Traces`` with ``Spans``; documents of X-Ray or of OpenTelemetry
entries, alone or in a list                    ``Id`` and ``Document``
segment documents, alone, in a list, as text   ``id`` and ``start_time``
bodies of PutTraceSegments                     ``TraceSegmentDocuments``
what a daemon receives                         ``{"format": "json", "version": 1}`` before a document
responses of GetTraceSummaries                 ``TraceSummaries``: without spans, XR_SUMMARIES_ONLY
=============================================  =================================================================

What the format loses: the kind of PRODUCER and CONSUMER spans, event times, events other than exceptions, scopes,
trace state, digits beyond about 240 ns.  Segments, subsegments and inferred segments differ in ``record_kind``.
``error``, ``fault`` and ``throttle`` are kept, where true, as ``aws.xray.error``, ``aws.xray.fault`` and
``aws.xray.throttle``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading import native
from tracekit.loading.ids import parse_trace_id, shown_id
from tracekit.loading.loader import Loader
from tracekit.loading.records import BigInt
from tracekit.loading.xray import compiled, fast
from tracekit.loading.xray.documents import DocumentParser, excerpt, listed
from tracekit.loading.xray.segment import from_object
from tracekit.loading.xray.times import duration_ns
from tracekit.loading.xray.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Ledger, Position
    from tracekit.loading.loader import Scanner
    from tracekit.loading.xray.answer import Answer, Trace

_ANSWER = frozenset({"Traces", "UnprocessedTraceIds", "RetrievalStatus"})
_HEADER = frozenset({"format", "version"})


def recognises(value: Any) -> bool:
    """Return whether a parsed record has one of X-Ray's shapes."""
    if isinstance(value, list):
        return bool(value) and all(recognises(item) for item in value[:3]) and not isinstance(value[0], list)
    if isinstance(value, str):
        return value.lstrip()[:1] == "{" and '"start_time"' in value
    return isinstance(value, dict) and _shape(value) is not None


def _shape(record: dict[str, Any]) -> Callable[[_Reader, dict[str, Any], Position], None] | None:
    """Return the method that reads an object, None for one of another format."""
    if not _ANSWER.isdisjoint(record):
        return _Reader.answer
    if "Segments" in record or ("Spans" in record and "Id" in record):
        return _Reader.trace
    if "TraceSegmentDocuments" in record:
        return _Reader.put
    if "TraceSummaries" in record:
        return _Reader.summaries
    if record.keys() == _HEADER and record["format"] == "json":
        return _Reader.header
    if "Document" in record and "Id" in record:
        return _Reader.entry
    return _Reader.bare if _is_segment(record) else None


def _is_segment(record: dict[str, Any]) -> bool:
    """Return whether an object is a segment, or a subsegment that was sent alone."""
    if isinstance(record.get("annotations"), list):  # of Zipkin: those of X-Ray are an object
        return False
    return "id" in record and ("start_time" in record or ("trace_id" in record and "name" in record))


def load(value: Any, at: Position, builder: Builder) -> None:
    """Load the segments of one parsed record."""
    _reader(builder).load(value, at)


def _reader(builder: Builder) -> _Reader:
    """Return the reader of a builder's records."""
    reader: _Reader = builder.memory.get("xray") or _Reader(builder)
    builder.memory["xray"] = reader
    return reader


class _Reader:
    """Reads the documents in the records of one builder."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._ledger: Ledger | None = None
        self._reported: set[str] = set()
        self._documents = DocumentParser(builder)
        self.walk = Walk(builder)

    def load(self, value: Any, at: Position) -> None:
        """Load one record."""
        self._begin()
        for item in value if isinstance(value, list) else [value]:
            self.take(item, at)
        self.walk.causes.resolve()

    def about(self, answer: Answer, at: Position, *, is_retrieved: bool = False) -> None:
        """Report everything in a response except its documents; ``is_retrieved``: of ListRetrievedTraces, complete."""
        self._begin()
        status = {"RetrievalStatus": "COMPLETE"} if is_retrieved else {}
        pages = {"UnprocessedTraceIds": answer.UnprocessedTraceIds, "NextToken": answer.NextToken}
        self._answer(status | pages, at)
        for trace in answer.Traces:
            self.about_trace(trace, at)

    def about_trace(self, trace: Trace, at: Position) -> None:
        """Record and report X-Ray's facts about a trace."""
        self._begin()
        self._trace({"Id": trace.Id, "Duration": trace.Duration, "LimitExceeded": trace.LimitExceeded}, at)

    def _begin(self) -> None:
        """Begin a record; messages about another source may be repeated for a new one."""
        if self._ledger is not self._builder.ledger:
            self._ledger = self._builder.ledger
            self._reported.clear()

    def take(self, item: Any, at: Position) -> None:
        """Load one item: an object of any shape, or the text of a document."""
        if isinstance(item, str) and not isinstance(item, BigInt):
            self._builder.ledger.dialect("document_texts")
            self.text(item, at)
            return
        take = _shape(item) if isinstance(item, dict) else None
        if take is None:
            message = f"expected a segment document, a trace or an X-Ray response, found {excerpt(item)}; skipped"
            self._builder.ledger.quarantine("XR_DOC_NOT_JSON", message, at=at, raw=str(item)[:500])
        else:
            take(self, item, at)

    # ---------------------------------------------------------------- answers

    def answer(self, record: dict[str, Any], at: Position) -> None:
        """Load a response of BatchGetTraces or ListRetrievedTraces."""
        self._answer(record, at)
        for trace in listed(record.get("Traces")):
            if isinstance(trace, dict):
                self.trace(trace, at)
            else:
                self.take(trace, at)

    def _answer(self, record: dict[str, Any], at: Position) -> None:
        """Report everything in a response except its traces."""
        ledger = self._builder.ledger
        ledger.dialect("retrieved_traces" if "RetrievalStatus" in record else "batch_get_traces")
        for trace_id in listed(record.get("UnprocessedTraceIds")):
            if f"unprocessed {trace_id}" not in self._reported:
                self._reported.add(f"unprocessed {trace_id}")
                message = f"X-Ray did not process {trace_id!r:.50}"
                where = shown_id(trace_id)
                ledger.issue("XR_UNPROCESSED", message, at=at, trace_id=where, field="UnprocessedTraceIds")
                ledger.incomplete("X-Ray did not process all trace ids")
        status = record.get("RetrievalStatus")
        if status is not None and status != "COMPLETE":
            ledger.incomplete(f"trace retrieval status: {status!s:.20}")
        self._page(record, ledger)

    def _page(self, record: dict[str, Any], ledger: Ledger) -> None:
        """Mark the source incomplete if further pages are missing; a page without a token completes it."""
        reason = "the last response has a NextToken: more pages exist"
        if record.get("NextToken"):
            ledger.incomplete(reason)
        elif ledger.stop_reason == reason:
            ledger.complete, ledger.stop_reason = True, ""

    def trace(self, trace: dict[str, Any], at: Position) -> None:
        """Load one trace: its documents, and X-Ray's facts about the trace."""
        name, where = self._trace(trace, at)
        documents = [
            (document, entry)
            for part in listed(trace.get("Segments")) + listed(trace.get("Spans"))
            for document, entry in self._documents.of_entry(part, at, where)
        ]
        for document, entry in documents:
            self.walk.document(document, at, wrapper=name, entry=entry)

    def _trace(self, trace: dict[str, Any], at: Position) -> tuple[str, str]:
        """Record X-Ray's facts about a trace; return its id as recorded, and as shown in issues."""
        name = str(trace.get("Id") or "")
        found, where = parse_trace_id(name), shown_id(name)
        is_limited = trace.get("LimitExceeded") is True
        if found.value:
            self._builder.fact(
                found.value, reported_duration_ns=duration_ns(trace.get("Duration")), limit_exceeded=is_limited
            )
        if is_limited:
            message = "X-Ray stopped adding segments: the trace is incomplete"
            self._builder.ledger.issue("XR_LIMIT_EXCEEDED", message, at=at, trace_id=where, field="LimitExceeded")
        return name, where

    def entry(self, entry: dict[str, Any], at: Position) -> None:
        """Load a single entry of ``Segments``."""
        for document, name in self._documents.of_entry(entry, at):
            self.walk.document(document, at, entry=name)

    def put(self, body: dict[str, Any], at: Position) -> None:
        """Load the body of a PutTraceSegments request."""
        self._builder.ledger.dialect("put_trace_segments")
        for document in listed(body.get("TraceSegmentDocuments")):
            if isinstance(document, str) and not isinstance(document, BigInt):
                self.text(document, at)
            else:
                self.take(document, at)

    def text(self, text: str, at: Position) -> None:
        """Load the text of a document outside a trace."""
        for document in self._documents.of_text(text, at):
            self.walk.document(document, at)

    def bare(self, document: dict[str, Any], at: Position) -> None:
        """Load one segment document in parsed form."""
        self._builder.ledger.dialect("segment_documents")
        self.walk.document(from_object(document), at)

    def header(self, header: dict[str, Any], at: Position) -> None:  # noqa: ARG002 - called like the others
        """Count the header line of the daemon protocol."""
        self._builder.ledger.dialect("daemon")

    def summaries(self, record: dict[str, Any], at: Position) -> None:
        """Report that trace summaries contain no spans."""
        found = listed(record.get("TraceSummaries"))
        self._builder.ledger.skip("X-Ray trace summaries", max(1, len(found)))
        if "summaries" not in self._reported:
            self._reported.add("summaries")
            message = (
                f"expected traces with segments, found {len(found)} trace summaries (GetTraceSummaries), which contain"
                " no spans; fetch the traces by id with aws xray batch-get-traces --trace-ids, or tracekit pull"
            )
            self._builder.ledger.issue("XR_SUMMARIES_ONLY", message, at=at, field="TraceSummaries")


def scanner(builder: Builder) -> Scanner:
    """Return the scanner of lines: the compiled one where it was built, unless the Python lane is chosen."""
    extension = native.compiled()
    careful = fast.Scanner(builder, _reader)
    return careful if extension is None else compiled.Scanner(builder, careful, _reader, extension)


LOADER = Loader(
    "xray",
    recognises,
    load,
    streams=("Traces", "TraceSegmentDocuments", "TraceSummaries"),
    exact_marker=b'"start_time"',
    scanned=("Traces",),
    scanner=scanner,
)
