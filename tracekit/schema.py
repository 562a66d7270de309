"""Definition of every column: name, type, unit and meaning; and the values of category columns.

Names follow OpenTelemetry; numbers have their unit as a suffix. ``describe()`` returns the definitions as a frame.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = np.ndarray[Any, Any]


class Kind(IntEnum):
    """Span kind, as OTLP numbers it.

    Examples
    --------
    >>> KINDS[Kind.SERVER]
    'SERVER'
    """

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Status(IntEnum):
    """Status code, as OTLP numbers it.

    Examples
    --------
    >>> STATUS_CODES[Status.ERROR]
    'ERROR'
    """

    UNSET = 0
    OK = 1
    ERROR = 2


class RecordKind(IntEnum):
    """Type of the record in its source.

    Examples
    --------
    >>> RECORD_KINDS[RecordKind.INFERRED]
    'inferred'
    """

    SPAN = 0
    SEGMENT = 1
    SUBSEGMENT = 2
    INFERRED = 3
    SYNTHETIC = 4


class ParentState(IntEnum):
    """Result of resolving a span's parent.

    Examples
    --------
    >>> PARENT_STATES[ParentState.MISSING]
    'missing'
    """

    ROOT = 0
    RESOLVED = 1
    MISSING = 2
    CYCLE = 3
    SELF = 4
    DUPLICATE = 5


class ErrorClass(IntEnum):
    """Error class: fault (5xx), client (4xx), throttle (429) or unspecified.

    Examples
    --------
    >>> ERROR_CLASSES[ErrorClass.THROTTLE]
    'throttle'
    """

    NONE = 0
    CLIENT = 1
    THROTTLE = 2
    FAULT = 3
    UNSPECIFIED = 4


class ValueType(IntEnum):
    """Type of an attribute's value.

    Examples
    --------
    >>> VALUE_TYPES[ValueType.DOUBLE]
    'double'
    """

    EMPTY = 0
    STR = 1
    INT = 2
    DOUBLE = 3
    BOOL = 4
    BYTES = 5
    ARRAY = 6
    MAP = 7


class Origin(IntEnum):
    """Field of the source record that contains an attribute.

    Examples
    --------
    >>> ORIGINS[Origin.ANNOTATION]
    'annotation'
    """

    ATTRIBUTE = 0
    ANNOTATION = 1
    METADATA = 2
    AWS = 3
    HTTP = 4
    SQL = 5
    TAG = 6
    DERIVED = 7


class Relation(IntEnum):
    """How a link relates two spans.

    Examples
    --------
    >>> RELATIONS[Relation.FOLLOWS_FROM]
    'follows_from'
    """

    LINK = 0
    FOLLOWS_FROM = 1
    CHILD_OF_EXTRA = 2
    XRAY_LINK = 3


class Quality(IntFlag):
    """Data-quality flags of a span, one bit each; the data are not repaired.

    Examples
    --------
    >>> Quality.NO_END in Quality(3)
    True
    """

    NO_START = 1 << 0
    NO_END = 1 << 1
    IN_PROGRESS = 1 << 2
    DUPLICATE = 1 << 3
    SHARED = 1 << 4
    DURATION_NEGATIVE = 1 << 5
    DURATION_ABSURD = 1 << 6
    OUTSIDE_PARENT = 1 << 7
    KIND_INFERRED = 1 << 8
    PARENT_REMOTE_KNOWN = 1 << 9
    PARENT_REMOTE = 1 << 10
    INFERRED = 1 << 11
    ID_PADDED = 1 << 12
    PARENT_ID_BAD = 1 << 13
    TIME_FUTURE = 1 << 14
    TIME_ZONE_ASSUMED = 1 << 15
    ERROR_TAGGED = 1 << 16
    DURATION_ZERO = 1 << 17


def _words(numbers: type[IntEnum]) -> tuple[str, ...]:
    """Return the names of enumeration members in lower case, indexed by value."""
    return tuple(name.lower() for name in numbers.__members__)


KINDS, STATUS_CODES = tuple(Kind.__members__), tuple(Status.__members__)
RECORD_KINDS, PARENT_STATES, ERROR_CLASSES = _words(RecordKind), _words(ParentState), _words(ErrorClass)
VALUE_TYPES, ORIGINS, RELATIONS = _words(ValueType), _words(Origin), _words(Relation)


class Column(NamedTuple):
    """One column of a frame: table, name, type of the view, meaning with its unit.

    Examples
    --------
    >>> SPANS[0].name
    'trace_id'
    """

    table: str
    name: str
    dtype: str
    meaning: str


def _table(table: str, text: str) -> tuple[Column, ...]:
    """Read 'name | dtype | meaning' lines."""
    lines = (line.split("|") for line in text.strip().splitlines())
    return tuple(Column(table, *(part.strip() for part in line)) for line in lines)


SPANS = _table(
    "spans",
    """
trace_id | str | 32 lower-case hex digits
span_id | str | 16 lower-case hex digits; not unique (the row number is)
parent_span_id | str | as recorded; missing for a root
parent_row | int32 | row of the resolved parent; -1 for a root or an orphan
parent_state | category | root, resolved, missing, cycle, self, duplicate
parent_is_remote | boolean | whether the parent is in another process, if the source records it
depth | Int32 | 0 for a root; an orphan starts at 0 again
name | category | as recorded
operation | category | low-cardinality class of the span; ids and SQL literals are replaced by {id} and ?
operation_source | category | which attribute the operation came from
kind | category | UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER
kind_inferred | bool | the source has no kind; it was inferred
start_ns | Int64 | ns since the epoch, UTC; missing where it was 0
end_ns | Int64 | ns since the epoch, UTC; missing while in progress
duration_ns | Int64 | end - start in ns; may be negative
start_time | datetime64[ns, UTC] | a view of start_ns
end_time | datetime64[ns, UTC] | a view of end_ns
time_resolution_ns | int32 | resolution of the source's timestamps in ns: 1, 240, 256, 1000, 1000000
status_code | category | UNSET, OK, ERROR
status_message | category | as recorded
is_error | bool | status ERROR, or a server error by its protocol code
error_class | category | none, client, throttle, fault, unspecified
error_type | category | error.type, else the type of the first exception
exception_message | category | message of the first exception
http_request_method | category | http.request.method
http_response_status_code | Int16 | http.response.status_code
http_route | category | http.route
url_full | category | url.full
peer_address | category | server.address of a client, client.address of a server
peer_port | Int32 | port of the peer
peer_service_name | category | the service called, if the caller records it
peer_type | category | http, rpc, db, messaging, aws, faas, other
db_system_name | category | db.system.name
db_namespace | category | db.namespace
db_collection_name | category | db.collection.name
db_operation_name | category | db.operation.name
messaging_system | category | messaging.system
messaging_destination_name | category | messaging.destination.name
messaging_operation_type | category | messaging.operation.type
rpc_system_name | category | rpc.system.name
rpc_method | category | rpc.method, fully qualified
faas_name | category | faas.name
faas_coldstart | boolean | the invocation had a cold start
faas_invocation_id | category | faas.invocation_id
service_name | category | service.name of the resource
service_namespace | category | service.namespace
service_version | category | service.version
service_instance_id | category | service.instance.id
deployment_environment_name | category | deployment.environment.name
cloud_region | category | cloud.region
cloud_account_id | category | cloud.account.id
cloud_platform | category | cloud.platform
k8s_namespace_name | category | k8s.namespace.name
k8s_pod_name | category | k8s.pod.name
k8s_workload_name | category | deployment, stateful set, daemon set, job or cron job
host_name | category | host.name
record_kind | category | span, segment, subsegment, inferred, synthetic
in_progress | bool | the source marks the span as not ended
inferred | bool | written by the backend for a callee that sent no spans
trace_state | category | W3C tracestate as recorded
trace_flags | UInt32 | W3C flags and OTLP's two remote bits
sampling_ratio | float64 | inclusion probability from tracestate ot=th
dropped_attributes_count | uint32 | attributes the SDK dropped
dropped_events_count | uint32 | events the SDK dropped
dropped_links_count | uint32 | links the SDK dropped
resource_id | int32 | row of resources
scope_id | int32 | row of scopes
source_id | int32 | row of sources
record_number | int64 | line or message number in the source, from 1
byte_offset | int64 | offset of the record in the decoded source
quality | uint32 | bits of schema.Quality
""",
)
ATTRIBUTES = _table(
    "attributes",
    """
owner | category | resource, scope, span, event, link
owner_id | int64 | row of that table
key | category | attribute key
value_type | category | empty, str, int, double, bool, bytes, array, map
value_str | str | strings
value_int | Int64 | integers within 64 bits
value_double | float64 | doubles
value_bool | boolean | booleans
value_bytes | object | bytes
value_json | str | arrays and maps as canonical JSON; integers beyond 64 bits
origin | category | field of the source record it came from
namespace | category | X-Ray metadata namespace
is_indexed | bool | X-Ray annotation
""",
)
EVENTS = _table(
    "events",
    """
span_row | int64 | row of spans
time_ns | Int64 | ns since the epoch; missing for X-Ray exceptions
name | category | event name
dropped_attributes_count | uint32 | attributes the SDK dropped
exception_type | category | exception.type
exception_message | category | exception.message
exception_stacktrace | category | exception.stacktrace
exception_escaped | boolean | exception.escaped
exception_remote | boolean | X-Ray: raised by the callee
exception_id | category | X-Ray exception id
cause_id | category | X-Ray: the exception that this one refers to
""",
)
LINKS = _table(
    "links",
    """
span_row | int64 | row of spans
trace_id | str | the linked trace; missing if the source has no id
span_id | str | the linked span; missing if the source has no id
trace_state | category | W3C tracestate of the link
trace_flags | UInt32 | flags of the link
dropped_attributes_count | uint32 | attributes the SDK dropped
relation | category | link, follows_from, child_of_extra, xray_link
""",
)
RESOURCES = _table(
    "resources",
    """
schema_url | category | schema of the attributes
service_name | category | service.name, else unknown_service
service_namespace | category | service.namespace
service_version | category | service.version
service_instance_id | category | service.instance.id
deployment_environment_name | category | deployment.environment.name
cloud_region | category | cloud.region
cloud_account_id | category | cloud.account.id
cloud_platform | category | cloud.platform
k8s_namespace_name | category | k8s.namespace.name
k8s_pod_name | category | k8s.pod.name
k8s_workload_name | category | deployment, stateful set, daemon set, job or cron job
host_name | category | host.name
xray_origin | category | X-Ray origin (AWS::Lambda::Function, ...)
resource_arn | category | ARN the X-Ray service added
dropped_attributes_count | uint32 | attributes the SDK dropped
""",
)
SCOPES = _table(
    "scopes",
    """
name | category | instrumentation scope
version | category | its version
schema_url | category | schema of the attributes
""",
)
SOURCES = _table(
    "sources",
    """
uri | str | file, archive member, standard input or memory
format | str | name of the format (``read(..., format=)``), store or mixed
dialects | str | dialect=count, separated by spaces
compression | str | none, gzip, zstd, ...
byte_count | Int64 | bytes after decompression
record_count | int64 | lines, messages or documents read
span_count | int64 | spans seen = accepted + merged + quarantined
accepted_count | int64 | spans in this set
merged_count | int64 | duplicates folded into an accepted span
quarantined_count | int64 | records and spans that could not be used; each has an issue
skipped_count | int64 | records of other signals, not spans
complete | bool | the source was read to its end and is not marked as partial
stop_reason | str | why complete is false
pull | str | windows of the pull as JSON: request, server, limit, truncation; empty if not pulled
""",
)
ISSUES = _table(
    "issues",
    """
code | category | code of the issue catalogue
severity | category | info, warn, error
source_id | int32 | row of sources
record_number | Int64 | line or message number, from 1
byte_offset | Int64 | offset of the record in the decoded source
trace_id | str | where known
span_id | str | where known
field | str | the JSON field
message | str | expected, found, action taken, what to do next
raw_excerpt | str | at most 500 characters, secrets masked
action | category | accepted, repaired, merged, quarantined, aborted
issue_count | int64 | number of occurrences
""",
)
SUMMARY = _table(
    "summary",
    """
root_row | int64 | row of the first span of the request: earliest root span, else earliest orphan span
root_service_name | category | service of the root
root_name | category | name of the root
start_ns | Int64 | earliest start
end_ns | Int64 | latest end, or start of a span without a usable end if later; missing if no span has an end
duration_ns | Int64 | end_ns - start_ns of the whole trace; missing if it does not fit 64 bits
root_duration_ns | Int64 | latency of the request: duration of its root; missing if unknown or negative
reported_duration_ns | Int64 | duration reported by X-Ray
span_count | int64 | spans, without inferred ones
error_count | int64 | spans with is_error, without inferred ones
service_count | int64 | distinct services, without inferred ones
orphan_count | int64 | orphan spans (parent missing), without inferred rows
root_count | int64 | root spans, without inferred rows
in_progress_count | int64 | spans still in progress when exported
is_error | bool | the root failed; unknown if the root has no end
limit_exceeded | bool | X-Ray stopped adding segments
partial | bool | incomplete: orphan spans, not exactly one root, spans without an end, or truncated by the backend
weight | float64 | sampling weight: 1 / inclusion probability; 1 if unknown
weight_source | category | source of the weight, or unknown
""",
)

TABLES = {
    "spans": SPANS,
    "attributes": ATTRIBUTES,
    "events": EVENTS,
    "links": LINKS,
    "resources": RESOURCES,
    "scopes": SCOPES,
    "sources": SOURCES,
    "issues": ISSUES,
    "summary": SUMMARY,
}


def names(table: str) -> list[str]:
    """Return the column names of a table, in order.

    Parameters
    ----------
    table
        One of the keys of ``TABLES``.

    Returns
    -------
    list of str
        The names in the order of the frame.

    Examples
    --------
    >>> names("scopes")
    ['name', 'version', 'schema_url']
    """
    return [column.name for column in TABLES[table]]


def describe() -> pd.DataFrame:
    """Return the definitions of all columns, one row per column.

    Returns
    -------
    pandas.DataFrame
        ``table``, ``name``, ``dtype``, ``meaning``.

    Examples
    --------
    >>> glossary = describe()
    >>> glossary[glossary["name"] == "duration_ns"]["meaning"].iloc[0]
    'end - start in ns; may be negative'
    """
    import pandas as pd  # noqa: PLC0415 - not every command makes a frame

    return pd.DataFrame([column for columns in TABLES.values() for column in columns], columns=list(Column._fields))
