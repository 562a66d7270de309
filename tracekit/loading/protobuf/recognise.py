"""Whether bytes are OTLP protobuf, and of which signal: by their structure, never by the name of a file.

A request of traces is a sequence of field 1 (ResourceSpans), so several requests one after the other are one request.
JSON and text cannot be taken for it: a ResourceSpans has a resource or spans, and the tags of what is in these are
control characters, which text does not contain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.loading.protobuf.wire import FIXED32, FIXED64, LENGTH, VARINT, DamageError, Field, field

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = 1  # the only field of a request: ResourceSpans, ResourceMetrics, ResourceLogs
SPANS = 2  # of ResourceSpans: ScopeSpans; of ScopeSpans: Span
_FIRST = b"\x0a"
_LAYERS: tuple[dict[int, set[int]], ...] = (  # wire types of the fields of a ResourceSpans, of a Resource or ScopeSpans
    {1: {LENGTH}, SPANS: {LENGTH}, 3: {LENGTH}},
    {1: {LENGTH}, SPANS: {LENGTH, VARINT}, 3: {LENGTH}, 4: {LENGTH}},
)
_ANY = {VARINT, FIXED64, LENGTH, FIXED32}  # of a field that is newer than this reader
_CONTROL = bytes(sorted(set(range(32)) - set(b"\t\n\r\f\v\0\x1b\x1e")))
_LOOKED_AT = 1 << 10  # bytes: damage behind them is reported with its place
_ID, _TRACE_ID = 8, 16  # bytes


def is_protobuf(head: bytes) -> bool:
    """Return whether bytes begin a request or an answer in OTLP protobuf, by its first field that is not empty."""
    head = head[:_LOOKED_AT]
    if not head.startswith(_FIRST):
        return False
    try:
        for one in _available(head, 0, len(head)):
            content = head[one.value : one.stop]
            if (one.number, one.wire) != (GROUP, LENGTH) or not _fits(head, one.value, min(one.stop, len(head)), 0):
                return False
            if len(content.translate(None, _CONTROL)) < len(content):
                return True
    except DamageError:
        pass
    return False


def _fits(head: bytes, at: int, stop: int, layer: int) -> bool:
    """Return whether the fields of a message, as far as they are here, have the types of its layer."""
    try:
        for one in _available(head, at, stop):
            if one.wire not in _LAYERS[layer].get(one.number, _ANY) or (one.stop > stop and stop < len(head)):
                return False
            goes_on = one.wire == LENGTH and one.number <= SPANS and layer + 1 < len(_LAYERS)
            if goes_on and not _fits(head, one.value, min(one.stop, stop), layer + 1):
                return False
    except DamageError as error:
        return error.is_cut and stop == len(head)
    return True


def _available(data: bytes, at: int, stop: int) -> Iterator[Field]:
    """Yield the fields of a message, the last of which may be cut."""
    while at < stop:
        one = field(data, at, stop)
        yield one
        at = one.stop


def is_wrapped(data: bytes, at: int, stop: int) -> bool:
    """Return whether field 1 contains a list of ResourceSpans: an answer of Tempo; its end may be cut.

    A ResourceSpans begins with its resource, which has no field 2 of some length; there a ResourceSpans has its spans.
    """
    try:
        for one in _available(data, at, stop):
            if (one.number, one.wire) != (GROUP, LENGTH):
                return False
            for inner in _available(data, one.value, min(one.stop, stop)):
                if (inner.number, inner.wire) == (SPANS, LENGTH):
                    return True
    except DamageError:
        pass
    return False


def signal_of(data: bytes, at: int, stop: int) -> str:
    """Return the signal of a ResourceSpans, ResourceMetrics or ResourceLogs by its first item."""
    try:
        for scope in _available(data, at, stop):
            if (scope.number, scope.wire) == (SPANS, LENGTH):
                for item in _available(data, scope.value, min(scope.stop, stop)):
                    if (item.number, item.wire) == (SPANS, LENGTH):
                        return _signal_of_item(data, item.value, min(item.stop, stop))
    except DamageError:
        pass
    return "traces"


def _signal_of_item(data: bytes, at: int, stop: int) -> str:
    """Return the signal of a Span, Metric or LogRecord: their fields have different types."""
    found = {(one.number, one.wire): one for one in _available(data, at, stop)}
    if found.keys() & {(7, FIXED64), (8, FIXED64)}:  # times of a span
        return "traces"
    if found.keys() & {(1, FIXED64), (11, FIXED64), (2, VARINT), (8, FIXED32)}:  # times, severity, flags
        return "logs"
    texts = [found.get((number, LENGTH)) for number in (1, 2)]  # ids of a span, name and description of a metric
    has_ids = [one and one.stop - one.value for one in texts] == [_TRACE_ID, _ID]
    has_data = bool(found.keys() & {(number, LENGTH) for number in (5, 7, 9, 10, 11)})
    return "metrics" if texts[0] and has_data and not has_ids else "traces"
