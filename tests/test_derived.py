"""Semantic conventions, old and new, one row of the specification after the other: both give the same column."""

import numpy as np
import pandas as pd
import pytest

from tracekit import TraceSet, semconv
from tracekit.derived import CODED
from tracekit.loading.building.builder import Builder, Event
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import KINDS, Quality, Status

S, C, P, Q, I = "SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL"  # noqa: E741 - kinds


def make(*spans):
    """Traces of (kind, span attributes, resource attributes, members of the span) rows, one trace each."""
    builder = Builder()
    builder.open_source("made")
    for number, (kind, attributes, *more) in enumerate(spans, 1):
        resource, members = (*more, {}, {})[:2]
        events = [
            Event(5, name, [builder.kv(key, value) for key, value in given.items()])
            for name, given in members.pop("events", ())
        ]
        builder.span(
            at=Position(number, 0),
            trace_id=number,
            span_id=1,
            name=members.pop("name", "recorded name"),
            kind=KINDS.index(kind),
            start_ns=10,
            end_ns=20,
            resource=builder.resource([builder.kv(key, value) for key, value in resource.items()]),
            attributes=[builder.kv(key, value) for key, value in attributes.items()],
            events=events,
            **members,
        )
    return to_trace_set(builder)


def one(column, kind, attributes, resource=None, **members):
    value = make((kind, attributes, resource or {}, members)).spans[column].iloc[0]
    return None if value is pd.NA or value is None or (isinstance(value, float) and np.isnan(value)) else value


# column, kind, value, and every way to say it: (span attributes, resource attributes)
ROWS = [
    ("service_name", S, "cart", [({}, {"service.name": "cart"}), ({"aws.local.service": "cart"}, {})]),
    ("service_name", S, "resize", [({}, {"faas.name": "resize"}), ({"faas.name": "resize"}, {})]),
    ("service_name", S, "unknown_service", [({}, {}), ({"service": "x"}, {"name": "y"})]),
    ("service_namespace", S, "shop", [({}, {"service.namespace": "shop"})]),
    ("service_version", S, "1.2", [({}, {"service.version": "1.2"})]),
    ("service_instance_id", S, "i-1", [({}, {"service.instance.id": "i-1"})]),
    (
        *("deployment_environment_name", S, "prod"),
        [
            ({}, {key: "prod"})
            for key in ("deployment.environment.name", "deployment.environment", "aws.local.environment")
        ],
    ),
    ("http_request_method", S, "GET", [({"http.request.method": "GET"}, {}), ({"http.method": "GET"}, {})]),
    (
        *("http_request_method", S, "BREW"),
        [
            ({"http.request.method": "_OTHER", "http.request.method_original": "BREW"}, {}),
            ({"http.method": "BREW"}, {}),
        ],
    ),
    ("http_request_method", S, "_OTHER", [({"http.request.method": "_OTHER"}, {})]),
    (
        *("http_response_status_code", S, 404),
        [
            ({key: value}, {})
            for key in ("http.response.status_code", "http.status_code")
            for value in (404, "404", 404.0)
        ],
    ),
    ("http_response_status_code", S, None, [({"http.status_code": "none"}, {}), ({"http.status_code": 99_999}, {})]),
    ("http_route", S, "/cart/{id}", [({"http.route": "/cart/{id}"}, {})]),
    ("url_full", C, "http://a/b", [({"url.full": "http://a/b"}, {}), ({"http.url": "http://a/b"}, {})]),
    (
        *("peer_address", C, "10.0.0.7"),
        [
            ({key: "10.0.0.7"}, {})
            for key in ("server.address", "net.peer.name", "http.host", "net.sock.peer.addr", "network.peer.address")
        ],
    ),
    ("peer_address", S, "10.9.9.9", [({"client.address": "10.9.9.9"}, {}), ({"http.client_ip": "10.9.9.9"}, {})]),
    ("peer_address", S, None, [({"server.address": "me.example"}, {})]),
    ("peer_address", C, None, [({"client.address": "me.example"}, {})]),
    ("peer_port", C, 5432, [({"server.port": 5432}, {}), ({"net.peer.port": "5432"}, {})]),
    ("peer_port", S, 50_000, [({"client.port": 50_000, "server.port": 443}, {})]),
    ("peer_port", C, None, [({}, {}), ({"server.port": "http"}, {})]),
    (
        *("peer_service_name", C, "ledger"),
        [
            ({key: "ledger", "server.address": "x"}, {})
            for key in ("aws.remote.service", "service.peer.name", "peer.service")
        ],
    ),
    (
        *("peer_service_name", C, "shop.Ledger"),
        [
            ({"rpc.system": "grpc", "rpc.service": "shop.Ledger", "rpc.method": "Pay", "server.address": "x"}, {}),
            ({"rpc.system.name": "grpc", "rpc.method": "shop.Ledger/Pay", "server.address": "x"}, {}),
        ],
    ),
    (
        *("peer_service_name", C, "postgresql/shop"),
        [
            ({"db.system": "postgresql", "db.name": "shop", "server.address": "x"}, {}),
            ({"db.system.name": "postgresql", "db.namespace": "shop", "server.address": "x"}, {}),
        ],
    ),
    (
        *("peer_service_name", P, "orders"),
        [
            ({"messaging.system": "kafka", "messaging.destination": "orders"}, {}),
            ({"messaging.system": "kafka", "messaging.destination.name": "orders"}, {}),
        ],
    ),
    ("peer_service_name", P, "kafka", [({"messaging.system": "kafka"}, {})]),
    ("peer_service_name", C, "resize", [({"faas.invoked_name": "resize"}, {})]),
    (
        "peer_service_name",
        C,
        "a.example",
        [({"server.address": "a.example"}, {}), ({"net.peer.name": "a.example"}, {})],
    ),
    ("peer_service_name", S, None, [({"db.system": "redis", "client.address": "x"}, {})]),
    ("rpc_system_name", C, "grpc", [({"rpc.system.name": "grpc"}, {}), ({"rpc.system": "grpc"}, {})]),
    (
        *("rpc_method", C, "shop.Ledger/Pay"),
        [
            ({"rpc.method": "shop.Ledger/Pay"}, {}),
            ({"rpc.service": "shop.Ledger", "rpc.method": "Pay"}, {}),
            ({"rpc.service": "shop.Ledger", "rpc.method": "shop.Ledger/Pay"}, {}),
        ],
    ),
    ("rpc_method", C, None, [({"rpc.service": "shop.Ledger"}, {})]),
    *(
        ("db_system_name", C, new, [({"db.system.name": new}, {}), ({"db.system": old}, {}), ({"db.system": new}, {})])
        for old, new in [
            ("mssql", "microsoft.sql_server"),
            ("dynamodb", "aws.dynamodb"),
            ("redshift", "aws.redshift"),
            ("cosmosdb", "azure.cosmosdb"),
            ("spanner", "gcp.spanner"),
            ("oracle", "oracle.db"),
            ("db2", "ibm.db2"),
            ("hanadb", "sap.hana"),
            ("postgresql", "postgresql"),
        ]
    ),
    (
        *("db_namespace", C, "shop"),
        [({key: "shop"}, {}) for key in ("db.namespace", "db.name")],
    ),
    ("db_namespace", C, "3", [({"db.redis.database_index": 3}, {}), ({"db.namespace": "3"}, {})]),
    (
        *("db_collection_name", C, "orders"),
        [({key: "orders"}, {}) for key in ("db.collection.name", "db.sql.table", "db.mongodb.collection")],
    ),
    ("db_operation_name", C, "SELECT", [({key: "SELECT"}, {}) for key in ("db.operation.name", "db.operation")]),
    ("messaging_system", P, "kafka", [({"messaging.system": "kafka"}, {})]),
    (
        *("messaging_destination_name", P, "orders"),
        [({key: "orders"}, {}) for key in ("messaging.destination.name", "messaging.destination")],
    ),
    (
        *("messaging_operation_type", P, "send"),
        [({"messaging.operation.type": "send"}, {}), ({"messaging.operation": "publish"}, {})],
    ),
    (
        *("messaging_operation_type", Q, "process"),
        [({"messaging.operation.type": "process"}, {}), ({"messaging.operation": "deliver"}, {})],
    ),
    ("messaging_operation_type", Q, "receive", [({"messaging.operation": "receive"}, {})]),
    ("faas_name", S, "resize", [({"faas.name": "resize"}, {}), ({}, {"faas.name": "resize"})]),
    ("faas_invocation_id", S, "r-1", [({"faas.invocation_id": "r-1"}, {}), ({"faas.execution": "r-1"}, {})]),
    ("faas_coldstart", S, True, [({"faas.coldstart": True}, {}), ({"is_cold_start": "true"}, {})]),
    ("faas_coldstart", S, False, [({"faas.coldstart": False}, {}), ({"is_cold_start": "no"}, {})]),
    ("faas_coldstart", S, None, [({}, {})]),
    ("cloud_region", S, "eu-1", [({}, {"cloud.region": "eu-1"})]),
    ("cloud_account_id", S, "1234", [({}, {"cloud.account.id": "1234"})]),
    ("cloud_platform", S, "aws_eks", [({}, {"cloud.platform": "aws_eks"})]),
    ("k8s_namespace_name", S, "shop", [({}, {"k8s.namespace.name": "shop"})]),
    ("k8s_pod_name", S, "cart-1", [({}, {"k8s.pod.name": "cart-1"})]),
    (
        *("k8s_workload_name", S, "cart"),
        [
            ({}, {f"k8s.{sort}.name": "cart"})
            for sort in ("deployment", "statefulset", "daemonset", "cronjob", "job", "replicaset")
        ],
    ),
    ("host_name", S, "node-1", [({}, {"host.name": "node-1"})]),
    ("error_type", C, "timeout", [({"error.type": "timeout"}, {})]),
]
WAYS = [(column, kind, value, *way) for column, kind, value, ways in ROWS for way in ways]


@pytest.mark.parametrize(("column", "kind", "value", "attributes", "resource"), WAYS)
def test_every_spelling_gives_the_same_column(column, kind, value, attributes, resource):
    assert one(column, kind, attributes, resource) == value


@pytest.mark.parametrize(("column", "kind", "value", "attributes", "resource"), WAYS)
def test_it_is_the_same_among_spans_of_another_spelling(column, kind, value, attributes, resource):
    """What one span says must not change what another one means."""
    others = [(k, a, r) for c, k, _, a, r in WAYS if c == column]
    traces = make((kind, attributes, resource), *others)
    found = traces.spans[column].iloc[0]
    assert (None if pd.isna(found) else found) == value


@pytest.mark.parametrize("column", [*semconv.SPAN_KEYS])
def test_the_present_key_beats_the_older_ones(column):
    keys = semconv.SPAN_KEYS[column]
    given = {key: f"v{at}" for at, key in enumerate(keys)}
    assert one(column, I, dict(reversed(given.items()))) == "v0"


def test_raw_attributes_stay_as_they_were():
    traces = make((C, {"db.system": "mssql", "messaging.operation": "publish"}))
    assert traces.attribute("db.system").tolist() == ["mssql"]
    assert traces.attribute("messaging.operation").tolist() == ["publish"]


# ------------------------------------------------------------------ operation


@pytest.mark.parametrize(
    ("kind", "attributes", "operation", "source"),
    [
        (
            S,
            {"aws.local.operation": "GET /x", "http.route": "/y", "http.method": "GET"},
            "GET /x",
            "aws.local.operation",
        ),
        (S, {"http.request.method": "GET", "http.route": "/c/{id}"}, "GET /c/{id}", "http.route"),
        (S, {"http.method": "GET", "http.route": "/c/{id}"}, "GET /c/{id}", "http.route"),
        (S, {"http.method": "GET", "http.target": "/c/17"}, "recorded name", "name"),
        (C, {"http.method": "GET", "http.route": "/c/{id}"}, "recorded name", "name"),
        (C, {"rpc.service": "a.B", "rpc.method": "C"}, "a.B/C", "rpc.method"),
        (C, {"rpc.method": "a.B/C"}, "a.B/C", "rpc.method"),
        (C, {"db.system": "x", "db.operation": "SELECT", "db.sql.table": "t"}, "SELECT t", "db.operation.name"),
        (C, {"db.system": "x", "db.operation": "SELECT"}, "SELECT", "db.operation.name"),
        (C, {"db.operation": "SELECT"}, "recorded name", "name"),
        (P, {"messaging.operation": "publish", "messaging.destination": "q"}, "send q", "messaging"),
        (C, {"aws.operation": "GetItem"}, "GetItem", "aws.operation"),
        (C, {"aws.operation": "GetItem", "rpc.method": "DynamoDB/GetItem"}, "DynamoDB/GetItem", "rpc.method"),
        (P, {"messaging.operation.type": "send", "messaging.destination.name": "q"}, "send q", "messaging"),
        (P, {"messaging.destination": "q"}, "recorded name", "name"),
        (I, {}, "recorded name", "name"),
        (I, {"url.full": "http://a/17", "url.path": "/17"}, "recorded name", "name"),
        (S, {"http.method": "GET", "url.full": "http://a/orders/17?x=1"}, "recorded name", "name"),
        (S, {"http.method": "GET", "http.route": "/orders/8231"}, "GET /orders/{id}", "http.route"),
        (C, {"aws.local.operation": "GET /orders/8231"}, "GET /orders/{id}", "aws.local.operation"),
    ],
)
def test_the_operation_and_where_it_comes_from(kind, attributes, operation, source):
    spans = make((kind, attributes)).spans
    assert spans[["operation", "operation_source"]].iloc[0].tolist() == [operation, source]


@pytest.mark.parametrize(
    ("kind", "attributes", "operation", "source"),
    [
        (S, {"http.method": "POST", "url.full": "http://a/orders/17?x=1"}, "POST /orders/{id}", "url.full"),
        (S, {"http.method": "POST", "url.full": "http://a"}, "POST /", "url.full"),
        (
            S,
            {"http.method": "POST", "http.route": "/o/{key}", "url.full": "http://a/o/x"},
            "POST /o/{key}",
            "http.route",
        ),
        (S, {"http.method": "POST", "url.full": "http://[a"}, "cart", "name"),
        (S, {"http.method": "POST"}, "cart", "name"),
        (S, {"url.full": "http://a/orders/17"}, "cart", "name"),
        (C, {"http.method": "POST", "url.full": "http://a/orders/17"}, "cart", "name"),
    ],
)
def test_a_server_span_named_after_its_service_has_method_and_path_as_operation(kind, attributes, operation, source):
    traces = make((kind, attributes, {"service.name": "cart"}, {"name": "cart"}), (I, {}, {"service.name": "b"}))
    assert traces.spans[["operation", "operation_source"]].iloc[0].tolist() == [operation, source]
    assert traces.spans[["name", "operation"]].iloc[1].tolist() == ["recorded name", "recorded name"]


def test_names_that_differ_in_ids_are_one_operation_and_stay_as_recorded():
    traces = make(*((S, {}, {}, {"name": f"GET /orders/{number}"}) for number in (7, 8231, 7)))
    assert traces.codes("operation") == (pytest.approx(np.zeros(3)), ["GET /orders/{id}"])
    assert traces.spans["name"].tolist() == ["GET /orders/7", "GET /orders/8231", "GET /orders/7"]


def test_operation_source_may_be_read_first():
    assert make((S, {"http.method": "GET", "http.route": "/x"})).codes("operation_source").at(0) == "http.route"


# ------------------------------------------------------------------ peers


@pytest.mark.parametrize(
    ("kind", "attributes", "peer_type"),
    [
        (C, {"db.system": "redis", "http.method": "GET"}, "db"),
        (P, {"messaging.system": "kafka"}, "messaging"),
        (C, {"faas.invoked_name": "f"}, "faas"),
        (C, {"rpc.system": "aws-api"}, "aws"),
        (C, {"aws.operation": "GetItem"}, "aws"),
        (C, {"rpc.system": "grpc"}, "rpc"),
        (C, {"http.method": "GET"}, "http"),
        (C, {"url.full": "http://a"}, "http"),
        (C, {}, "other"),
        (S, {"http.method": "GET"}, None),
        (I, {"db.system": "redis"}, None),
    ],
)
def test_peer_types_of_calls(kind, attributes, peer_type):
    assert one("peer_type", kind, attributes) == peer_type


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("kind", "attributes", "members", "error_class", "is_error"),
    [
        (S, {}, {}, "none", False),
        (S, {}, {"status_code": Status.OK}, "none", False),
        (S, {}, {"status_code": Status.ERROR}, "unspecified", True),
        (S, {"http.status_code": 200}, {}, "none", False),
        (S, {"http.status_code": 404}, {}, "client", False),
        (C, {"http.status_code": 404}, {"status_code": Status.ERROR}, "client", True),
        (C, {"http.response.status_code": 429}, {}, "throttle", False),
        (S, {"http.status_code": 503}, {}, "fault", True),
        (C, {"http.response.status_code": "500"}, {}, "fault", True),
        (C, {"rpc.grpc.status_code": 0}, {}, "none", False),
        (C, {"rpc.grpc.status_code": 5}, {}, "client", False),
        (C, {"rpc.grpc.status_code": 8}, {}, "throttle", False),
        (C, {"rpc.grpc.status_code": 14}, {}, "fault", True),
        (C, {"rpc.status_code": "UNAVAILABLE"}, {}, "fault", True),
        (C, {"rpc.response.status_code": "NOT_FOUND"}, {}, "client", False),
        (C, {"rpc.response.status_code": "OK"}, {}, "none", False),
        (C, {"rpc.response.status_code": "no such word"}, {}, "none", False),
        (S, {"aws.xray.error": True}, {}, "client", False),
        (S, {"aws.xray.error": True, "aws.xray.fault": True}, {}, "fault", True),
        (S, {"aws.xray.error": True, "aws.xray.throttle": True}, {}, "throttle", True),
        (S, {"aws.xray.fault": False, "http.status_code": 200}, {}, "none", False),
    ],
)
def test_error_classes(kind, attributes, members, error_class, is_error):
    spans = make((kind, attributes, {}, members)).spans
    assert spans[["error_class", "is_error"]].iloc[0].tolist() == [error_class, is_error]


def test_the_first_exception_of_each_span_is_reported_and_error_type_beats_it():
    events = [
        ("log", {"message": "x"}),
        ("exception", {"exception.type": "Timeout", "exception.message": "too late"}),
        ("exception", {"exception.type": "Retry", "exception.message": "gave up"}),
    ]
    traces = make((S, {}, {}, {"events": events}), (S, {"error.type": "500"}, {}, {"events": events}), (S, {}))
    spans = traces.spans
    assert spans["error_type"].tolist()[:2] == ["Timeout", "500"]
    assert spans["exception_message"].tolist()[:2] == ["too late", "too late"]
    assert spans.iloc[2][["error_type", "exception_message"]].isna().all()


# ------------------------------------------------------------------ what kernels ask for


def test_durations_are_known_only_where_both_ends_are():
    odd = [
        {"quality": int(Quality.IN_PROGRESS)},
        {"quality": int(Quality.INFERRED)},
    ]
    traces = make((S, {}), *((S, {}, {}, dict(members)) for members in odd))
    assert traces.has_duration.tolist() == [True, False, True]
    assert traces.is_inferred.tolist() == [False, False, True]
    assert traces.duration_ns[0] == 10


def test_every_category_column_has_codes_equal_to_the_frame():
    traces = make(*((kind, attributes, resource) for _, kind, _, attributes, resource in WAYS))
    spans = traces.spans
    for column in CODED:
        codes = traces.codes(column)
        if column in spans:
            assert [codes.at(row) for row in range(len(spans))] == [
                None if pd.isna(cell) else cell for cell in spans[column]
            ]
        assert codes is traces.codes(column), "kept"


def test_a_column_that_has_no_codes_is_refused_by_name():
    traces = make((S, {}))
    with pytest.raises(
        ValueError, match=r"expected a category column of spans, found 'start_ns'; one of .*service_name"
    ):
        traces.codes("start_ns")
    with pytest.raises(KeyError):
        traces.lookup.codes("start_ns")


def test_nothing_has_codes_too():
    empty = TraceSet.from_spans(pd.DataFrame(columns=["trace_id", "span_id", "name", "start_ns", "end_ns"]))
    assert all(len(empty.codes(column).codes) == 0 for column in CODED)
