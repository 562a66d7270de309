"""One trace written in four formats gives equal frames, up to what each format cannot hold.

``LOSSES`` is the whole list.  A column that is not in it has to be equal; one that is in it has to differ, so that the
list stays true.
"""

import base64
import json
from fractions import Fraction

import pandas as pd
import pytest

from tracekit import schema
from tracekit.loading import read

TRACE = "58406520a006649127e371903a2de979"
OTHER = "58406520a006649127e371903a2de970"
START_US = 1_480_615_200_010_001
BLOB = b"\x00\x01"
RESOURCES = {
    "shop": {"service.name": "shop", "service.version": "4.0.3", "k8s.pod.name": "shop-1", "host.name": "h1"},
    "cart": {"service.name": "cart", "service.version": "1.2", "k8s.pod.name": "cart-7", "host.name": "h2"},
    "mail": {"service.name": "mail", "service.version": "9", "k8s.pod.name": "mail-2", "host.name": "h3"},
}


def span(number, parent, service, name, kind, begin, end, **members):
    plain = {
        "attributes": {},
        "status": "UNSET",
        "message": "",
        "events": [],
        "links": [],
        "state": "",
        "scope": ("", ""),
    }
    given = {"id": f"{number:016x}", "parent": f"{parent:016x}" if parent else "", "service": service, "name": name}
    return plain | given | {"kind": kind, "begin": START_US + begin, "end": START_US + end} | members


SPANS = [
    span(
        1,
        0,
        "shop",
        "GET /cart",
        "SERVER",
        0,
        1000,
        attributes={
            "http.request.method": "GET",
            "http.route": "/cart",
            "http.response.status_code": 200,
            "url.full": "https://shop.example/cart",
            "user_agent.original": "curl/8",
            "client.address": "192.0.2.7",
            "tenant": "t1",
            "items": 3,
            "vip": True,
            "ratio": 0.5,
            "blob": BLOB,
        },
        state="a=b",
        scope=("lib.http", "2.1"),
        status="OK",
    ),
    span(2, 1, "shop", "render", "INTERNAL", 700, 900, events=[("cache miss", 750, {"key": "c1"})]),
    span(
        3,
        1,
        "shop",
        "POST cart",
        "CLIENT",
        100,
        600,
        attributes={
            "http.request.method": "POST",
            "http.response.status_code": 503,
            "url.full": "https://cart.example/items",
            "peer.service": "cart",
        },
        status="ERROR",
    ),
    span(
        4,
        3,
        "cart",
        "POST /items",
        "SERVER",
        200,
        500,
        attributes={
            "http.request.method": "POST",
            "http.route": "/items",
            "http.response.status_code": 503,
            "url.full": "https://cart.example/items",
        },
        status="ERROR",
        message="no stock",
        events=[("exception", 480, {"exception.type": "StockError", "exception.message": "no stock"})],
    ),
    span(
        5,
        4,
        "cart",
        "SELECT stock",
        "CLIENT",
        250,
        400,
        attributes={
            "db.system.name": "postgresql",
            "db.namespace": "stock",
            "db.query.text": "SELECT ?",
            "peer.service": "stock@db",
        },
    ),
    span(
        6,
        4,
        "cart",
        "send mail",
        "PRODUCER",
        410,
        470,
        attributes={"messaging.system": "aws_sqs", "messaging.destination.name": "mail", "peer.service": "mail"},
    ),
    span(7, 0, "mail", "process mail", "CONSUMER", 2000, 2100, links=[(OTHER, f"{6:016x}", {"queue": "mail"})]),
]

# ---------------------------------------------------------------------- what each format cannot hold

LOSSES = {
    "jaeger": {
        "time_resolution_ns": "times are microseconds",
    },
    "zipkin": {
        "time_resolution_ns": "times are microseconds",
        "kind_inferred": "INTERNAL is no kind",
        "error_type": "annotations have no attributes",
        "exception_message": "annotations have no attributes",
        "service_version": "an endpoint has a name and an address",
        "k8s_pod_name": "an endpoint has a name and an address",
        "host_name": "an endpoint has a name and an address",
    },
    "xray": {
        "time_resolution_ns": "times are seconds in a float64",
        "name": "a segment is named after its service, a call after its callee",
        "operation": "http.route becomes an annotation only where it is asked for",
        "operation_source": "likewise",
        "http_route": "likewise",
        "kind": "a PRODUCER is a CLIENT, a CONSUMER a SERVER",
        "kind_inferred": "kinds are concluded from position and namespace",
        "status_code": "OK is UNSET, and 5xx on a SERVER is a fault",
        "status_message": "becomes an exception",
        "record_kind": "segments and subsegments",
        "parent_is_remote": "told by position",
        "trace_state": "not recorded",
    },
}


# ---------------------------------------------------------------------- four writers


def otlp_value(value):
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {kinds[type(value)]: str(value) if type(value) is int else value}


def otlp_attributes(pairs):
    return [{"key": key, "value": otlp_value(value)} for key, value in pairs.items()]


def otlp(spans):
    groups = []
    for one in spans:
        body = {
            "traceId": TRACE,
            "spanId": one["id"],
            "parentSpanId": one["parent"],
            "traceState": one["state"],
            "name": one["name"],
            "kind": schema.KINDS.index(one["kind"]),
            "startTimeUnixNano": str(int(one["begin"] * 1000)),
            "endTimeUnixNano": str(int(one["end"] * 1000)),
            "attributes": otlp_attributes(one["attributes"]),
            "status": {"code": schema.STATUS_CODES.index(one["status"]), "message": one["message"]},
            "events": [
                {"name": name, "timeUnixNano": str((START_US + at) * 1000), "attributes": otlp_attributes(pairs)}
                for name, at, pairs in one["events"]
            ],
            "links": [
                {"traceId": trace, "spanId": other, "attributes": otlp_attributes(pairs)}
                for trace, other, pairs in one["links"]
            ],
        }
        scope = dict(zip(("name", "version"), one["scope"], strict=True))
        resource = {"attributes": otlp_attributes(RESOURCES[one["service"]])}
        groups.append({"resource": resource, "scopeSpans": [{"scope": scope, "spans": [body]}]})
    return {"resourceSpans": groups}


def jaeger_tag(key, value):
    if isinstance(value, bytes):
        return {"key": key, "type": "binary", "value": base64.b64encode(value).decode()}
    kinds = {bool: "bool", int: "int64", float: "float64", str: "string"}
    return {"key": key, "type": kinds[type(value)], "value": value}


def jaeger_tags(pairs):
    return [jaeger_tag(key, value) for key, value in pairs.items()]


def otel_tags(one):
    """What OpenTelemetry's exporters for Jaeger and Zipkin write for members that those formats do not have."""
    pairs = {
        "otel.status_code": one["status"] if one["status"] != "UNSET" else None,
        "w3c.tracestate": one["state"],
        "otel.scope.name": one["scope"][0],
        "otel.scope.version": one["scope"][1],
    }
    return {key: value for key, value in pairs.items() if value}


def jaeger(spans):
    bodies = []
    for one in spans:
        tags = one["attributes"] | {"span.kind": one["kind"].lower()} | otel_tags(one)
        tags |= {"error": True} if one["status"] == "ERROR" else {}
        tags |= {"otel.status_description": one["message"]} if one["message"] else {}
        parent = [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": one["parent"]}] if one["parent"] else []
        bodies.append(
            {
                "traceID": TRACE,
                "spanID": one["id"],
                "operationName": one["name"],
                "references": [
                    *parent,
                    *({"refType": "FOLLOWS_FROM", "traceID": t, "spanID": s} for t, s, _ in one["links"]),
                ],
                "startTime": int(one["begin"]),
                "duration": int(one["end"]) - int(one["begin"]),
                "processID": one["service"],
                "tags": jaeger_tags(tags),
                "logs": [
                    {"timestamp": START_US + at, "fields": jaeger_tags({"event": name} | pairs)}
                    for name, at, pairs in one["events"]
                ],
            }
        )
    processes = {
        name: {"serviceName": name, "tags": jaeger_tags({k: v for k, v in pairs.items() if k != "service.name"})}
        for name, pairs in RESOURCES.items()
    }
    return {"data": [{"traceID": TRACE, "spans": bodies, "processes": processes}]}


def zipkin(spans):
    bodies = []
    for one in spans:
        pairs = one["attributes"] | otel_tags(one)
        tags = {key: text(value) for key, value in pairs.items() if key not in {"peer.service", "client.address"}}
        tags |= {"error": one["message"] or "true"} if one["status"] == "ERROR" else {}
        peer = {"serviceName": one["attributes"].get("peer.service"), "ipv4": one["attributes"].get("client.address")}
        body = {
            "traceId": TRACE,
            "id": one["id"],
            "parentId": one["parent"] or None,
            "name": one["name"],
            "timestamp": int(one["begin"]),
            "duration": int(one["end"]) - int(one["begin"]),
            "localEndpoint": {"serviceName": one["service"]},
            "remoteEndpoint": {key: value for key, value in peer.items() if value},
            "tags": tags,
            "annotations": [{"timestamp": START_US + at, "value": name} for name, at, _ in one["events"]],
        }
        bodies.append(body if one["kind"] == "INTERNAL" else body | {"kind": one["kind"]})
    return bodies


def text(value):
    return (
        base64.b64encode(value).decode()
        if isinstance(value, bytes)
        else str(value).lower()
        if value is True
        else str(value)
    )


HTTP = {
    ("request", "method"): "http.request.method",
    ("request", "url"): "url.full",
    ("request", "user_agent"): "user_agent.original",
    ("request", "client_ip"): "client.address",
    ("response", "status"): "http.response.status_code",
}
SQL = {"database_type": "db.system.name", "sanitized_query": "db.query.text"}
ELSEWHERE = {*HTTP.values(), *SQL.values(), "http.route", "peer.service", "db.namespace", "blob"}
ELSEWHERE |= {"messaging.system", "messaging.destination.name"}


def xray_part(one, spans):
    attributes, is_call = one["attributes"], one["kind"] in {"CLIENT", "PRODUCER"}
    is_segment = one["kind"] in {"SERVER", "CONSUMER"}
    part = {
        "id": one["id"],
        "name": one["service"] if is_segment else attributes.get("peer.service", one["name"]),
        "start_time": float(one["begin"] / Fraction(10**6)),
        "end_time": float(one["end"] / Fraction(10**6)),
        "annotations": {key: value for key, value in attributes.items() if key not in ELSEWHERE},
        "fault": one["status"] == "ERROR",
        "subsegments": [
            xray_part(child, spans)
            for child in spans
            if child["parent"] == one["id"] and child["kind"] not in {"SERVER", "CONSUMER"}
        ],
        "links": [{"trace_id": xray_id(t), "id": s, "attributes": pairs} for t, s, pairs in one["links"]],
    }
    if is_call:
        part["namespace"] = "remote"
    if "messaging.system" in attributes:
        part |= {"namespace": "aws", "aws": {"queue_url": "https://sqs.us-east-2.amazonaws.com/1/mail"}}
    for (side, member), key in HTTP.items():
        if key in attributes:
            part.setdefault("http", {}).setdefault(side, {})[member] = attributes[key]
    sql = {member: attributes[key] for member, key in SQL.items() if key in attributes}
    if sql:
        part["sql"] = sql | {"url": f"postgresql://app@db:5432/{attributes['db.namespace']}"}
    exceptions = [pairs for name, _, pairs in one["events"] if name == "exception"]
    if exceptions:
        part["cause"] = {
            "exceptions": [
                {"id": "00000000000000ee", "type": e["exception.type"], "message": e["exception.message"]}
                for e in exceptions
            ]
        }
    if is_segment:
        resource = RESOURCES[one["service"]]
        part |= {"trace_id": xray_id(TRACE), "parent_id": one["parent"] or None}
        part |= {"service": {"version": resource["service.version"]}, "aws": {"eks": {"pod": resource["k8s.pod.name"]}}}
        part["metadata"] = {"default": {"otel.resource.host.name": resource["host.name"]}}
    return part


def xray_id(trace):
    return f"1-{trace[:8]}-{trace[8:]}"


def xray(spans):
    documents = [xray_part(one, spans) for one in spans if one["kind"] in {"SERVER", "CONSUMER"}]
    entries = [{"Id": document["id"], "Document": json.dumps(document)} for document in documents]
    return {"Traces": [{"Id": xray_id(TRACE), "Segments": entries}], "UnprocessedTraceIds": []}


WRITERS = {"otlp": otlp, "jaeger": jaeger, "zipkin": zipkin, "xray": xray}


def load(name, spans=SPANS):
    return read(json.dumps(WRITERS[name](spans)).encode())


# ---------------------------------------------------------------------- spans

PROVENANCE = {"resource_id", "scope_id", "source_id", "record_number", "byte_offset", "quality"}


def frame(traces):
    """The spans in the order of their ids, every cell as plain text, so that formats can be compared."""
    spans = traces.spans.drop(columns=list(PROVENANCE)).sort_values("span_id", ignore_index=True)
    return pd.DataFrame({name: [plain(cell) for cell in spans[name]] for name in spans})


def plain(cell):
    return "" if pd.isna(cell) else str(cell)


@pytest.mark.parametrize("name", LOSSES)
def test_spans_are_equal_up_to_the_losses_of_the_format(name):
    expected, found = frame(load("otlp")), frame(load(name))
    differing = {column for column in expected if not expected[column].equals(found[column])}
    assert differing == set(LOSSES[name])


def test_nothing_is_wrong_with_any_of_them():
    for name in WRITERS:
        traces = load(name)
        assert traces.sources["accepted_count"].tolist() == [len(SPANS)], name
        assert set(traces.issues["code"]) <= {"DIALECT", "MULTI_ROOT"}, name


def test_names_and_kinds_of_xray_are_those_of_the_map():
    found = frame(load("xray"))
    assert found["name"].tolist() == ["shop", "render", "cart", "cart", "stock@db", "mail", "mail"]
    assert found["kind"].tolist() == ["SERVER", "INTERNAL", "CLIENT", "SERVER", "CLIENT", "CLIENT", "SERVER"]
    assert found["status_code"].tolist() == ["UNSET", "UNSET", "ERROR", "ERROR", "UNSET", "UNSET", "UNSET"]


@pytest.mark.parametrize("name", WRITERS)
def test_times_are_true_within_the_resolution_they_claim(name):
    exact = [
        one | {"begin": one["begin"] + Fraction(123, 1000), "end": one["end"] + Fraction(789, 1000)} for one in SPANS
    ]
    spans = load(name, exact).spans.sort_values("span_id")
    resolution = {"otlp": 1, "jaeger": 1000, "zipkin": 1000, "xray": 240}[name]
    assert set(spans["time_resolution_ns"]) == {resolution}
    for one, (_, row) in zip(exact, spans.iterrows(), strict=True):
        assert abs(int(row["start_ns"]) - one["begin"] * 1000) < resolution
        assert abs(int(row["end_ns"]) - one["end"] * 1000) < resolution


# ---------------------------------------------------------------------- attributes, events, links, scopes, resources


def attributes(traces, owner="span"):
    """{(span id, key): value} of spans, or of what they own, whatever table the value stands in."""
    found = traces.attributes[traces.attributes["owner"] == owner]
    ids = traces.spans["span_id"]
    if owner in {"event", "link"}:
        table = traces.events if owner == "event" else traces.links
        ids = ids.loc[table["span_row"]].reset_index(drop=True)
    cells = ["value_str", "value_int", "value_double", "value_bool", "value_bytes", "value_json"]
    values = [
        next(c for c in row if isinstance(c, bytes) or not pd.isna(c)) for row in found[cells].itertuples(index=False)
    ]
    return dict(zip(zip(ids.loc[found["owner_id"]], found["key"], strict=True), values, strict=True))


def truth(leave=()):
    return {(one["id"], key): value for one in SPANS for key, value in one["attributes"].items() if key not in leave}


def test_attributes():
    assert attributes(load("otlp")) == truth()
    assert attributes(load("jaeger")) == truth()
    assert attributes(load("zipkin")) == {key: text(value) for key, value in truth().items()}
    found = attributes(load("xray"))
    told = truth(leave={"http.route", "blob"})
    assert {key: found.get(key) for key in told} == told
    assert {key for _, key in found.keys() - told.keys()} == {
        "aws.xray.fault",
        "aws.xray.namespace",
        "aws.xray.sql.url",
        "aws.sqs.queue.url",
    }


def events(traces):
    found = traces.events
    ids = traces.spans["span_id"].loc[found["span_row"]]
    times = [None if pd.isna(time) else int(time) for time in found["time_ns"]]
    return sorted(zip(ids, found["name"].astype(str), times, strict=True), key=str)


def test_events():
    told = sorted(((o["id"], name, (START_US + at) * 1000) for o in SPANS for name, at, _ in o["events"]), key=str)
    assert events(load("otlp")) == events(load("jaeger")) == events(load("zipkin")) == told
    assert events(load("xray")) == [(f"{4:016x}", "exception", None)]
    pairs = {(one["id"], key): value for one in SPANS for *_, own in one["events"] for key, value in own.items()}
    assert attributes(load("otlp"), "event") == attributes(load("jaeger"), "event") == pairs
    assert attributes(load("zipkin"), "event") == {}
    kept = {key: value for key, value in pairs.items() if key[1].startswith("exception.")}
    assert attributes(load("xray"), "event") == kept | {(f"{4:016x}", "aws.xray.exception.id"): "00000000000000ee"}


def links(traces):
    ids = traces.spans["span_id"].loc[traces.links["span_row"]]
    return list(zip(ids, traces.links["trace_id"], traces.links["span_id"], traces.links["relation"], strict=True))


def test_links():
    end = (f"{7:016x}", OTHER, f"{6:016x}")
    assert links(load("otlp")) == [(*end, "link")]
    assert links(load("jaeger")) == [(*end, "follows_from")]
    assert links(load("xray")) == [(*end, "xray_link")]
    assert links(load("zipkin")) == []
    assert attributes(load("otlp"), "link") == attributes(load("xray"), "link") == {(f"{7:016x}", "queue"): "mail"}
    assert attributes(load("jaeger"), "link") == {}


def test_scopes():
    def scopes(name):
        traces = load(name)
        return (
            traces.scopes.loc[traces.spans["scope_id"], ["name", "version"]]
            .astype(object)
            .fillna("")
            .to_numpy()
            .tolist()
        )

    assert scopes("otlp") == scopes("jaeger") == scopes("zipkin")
    assert scopes("xray") == [["", ""]] * len(SPANS)


def test_resources():
    def resources(name):
        found = load(name).attributes
        found = found[found["owner"] == "resource"]
        pairs = {}
        for row in found.itertuples():
            pairs.setdefault(row.owner_id, {})[row.key] = row.value_str
        return {own["service.name"]: own for own in pairs.values()}

    assert resources("otlp") == resources("jaeger") == RESOURCES
    assert resources("zipkin") == {name: {"service.name": name} for name in RESOURCES}
    assert resources("xray") == RESOURCES
