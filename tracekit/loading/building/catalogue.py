"""The catalogue of issues: what can be wrong with a source, how bad that is, and what to do next."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One code of ``traces.issues``.

    ``remedy`` is what to do next, empty where each message says it by itself, or where there is nothing to do.
    """

    severity: str
    meaning: str
    remedy: str = ""


CATALOGUE: dict[str, Code] = {
    "FILE_EMPTY": Code("error", "the source has no bytes"),
    "FILE_BLANK": Code("error", "the source is white space"),
    "FILE_HTML": Code("error", "the source is a web page, not trace data"),
    "API_BAD_BODY": Code("error", "an API answer without its required member"),
    "API_ERROR_JSON": Code("error", "the source is an error answer of an API"),
    "CONTAINER_MISLABELLED": Code("info", "the extension and the content disagree; the content was believed"),
    "CONTAINER_TRUNCATED": Code("error", "the compressed stream ends early"),
    "CONTAINER_DAMAGED": Code("error", "the compressed stream is damaged"),
    "CONTAINER_BOMB": Code("error", "decompressed size or ratio beyond the cap"),
    "ENC_BOM": Code("info", "byte order mark skipped"),
    "ENC_UTF16": Code("info", "UTF-16 converted"),
    "ENC_INVALID_UTF8": Code("error", "bytes that are not UTF-8", "export it again as UTF-8"),
    "ENC_NUL": Code("warn", "NUL bytes", "check that nothing was lost when the file was rotated or copied"),
    "ENC_SURROGATE": Code(
        "warn", "unpaired surrogates replaced by U+FFFD", "mend the writer, which cuts texts inside a character"
    ),
    "JSON_SYNTAX": Code("error", "not JSON", "mend or delete the record, and read again"),
    "JSON_TRUNCATED_TAIL": Code("warn", "the last record is cut: a live or cut file"),
    "JSON_TRUNCATED_DOC": Code("error", "the document is cut", "get the whole file, and read again"),
    "JSON_TRAILING": Code(
        "error", "something follows the document", "mend or delete what is behind it, and read again"
    ),
    "JSON_CONCAT": Code("info", "several documents in one source"),
    "JSON_TOO_DEEP": Code("error", "nested deeper than 200 levels", "have the writer nest less deep"),
    "JSON_HUGE": Code("error", "one value larger than the cap", "have the writer leave the large part out"),
    "JSON_BIG_INT": Code("warn", "an integer beyond 64 bits; its digits are kept", "have the writer record it as text"),
    "JSON_NONFINITE": Code("info", "NaN or Infinity"),
    "JSON_DUP_KEY": Code("warn", "a member twice in one object", "mend the writer"),
    "TEXT_PREFIX": Code("info", "a log prefix before the JSON was skipped"),
    "SIGNAL_MIXED": Code("warn", "records of another signal were skipped", "check that no spans were expected there"),
    "FORMAT_UNKNOWN": Code("error", "JSON, but of no known shape", "check what wrote it"),
    "DIALECT": Code("info", "a dialect of the format was converted"),
    "ID_BAD_LENGTH": Code("error", "an id of the wrong length", "mend the writer, or the step that rewrote the ids"),
    "ID_ZERO": Code("error", "an id of zeros", "mend the writer, which gives the span no id"),
    "ID_NOT_HEX": Code("error", "an id that is not hexadecimal", "mend the writer, or the step that rewrote the ids"),
    "ID_HEX_AS_BASE64": Code(
        "warn", "hex that was read as base64; turned back", "have the writer use OTLP's own JSON, which has hex ids"
    ),
    "ID_64BIT": Code("info", "a 64-bit trace id, padded"),
    "DUP_IDENTICAL": Code("info", "the same span again, merged"),
    "DUP_SUPERSEDED": Code("info", "an unfinished record replaced by the finished one"),
    "DUP_CONFLICT": Code(
        "warn",
        "the same ids with different content; all kept",
        "look for two writers of one span, or for ids that are drawn twice",
    ),
    "PARENT_MISSING": Code(
        "warn",
        "the parent is not in the data",
        "read the sources of all services together, or look for where spans are lost",
    ),
    "PARENT_SELF": Code("error", "its own parent", "mend the instrumentation that names the parent"),
    "PARENT_CYCLE": Code(
        "error", "each other's ancestors; cut at the earliest", "mend the instrumentation that names the parents"
    ),
    "MULTI_ROOT": Code("info", "several roots"),
    "NO_ROOT": Code("warn", "no root", "read the source of the service where the traces begin, too"),
    "CHILD_OUTSIDE_PARENT": Code("info", "outside the time of the parent"),
    "TIME_ZERO": Code("warn", "start time zero or absent", "mend the writer, which leaves the start out"),
    "TIME_MISSING_END": Code(
        "warn", "no end time", "read again when the spans have ended, or look for a process that died"
    ),
    "DUR_NEGATIVE": Code(
        "warn",
        "ends before it starts; left out of latency statistics",
        "check the clock of the host, or what sets the end",
    ),
    "DUR_ZERO": Code("info", "zero duration; valid"),
    "DUR_ABSURD": Code("warn", "longer than 30 days", "check what sets the end"),
    "TIME_UNIT": Code("error", "times that are not nanoseconds", "check the unit in which they were written"),
    "TIME_FUTURE": Code("warn", "starts more than a day from now", "check the clock of the host"),
    "TIME_STRING": Code("warn", "a time given as text", "have the writer give times as numbers"),
    "TIME_PRECISION_LOST": Code("info", "nanoseconds written as a JSON number: rounded to 256 ns"),
    "ENUM_BAD": Code("warn", "a value outside its enumeration", "mend the writer"),
    "ATTR_BAD": Code("warn", "an attribute that is not well formed", "mend the writer"),
    "XR_DOC_NOT_JSON": Code("error", "a segment document that does not parse", "fetch the trace again"),
    "XR_TRACE_MISMATCH": Code(
        "warn", "segment and trace disagree on the trace id", "fetch the trace again, or mend the writer of the segment"
    ),
    "XR_CAUSE_DANGLING": Code(
        "warn", "a cause that refers to no exception of the trace", "fetch all segments of the trace"
    ),
    "XR_NO_END": Code("warn", "neither end_time nor in_progress", "fetch the trace again when the request has ended"),
    "XR_LIMIT_EXCEEDED": Code(
        "warn", "X-Ray stopped adding segments to the trace", "have the services record fewer subsegments a trace"
    ),
    "XR_UNPROCESSED": Code("warn", "trace ids that X-Ray did not process"),
    "XR_NAMESPACE_UNKNOWN": Code(
        "warn", "a namespace other than aws and remote", "have the writer name the namespace aws or remote"
    ),
    "XR_SUMMARIES_ONLY": Code("error", "trace summaries: there are no spans in them"),
    "PAGE_TOKEN_LOOP": Code("error", "the same page token twice"),
    "CARDINALITY": Code("warn", "more distinct names than a reader can use"),
    "SOURCE_WARNING": Code("info", "a warning that the source carries"),
    "STORE_NEWER": Code("error", "written by a newer version"),
    "STORE_BROKEN": Code("error", "a store with parts missing or damaged"),
    "PATH_MISSING": Code("error", "no such file"),
    "PATH_DENIED": Code("error", "the file may not be read"),
    "PATH_SPECIAL": Code("error", "not a regular file"),
    "PATH_LOOP": Code("error", "a loop of symbolic links"),
}
