"""X-Ray: every shape on disk, the field map column by column, every issue that the loader can raise."""

import json
import string
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.xray import blocks as xray_blocks
from tracekit.loading.xray import cause as xray_cause
from tracekit.loading.xray.sql import sql, without_password

pytestmark = pytest.mark.usefixtures("lane")  # every test in both lanes

TRACE = "1-58406520-a006649127e371903a2de979"
HEX = "58406520a006649127e371903a2de979"


def segment(**members):
    return {"id": "00000000000000a1", "name": "shop", "start_time": 1480615200.01, "end_time": 1480615200.5, **members}


def part(number, **members):
    return {"id": f"{number:016x}", "name": "part", "start_time": 1480615200.1, "end_time": 1480615200.2, **members}


def answer(*documents, trace=TRACE, **members):
    entries = [{"Id": document.get("id"), "Document": json.dumps(document)} for document in documents]
    return {"Traces": [{"Id": trace, "Duration": 0.49, "Segments": entries, **members}], "UnprocessedTraceIds": []}


def load(value, **options):
    return read(value if isinstance(value, bytes) else json.dumps(value).encode(), **options)


def one(**members):
    return load(answer(segment(**members)))


def column(traces, *names):
    return traces.spans.set_index("span_id")[list(names)].T.to_dict("list")


def issues(traces):
    return {code for code in traces.issues["code"] if code != "DIALECT"}


def values(traces, owner="span"):
    """Attributes of one owner table as {key: value}, whatever their type."""
    frame = traces.attributes[traces.attributes["owner"] == owner]
    found = {}
    for row in frame.itertuples():
        cells = (row.value_str, row.value_int, row.value_bool, row.value_json, row.value_double)
        found[row.key] = next((cell for cell in cells if not pd.isna(cell)), None)
    return found


# ---------------------------------------------------------------------- shapes

DOCUMENTS = [
    segment(trace_id=TRACE, subsegments=[part(0xB2, namespace="remote", name="cart")]),
    part(0xC3, trace_id=TRACE, name="cart", parent_id="00000000000000b2"),
]
TEXTS = [json.dumps(document) for document in DOCUMENTS]
ENTRIES = [{"Id": d["id"], "Document": text} for d, text in zip(DOCUMENTS, TEXTS, strict=True)]
OBJECTS = [{"Id": d["id"], "Document": d} for d in DOCUMENTS]
WHOLE = {"Id": TRACE, "Duration": 0.5, "LimitExceeded": False, "Segments": ENTRIES}
CONSOLE = {"Id": TRACE, "Duration": 0.5, "Segments": OBJECTS}
RETRIEVED = {
    "RetrievalStatus": "COMPLETE",
    "TraceFormat": "XRAY",
    "Traces": [{"Id": TRACE, "Duration": 0.5, "Spans": ENTRIES}],
}
HEADER = '{"format": "json", "version": 1}'


def lines(*texts):
    return "".join(text + "\n" for text in texts).encode()


SHAPES = {
    "batch-get-traces": json.dumps({"Traces": [WHOLE], "UnprocessedTraceIds": []}),
    "batch-get-traces, indented": json.dumps({"Traces": [WHOLE], "UnprocessedTraceIds": []}, indent=4),
    "one answer a line": lines(*(json.dumps({"Traces": [{"Id": TRACE, "Segments": [entry]}]}) for entry in ENTRIES)),
    "list of traces": json.dumps([WHOLE], indent=1),
    "one trace": json.dumps(WHOLE),
    "console raw data": json.dumps(CONSOLE, indent=2),
    "list of console traces": json.dumps([CONSOLE]),
    "traces, one a line": lines(json.dumps(CONSOLE), json.dumps(CONSOLE)),
    "entries": json.dumps(ENTRIES),
    "entries, one a line": lines(*map(json.dumps, ENTRIES)),
    "list of documents": json.dumps(DOCUMENTS),
    "documents, one a line": lines(*TEXTS),
    "several documents, one after the other": json.dumps(DOCUMENTS[0], indent=1) + json.dumps(DOCUMENTS[1], indent=1),
    "texts of documents": json.dumps(TEXTS),
    "texts of documents, one a line": lines(*map(json.dumps, TEXTS)),
    "list-retrieved-traces": json.dumps(RETRIEVED),
    "daemon": lines(HEADER, TEXTS[0], HEADER, TEXTS[1]),
    "daemon, one datagram a line": lines(HEADER + TEXTS[0], HEADER + TEXTS[1]),
    "put-trace-segments": json.dumps({"TraceSegmentDocuments": TEXTS}),
    "put-trace-segments, a list in a text": json.dumps({"TraceSegmentDocuments": [json.dumps(DOCUMENTS)]}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_spans(shape):
    data = SHAPES[shape]
    traces = read(data.encode() if isinstance(data, str) else data)
    found = column(traces, "trace_id", "parent_span_id", "parent_state", "service_name", "kind", "record_kind")
    assert found == {
        "00000000000000a1": [HEX, pytest.approx(float("nan"), nan_ok=True), "root", "shop", "SERVER", "segment"],
        "00000000000000b2": [HEX, "00000000000000a1", "resolved", "shop", "CLIENT", "subsegment"],
        "00000000000000c3": [HEX, "00000000000000b2", "resolved", "cart", "SERVER", "segment"],
    }
    assert "xray" in traces.sources["format"][0].split("+")
    assert issues(traces) <= {"JSON_CONCAT", "DUP_IDENTICAL"}


def test_dialects_are_counted():
    assert load({"TraceSegmentDocuments": TEXTS}).sources["dialects"].tolist() == ["put_trace_segments=1"]
    assert read(SHAPES["daemon"]).sources["dialects"].tolist() == ["daemon=2 segment_documents=2"]
    assert load([CONSOLE]).sources["dialects"].tolist() == ["document_objects=2"]


# ---------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("1480615200.010", 1480615200_010000000),
        ("1.480615200010E9", 1480615200_010000000),
        ("1.692293788127201E9", 1692293788_127201000),
        ("1480615200", 1480615200_000000000),
        ("1596648396.6399446", 1596648396_639944600),
        ("1596648396.123456789", 1596648396_123456789),
        ("1596648396.1234567899", 1596648396_123456789),
        ("0.000000001", 1),
        ("1e-999999999", 0),
        ("0e999999999", 0),
    ],
)
def test_times_are_exact_to_the_nanosecond(literal, expected):
    text = json.dumps(segment(trace_id=TRACE)).replace("1480615200.01", literal).replace("1480615200.5", "1.7e9")
    for data in (json.dumps([text]).encode(), lines(text)):
        assert read(data).spans["start_ns"].tolist() == [expected]


@settings(deadline=None)
@given(st.integers(1_400_000_000_000_000_000, 1_900_000_000_000_000_000), st.integers(0, 9))
def test_any_decimal_is_read_back_exactly(nanoseconds, digits):
    seconds = Decimal(nanoseconds - nanoseconds % 10 ** (9 - digits)).scaleb(-9)
    text = json.dumps(segment(trace_id=TRACE, end_time=2e9)).replace("1480615200.01", str(seconds))
    assert read(json.dumps([text]).encode()).columns.spans.start_ns[0] == int(seconds * 10**9)


def test_resolution_is_that_of_a_float_of_seconds():
    assert one().spans["time_resolution_ns"].tolist() == [240]


def test_a_time_that_is_not_in_seconds_is_quarantined():
    traces = load(answer(segment(start_time=1480615200010, end_time=1480615200500), part(0xB2)))
    assert len(traces) == 1
    assert traces.sources["quarantined_count"].tolist() == [1]
    message = traces.issues.set_index("code").loc["TIME_UNIT", "message"]
    assert "expected seconds since the epoch, found 1480615200010; 'shop' skipped" in message


@pytest.mark.parametrize("value", ["1e999999", "1e999999999", "-1e300", "1e9999999999999999999", '"NaN"', '"Infinity"'])
def test_absurd_numbers_cost_their_segment_and_no_time(value):
    bad = json.dumps(segment()).replace("1480615200.01", value)
    record = answer(part(0xB2))
    record["Traces"][0]["Segments"].append({"Id": "00000000000000a1", "Document": bad})
    traces = load(record)
    assert traces.spans["span_id"].tolist() == ["00000000000000b2"]
    assert issues(traces) == {"TIME_UNIT"}


def test_a_date_as_text_is_read_and_reported():
    traces = one(start_time="2016-12-01T18:00:00.5Z", end_time="2016-12-01T18:00:01")
    assert traces.spans["start_ns"].tolist() == [1480615200_500000000]
    assert traces.spans["duration_ns"].tolist() == [500000000]
    told = traces.issues[traces.issues["code"] == "TIME_STRING"]["message"].tolist()
    assert "found '2016-12-01T18:00:00.5Z'; read as a date" in told[0]
    assert "it names no time zone: UTC was assumed" in told[1]


def test_in_progress_has_no_end_and_is_no_fault():
    document = segment(in_progress=True)
    del document["end_time"]
    traces = load(answer(document))
    assert traces.spans["in_progress"].tolist() == [True]
    assert traces.spans["end_ns"].isna().all()
    assert issues(traces) == set()


def test_neither_end_nor_in_progress_is_reported():
    document = segment()
    del document["end_time"]
    traces = load(answer(document))
    assert traces.spans["end_ns"].isna().all()
    assert issues(traces) == {"XR_NO_END", "TIME_MISSING_END"}
    assert "expected end_time or in_progress, found neither" in traces.issues["message"].str.cat()


def test_a_missing_start_is_missing():
    document = segment()
    del document["start_time"]
    traces = load(answer(document))
    assert traces.spans["start_ns"].isna().all()
    assert issues(traces) == {"TIME_ZERO"}


def test_a_span_that_ends_before_it_starts_is_kept_so():
    traces = one(start_time=1480615200.5, end_time=1480615200.25)
    assert traces.spans["duration_ns"].tolist() == [-250_000_000]
    assert issues(traces) == {"DUR_NEGATIVE"}


# ---------------------------------------------------------------------- kinds and names


def test_kind_service_and_record_kind_follow_from_position_and_namespace():
    traces = load(
        answer(
            segment(
                subsegments=[
                    part(1, name="lookup"),
                    part(2, name="cart", namespace="remote"),
                    part(3, name="DynamoDB", namespace="aws"),
                    part(4, name="timer", namespace="local"),
                ]
            ),
            part(5, name="DynamoDB", inferred=True, parent_id=f"{3:016x}", origin="AWS::DynamoDB::Table"),
            part(6, name="edge", namespace="remote"),
        )
    )
    found = column(traces, "kind", "record_kind", "service_name", "inferred")
    assert found == {
        "00000000000000a1": ["SERVER", "segment", "shop", False],
        f"{1:016x}": ["INTERNAL", "subsegment", "shop", False],
        f"{2:016x}": ["CLIENT", "subsegment", "shop", False],
        f"{3:016x}": ["CLIENT", "subsegment", "shop", False],
        f"{4:016x}": ["INTERNAL", "subsegment", "shop", False],
        f"{5:016x}": ["SERVER", "inferred", "DynamoDB", True],
        f"{6:016x}": ["CLIENT", "segment", "edge", False],
    }
    assert traces.spans["kind_inferred"].all()
    peers = traces.spans.set_index("span_id")["peer_service_name"]
    assert peers[f"{2:016x}"] == "cart"
    assert peers[f"{3:016x}"] == "DynamoDB"
    assert peers.isna().sum() == 4
    assert issues(traces) <= {"MULTI_ROOT"}


def test_where_the_parent_ran():
    traces = load(answer(segment(parent_id=f"{9:016x}", subsegments=[part(1)]), part(5)))
    remote = traces.spans.set_index("span_id")["parent_is_remote"]
    assert remote["00000000000000a1"] is True or remote["00000000000000a1"] == True  # noqa: E712 - a nullable boolean
    assert not remote[f"{1:016x}"]
    assert remote.isna().sum() == 1


def test_an_unknown_namespace_is_reported_and_kept():
    traces = one(subsegments=[part(1, namespace="gcp")])
    assert column(traces, "kind")[f"{1:016x}"] == ["INTERNAL"]
    assert values(traces)["aws.xray.namespace"] == "gcp"
    message = traces.issues.set_index("code").loc["XR_NAMESPACE_UNKNOWN", "message"]
    assert "expected the namespace aws, remote or local, found 'gcp'" in message


def test_unknown_members_are_kept():
    traces = one(Dummy=False, colour={"r": 1})
    assert values(traces) == {"aws.xray.Dummy": False, "aws.xray.colour": '{"r":1}'}


def test_members_that_belong_to_a_segment_are_kept_on_a_subsegment():
    odd = {"origin": "AWS::EC2::Instance", "resource_arn": "arn:1", "service": {"version": "2"}, "type": "segment"}
    expected = {
        "aws.xray.origin": "AWS::EC2::Instance",
        "aws.xray.resource_arn": "arn:1",
        "aws.xray.service.version": "2",
        "aws.xray.type": "segment",
    }
    traces = one(subsegments=[part(1, **odd)])
    assert values(traces) == expected
    assert traces.spans["service_version"].isna().all()
    alone = load(part(1, **odd | {"type": "subsegment"}, trace_id=TRACE))
    assert values(alone) == {key: value for key, value in expected.items() if key != "aws.xray.type"}


def test_an_inferred_segment_keeps_its_namespace():
    assert values(one(inferred=True, namespace="aws")) == {"aws.xray.namespace": "aws"}


def test_an_unknown_type_is_a_segment_and_reported():
    traces = one(type="supersegment")
    assert traces.spans["record_kind"].tolist() == ["segment"]
    assert values(traces) == {"aws.xray.type": "supersegment"}
    assert issues(traces) == {"ENUM_BAD"}


# ---------------------------------------------------------------------- blocks


def test_http():
    traces = one(
        http={
            "request": {
                "method": "POST",
                "url": "https://shop.example/cart",
                "user_agent": "curl/8",
                "client_ip": "192.0.2.7",
                "x_forwarded_for": True,
                "traced": True,
            },
            "response": {"status": 201, "content_length": "61"},
        }
    )
    assert values(traces) == {
        "http.request.method": "POST",
        "url.full": "https://shop.example/cart",
        "user_agent.original": "curl/8",
        "client.address": "192.0.2.7",
        "aws.xray.x_forwarded_for": True,
        "aws.xray.traced": True,
        "http.response.status_code": 201,
        "http.response.body.size": 61,
    }
    span = traces.spans.iloc[0]
    assert (span["http_request_method"], span["url_full"], span["http_response_status_code"]) == (
        "POST",
        "https://shop.example/cart",
        201,
    )
    assert span["peer_address"] == "192.0.2.7"
    assert set(traces.attributes[traces.attributes["owner"] == "span"]["origin"]) == {"http"}


def test_a_content_length_of_minus_one_is_none():
    assert "http.response.body.size" not in values(one(http={"response": {"content_length": -1, "status": "404"}}))


def test_odd_http_is_kept():
    found = values(one(http={"request": "GET", "response": {"etag": "x"}, "version": 2}))
    assert found == {"http.request": "GET", "http.response.etag": "x", "http.version": 2}


def test_a_block_that_is_no_object_is_kept_and_reported():
    traces = one(http="GET", annotations=[1], aws="us-east-1")
    assert values(traces) == {"aws.xray.http": "GET", "aws.xray.annotations": "[1]", "aws.xray.aws": "us-east-1"}
    assert issues(traces) == {"ATTR_BAD"}
    assert (
        "expected an object, found str 'GET'; kept as the attribute aws.xray.http" in traces.issues["message"].str.cat()
    )


CALLS = {
    "table": (
        {"operation": "GetItem", "region": "us-east-2", "request_id": "R1", "account_id": "123", "table_name": "users"},
        {
            "aws.operation": "GetItem",
            "cloud.region": "us-east-2",
            "aws.request_id": "R1",
            "cloud.account.id": "123",
            "db.collection.name": "users",
            "db.system.name": "aws.dynamodb",
        },
    ),
    "one table in a list": (
        {"table_names": ["users"], "retries": 2},
        {
            "aws.dynamodb.table_names": '["users"]',
            "db.collection.name": "users",
            "db.system.name": "aws.dynamodb",
            "aws.retries": 2,
        },
    ),
    "no table in a list": (
        {"table_names": []},
        {"aws.dynamodb.table_names": "[]", "db.system.name": "aws.dynamodb"},
    ),
    "queue": (
        {"queue_url": "https://sqs.us-east-2.amazonaws.com/123/orders"},
        {
            "aws.sqs.queue.url": "https://sqs.us-east-2.amazonaws.com/123/orders",
            "messaging.system": "aws_sqs",
            "messaging.destination.name": "orders",
        },
    ),
    "topic": (
        {"topic_arn": "arn:aws:sns:us-east-2:123:news"},
        {
            "aws.sns.topic.arn": "arn:aws:sns:us-east-2:123:news",
            "messaging.system": "aws_sns",
            "messaging.destination.name": "news",
        },
    ),
    "others": (
        {"bucket_name": "pics", "resource_names": ["a", "b"], "consistent_read": True, "xray": {"sdk": "x"}},
        {"aws.s3.bucket": "pics", "aws.resource_names": '["a","b"]', "aws.consistent_read": True, "aws.xray.sdk": "x"},
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_aws_of_a_call(case):
    block, expected = CALLS[case]
    traces = load(answer(segment(subsegments=[part(1, name="X", namespace="aws", aws=block)])))
    own = {"aws.xray.namespace": "aws", "peer.service": "X"}
    assert values(traces) == own | expected


def test_true_and_one_are_not_confused():
    parts = [part(i, aws={"k": value}) for i, value in enumerate((True, 1, 1.0, "1", False, 0, None), 1)]
    frame = load(answer(segment(subsegments=parts))).attributes
    found = frame[(frame["owner"] == "span") & (frame["key"] == "aws.k")].sort_values("owner_id")
    assert found["value_type"].tolist() == ["bool", "int", "double", "str", "bool", "int", "empty"]


def test_aws_and_service_of_a_segment_are_its_resource():
    traces = one(
        origin="AWS::ECS::Fargate",
        resource_arn="arn:aws:ecs:us-east-2:123:task/1",
        service={"version": "4.0.3", "runtime": "CPython", "runtime_version": "3.11", "compiler": "gc"},
        aws={
            "account_id": "123",
            "ec2": {"instance_id": "i-1", "instance_size": "m5", "ami_id": "ami", "availability_zone": "us-east-2b"},
            "ecs": {"container": "web", "task_family": "shop", "launch_type": "FARGATE", "new": 1},
            "eks": {"cluster_name": "prod", "pod": "shop-1", "container_id": "c0ffee"},
            "elastic_beanstalk": {"environment_name": "prod", "version_label": "v7", "deployment_id": 3},
            "cloudwatch_logs": [{"log_group": "/shop", "arn": "arn:1"}, {"log_group": "/more"}],
            "xray": {"sdk": "X-Ray for Go", "sdk_version": "1.1", "auto_instrumentation": False},
            "function_arn": "arn:aws:lambda:1",
            "operation": "Index",
        },
    )
    assert values(traces, "resource") == {
        "service.name": "shop",
        "service.version": "4.0.3",
        "aws.xray.service.version": "v7",
        "process.runtime.name": "CPython",
        "process.runtime.version": "3.11",
        "aws.xray.service.compiler": "gc",
        "cloud.account.id": "123",
        "host.id": "i-1",
        "host.type": "m5",
        "host.image.id": "ami",
        "cloud.availability_zone": "us-east-2b",
        "container.name": "web",
        "aws.ecs.task.family": "shop",
        "aws.ecs.launchtype": "FARGATE",
        "aws.ecs.new": 1,
        "k8s.cluster.name": "prod",
        "k8s.pod.name": "shop-1",
        "container.id": "c0ffee",
        "deployment.environment.name": "prod",
        "deployment.id": 3,
        "aws.log.group.names": '["/shop","/more"]',
        "aws.log.group.arns": '["arn:1"]',
        "telemetry.sdk.name": "X-Ray for Go",
        "telemetry.sdk.version": "1.1",
        "aws.xray.auto_instrumentation": False,
        "cloud.resource_id": "arn:aws:lambda:1",
        "aws.xray.origin": "AWS::ECS::Fargate",
        "aws.xray.resource_arn": "arn:aws:ecs:us-east-2:123:task/1",
        "cloud.platform": "aws_ecs",
    }
    assert values(traces) == {"aws.operation": "Index"}
    span = traces.spans.iloc[0]
    assert (span["service_version"], span["cloud_platform"], span["k8s_pod_name"]) == ("4.0.3", "aws_ecs", "shop-1")
    assert traces.resources["xray_origin"].tolist() == ["AWS::ECS::Fargate"]


def test_segments_of_one_service_share_a_resource():
    block = {"ec2": {"instance_id": "i-1"}}
    traces = load(answer(segment(aws=block), part(2, name="shop", aws=block), part(3, name="cart", aws=block)))
    assert len(traces.resources) == 2


def test_sql():
    traces = one(
        subsegments=[
            part(
                1,
                name="shop@db",
                namespace="remote",
                sql={
                    "url": "jdbc:postgresql://app:s3cret@db.example:5432/ebdb?myInterceptor=foo",
                    "connection_string": "Server=db;Database=other;User Id=app;Password=s3cret",
                    "preparation": "statement",
                    "database_type": "PostgreSQL",
                    "database_version": "9.5.4",
                    "driver_version": "42",
                    "user": "app",
                    "sanitized_query": "SELECT ?",
                },
            )
        ]
    )
    assert values(traces) == {
        "aws.xray.namespace": "remote",
        "peer.service": "shop@db",
        "aws.xray.sql.url": "jdbc:postgresql://app:***@db.example:5432/ebdb?myInterceptor=foo",
        "aws.xray.sql.connection_string": "Server=db;Database=other;User Id=app;Password=***",
        "aws.xray.sql.preparation": "statement",
        "db.system.name": "postgresql",
        "aws.xray.sql.database_version": "9.5.4",
        "aws.xray.sql.driver_version": "42",
        "db.user": "app",
        "db.query.text": "SELECT ?",
        "db.namespace": "ebdb",
    }
    assert column(traces, "peer_type", "db_system_name", "db_namespace")[f"{1:016x}"] == ["db", "postgresql", "ebdb"]


PASSWORDS = st.text(string.ascii_letters + string.digits + "!$%*-_.:@", min_size=6, max_size=12).map("Qz{}zQ".format)
ADDRESSES = (
    "postgresql://app:{}@db:5432/shop",
    "jdbc:mysql://app:{}@db/shop?useSSL=true",
    "mongodb+srv://app:{}@cluster/?retryWrites=true",
    "Server=db;Database=shop;Uid=app;Pwd={};",
    "Server=db;Password={};Database=shop",
    "jdbc:postgresql://db/shop?user=app&password={}",
    "jdbc:oracle:thin:scott/{}@db:1521:orcl",
    "app:{}@tcp(db:3306)/shop",
    "redis://:{}@cache:6379/0",
)


@given(st.sampled_from(ADDRESSES), PASSWORDS)
def test_passwords_never_stay_in_addresses(address, password):
    left = without_password(address.format(password))
    assert "Qz" not in left
    assert "zQ" not in left


@given(st.sampled_from(ADDRESSES), PASSWORDS.map("{}/x".format))
def test_passwords_never_become_the_name_of_a_database(address, password):
    block = {"url": address.format(password), "connection_string": address.format(password)}
    assert not [value for _, value in sql(lambda key, value, *_: (key, value), block) if "Qz" in value or "zQ" in value]


@pytest.mark.parametrize("address", ["postgresql://db:5432/shop?options=a@b", "redis://cache:6379/0", "Server=db"])
def test_addresses_without_a_password_stay_as_they_are(address):
    assert without_password(address) == address


def test_annotations_are_indexed_and_metadata_have_namespaces():
    traces = one(
        annotations={"tenant": "t1", "count": 3, "ratio": 0.5, "vip": True},
        metadata={"default": {"cart": {"items": [1, 2]}}, "debug": {"note": "x"}, "flat": 5},
        user="u7",
        precursor_ids=["a", "b"],
    )
    frame = traces.attributes[traces.attributes["owner"] == "span"].set_index("key")
    assert values(traces) == {
        "tenant": "t1",
        "count": 3,
        "ratio": 0.5,
        "vip": True,
        "cart": '{"items":[1,2]}',
        "note": "x",
        "flat": 5,
        "enduser.id": "u7",
        "aws.xray.precursor_ids": '["a","b"]',
    }
    assert set(frame.index[frame["is_indexed"]]) == {"tenant", "count", "ratio", "vip"}
    assert frame["origin"].loc[["tenant", "cart"]].tolist() == ["annotation", "metadata"]
    assert frame["namespace"].loc[["cart", "note", "flat"]].tolist() == ["default", "debug", "flat"]


def test_what_opentelemetry_wrote_is_turned_back():
    aws = {"xray": {"sdk": "opentelemetry for python", "sdk_version": "1.30"}}
    traces = load(
        answer(
            segment(
                name="cart.example",
                namespace="remote",
                aws=aws,
                metadata={
                    "default": {"otel.resource.service.name": "shop", "otel.resource.host.name": "h1", "cart.size": 3},
                    "mine": {"x": 1},
                },
                subsegments=[part(1, metadata={"default": {"rule": "r2"}})],
            )
        )
    )
    resource = values(traces, "resource")
    assert (resource["service.name"], resource["host.name"]) == ("shop", "h1")
    assert column(traces, "service_name", "kind", "peer_service_name", "host_name")["00000000000000a1"] == [
        "shop",
        "CLIENT",
        "cart.example",
        "h1",
    ]
    frame = traces.attributes[traces.attributes["owner"] == "span"].set_index("key")
    assert frame["origin"].loc[["cart.size", "rule", "x"]].tolist() == ["attribute", "attribute", "metadata"]
    assert "otel.resource.host.name" not in frame.index


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("flags", "on_segment", "on_call", "error_class"),
    [
        ({}, "UNSET", "UNSET", "none"),
        ({"error": True}, "UNSET", "ERROR", "client"),
        ({"error": True, "throttle": True}, "UNSET", "ERROR", "throttle"),
        ({"fault": True}, "ERROR", "ERROR", "fault"),
        ({"error": True, "fault": True}, "ERROR", "ERROR", "fault"),
        ({"error": True, "fault": True, "throttle": True}, "ERROR", "ERROR", "throttle"),
        ({"error": False, "fault": False}, "UNSET", "UNSET", "none"),
    ],
)
def test_error_fault_and_throttle(flags, on_segment, on_call, error_class):
    traces = one(**flags, subsegments=[part(1, namespace="remote", name="cart", **flags)])
    assert traces.spans["status_code"].tolist() == [on_segment, on_call]
    assert traces.spans["error_class"].tolist() == [error_class, error_class]
    kept = {f"aws.xray.{flag}" for flag, value in flags.items() if value}
    assert kept == values(traces).keys() & {"aws.xray.error", "aws.xray.fault", "aws.xray.throttle"}


EXCEPTION = {
    "id": "0000000000000e01",
    "type": "KeyError",
    "message": "no such item",
    "remote": False,
    "truncated": 2,
    "stack": [{"path": "cart.py", "line": 12, "label": "add"}, {"path": "app.py", "line": 3}],
}


def test_exceptions_are_events():
    cause = {"working_directory": "/srv", "paths": ["a"], "exceptions": [EXCEPTION, {"id": "0000000000000e02"}]}
    traces = one(fault=True, cause=cause)
    event = traces.events.iloc[0]
    assert traces.events["name"].tolist() == ["exception", "exception"]
    assert traces.events["time_ns"].isna().all()
    assert (event["exception_type"], event["exception_message"]) == ("KeyError", "no such item")
    assert event["exception_stacktrace"] == "  at add (cart.py:12)\n  at app.py:3"
    assert (event["exception_id"], event["exception_remote"]) == ("0000000000000e01", False)
    found = values(traces, "event")
    assert found["aws.xray.exception.truncated"] == 2
    assert json.loads(found["aws.xray.exception.stack"]) == EXCEPTION["stack"]
    assert values(traces) == {
        "aws.xray.fault": True,
        "aws.xray.cause.working_directory": "/srv",
        "aws.xray.cause.paths": '["a"]',
    }
    assert traces.spans["error_type"].tolist() == ["KeyError"]
    assert traces.spans["status_code"].tolist() == ["ERROR"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_cause_refers_to_an_exception_anywhere_in_the_trace(order):
    documents = [
        segment(cause="0000000000000e01"),
        part(2, parent_id="00000000000000a1", cause={"exceptions": [EXCEPTION]}),
    ]
    traces = load(answer(*documents[::order]))
    events = traces.events.set_index(traces.spans["span_id"].loc[traces.events["span_row"]].to_numpy())
    reference = events.loc["00000000000000a1"]
    assert (reference["exception_type"], reference["exception_message"]) == ("KeyError", "no such item")
    assert reference["cause_id"] == "0000000000000e01"
    assert issues(traces) == set()
    assert traces.spans["status_code"].tolist() == ["ERROR", "ERROR"]


def test_a_cause_in_an_earlier_line_is_found():
    documents = [part(2, cause={"exceptions": [EXCEPTION]}), segment(cause="0000000000000e01")]
    traces = read(lines(*(json.dumps(document | {"trace_id": TRACE}) for document in documents)))
    assert "XR_CAUSE_DANGLING" not in issues(traces)


@pytest.mark.parametrize(
    "cause",
    ["0000000000000e09", {"exceptions": [EXCEPTION | {"cause": "0000000000000e09"}]}],
    ids=["span", "exception"],
)
def test_a_dangling_cause_is_reported_and_kept(cause):
    traces = one(cause=cause)
    assert traces.events["cause_id"].tolist() == ["0000000000000e09"]
    assert issues(traces) == {"XR_CAUSE_DANGLING"}
    assert "expected the exception '0000000000000e09'" in traces.issues["message"].str.cat()


def test_a_cause_in_another_trace_does_not_count():
    record = answer(segment(cause="0000000000000e01"))
    record["Traces"] += answer(part(2, cause={"exceptions": [EXCEPTION]}), trace=TRACE[:-1] + "0")["Traces"]
    assert issues(load(record)) == {"XR_CAUSE_DANGLING"}


def test_a_cause_of_another_sort_is_kept_and_reported():
    traces = one(cause=17)
    assert values(traces) == {"aws.xray.cause": 17}
    assert issues(traces) == {"ATTR_BAD"}


# ---------------------------------------------------------------------- links, Lambda, independent subsegments


def test_links():
    good = {"trace_id": TRACE[:-1] + "0", "id": "00000000000000f1", "attributes": {"queue": "orders"}, "note": 1}
    traces = one(links=[good, {"trace_id": "x", "id": "y"}, 5])
    assert traces.links["trace_id"].tolist() == [HEX[:-1] + "0"]
    assert traces.links["span_id"].tolist() == ["00000000000000f1"]
    assert traces.links["relation"].tolist() == ["xray_link"]
    assert values(traces, "link") == {"queue": "orders", "aws.xray.link.note": 1}
    assert values(traces) == {"aws.xray.links": '[{"id":"y","trace_id":"x"},5]'}
    row = traces.issues.set_index("code").loc["ID_NOT_HEX"]
    assert row["severity"] == "warn"
    assert "expected links with trace_id and id" in row["message"]


def test_a_cold_start_is_seen_on_the_function_segment():
    init = part(1, name="Initialization", start_time=1480615199.6, end_time=1480615200.0)
    traces = load(
        answer(
            segment(name="resize", origin="AWS::Lambda", aws={"request_id": "R1"}),
            part(2, name="resize", origin="AWS::Lambda::Function", parent_id="00000000000000a1", subsegments=[init]),
            part(3, name="resize", origin="AWS::Lambda::Function", parent_id="00000000000000a1"),
        )
    )
    cold = traces.spans.set_index("span_id")["faas_coldstart"]
    assert cold[f"{2:016x}"]
    assert cold.isna().sum() == 3
    assert traces.spans.set_index("span_id")["faas_invocation_id"]["00000000000000a1"] == "R1"
    assert set(traces.spans["service_name"]) == {"resize"}
    assert set(traces.spans[traces.spans["record_kind"] == "segment"]["faas_name"]) == {"resize"}
    assert "CHILD_OUTSIDE_PARENT" in issues(traces)


OWN = [
    segment(trace_id=TRACE, subsegments=[part(1, subsegments=[part(2)])]),
    part(3, trace_id=TRACE, type="subsegment", parent_id=f"{2:016x}", name="late", subsegments=[part(4)]),
    part(5, trace_id=TRACE, type="subsegment", parent_id=f"{4:016x}", name="later"),
]
ORDERS = [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2), (2, 0, 1), (0, 2, 1)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", ["one answer", "lines", "an answer a line"])
def test_independent_subsegments_get_the_service_of_their_segment(order, shape):
    documents = [OWN[i] for i in order]
    data = {
        "one answer": json.dumps(answer(*documents)).encode(),
        "lines": lines(*map(json.dumps, documents)),
        "an answer a line": lines(*(json.dumps([document]) for document in documents)),
    }[shape]
    traces = read(data)
    assert traces.spans["service_name"].tolist() == ["shop"] * 6
    assert column(traces, "record_kind", "parent_is_remote")[f"{5:016x}"] == ["subsegment", False]
    assert traces.spans["parent_state"].tolist().count("root") == 1


def test_an_independent_subsegment_without_its_segment_has_no_service():
    traces = load(OWN[2])
    assert traces.spans["service_name"].tolist() == ["unknown_service"]
    assert {"PARENT_MISSING"} <= issues(traces)


# ---------------------------------------------------------------------- what the answer says


def test_facts_about_the_trace():
    record = answer(segment(), LimitExceeded=True)
    traces = load(record)
    assert traces.summary["reported_duration_ns"].tolist() == [490_000_000]
    assert traces.summary["limit_exceeded"].tolist() == [True]
    message = traces.issues.set_index("code").loc["XR_LIMIT_EXCEEDED", "message"]
    assert "X-Ray stopped adding segments" in message
    assert load(answer(segment())).summary["limit_exceeded"].tolist() == [False]


def test_no_duration_is_no_duration():
    assert load(DOCUMENTS).summary["reported_duration_ns"].isna().all()


def test_unprocessed_ids_are_listed_one_by_one():
    other = [TRACE[:-1] + digit for digit in "01"]
    traces = load(answer(segment()) | {"UnprocessedTraceIds": other})
    found = traces.issues[traces.issues["code"] == "XR_UNPROCESSED"]
    assert found["trace_id"].tolist() == [HEX[:-1] + digit for digit in "01"]
    assert traces.sources["complete"].tolist() == [False]
    assert traces.sources["stop_reason"].tolist() == ["X-Ray did not process all trace ids"]


def test_a_page_that_is_not_the_last_leaves_the_source_incomplete():
    first, second = answer(segment()) | {"NextToken": "t1"}, answer(part(2))
    assert load(first).sources["complete"].tolist() == [False]
    assert "NextToken" in load(first).sources["stop_reason"][0]
    assert read(lines(json.dumps(first), json.dumps(second))).sources["complete"].tolist() == [True]
    assert read(lines(json.dumps(second), json.dumps(first))).sources["complete"].tolist() == [False]


def test_a_retrieval_that_is_not_complete():
    assert load(RETRIEVED | {"RetrievalStatus": "RUNNING"}).sources["stop_reason"].tolist() == [
        "trace retrieval status: RUNNING"
    ]


def test_spans_of_one_trace_on_several_pages_are_one_trace():
    pages = [{"RetrievalStatus": "COMPLETE", "Traces": [{"Id": TRACE, "Spans": [entry]}]} for entry in ENTRIES]
    traces = read(lines(*map(json.dumps, pages)))
    assert len(traces) == 1
    assert len(traces.spans) == 3


FLAT = {
    "traceId": HEX,
    "spanId": "00000000000000a1",
    "name": "GET /",
    "kind": "SERVER",
    "startTimeUnixNano": 1480615200010000000,
    "endTimeUnixNano": 1480615200500000000,
    "attributes": {"http.route": "/", "share": 0.5},
    "resource": {"attributes": {"service.name": "shop"}},
    "status": {"code": "OK"},
}
REQUEST = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"spans": [FLAT | {"attributes": [], "kind": 2, "resource": None, "status": {"code": 1}}]}],
        }
    ]
}


@pytest.mark.parametrize("document", [FLAT, REQUEST], ids=["flat", "request"])
@pytest.mark.parametrize("as_text", [True, False])
def test_documents_of_opentelemetry(document, as_text):
    spans = [{"Id": "00000000000000a1", "Document": json.dumps(document) if as_text else document}]
    traces = load({"RetrievalStatus": "COMPLETE", "TraceFormat": "OTEL", "Traces": [{"Id": TRACE, "Spans": spans}]})
    found = column(traces, "trace_id", "service_name", "kind", "status_code", "record_kind")
    assert found == {"00000000000000a1": [HEX, "shop", "SERVER", "OK", "span"]}
    if document is FLAT:
        assert values(traces) == {"http.route": "/", "share": 0.5}


def test_summaries_alone_are_a_clear_error():
    record = {"TraceSummaries": [{"Id": TRACE, "Duration": 1.0}], "TracesProcessedCount": 1}
    with pytest.raises(LoadError, match=r"XR_SUMMARIES_ONLY.*found 1 trace summaries.*batch-get-traces") as caught:
        load(record)
    assert caught.value.code == "XR_SUMMARIES_ONLY"


def test_summaries_among_traces_are_skipped_and_reported():
    record = {"TraceSummaries": [{"Id": TRACE}, {"Id": TRACE}]}
    traces = read(lines(json.dumps(record), json.dumps(record), json.dumps(answer(segment()))))
    assert len(traces.spans) == 1
    assert traces.sources["skipped_count"].tolist() == [4]
    assert traces.issues["code"].tolist().count("XR_SUMMARIES_ONLY") == 1


# ---------------------------------------------------------------------- what is wrong


def test_a_document_that_does_not_parse_costs_that_segment():
    record = answer(segment(), part(2))
    record["Traces"][0]["Segments"].append({"Id": "00000000000000f7", "Document": '{"id": "00000000000000f7", "na'})
    traces = load(record)
    assert len(traces.spans) == 2
    row = traces.issues.set_index("code").loc["XR_DOC_NOT_JSON"]
    assert (row["span_id"], row["trace_id"], row["action"]) == ("00000000000000f7", HEX, "quarantined")
    assert "the segment's document: invalid JSON (" in row["message"]
    assert traces.sources[["span_count", "accepted_count", "quarantined_count"]].to_numpy().tolist() == [[3, 2, 1]]


@pytest.mark.parametrize("document", [None, 5, [1], "[]x", "17", '["x"]'])
def test_documents_that_are_none(document):
    record = answer(segment())
    record["Traces"][0]["Segments"].append({"Id": "00000000000000f7", "Document": document})
    traces = load(record)
    assert len(traces.spans) == 1
    assert traces.sources["quarantined_count"].tolist() == [1]
    assert issues(traces) == {"XR_DOC_NOT_JSON"}


@pytest.mark.parametrize("thing", [5, "x", {"Id": "a"}, None])
def test_entries_and_traces_that_are_none(thing):
    record = answer(segment())
    record["Traces"][0]["Segments"].append(thing)
    record["Traces"].append(thing)
    traces = load(record)
    assert len(traces.spans) == 1
    assert set(traces.issues[traces.issues["action"] == "quarantined"]["code"]) == {"XR_DOC_NOT_JSON"}


def test_strict_raises_at_the_first_bad_document():
    record = answer(segment())
    record["Traces"][0]["Segments"].append({"Id": "00000000000000f7", "Document": "{"})
    with pytest.raises(LoadError, match=r"XR_DOC_NOT_JSON.*the segment's document"):
        load(record, strict=True)


def test_trace_ids_that_disagree():
    traces = load(answer(segment(trace_id=TRACE[:-1] + "0")))
    assert traces.spans["trace_id"].tolist() == [HEX[:-1] + "0"]
    issue = traces.issues.set_index("code").loc["XR_TRACE_MISMATCH"]
    message = issue["message"]
    assert issue["trace_id"] == HEX[:-1] + "0"
    assert f"expected the trace {TRACE} that it came in, found {TRACE[:-1]}0; the document's value is used" in message


def test_an_entry_that_names_another_segment():
    record = answer(segment())
    record["Traces"][0]["Segments"][0]["Id"] = "00000000000000ff"
    traces = load(record)
    assert traces.spans["span_id"].tolist() == ["00000000000000a1"]
    assert issues(traces) == {"XR_TRACE_MISMATCH"}


def test_embedding_wins_over_what_a_subsegment_names():
    child = part(1, parent_id=f"{9:016x}", trace_id=TRACE[:-1] + "0")
    traces = one(trace_id=TRACE, subsegments=[child, part(2, parent_id="00000000000000a1", trace_id=TRACE)])
    assert traces.spans["parent_span_id"].tolist()[1:] == ["00000000000000a1"] * 2
    assert set(traces.spans["trace_id"]) == {HEX}
    assert traces.issues["code"].tolist().count("XR_TRACE_MISMATCH") == 2
    assert (
        "that embeds the subsegment, found 0000000000000009; the enclosing part's id is used"
        in traces.issues["message"][0]
    )


@pytest.mark.parametrize(
    ("trace", "code"),
    [("", "ID_BAD_LENGTH"), ("1-58406520-zz6649127e371903a2de979", "ID_NOT_HEX"), ("x" * 32, "ID_NOT_HEX")],
)
def test_a_bad_trace_id_costs_its_document(trace, code):
    traces = load([segment(trace_id=TRACE), segment(trace_id=trace, subsegments=[part(1), part(2)])])
    assert len(traces.spans) == 1
    assert traces.sources["quarantined_count"].tolist() == [3]
    row = traces.issues.set_index("code").loc[code]
    assert row["issue_count"] == 3
    assert "expected a trace id such as 1-58406520-a006649127e371903a2de979" in row["message"]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("", "ID_BAD_LENGTH"),
        ("123", "ID_BAD_LENGTH"),
        ("0" * 16, "ID_ZERO"),
        ("g" * 16, "ID_NOT_HEX"),
        ("0x00000000000001", "ID_BAD_LENGTH"),
        ("+000000000000001", "ID_NOT_HEX"),
        ("1_00000000000001", "ID_NOT_HEX"),
        (" 00000000000000a", "ID_NOT_HEX"),
        ("\u0661" * 16, "ID_NOT_HEX"),
        (None, "ID_BAD_LENGTH"),
    ],
)
def test_a_bad_id_costs_that_part_but_not_its_children(bad, code):
    traces = one(subsegments=[part(1, subsegments=[part(2)]) | {"id": bad}])
    assert traces.spans["span_id"].tolist() == ["00000000000000a1", f"{2:016x}"]
    assert column(traces, "parent_state")[f"{2:016x}"] == ["missing"]
    assert traces.sources["quarantined_count"].tolist() == [1]
    assert code in issues(traces)


def test_ids_may_be_in_upper_case():
    assert one(id="ABCDEF0123456789").spans["span_id"].tolist() == ["abcdef0123456789"]


def test_a_bad_parent_id_leaves_an_orphan():
    traces = one(parent_id="shop")
    assert traces.spans["parent_state"].tolist() == ["missing"]
    row = traces.issues.set_index("code").loc["ID_NOT_HEX"]
    assert row["severity"] == "warn"
    assert "parent treated as missing" in row["message"]


def test_members_of_the_wrong_type_are_converted_or_reported():
    traces = one(name=7, fault="true", error=0, throttle="perhaps", subsegments=[part(1), 5])
    assert traces.spans["name"].tolist() == ["7", "part"]
    assert values(traces) == {"aws.xray.fault": True}
    assert traces.sources["quarantined_count"].tolist() == [1]
    told = traces.issues.set_index("code")["message"]
    assert "expected text, found int 7" in told["ATTR_BAD"].iloc[0]
    assert "expected true or false, found str 'perhaps'; taken as false" in told["ATTR_BAD"].iloc[1]
    assert "expected an object, found int 5; skipped" in told["XR_DOC_NOT_JSON"]
    assert issues(one(subsegments={"id": 1})) == {"ATTR_BAD"}


def test_deep_nesting_is_refused_as_a_whole_and_nothing_else():
    deep = part(1)
    for number in range(2, 95):
        deep = part(number, subsegments=[deep])
    assert len(load(answer(segment(subsegments=[deep]))).spans) == 95
    bomb = '{"id":"00000000000000b1","name":"x","start_time":1,"subsegments":[' * 100_000 + "]}" * 100_000
    record = answer(segment())
    record["Traces"][0]["Segments"].append({"Id": "00000000000000b1", "Document": bomb})
    traces = load(record)
    assert len(traces.spans) == 1
    assert issues(traces) == {"JSON_TOO_DEEP"}
    assert traces.sources["quarantined_count"].tolist() == [1]


def test_a_chain_of_independent_subsegments_has_no_depth():
    count = 3_000
    chain = [segment(trace_id=TRACE)]
    parent = chain[0]["id"]
    for number in range(1, count):
        chain.append(part(0x1000 + number, trace_id=TRACE, type="subsegment", parent_id=parent))
        parent = chain[-1]["id"]
    traces = load(chain[::-1])
    assert traces.spans["depth"].max() == count - 1
    assert set(traces.spans["service_name"]) == {"shop"}


def test_surrogates_and_long_integers_in_documents_are_reported():
    text = json.dumps(segment(trace_id=TRACE, metadata={"m": {"k": 0}}))
    traces = read(json.dumps([text.replace('"k": 0', '"k": "\\ud800"')]).encode())
    assert values(traces) == {"k": "\ufffd"}
    assert issues(traces) == {"ENC_SURROGATE"}
    traces = read(json.dumps([text.replace('"k": 0', '"k": ' + "9" * 5000)]).encode())
    assert values(traces) == {"k": "9" * 5000}
    assert issues(traces) == {"JSON_BIG_INT"}


def test_in_progress_and_complete_become_one():
    early = segment(in_progress=True)
    del early["end_time"]
    traces = load(answer(early, segment()))
    assert traces.spans["in_progress"].tolist() == [False]
    assert traces.sources[["span_count", "merged_count"]].to_numpy().tolist() == [[2, 1]]


# ---------------------------------------------------------------------- the two ways of decoding agree

NAMES = st.sampled_from(["a", "b c", "ü"])
BLOCK = st.none() | st.dictionaries(NAMES, st.none() | st.booleans() | st.integers(0, 3) | NAMES | st.lists(NAMES))
MEMBERS = st.fixed_dictionaries(
    {"id": st.integers(1, 2**64 - 1).map("{:016x}".format), "name": NAMES, "start_time": st.integers(10**9, 2**31)},
    optional={
        "end_time": st.integers(10**9, 2**31),
        "namespace": st.sampled_from(["aws", "remote", "local", None]),
        "fault": st.booleans(),
        "error": st.booleans(),
        "in_progress": st.booleans(),
        "inferred": st.booleans(),
        "origin": st.sampled_from(["AWS::Lambda::Function", "AWS::EC2::Instance"]),
        "http": BLOCK | st.fixed_dictionaries({"response": BLOCK, "request": BLOCK}),
        "aws": BLOCK,
        "sql": BLOCK,
        "service": BLOCK,
        "annotations": BLOCK,
        "metadata": st.dictionaries(NAMES, BLOCK),
        "cause": NAMES | st.fixed_dictionaries({"exceptions": st.lists(BLOCK, max_size=2)}),
        "user": NAMES,
    },
)
TREES = st.recursive(
    MEMBERS, lambda inner: st.builds(lambda m, s: m | {"subsegments": s}, MEMBERS, st.lists(inner)), max_leaves=6
)


@settings(deadline=None, max_examples=50)
@given(TREES)
def test_a_document_means_the_same_as_text_and_as_object(document):
    document = document | {"trace_id": TRACE}
    as_text, as_object = load([json.dumps(document)]), load([document])
    for table in ("attributes", "events", "links", "summary"):
        left, right = getattr(as_text, table), getattr(as_object, table)
        assert left.drop(columns="owner_id", errors="ignore").equals(right.drop(columns="owner_id", errors="ignore")), (
            table
        )
    ours = [c for c in as_text.spans if c not in {"byte_offset", "record_number"}]
    assert as_text.spans[ours].equals(as_object.spans[ours])
    assert issues(as_text) == issues(as_object)


def test_what_is_remembered_is_bounded_and_does_not_change_the_result(monkeypatch):
    documents = [
        part(
            number,
            trace_id=TRACE,
            name=f"service-{number % 7}",
            annotations={"n": number % 11},
            aws={"region": f"r{number % 5}", "ec2": {"instance_id": f"i{number % 13}"}},
            subsegments=[
                part(0x1000 + number, namespace="aws", aws={"table_name": f"t{number % 9}", "request_id": str(number)})
            ],
            cause={"exceptions": [{"id": f"{number:016x}", "message": "m"}]},
        )
        for number in range(1, 60)
    ]
    data = lines(*map(json.dumps, documents))
    before = read(data)
    monkeypatch.setattr(xray_blocks, "BLOCKS_KEPT", 2)
    monkeypatch.setattr(xray_cause, "EXCEPTIONS_KEPT", 2)
    after = read(data)
    assert before.spans.equals(after.spans)
    assert before.attributes.equals(after.attributes)
    assert before.events.equals(after.events)


def test_an_integer_of_any_length_in_a_list_of_a_call_is_kept():
    call = part(2, namespace="aws", aws={"table_names": ["N"]})
    data = json.dumps(answer(segment(subsegments=[call]))).replace('\\"N\\"', "9" * 5000)
    found = load(data.encode()).attributes
    [value] = found.loc[found["key"] == "aws.dynamodb.table_names", "value_json"]
    assert "9" * 5000 in value
