"""Whether text is JSON Lines or a document, and the prefixes of log collectors.

``shape`` decides from the first chunk of a stream; ``strip_prefix`` finds the JSON after the prefix of Docker,
Kubernetes or an event stream.
"""

from __future__ import annotations

import json
import re
from typing import Literal

from tracekit.loading import native
from tracekit.loading.records.depth import DepthMeter, nests_deeper
from tracekit.loading.records.parse import big_int_decoder, ends_early, parse

_LOOKED_AT = 1 << 20
_LINES_TRIED = 1000
_BLANK = b" \t\r\n\0"
_BOM = b"\xef\xbb\xbf"
_OPENING = (b"{", b"[")
_EMPTY = re.compile(rb"[{\[]\s*[}\]]")
_TIME = rb"\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)"
_CRI = re.compile(_TIME + rb" (?:stdout|stderr) [FP](?: |$)")
_KUBECTL = re.compile(rb"(?:\[pod/[^\]\s]+\] ?|[\w.-]+ +\| ?)?(?:" + _TIME + rb" )?")
_SSE = re.compile(rb"data: ?")
_SSE_OTHER = re.compile(rb"(?:event|id|retry)?:|data: ?(?:\[DONE\])?\s*$")


def begins_with_record(first: bytes) -> bool:
    """Return whether the first line, if all of it is there, is a record: then ``shape`` returns "lines"."""
    end = first.find(b"\n")
    line = first[len(_BOM) if first.startswith(_BOM) else 0 : max(end, 0)].strip(_BLANK)
    return bool(line) and (_is_record(line) or _is_record(strip_prefix(line)[0]))


def shape(first: bytes, *, at_eof: bool) -> Literal["lines", "document"]:
    """Return "lines" for JSON Lines, "document" for one or several documents."""
    start = len(_BOM) if first.startswith(_BOM) else 0
    seen = False
    for _ in range(_LINES_TRIED):
        if start >= len(first):
            break
        newline = first.find(b"\n", start)
        end = len(first) if newline < 0 else newline
        line = first[start:end].strip(_BLANK)
        if line:
            is_whole = newline >= 0 or at_eof
            if is_whole and (_is_record(line) or _is_record(strip_prefix(line)[0])):
                return "lines"
            if not is_whole and not seen:
                return "document"
            if line.startswith(_OPENING) and _goes_on(first[start : start + _LOOKED_AT], len(first) - start, at_eof):
                return "document"
            seen = True
        start = end + 1
    return "lines"


def _is_record(line: bytes) -> bool:
    """Return whether a line is one object or array with something in it."""
    if not line.startswith(_OPENING) or not line.endswith((b"}", b"]")) or _EMPTY.fullmatch(line):
        return False
    if len(line) > _LOOKED_AT or nests_deeper(line):
        meter = DepthMeter()
        meter.feed(line)
        return meter.depth == 0 and not meter.in_string
    return parse(line).failure is None


def _goes_on(data: bytes, size: int, at_eof: bool) -> bool:
    """Return whether the value that begins here validly continues after its first line."""
    newline = data.find(b"\n")
    if nests_deeper(data):
        meter = DepthMeter()
        meter.feed(data if newline < 0 else data[:newline])
        return meter.depth > 0
    text = data.decode("utf-8", "surrogateescape").lstrip()
    line_end = text.find("\n") if newline >= 0 else len(text)
    try:
        _, end = big_int_decoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if ends_early(error, text):
            return newline >= 0 or not at_eof or size == len(data)
        return error.pos > line_end and bool(text[line_end : error.pos].strip()) and not _begins_line(text, error.pos)
    return end > line_end or text[end:line_end].lstrip().startswith(("{", "["))


def _begins_line(text: str, position: int) -> bool:
    """Return whether a line that is a record by itself begins here."""
    if position and text[position - 1] != "\n":
        return False
    return _is_record(text[position:].split("\n", 1)[0].strip().encode("utf-8", "surrogateescape"))


def strip_prefix(line: bytes) -> tuple[bytes, str]:
    """Return the JSON after the prefix of a log collector, and the name of the prefix."""
    line = line.strip(_BLANK)
    if line.startswith(_BOM):
        return line[len(_BOM) :], "bom"
    if line.startswith(b'{"log"'):
        extension = native.compiled()
        log = None if extension is None else extension.docker(line)
        if log is not None:
            return log.decode().strip().encode(), "docker"
        record = parse(line).value
        if isinstance(record, dict) and isinstance(record.get("log"), str):
            return record["log"].strip().encode(), "docker"
    if match := _CRI.match(line):
        return line[match.end() :], "cri"
    if _SSE_OTHER.match(line):
        return b"", "sse"
    if match := _SSE.match(line):
        return line[match.end() :], "sse"
    match = _KUBECTL.match(line)
    if match and match.end() and line.startswith(_OPENING, match.end()):
        return line[match.end() :], "kubectl"
    return line, ""
