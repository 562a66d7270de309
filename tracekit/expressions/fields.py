"""Evaluation of keywords for each owner: a trace, or a node of its service map.

Statuses, times and the request are those of one span: the root of the trace, or the main span of the node. Users,
annotations, instances, zones and ARNs are those of any span of the owner. Missing values match nothing.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit import semconv
from tracekit.attributes import Codes, pick, value
from tracekit.completeness import extents, is_open
from tracekit.schema import ErrorClass, RecordKind, ValueType

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array, KeyValues
    from tracekit.expressions.syntax import Condition
    from tracekit.traces import TraceSet

_NS_PER_S = 10**9
_OK = (200, 300)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_]")
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "": lambda *_: True,  # keyword without operator: any value
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "CONTAINS": lambda text, part: part in text,
    "BEGINSWITH": lambda text, part: text.startswith(part),
    "ENDSWITH": lambda text, part: text.endswith(part),
}
_REQUEST: dict[str, tuple[str, ...]] = {
    "http.url": semconv.SPAN_KEYS["url_full"],
    "http.method": semconv.SPAN_KEYS["http_request_method"],
    "http.useragent": ("user_agent.original", "http.user_agent"),
    "http.clientip": (*semconv.CALLER_ADDRESS, "net.sock.peer.addr"),
}
_ANYWHERE: dict[str, tuple[str, ...]] = {
    "user": ("enduser.id", "user.id"),
    "availabilityzone": ("cloud.availability_zone", "cloud.zone"),
    "instance.id": ("host.id",),
    "resource.arn": ("aws.xray.resource_arn", "cloud.resource_id"),
}


@dataclass(frozen=True)
class Owners:
    """The traces or nodes that a condition is evaluated for.

    Parameters
    ----------
    traces
        The set.
    row
        One per owner: its main span.
    owner
        One per span: its owner.
    duration_ns, has_duration
        One per owner: ``duration`` in ns, and whether it is known.
    """

    traces: TraceSet
    row: Array
    owner: Array
    duration_ns: Array
    has_duration: Array

    def of_speaker(self, rows: Array) -> Array:
        """Return whether the mask is true for the main span of each owner."""
        return np.asarray(rows[self.row])

    def any_of(self, rows: Array) -> Array:
        """Return whether the mask is true for any span of each owner."""
        return np.asarray((np.bincount(self.owner[rows], minlength=len(self.row)) > 0) | rows[self.row])


def whole_traces(traces: TraceSet) -> Owners:
    """Return the traces as owners; ``duration`` is from the earliest start to the latest end."""
    begun, ended = extents(traces.lookup, traces.forest)
    length = ended.value - begun.value
    return Owners(traces, traces.forest.root_row, traces.forest.trace, length, begun.is_known & ended.is_known)


def segments(traces: TraceSet, row: Array, owner: Array) -> Owners:
    """Return the segments of services as owners; their ``duration`` is that of the segment."""
    return Owners(traces, row, owner, traces.duration_ns[row], traces.has_duration[row])


def holds(condition: Condition, owners: Owners) -> Array:
    """Return whether a condition is true for each owner."""
    if condition.keyword == "annotation":
        return _annotation(condition, owners)
    if condition.kind == "truth":
        found = _truth(condition.keyword, owners)
        return found if expects_true(condition) else ~found
    if condition.kind == "number":
        return _number(condition, owners)
    column = _text(condition.keyword, owners.traces)
    rows = hits(column, condition)
    return owners.of_speaker(rows) if condition.keyword in _REQUEST else owners.any_of(rows)


def expects_true(condition: Condition) -> bool:
    """Return whether a boolean condition requires true."""
    return not condition.operator or bool(condition.value) == (condition.operator == "=")


def hits(column: Codes, condition: Condition) -> Array:
    """Return whether a text satisfies a condition; without an operator, whether it is present."""
    compare = COMPARE[condition.operator]
    table = [bool(compare(label, condition.value)) for label in column.labels]
    return np.asarray(np.array([*table, False])[column.codes])


# -------------------------------------------------------------------- truth


def _truth(keyword: str, owners: Owners) -> Array:
    """Return the value of a boolean keyword other than ``root``."""
    if keyword == "inferred":
        return owners.any_of(owners.traces.is_inferred)
    if keyword == "partial":
        return owners.any_of(is_open(owners.traces.lookup))
    return owners.of_speaker(statuses(owners.traces)[keyword])


def statuses(traces: TraceSet) -> dict[str, Array]:
    """Return ``error``, ``fault``, ``throttle`` and ``ok`` of every span.

    X-Ray's flags and the HTTP status code are used. A failed span of another format without a status code is a fault,
    as in OpenTelemetry's X-Ray exporter.
    """
    look = traces.lookup
    kind = look.error_class
    is_plain = traces.columns.spans.record_kind == RecordKind.SPAN
    throttle = (kind == ErrorClass.THROTTLE) | look.truth(("aws.xray.throttle",))
    error = (kind == ErrorClass.CLIENT) | throttle | look.truth(("aws.xray.error",))
    fault = (kind == ErrorClass.FAULT) | look.truth(("aws.xray.fault",))
    fault |= is_plain & (kind == ErrorClass.UNSPECIFIED)
    code, known = look.http_status
    ok = ~(error | fault) & (~known | ((code >= _OK[0]) & (code < _OK[1])))
    return {"throttle": throttle, "error": error, "fault": fault, "ok": ok}


# -------------------------------------------------------------------- numbers and texts


def _number(condition: Condition, owners: Owners) -> Array:
    """Return whether a number satisfies a condition; seconds are compared as whole nanoseconds."""
    traces = owners.traces
    if condition.keyword == "http.status":
        code, known = traces.lookup.http_status
        found, known, bound = code[owners.row], known[owners.row], condition.value
    else:
        is_whole = condition.keyword == "duration"
        found = owners.duration_ns if is_whole else traces.duration_ns[owners.row]
        known = owners.has_duration if is_whole else traces.has_duration[owners.row]
        bound = _nanoseconds(condition.value) if condition.operator else None
    if not condition.operator:
        return np.asarray(known)
    return np.asarray(known & COMPARE[condition.operator](found, bound))


def _nanoseconds(seconds: float) -> float:
    """Return seconds as nanoseconds, an integer if possible."""
    exact = Decimal(repr(seconds)) * _NS_PER_S
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < 2**63 else float(exact)


def _text(keyword: str, traces: TraceSet) -> Codes:
    """Return a text attribute of every span, else of its resource."""
    look = traces.lookup
    if keyword == "http.method":
        return look.codes("http_request_method")
    keys = _REQUEST.get(keyword) or _ANYWHERE[keyword]
    resource = look.resources_by_key.codes_of(keys).take(traces.columns.spans.resource)
    return pick([look.by_key.codes_of(keys), resource])[0]


# -------------------------------------------------------------------- annotations


def _annotation(condition: Condition, owners: Owners) -> Array:
    """Return whether any span has an annotation that satisfies the condition."""
    traces = owners.traces
    kv, spans = traces.columns.kv, traces.columns.spans
    found = np.zeros(len(spans), bool)
    for key in {key for key in kv.keys if condition.key in {key, _NOT_PLAIN.sub("_", key)}}:
        rows, codes = traces.lookup.by_key.of(key)
        may = kv.is_indexed[codes] | (spans.record_kind[rows] == RecordKind.SPAN)
        rows, codes = rows[may], codes[may]
        used, position = np.unique(codes, return_inverse=True)
        table = np.array([_value_holds(kv, int(code), condition) for code in used], bool)
        found[rows[table[position]]] = True
    return owners.any_of(found)


def _value_holds(kv: KeyValues, code: int, condition: Condition) -> bool:
    """Return whether the value of an annotation satisfies the condition; values of another type do not."""
    content = value(kv, code)
    if not condition.operator:
        return bool(content) if isinstance(content, bool) else kv.type[code] != ValueType.EMPTY
    expected = condition.value
    if isinstance(expected, bool) or isinstance(content, bool):
        is_same_type = isinstance(expected, bool) and isinstance(content, bool)
    else:
        is_same_type = isinstance(content, (int, float) if isinstance(expected, float) else str)
    return is_same_type and bool(COMPARE[condition.operator](content, expected))
