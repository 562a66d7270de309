"""The catalogue of issues: what can be wrong with a source, how severe that is, and what to do next."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One code of ``traces.issues``.

    ``remedy`` is what to do next.  It is empty where there is nothing to do, and where the message of every issue of
    the code contains a more precise one.
    """

    severity: str
    meaning: str
    remedy: str = ""


_FIX_EXPORTER = "fix the exporter (SDK or collector) that wrote this file"

CATALOGUE: dict[str, Code] = {
    "FILE_EMPTY": Code("error", "the source is empty"),
    "FILE_BLANK": Code("error", "the source contains only white space"),
    "FILE_HTML": Code("error", "the source is a web page, not trace data"),
    "API_BAD_BODY": Code("error", "an API response without a required field"),
    "API_ERROR_JSON": Code("error", "the source is an API error response", "repeat the request, and export again"),
    "CONTAINER_MISLABELLED": Code("info", "the file extension does not match the content; the content decides"),
    "CONTAINER_TRUNCATED": Code("error", "the compressed stream is truncated"),
    "CONTAINER_DAMAGED": Code("error", "the compressed stream is corrupt"),
    "CONTAINER_BOMB": Code("error", "the decompressed size or the compression ratio exceeds the limit"),
    "TABLE_LAYOUT": Code("info", "a table of spans in the layout of another tool; what that does not store is missing"),
    "ENC_BOM": Code("info", "byte order mark skipped"),
    "ENC_UTF16": Code("info", "converted from UTF-16"),
    "ENC_INVALID_UTF8": Code("error", "bytes that are not valid UTF-8", "export the file again as UTF-8"),
    "ENC_NUL": Code("warn", "NUL bytes", "check that log rotation or copying lost no data"),
    "ENC_SURROGATE": Code(
        "warn",
        "unpaired surrogates, replaced by U+FFFD",
        "fix the exporter: it truncates strings inside a character",
    ),
    "JSON_SYNTAX": Code("error", "invalid JSON", "fix or delete the record, and read again"),
    "JSON_TRUNCATED_TAIL": Code("warn", "the last record is truncated", "read the file again when it is closed"),
    "JSON_TRUNCATED_DOC": Code("error", "the document is truncated", "get the complete file, and read again"),
    "JSON_TRAILING": Code("error", "text after the end of the document", "fix or delete that text, and read again"),
    "JSON_CONCAT": Code("info", "several documents in one source"),
    "JSON_TOO_DEEP": Code(
        "error", "nested deeper than 200 levels", "configure the exporter to nest attribute values less deeply"
    ),
    "JSON_HUGE": Code(
        "error", "one value larger than the size limit", "configure the exporter to truncate or drop large values"
    ),
    "JSON_BIG_INT": Code(
        "warn", "an integer outside the 64-bit range; its digits are kept", "fix the exporter: write it as a string"
    ),
    "JSON_NONFINITE": Code("info", "NaN or Infinity"),
    "JSON_DUP_KEY": Code("warn", "duplicate JSON key", _FIX_EXPORTER),
    "PROTOBUF_DAMAGED": Code("error", "bytes that are not OTLP protobuf", "export or copy the file again"),
    "PROTOBUF_TRUNCATED": Code("warn", "the last message is truncated", "read the file again when it is closed"),
    "TEXT_PREFIX": Code("info", "a log prefix before the JSON was skipped"),
    "SIGNAL_MIXED": Code(
        "warn", "records of another signal (metrics, logs, profiles) were skipped", "check that they contain no spans"
    ),
    "FORMAT_UNKNOWN": Code("error", "JSON of no known trace format", "export the traces as OTLP JSON"),
    "DIALECT": Code("info", "a dialect of the format was converted"),
    "ID_BAD_LENGTH": Code(
        "error", "an id of invalid length", "fix the exporter, or the processor that rewrote the ids"
    ),
    "ID_ZERO": Code("error", "an all-zero id", "fix the exporter: the span has no id"),
    "ID_NOT_HEX": Code("error", "an id that is not hexadecimal", "fix the exporter, or the processor that rewrote it"),
    "ID_HEX_AS_BASE64": Code(
        "warn",
        "a hex id that was decoded as base64; converted back",
        "configure the exporter to write OTLP JSON, which has hex ids",
    ),
    "ID_64BIT": Code("info", "a 64-bit trace id, padded with zeros"),
    "DUP_IDENTICAL": Code("info", "identical copy of another span, merged"),
    "DUP_SUPERSEDED": Code("info", "unfinished record, replaced by the finished span"),
    "DUP_CONFLICT": Code(
        "warn",
        "the same trace id and span id with different content; all kept",
        "check for two exporters that write the same span, or for an id generator without a random seed",
    ),
    "PARENT_MISSING": Code(
        "warn",
        "missing parent (orphan span)",
        "read the files of all services together, or check where spans are dropped",
    ),
    "PARENT_SELF": Code("error", "the parent id is the span's own id", "fix the instrumentation that sets the parent"),
    "PARENT_CYCLE": Code(
        "error",
        "part of a cycle of parents; the earliest span becomes a root",
        "fix the instrumentation that sets the parents",
    ),
    "MULTI_ROOT": Code("info", "more than one root span"),
    "NO_ROOT": Code("warn", "no root span", "read the files of the service where the traces begin as well"),
    "CHILD_OUTSIDE_PARENT": Code(
        "info",
        "child span outside its parent's interval (normal for asynchronous work)",
        "for synchronous work, check clock skew: tk.clock_skew(traces)",
    ),
    "TIME_ZERO": Code("warn", "start time zero or missing", "fix the exporter: it writes no start time"),
    "TIME_MISSING_END": Code(
        "warn", "no end time", "read again when the spans have ended, or check for a process that crashed"
    ),
    "DUR_NEGATIVE": Code(
        "warn",
        "negative duration; excluded from latency statistics",
        "check the host's clock, or the instrumentation that sets the end time",
    ),
    "DUR_ZERO": Code("info", "zero duration; valid"),
    "DUR_ABSURD": Code("warn", "longer than 30 days", "check the instrumentation that sets the end time"),
    "TIME_UNIT": Code("error", "times that are not in nanoseconds", "check the time unit of the exporter"),
    "TIME_FUTURE": Code("warn", "starts more than a day from now", "check the host's clock"),
    "TIME_STRING": Code("warn", "a time written as text", "fix the exporter: write times as numbers"),
    "TIME_PRECISION_LOST": Code("info", "nanoseconds as a JSON number: rounded to 256 ns"),
    "ENUM_BAD": Code("warn", "an invalid value of an enumeration or number", _FIX_EXPORTER),
    "ATTR_BAD": Code("warn", "a malformed attribute or field", _FIX_EXPORTER),
    "XR_DOC_NOT_JSON": Code("error", "a segment document that is not valid JSON", "fetch the trace again"),
    "XR_TRACE_MISMATCH": Code(
        "warn",
        "the segment has another trace id than its trace",
        "fetch the trace again, or fix the SDK that sent the segment",
    ),
    "XR_CAUSE_DANGLING": Code(
        "warn", "a cause refers to an exception that is not in the trace", "fetch all segments of the trace"
    ),
    "XR_NO_END": Code("warn", "neither end_time nor in_progress", "fetch the trace again when the request has ended"),
    "XR_LIMIT_EXCEEDED": Code(
        "warn",
        "the trace is incomplete: it exceeds X-Ray's size limit",
        "configure the services to record fewer subsegments per trace",
    ),
    "XR_UNPROCESSED": Code("warn", "trace ids that X-Ray did not process", "fetch these traces again"),
    "XR_NAMESPACE_UNKNOWN": Code(
        "warn", "a namespace other than aws, remote and local", "fix the SDK: set the namespace to aws or remote"
    ),
    "XR_SUMMARIES_ONLY": Code("error", "trace summaries, which contain no spans"),
    "PAGE_TOKEN_LOOP": Code("error", "the API returned the same page token twice"),
    "CARDINALITY": Code("warn", "a high-cardinality attribute"),
    "SOURCE_WARNING": Code("info", "a warning recorded in the source"),
    "STORE_NEWER": Code("error", "the store was written by a newer version"),
    "STORE_TOO_LARGE": Code("error", "the store needs more memory than is free"),
    "STORE_OLDER": Code("error", "the store was written by an older version, in another layout"),
    "STORE_BROKEN": Code("error", "the store has missing or damaged files"),
    "PATH_MISSING": Code("error", "no such file"),
    "PATH_DENIED": Code("error", "the file cannot be read (permission denied)"),
    "PATH_SPECIAL": Code("error", "not a regular file"),
    "PATH_LOOP": Code("error", "a loop of symbolic links"),
}
