"""The same few spans as OTLP and as the tables that other tools write of them."""

import json

import pandas as pd
import pyarrow as pa

START = 1_795_237_200_123_456_789  # 2026-11-21 05:00:00.123456789 UTC
TEXTS = pa.map_(pa.string(), pa.string())
WORDS = {"SERVER": 2, "CLIENT": 3, "PRODUCER": 4}
SPANS = [  # trace, span, parent, name, kind, start, duration, status, message, attributes, events, links
    ("a1" * 16, "b1" * 8, "", "GET /cart", "SERVER", 0, 20_000_000, 1, "", {"http.route": "/cart", "n": "7"}, [], []),
    ("a1" * 16, "b2" * 8, "b1" * 8, "SELECT", "CLIENT", 5_000_001, 3_000_000, 2, "time-out", {"db.system": "mysql"},
     [(5_100_000, "exception", {"exception.type": "Timeout"}), (5_200_000, "retry", {})], []),
    ("a2" * 16, "b3" * 8, "", "send orders", "PRODUCER", 9_000_000, 1, 0, "", {},
     [], [("a1" * 16, "b1" * 8, "x=1", {"why": "batch"})]),
]  # fmt: skip
RESOURCE = {"service.name": "shop", "host.name": "h-1"}


def pairs(values):
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def otlp(*, events=True, links=True, scope=True, kind=True, extra=lambda _: {}, resource=RESOURCE):
    """The spans as lines of OTLP JSON, without what a layout does not store."""
    made = []
    for trace, span, parent, name, sort, start, took, code, message, own, happened, linked in SPANS:
        one = {
            "traceId": trace,
            "spanId": span,
            "parentSpanId": parent,
            "name": name,
            "kind": WORDS[sort] if kind else 0,
            "startTimeUnixNano": str(START + start),
            "endTimeUnixNano": str(START + start + took),
            "attributes": pairs(own | extra(sort)),
            "status": {"code": code, "message": message},
            "events": [
                {"timeUnixNano": str(START + when), "name": what, "attributes": pairs(more)}
                for when, what, more in happened
            ]
            * events,
            "links": [
                {"traceId": to, "spanId": other, "traceState": state, "attributes": pairs(more)}
                for to, other, state, more in linked
            ]
            * links,
        }
        scopes = [{"scope": {"name": "lib", "version": "1.2"} if scope else {}, "spans": [one]}]
        made.append({"resourceSpans": [{"resource": {"attributes": pairs(resource)}, "scopeSpans": scopes}]})
    return b"".join(json.dumps(one).encode() + b"\n" for one in made)


def column(at):
    return [span[at] for span in SPANS]


def times(values, unit="ns"):
    return pa.array([START + value for value in values], pa.timestamp("ns", "UTC")).cast(pa.timestamp(unit, "UTC"))


def clickhouse(*, nested=False):
    """``otel_traces``, with its nested columns flat (the default of ClickHouse) or as lists of records."""
    table = {
        "Timestamp": times(column(5)),
        "TraceId": column(0),
        "SpanId": column(1),
        "ParentSpanId": column(2),
        "TraceState": [""] * 3,
        "SpanName": pa.array(column(3)).dictionary_encode(),
        "SpanKind": [word.title() for word in column(4)],
        "ServiceName": ["shop"] * 3,
        "ResourceAttributes": pa.array([list(RESOURCE.items())] * 3, TEXTS),
        "ScopeName": ["lib"] * 3,
        "ScopeVersion": ["1.2"] * 3,
        "SpanAttributes": pa.array([list(own.items()) for own in column(9)], TEXTS),
        "Duration": pa.array(column(6), pa.uint64()),
        "StatusCode": [["Unset", "Ok", "STATUS_CODE_ERROR"][code] for code in column(7)],
        "StatusMessage": column(8),
    }
    events = [
        [{"Timestamp": START + at, "Name": what, "Attributes": more} for at, what, more in each] for each in column(10)
    ]
    links = [
        [{"TraceId": to, "SpanId": other, "TraceState": state, "Attributes": more} for to, other, state, more in each]
        for each in column(11)
    ]
    moments, words = pa.timestamp("ns"), pa.string()
    kinds = {
        "Events": {"Timestamp": moments, "Name": words, "Attributes": TEXTS},
        "Links": {"TraceId": words, "SpanId": words, "TraceState": words, "Attributes": TEXTS},
    }
    for name, records in (("Events", events), ("Links", links)):
        for each in records:
            for record in each:
                record["Attributes"] = list(record["Attributes"].items())
        if nested:
            table[name] = pa.array(records, pa.list_(pa.struct(list(kinds[name].items()))))
            continue
        for field, kind in kinds[name].items():
            table[f"{name}.{field}"] = pa.array(
                [[record[field] for record in each] for each in records], pa.list_(kind)
            )
    return pa.table(table)


def signoz():
    """``distributed_signoz_index_v3``; numbers are floats."""
    numbers = [[(key, float(value)) for key, value in own.items() if value.isdigit()] for own in column(9)]
    texts = [[(key, value) for key, value in own.items() if not value.isdigit()] for own in column(9)]
    return pa.table(
        {
            "timestamp": times(column(5)),
            "trace_id": pa.array([value.encode() for value in column(0)], pa.binary(32)),
            "span_id": column(1),
            "parent_span_id": column(2),
            "name": column(3),
            "kind": pa.array([WORDS[word] for word in column(4)], pa.int8()),
            "kind_string": [word.title() for word in column(4)],
            "duration_nano": pa.array(column(6), pa.uint64()),
            "status_code_string": [["Unset", "Ok", "Error"][code] for code in column(7)],
            "status_message": column(8),
            "attributes_string": pa.array(texts, TEXTS),
            "attributes_number": pa.array(numbers, pa.map_(pa.string(), pa.float64())),
            "attributes_bool": pa.array([[]] * 3, pa.map_(pa.string(), pa.bool_())),
            "resources_string": pa.array([list(RESOURCE.items())] * 3, TEXTS),
        }
    )


def phoenix():
    """A frame of ``get_spans_dataframe``; its times have microseconds."""
    events = [
        [
            {"name": what, "timestamp": str(pd.Timestamp(START + at, tz="UTC")), "attributes": more}
            for at, what, more in each
        ]
        for each in column(10)
    ]
    return pd.DataFrame(
        {
            "name": column(3),
            "span_kind": column(4),
            "parent_id": [parent or None for parent in column(2)],
            "start_time": times(column(5)).to_pandas(),
            "end_time": times([start + took for start, took in zip(column(5), column(6), strict=True)]).to_pandas(),
            "status_code": [["UNSET", "OK", "ERROR"][code] for code in column(7)],
            "status_message": column(8),
            "events": events,
            "context.span_id": column(1),
            "context.trace_id": column(0),
            "attributes.http.route": [own.get("http.route") for own in column(9)],
            "attributes.n": [own.get("n") for own in column(9)],
            "attributes.db.system": [own.get("db.system") for own in column(9)],
        }
    )


def general(values, **more):
    """Attributes in the general column of a block of Tempo."""
    lists = {"Value": [], "ValueInt": [], "ValueDouble": [], "ValueBool": [], "ValueUnsupported": None}
    listed = [lists | {"Key": key, "IsArray": False, "Value": [value]} for key, value in values.items()]
    return {"Attrs": listed, "DroppedAttributesCount": 0} | more


def tempo():
    """A block of Tempo: a trace per row; ``http.route`` is in an assignable column."""
    traces = {}
    for trace, span, parent, name, sort, start, took, code, message, own, happened, linked in SPANS:
        rest = {key: value for key, value in own.items() if key != "http.route"}
        one = general(
            rest,
            SpanID=bytes.fromhex(span),
            ParentSpanID=bytes.fromhex(parent),
            Name=name,
            Kind=WORDS[sort],
            TraceState="",
            StartTimeUnixNano=START + start,
            DurationNano=took,
            StatusCode=code,
            StatusMessage=message,
            Events=[general(more, TimeSinceStartNano=when - start, Name=what) for when, what, more in happened],
            Links=[
                general(more, TraceID=bytes.fromhex(to), SpanID=bytes.fromhex(other), TraceState=state)
                for to, other, state, more in linked
            ],
            HttpMethod=None,
            DedicatedAttributes={"String01": own.get("http.route")},
        )
        traces.setdefault(trace, []).append(one)
    rows = [
        {
            "TraceID": bytes.fromhex(trace),
            "DurationNano": 1,
            "rs": [
                {
                    "Resource": general({"host.name": "h-1"}, ServiceName="shop", Cluster=None),
                    "ss": [{"Scope": general({}, Name="lib", Version="1.2"), "Spans": spans}],
                }
            ],
        }
        for trace, spans in traces.items()
    ]
    return pa.Table.from_pylist(rows)
