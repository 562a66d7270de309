"""The laws that hold for every loader of parsed records: nothing is raised, every span is accepted or quarantined."""

import copy
import importlib
import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loading.test_loading_numbers import FORMATS

from tracekit.loading.building.builder import Builder
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.formats import LOADERS, format_names

TRACE = "1-58406520-a006649127e371903a2de979"
HEX = "58406520a006649127e371903a2de979"
DOCUMENT = {
    "id": "00000000000000a1",
    "trace_id": TRACE,
    "name": "shop",
    "start_time": Decimal("1480615200.01"),
    "end_time": Decimal("1480615200.5"),
    "origin": "AWS::Lambda::Function",
    "resource_arn": "arn:1",
    "user": "u",
    "error": True,
    "http": {"request": {"method": "GET", "url": "/"}, "response": {"status": 200, "content_length": 5}},
    "aws": {
        "request_id": "r",
        "ec2": {"instance_id": "i"},
        "cloudwatch_logs": [{"log_group": "g"}],
        "xray": {"sdk": "opentelemetry"},
    },
    "service": {"version": "1"},
    "annotations": {"a": 1},
    "metadata": {"default": {"otel.resource.host.name": "h"}, "n": {"k": [1]}},
    "links": [{"trace_id": TRACE, "id": "00000000000000b1", "attributes": {"k": 1}}],
    "cause": {
        "exceptions": [{"id": "00000000000000e1", "message": "m", "stack": [{"path": "p", "line": 1}], "cause": "x"}]
    },
    "subsegments": [
        {
            "id": "00000000000000a2",
            "name": "Initialization",
            "start_time": 1480615200,
            "in_progress": True,
            "namespace": "aws",
            "aws": {"table_names": ["t"], "queue_url": "q", "topic_arn": "t"},
            "sql": {"url": "postgresql://a:b@h/d", "database_type": "MySQL", "connection_string": "Database=d"},
            "cause": "00000000000000e1",
            "precursor_ids": ["a"],
        }
    ],
}
XRAY = {
    "Traces": [
        {
            "Id": TRACE,
            "Duration": Decimal("0.5"),
            "LimitExceeded": True,
            "Segments": [
                {"Id": "00000000000000a1", "Document": DOCUMENT},
                {
                    "Id": "00000000000000c1",
                    "Document": json.dumps({"id": "00000000000000c1", "name": "x", "type": "subsegment"}),
                },
            ],
        }
    ],
    "UnprocessedTraceIds": [TRACE],
    "NextToken": "t",
    "RetrievalStatus": "COMPLETE",
    "TraceSummaries": [{"Id": TRACE}],
}
JAEGER = {
    "data": [
        {
            "traceID": HEX,
            "processes": {"p1": {"serviceName": "shop", "tags": [{"key": "k", "type": "string", "value": "v"}]}},
            "warnings": ["w"],
            "spans": [
                {
                    "traceID": HEX,
                    "spanID": "a1",
                    "operationName": "op",
                    "startTime": 1480615200010000,
                    "duration": 5,
                    "processID": "p1",
                    "flags": 1,
                    "warnings": ["clock skew"],
                    "references": [{"refType": "CHILD_OF", "traceID": HEX, "spanID": "a2"}],
                    "parentSpanID": "a2",
                    "tags": [
                        {"key": "span.kind", "type": "string", "value": "server"},
                        {"key": "error", "type": "bool", "value": "true"},
                        {"key": "n", "type": "int64", "value": "5"},
                        {"key": "b", "type": "binary", "value": "AAAA"},
                    ],
                    "logs": [
                        {"timestamp": 1480615200010000, "fields": [{"key": "event", "type": "string", "value": "e"}]}
                    ],
                },
                {"traceID": HEX, "spanID": "a3", "startTime": 1, "process": {"serviceName": "s"}, "tag": {"a@b": 1}},
            ],
        }
    ],
    "errors": [{"code": 1}],
}
ZIPKIN = [
    {
        "traceId": HEX,
        "id": "a1",
        "parentId": "a2",
        "name": "op",
        "kind": "SERVER",
        "timestamp": 1480615200010000,
        "duration": 5,
        "shared": True,
        "debug": True,
        "localEndpoint": {"serviceName": "shop", "ipv4": "192.0.2.1", "port": 1},
        "remoteEndpoint": {"serviceName": "cart", "ipv6": "::1", "port": 1},
        "tags": {"error": "", "k": "v"},
        "annotations": [{"timestamp": 1480615200010000, "value": "x"}],
    },
    {
        "traceId": HEX,
        "id": "a3",
        "annotations": [
            {"timestamp": 5, "value": "cs", "endpoint": {"serviceName": "a"}},
            {"timestamp": 7, "value": "sr"},
        ],
        "binaryAnnotations": [{"key": "sa", "value": True, "endpoint": {"ipv4": "x"}}, {"key": "k", "value": "v"}],
    },
]
RECORDS = {"xray": XRAY, "jaeger": JAEGER, "zipkin": ZIPKIN, "otlp": FORMATS["otlp"]}


def example(name):
    """A record of a format with every field that it reads: here, or ``EXAMPLE`` of the test of the format."""
    return RECORDS[name] if name in RECORDS else importlib.import_module(f"test_{name}").EXAMPLE


CASES = {name: (next(loader for loader in LOADERS if loader.name == name), example(name)) for name in format_names()}

TEXTS = st.text(max_size=5) | st.sampled_from(
    ["", "0", "true", "1e5", HEX, TRACE, "00000000000000a1", '{"id":1}', "=", "aws"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -1, 2**63, 2**64, 10**400, Decimal("1e999999"), Decimal("1e-999999"), "9" * 5000])
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)


def places(value, path=()):
    """Every place in a JSON value, as a path of keys."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield path
    for key, item in inner:
        yield from places(item, (*path, key))


@st.composite
def damaged(draw, record):
    """A record with up to three places replaced, removed or doubled."""
    record = copy.deepcopy(record)
    for _ in range(draw(st.integers(1, 3))):
        paths = [path for path in places(record) if path]
        if not paths:
            break  # everything is removed
        path = draw(st.sampled_from(paths))
        holder = record
        for key in path[:-1]:
            holder = holder[key]
        how = draw(st.sampled_from(["replace", "replace", "remove", "double"]))
        if how == "replace":
            holder[path[-1]] = draw(VALUES)
        elif how == "remove":
            del holder[path[-1]]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
    return record


def loaded(loader, record):
    builder = Builder()
    ledger = builder.open_source("memory")
    if loader.recognises(record):
        loader.load(record, Position(1, 0), builder)
    return builder, ledger


@pytest.mark.parametrize("name", CASES)
@settings(
    max_examples=2 * settings().max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(data=st.data())
def test_damaged_records_raise_nothing_and_every_span_is_counted(name, data):
    loader, record = CASES[name]
    builder, ledger = loaded(loader, data.draw(damaged(record)))
    assert len(builder.take_columns().spans) == ledger.accepted
    assert ledger.accepted + ledger.quarantined + ledger.merged == ledger.seen
    assert all(issue.code and issue.message for issue in ledger.all_issues())


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.load.__module__.removeprefix("tracekit.loading."))
@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(value=VALUES)
def test_anything_at_all_raises_nothing(loader, value):
    loaded(loader, value)


@pytest.mark.parametrize("name", CASES)
def test_only_one_loader_takes_a_record(name):
    assert [other for other, (loader, _) in CASES.items() if loader.recognises(CASES[name][1])] == [name]


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_spans_does_not_matter(name):
    loader, record = CASES[name]
    turned = copy.deepcopy(record)
    spans = {
        "xray": lambda r: r["Traces"][0]["Segments"],
        "jaeger": lambda r: r["data"][0]["spans"],
        "zipkin": lambda r: r,
        "otlp": lambda r: r["resourceSpans"][0]["scopeSpans"][0]["spans"],
    }
    spans.get(name, lambda r: r if isinstance(r, list) else [])(turned).reverse()
    frames = [
        to_trace_set(loaded(loader, one)[0]).spans.drop(columns=["resource_id", "scope_id"]) for one in (record, turned)
    ]
    assert frames[0].equals(frames[1])
