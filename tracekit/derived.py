"""Columns derived from attributes: service, operation, peer, error class.

Each function takes a ``Lookup`` (the columns and their attributes by key) and returns codes or arrays with one entry
per span.  ``Lookup.codes(name)`` calls them and caches the results.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit import schema, semconv
from tracekit.attributes import Codes, KeyIndex, Numbers, join, pick
from tracekit.messages import message_spans
from tracekit.name_templates import path_template, template
from tracekit.schema import ErrorClass, Kind, Quality, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array, Columns

_OUTBOUND = (Kind.CLIENT, Kind.PRODUCER)
_INBOUND = (Kind.SERVER, Kind.CONSUMER)
_LABELS = {"kind": schema.KINDS, "status_code": schema.STATUS_CODES, "record_kind": schema.RECORD_KINDS}


class Lookup:
    """Columns with cached lookups.

    Parameters
    ----------
    columns
        The columns; never modified.

    Examples
    --------
    >>> shop.codes("operation").labels
    ['GET /cart', 'GET /items', 'POST /pay', 'POST /lock', 'POST /charge', 'SELECT entries', 'GET', 'POST']
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._codes: dict[str, Codes] = {}

    @cached_property
    def by_key(self) -> KeyIndex:
        """Attributes of spans by key."""
        return KeyIndex(self.columns.attributes, self.columns.kv)

    @cached_property
    def resources_by_key(self) -> KeyIndex:
        """Attributes of resources by key."""
        return KeyIndex(self.columns.resource_attributes, self.columns.kv)

    @cached_property
    def events_by_key(self) -> KeyIndex:
        """Attributes of events by key."""
        return KeyIndex(self.columns.event_attributes, self.columns.kv)

    def codes(self, column: str) -> Codes:
        """Return a category column of ``spans`` as codes; KeyError for an unknown name."""
        if column not in self._codes:
            self._codes[column] = self._make(column)
        return self._codes[column]

    def _make(self, column: str) -> Codes:
        spans = self.columns.spans
        if column in _LABELS:
            return Codes(getattr(spans, column), list(_LABELS[column]))
        if column in DERIVED:
            return DERIVED[column](self)
        if column in semconv.SPAN_KEYS:
            renamed = semconv.rename(column)
            return self.by_key.codes_of(semconv.SPAN_KEYS[column], lambda text: renamed.get(text, text))
        if column in semconv.RESOURCE_KEYS:
            return self.resources_by_key.codes_of(semconv.RESOURCE_KEYS[column]).take(spans.resource)
        if column in {"status_message", "trace_state"}:
            return compact(getattr(spans, column), self.columns.texts)
        raise KeyError(column)

    @cached_property
    def http_codes(self) -> Numbers:
        """HTTP status code of every span, as codes."""
        return self.by_key.number_codes_of(semconv.NUMBER_KEYS["http_response_status_code"])

    @cached_property
    def http_status(self) -> tuple[Array, Array]:
        """HTTP status code of every span, and whether it has one."""
        return self.http_codes.by_row()

    @cached_property
    def error_class(self) -> Array:
        """``schema.ErrorClass`` of every span: X-Ray's bits, else HTTP, else gRPC, else the status."""
        return _error_class(self)

    @cached_property
    def is_error(self) -> Array:
        """bool, one per span: status ERROR, or a fault or throttle according to the protocol."""
        failed = self.columns.spans.status_code == Status.ERROR
        return np.asarray(failed | (self.error_class == ErrorClass.FAULT) | self.truth(("aws.xray.throttle",)))

    @cached_property
    def is_message(self) -> Array:
        """bool, one per span: sends or receives messages."""
        return message_spans(self)

    @cached_property
    def is_inferred(self) -> Array:
        """bool, one per span: written by a backend for a callee that sent no spans."""
        return np.asarray((self.columns.spans.quality & Quality.INFERRED) != 0)

    @cached_property
    def duration_ns(self) -> Array:
        """int64 ns, end - start; undefined where ``has_duration`` is false."""
        return self.columns.spans.end_ns - self.columns.spans.start_ns

    @cached_property
    def has_duration(self) -> Array:
        """bool, one per span: start and end are known, and the end is not before the start."""
        bad = Quality.NO_START | Quality.NO_END | Quality.IN_PROGRESS | Quality.DURATION_NEGATIVE
        return np.asarray((self.columns.spans.quality & bad) == 0)

    def truth(self, keys: tuple[str, ...]) -> Array:
        """Return whether the first of these attributes that a span has is true."""
        if not any(key in self.columns.kv.keys for key in keys):
            return np.zeros(len(self.columns.spans), bool)
        found = self.by_key.codes_of(keys, str.lower)
        yes = np.array([label in {"true", "1"} for label in found.labels] + [False])
        return yes[found.codes]

    def any_of(self, *kinds: Kind) -> Array:
        """Return whether the span is of one of these kinds."""
        return np.asarray(np.any([self.columns.spans.kind == kind for kind in kinds], axis=0))


def compact(codes: Array, texts: list[str]) -> Codes:
    """Return codes into a long list as codes into the texts that occur."""
    seen = np.zeros(len(texts) + 1, bool)
    seen[codes] = True
    used = np.flatnonzero(seen[:-1])
    position = np.full(len(texts) + 1, -1, np.int32)
    position[used] = np.arange(len(used), dtype=np.int32)
    return Codes(position[codes], [texts[i] for i in used])


def _only(codes: Codes, rows: Array) -> Codes:
    """Return the codes where the mask is true, -1 elsewhere."""
    if not codes.labels:
        return codes
    return Codes(np.where(rows, codes.codes, np.int32(-1)), codes.labels)


def _name(look: Lookup) -> Codes:
    """Return span names."""
    return compact(look.columns.spans.name, look.columns.names)


def _service(look: Lookup) -> Codes:
    """Return service.name of the resource, else of the span, else unknown_service."""
    resource = look.columns.spans.resource
    named = look.resources_by_key.codes_of(semconv.SERVICE_KEYS).take(resource)
    if (named.codes >= 0).all():
        return named
    faas = look.codes("faas_name")
    unknown = Codes(np.zeros(len(resource), np.int32), [semconv.UNKNOWN_SERVICE])
    return pick([named, look.by_key.codes_of(semconv.SPAN_SERVICE_KEYS), faas, unknown])[0]


_OPERATION_SOURCES = (
    "aws.local.operation",
    "http.route",
    "rpc.method",
    "db.operation.name",
    "messaging",
    "aws.operation",
    "url.full",
    "name",
)


def _operations(look: Lookup) -> tuple[Codes, Array]:
    """Return the low-cardinality operation of every span, with IDs as ``{id}``, and its source attribute."""
    routed = look.any_of(Kind.SERVER) & (look.codes("http_route").codes >= 0)
    route = join([look.codes("http_request_method"), look.codes("http_route")], within=routed)
    found, source = pick(
        [
            look.by_key.codes_of(("aws.local.operation",)),
            route,
            look.codes("rpc_method"),
            join(
                [look.codes("db_operation_name"), look.codes("db_collection_name")],
                within=look.codes("db_system_name").codes >= 0,
            ),
            join([look.codes("messaging_operation_type"), look.codes("messaging_destination_name")]),
            look.by_key.codes_of(("aws.operation",)),
            _requested(look),
            look.codes("name"),
        ]
    )
    return _renamed(found, template), source


def _requested(look: Lookup) -> Codes:
    """Return method and path template of requests to servers whose span is named after the service, as in X-Ray."""
    rows = look.any_of(Kind.SERVER) & _equal(look.codes("name"), look.codes("service_name"))
    path = _renamed(look.by_key.codes_of(semconv.SPAN_KEYS["url_full"], within=rows), path_template)
    return join([look.codes("http_request_method"), path], within=path.codes >= 0)


def _equal(first: Codes, second: Codes) -> Array:
    """Return whether both columns have the same text."""
    position = {label: code for code, label in enumerate(second.labels)}
    joint = np.array([position.get(label, -2) for label in first.labels] + [-2], np.int32)
    if (joint < 0).all():
        return np.zeros(len(first.codes), bool)
    return np.asarray(joint[first.codes] == second.codes)


def _renamed(codes: Codes, rename: Callable[[str], str]) -> Codes:
    """Return the column with renamed labels; a label renamed to empty text is missing."""
    labels: dict[str, int] = {}
    texts = list(map(rename, codes.labels))
    if texts == codes.labels and "" not in texts:
        return codes
    code = np.array([labels.setdefault(text, len(labels)) if text else -1 for text in texts] + [-1], np.int32)
    return Codes(code[codes.codes], list(labels))


def _operation(look: Lookup) -> Codes:
    codes, which = _operations(look)
    look._codes["operation_source"] = Codes(which.astype(np.int32), list(_OPERATION_SOURCES))  # noqa: SLF001 - computed together
    return codes


def _operation_source(look: Lookup) -> Codes:
    look.codes("operation")
    return look._codes["operation_source"]  # noqa: SLF001 - computed together


def _http_method(look: Lookup) -> Codes:
    """Return the HTTP method; for ``_OTHER``, http.request.method_original."""
    method = look.by_key.codes_of(semconv.SPAN_KEYS["http_request_method"])
    other = _matching(method, semconv.OTHER_METHOD)
    if not other:
        return method
    original = _only(look.by_key.codes_of((semconv.ORIGINAL_METHOD,)), np.isin(method.codes, other))
    return pick([original, method])[0]


def _faas_name(look: Lookup) -> Codes:
    """Return faas.name of the span, else of its resource."""
    resource = look.resources_by_key.codes_of(semconv.FAAS_KEYS).take(look.columns.spans.resource)
    return pick([look.by_key.codes_of(semconv.FAAS_KEYS), resource])[0]


def _rpc_method(look: Lookup) -> Codes:
    """Return the fully qualified RPC method; older conventions have rpc.service separately."""
    method = look.by_key.codes_of(("rpc.method",))
    if "rpc.service" not in look.columns.kv.keys:
        return method
    is_bare = np.array(["/" not in label for label in method.labels] + [False])[method.codes]
    return pick([_only(join([look.by_key.codes_of(("rpc.service",)), method], "/"), is_bare), method])[0]


def _rpc_service(look: Lookup) -> Codes:
    """Return the service of an RPC; in current conventions it is the first part of rpc.method."""
    method = look.codes("rpc_method")
    labels: dict[str, int] = {}
    parts = [label.lstrip("/").rpartition("/")[0] for label in method.labels]
    code = np.array([labels.setdefault(part, len(labels)) if part else -1 for part in parts] + [-1], np.int32)
    return pick([look.by_key.codes_of(("rpc.service",)), Codes(code[method.codes], list(labels))])[0]


def _peer_address(look: Lookup) -> Codes:
    """Return server.address of a client, client.address of a server."""
    callee = look.by_key.codes_of(semconv.CALLEE_ADDRESS)
    caller = _only(look.by_key.codes_of(semconv.CALLER_ADDRESS), look.any_of(*_INBOUND))
    return pick([_only(callee, ~look.any_of(*_INBOUND)), caller])[0]


def _peer_service(look: Lookup) -> Codes:
    """Return the callee as named by the caller: service, else database, topic, RPC service, function, host."""
    derived = pick(
        [
            join([look.codes("db_system_name"), look.codes("db_namespace")], "/"),
            look.codes("messaging_destination_name"),
            look.codes("messaging_system"),
            _rpc_service(look),
            look.by_key.codes_of(("faas.invoked_name",)),
            look.codes("peer_address"),
        ]
    )[0]
    return pick([look.by_key.codes_of(semconv.PEER_NAME), _only(derived, look.any_of(*_OUTBOUND))])[0]


def _peer_type(look: Lookup) -> Codes:
    """Return the type of the callee: http, rpc, db, messaging, aws, faas or other."""
    has, keys = look.by_key.has, semconv.SPAN_KEYS
    system = look.codes("rpc_system_name")
    tests = (
        ("db", has(keys["db_system_name"])),
        ("messaging", has(keys["messaging_system"])),
        ("faas", has(("faas.invoked_name",))),
        ("aws", has(("aws.service", "aws.operation")) | np.isin(system.codes, _matching(system, "aws-api"))),
        ("rpc", system.codes >= 0),
        ("http", has((*keys["http_request_method"], *keys["url_full"]))),
    )
    sort = np.full(len(look.columns.spans), len(tests), np.int32)
    for at in range(len(tests) - 1, -1, -1):
        sort[tests[at][1]] = at
    return _only(Codes(sort, [*(name for name, _ in tests), "other"]), look.any_of(*_OUTBOUND))


def _matching(codes: Codes, label: str) -> list[int]:
    """Return the code of a label as a list, empty if there is none."""
    return [codes.labels.index(label)] if label in codes.labels else []


def _first_exception(look: Lookup, key: str) -> Codes:
    """Return an attribute of the first exception event of every span."""
    found = look.events_by_key.codes_of((key,))
    rows = look.columns.events.span_row
    codes = np.full(len(look.columns.spans), -1, np.int32)
    known = np.flatnonzero(found.codes >= 0)[::-1]
    codes[rows[known]] = found.codes[known]
    return Codes(codes, found.labels)


def _error_type(look: Lookup) -> Codes:
    """Return error.type, else the type of the first exception."""
    return pick([look.by_key.codes_of(("error.type",)), _first_exception(look, "exception.type")])[0]


def _error_class_codes(look: Lookup) -> Codes:
    return Codes(look.error_class, list(schema.ERROR_CLASSES))


def _error_class(look: Lookup) -> Array:
    """Return ``schema.ErrorClass`` of every span; throttle takes precedence over fault, fault over client."""
    http = look.http_codes
    result = _http_classes(http)[http.codes]
    grpc = look.by_key.codes_of(semconv.GRPC_KEYS)
    if grpc.labels:
        kinds = np.array([_grpc_class(label) for label in grpc.labels] + [ErrorClass.NONE], np.int8)
        result = np.where(result == ErrorClass.NONE, kinds[grpc.codes], result)
    for key, kind in (("error", ErrorClass.CLIENT), ("fault", ErrorClass.FAULT), ("throttle", ErrorClass.THROTTLE)):
        if f"aws.xray.{key}" in look.columns.kv.keys:
            result[look.truth((f"aws.xray.{key}",))] = kind
    failed = look.columns.spans.status_code == Status.ERROR
    result[failed & (result == ErrorClass.NONE)] = ErrorClass.UNSPECIFIED
    return result


def _http_classes(status: Numbers) -> Array:
    """Return the error class of each code of an HTTP status."""
    code = np.where(status.known, status.values, 0)
    too_many, client_error, server_error = code == 429, code >= 400, code >= 500  # noqa: PLR2004 - of HTTP
    kinds = ErrorClass.FAULT, ErrorClass.THROTTLE, ErrorClass.CLIENT
    return np.select((server_error, too_many, client_error), kinds, ErrorClass.NONE).astype(np.int8)


def _grpc_class(label: str) -> ErrorClass:
    """Return the error class of a gRPC status, given as number or name."""
    number = str(semconv.GRPC_NAMES.index(label)) if label in semconv.GRPC_NAMES else label
    if number == semconv.GRPC_THROTTLE:
        return ErrorClass.THROTTLE
    if number in semconv.GRPC_FAULTS:
        return ErrorClass.FAULT
    return ErrorClass.NONE if number == "0" or not number.isdigit() else ErrorClass.CLIENT


DERIVED: dict[str, Callable[[Lookup], Codes]] = {
    "name": _name,
    "service_name": _service,
    "operation": _operation,
    "operation_source": _operation_source,
    "http_request_method": _http_method,
    "faas_name": _faas_name,
    "rpc_method": _rpc_method,
    "peer_address": _peer_address,
    "peer_service_name": _peer_service,
    "peer_type": _peer_type,
    "error_type": _error_type,
    "error_class": _error_class_codes,
    "exception_message": lambda look: _first_exception(look, "exception.message"),
}
CODED = (
    *DERIVED,
    *(column for column in semconv.SPAN_KEYS if column not in DERIVED),
    *semconv.RESOURCE_KEYS,
    "kind",
    "status_code",
    "record_kind",
    "status_message",
    "trace_state",
)
