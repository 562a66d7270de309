"""The tracer of REL06-BP07: its tables, its stream, its insights, and findings as metrics."""

import base64
import gzip
import json
import re
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal

import boto3
import numpy as np
import pandas as pd
import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

import tracekit as tk
from tracekit.aws.reader import Reader
from tracekit.aws.tracer import tables as tracer_tables
from tracekit.aws.tracer.records import trace_id_of

TRACE = "1732170000-00f067aa0ba902b7"
HEX = "00000000673ed11000f067aa0ba902b7"


def span(number=1, trace=TRACE, **more):
    """A span as the table has it."""
    return {
        "trace_id": trace,
        "span_id": f"{number:016x}",
        "parent_span_id": f"{number - 1:016x}" if number > 1 else None,
        "operation_name": f"step {number}",
        "service_name": f"service-{number}",
        "span_kind": "server",
        "start_time": "2024-11-21T06:20:00.100000",
        "end_time": "2024-11-21T06:20:00.350000",
        "duration_ms": 250.0,
        "status": "ok",
        "tags": {"user_id": "12345", "n": 3},
        "logs": [{"timestamp": "2024-11-21T06:20:00.2", "level": "info", "fields": {"message": "hello"}}],
        "baggage": {"tenant": "acme"},
    } | more


SUMMARY = {
    "trace_id": TRACE,
    "start_time": "2024-11-21T06:20:00.100000",
    "end_time": "2024-11-21T06:20:00.350000",
    "duration_ms": 250.0,
    "service_count": 2,
    "span_count": 2,
    "error_count": 0,
    "root_operation": None,
    "services": ["service-1", "service-2"],
}
STREAMED = {
    "trace_id": TRACE,
    "span_id": f"{1:016x}",
    "parent_span_id": None,
    "operation_name": "step 1",
    "service_name": "service-1",
    "duration_ms": 250.0,
    "status": "ok",
    "tags": {"user_id": "12345"},
    "timestamp": "2024-11-21T06:20:00.100000",
}


def typed(item):
    """An item as DynamoDB writes it."""
    return {k: TypeSerializer().serialize(v) for k, v in json.loads(json.dumps(item), parse_float=Decimal).items()}


# -------------------------------------------------------------------- what a span says


def test_a_span_of_the_table_is_a_span():
    tables = tk.read_dynamodb_tracer([span(), span(2)])
    first, second = tables.traces.spans.to_dict("records")
    assert (first["trace_id"], first["span_id"], first["name"]) == (HEX, f"{1:016x}", "step 1")
    assert (first["service_name"], first["kind"], first["status_code"]) == ("service-1", "SERVER", "OK")
    assert first["start_ns"] == 1_732_170_000_100_000_000
    assert first["duration_ns"] == 250_000_000
    assert second["parent_span_id"] == first["span_id"]
    values = {key: tables.traces.attribute(key).iloc[0] for key in ("user_id", "tracer.trace_id", "baggage.tenant")}
    assert values == {"user_id": "12345", "tracer.trace_id": TRACE, "baggage.tenant": "acme"}
    assert json.loads(tables.traces.attribute("tracer.logs").iloc[0])[0]["fields"] == {"message": "hello"}


@pytest.mark.parametrize(
    ("more", "column", "expected"),
    [
        ({"span_kind": "SpanKind.CLIENT"}, "kind", "CLIENT"),
        ({"span_kind": "odd"}, "kind", "UNSPECIFIED"),
        ({"status": "SpanStatus.ERROR"}, "status_code", "ERROR"),
        ({"status": "timeout"}, "status_message", "timeout"),
        ({"status": "cancelled"}, "is_error", True),
        ({"status": "odd"}, "status_code", "UNSET"),
        ({"start_time": "2024-11-21T07:20:00.1+01:00"}, "start_ns", 1_732_170_000_100_000_000),
        ({"end_time": None}, "duration_ns", 250_000_000),
        ({"end_time": None, "duration_ms": 0.001}, "duration_ns", 1000),
    ],
)
def test_every_field_is_understood(more, column, expected):
    (row,) = tk.read_dynamodb_tracer([span(**more)]).traces.spans.to_dict("records")
    assert row[column] == expected


def test_a_span_that_is_not_finished_has_no_end():
    traces = tk.read_dynamodb_tracer([span(end_time=None, duration_ms=None)]).traces
    assert not traces.has_duration.any()
    assert (
        tk.read_dynamodb_tracer([span(end_time=None, duration_ms=None)])
        .insights()[0]
        .headline.startswith("0 of 1 traces")
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (7, "expected a JSON object, found int"),
        (span(trace="odd"), "expected a trace id, found 'odd'"),
        (span(trace="0" * 32), "expected a trace id, found '0000"),
        (span() | {"span_id": "xyz"}, "expected a span id of up to 16 hex digits, found 'xyz'"),
        (span() | {"span_id": "0"}, "expected a span id"),
        (span(start_time=None), "expected start_time or timestamp, found neither"),
        (span(start_time="yesterday-ish"), "expected times such as 2026-11-21T14:00:00.123456, found"),
        (span(end_time=None, duration_ms="long"), "expected times such as"),
    ],
)
def test_what_cannot_be_used_is_set_aside_with_its_reason(value, problem):
    tables = tk.read_dynamodb_tracer([span(), value])
    assert tables.counts == {"seen": 2, "spans": 1, "merged": 0, "summaries": 0, "quarantined": 1}
    assert tables.quarantined["problem"].str.startswith(problem).all()
    assert tables.quarantined["record"].tolist() == [2]
    assert repr(tables) == "TracerTables(1 spans, 0 merged, 0 summaries, 1 quarantined)"
    assert "<table" in tables._repr_html_()


def test_ids_are_turned_without_loss():
    assert trace_id_of(TRACE) == HEX
    assert int(HEX[:16], 16) == 1_732_170_000
    assert trace_id_of("1-58406520-a006649127e371903a2de979") == "58406520a006649127e371903a2de979"
    assert trace_id_of("A" * 16) == "0" * 16 + "a" * 16


# -------------------------------------------------------------------- wrappings


def wrapped(items):
    """Every form in which the same records may lie on a disk."""
    typed_items = [typed(item) for item in items]
    data = [base64.b64encode(json.dumps(item).encode()).decode() for item in items]
    return {
        "list": json.dumps(items),
        "lines": "\n".join(map(json.dumps, items)),
        "firehose": "".join(map(json.dumps, items)),
        "scan": json.dumps({"Items": typed_items, "Count": len(items)}),
        "export": "\n".join(json.dumps({"Item": item}) for item in typed_items),
        "kinesis": json.dumps({"Records": [{"Data": one, "PartitionKey": "a"} for one in data]}),
        "lambda": json.dumps({"Records": [{"kinesis": {"data": one}} for one in data]}),
    }


@pytest.mark.parametrize("form", sorted(wrapped([span()])))
@pytest.mark.parametrize("packed", [False, True])
def test_every_wrapping_gives_the_same_traces(form, packed, tmp_path):
    items = [span(), span(2), SUMMARY]
    content = wrapped(items)[form].encode()
    (tmp_path / "a.json").write_bytes(gzip.compress(content) if packed else content)
    tables = tk.read_dynamodb_tracer(tmp_path / "a.json")
    plain = tk.read_dynamodb_tracer(items)
    assert tables.counts == plain.counts == {"seen": 3, "spans": 2, "merged": 0, "summaries": 1, "quarantined": 0}
    pd.testing.assert_frame_equal(tables.traces.spans, plain.traces.spans)
    pd.testing.assert_frame_equal(tables.traces.attributes, plain.traces.attributes)
    pd.testing.assert_frame_equal(tables.summaries, plain.summaries)
    (row,) = tables.summaries.to_dict("records")
    assert row["start_time"] == pd.Timestamp("2024-11-21T06:20:00.1", tz="UTC")
    assert (row["services"], row["service_count"]) == (["service-1", "service-2"], 2)


def test_a_span_of_table_and_stream_is_one_span():
    for items in ([STREAMED, span()], [span(), STREAMED]):
        tables = tk.read_dynamodb_tracer(items)
        assert tables.counts == {"seen": 2, "spans": 1, "merged": 1, "summaries": 0, "quarantined": 0}
        assert tables.traces.spans["kind"].tolist() == ["SERVER"], "the table says more"
    streamed = tk.read_dynamodb_tracer(json.dumps(STREAMED).encode()).traces.spans
    assert streamed["duration_ns"].tolist() == [250_000_000]


def test_damaged_files_are_reported_and_the_rest_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps(span()) + '\n{"trace_id": \n' + json.dumps(span(2)) + "\n")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps(span(3)).encode())[:-9])
    (tmp_path / "manifest-files.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("nothing of ours")
    tables = tk.read_dynamodb_tracer(tmp_path)
    assert tables.counts == {"seen": 4, "spans": 2, "merged": 0, "summaries": 0, "quarantined": 2}
    assert tables.quarantined["problem"].str.startswith("expected JSON").all()
    kinesis = tk.read_dynamodb_tracer([{"Data": "%%%"}, span()])
    assert kinesis.quarantined["problem"].tolist() == ["expected a JSON object, found str"]


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(tk.LoadError, match=r"expected records of the tracer, found none in \[\]"):
        tk.read_dynamodb_tracer([])
    with pytest.raises(tk.LoadError, match=r"expected records of the tracer, found none at .*nowhere: No such file"):
        tk.read_dynamodb_tracer(tmp_path / "nowhere")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=5), x),
        max_leaves=6,
    )
)
def test_any_json_is_counted(value):
    tables = tk.read_dynamodb_tracer([span(), value])
    counts = tables.counts
    assert counts["seen"] == counts["spans"] + counts["merged"] + counts["summaries"] + counts["quarantined"]
    assert counts["spans"] == 1


# -------------------------------------------------------------------- insights


def test_insights_are_those_of_the_tracer():
    slow = [
        span(1, f"17321700{n:02d}-00f067aa0ba902b7", end_time=f"2024-11-21T06:20:{5 + n:02d}.200000")
        for n in range(1, 4)
    ]
    wide = [span(number, "1732170099-00f067aa0ba902b7") for number in range(1, 8)]
    failed = [
        span(1, "1732170098-00f067aa0ba902b7", status="error"),
        span(2, "1732170098-00f067aa0ba902b7", status="timeout"),
    ]
    tables = tk.read_dynamodb_tracer(slow + wide + failed)
    found = {finding.check: finding for finding in tables.insights()}
    assert [finding.severity for finding in tables.insights()] == ["critical", "warning", "info"]
    assert found["tracer.slow_trace"].headline == "3 of 5 traces took longer than 5,000 ms."
    assert found["tracer.trace_errors"].headline == "1 of 5 traces contain an error span."
    assert found["tracer.high_service_count"].headline == "1 of 5 traces span more than 5 services."
    slowest = found["tracer.slow_trace"].evidence
    assert slowest["value"].tolist() == [8100.0, 7100.0, 6100.0]
    assert found["tracer.slow_trace"].exemplars[0] == trace_id_of("1732170003-00f067aa0ba902b7")
    estimate = found["tracer.slow_trace"].estimate
    assert (estimate.value, estimate.n) == (0.6, 5)
    assert estimate.low < 0.6 < estimate.high
    other = {one.check: one.headline for one in tables.insights(slow_ms=7500, error_count=2, service_count=7)}
    assert other["tracer.slow_trace"] == "1 of 5 traces took longer than 7,500 ms."
    assert other["tracer.trace_errors"] == "0 of 5 traces contain more than 2 error spans."
    assert other["tracer.high_service_count"].startswith("0 of 5")
    assert tables.insights(slow_ms=1e9)[-1].severity == "info"


def test_insights_of_no_traces_are_one_message():
    tables = tk.read_dynamodb_tracer([SUMMARY])
    assert [finding.estimate for finding in tables.insights()] == [None] * 3
    assert tables.insights()[0].headline.startswith("0 of 0 traces")


# -------------------------------------------------------------------- DynamoDB


@pytest.fixture
def moto(monkeypatch):
    """DynamoDB and CloudWatch, played by moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setitem(Reader.__init__.__kwdefaults__, "attempts", 2)
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/moto-api/reset", method="POST")).close()
    yield boto3.Session(region_name="eu-west-1")
    server.stop()


@pytest.fixture
def table(moto):
    client = moto.client("dynamodb")
    client.create_table(
        TableName="trace-spans",
        KeySchema=[{"AttributeName": "span_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "span_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(1, 24):
        client.put_item(TableName="trace-spans", Item=typed(span(number)))
    return moto


def test_a_table_is_copied_page_by_page(table, tmp_path, markers):
    folder = tk.pull_dynamodb_tracer("trace-spans", tmp_path / "spans", session=table, page=5)
    assert len(list(folder.glob("page-*.jsonl"))) == 5
    tables = tk.read_dynamodb_tracer(folder)
    assert tables.counts["spans"] == 23
    assert sorted(tables.traces.spans["name"]) == sorted(f"step {n}" for n in range(1, 24))
    whole = "".join(path.read_text() for path in folder.iterdir())
    assert not any(marker in whole for marker in markers)


def test_a_stopped_copy_resumes_and_requests_nothing_twice(table, tmp_path, monkeypatch):
    keys = []
    real = boto3.client("dynamodb", region_name="eu-west-1")

    class Stopping:
        """DynamoDB that fails at some calls."""

        failing = frozenset({3, 5})

        def scan(self, **request):
            keys.append(json.dumps(request.get("ExclusiveStartKey")))
            if len(keys) in self.failing:
                raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "Scan")
            return real.scan(**request)

    monkeypatch.setattr(Reader, "client", lambda *_: Stopping())
    for _ in range(2):
        with pytest.raises(tk.PullError, match=r"expected a page of table trace-spans, found Provisioned.*to resume"):
            tk.pull_dynamodb_tracer("trace-spans", tmp_path / "spans", session=table, page=5)
    folder = tk.pull_dynamodb_tracer("trace-spans", tmp_path / "spans", session=table, page=5)
    assert tk.read_dynamodb_tracer(folder).counts == {
        "seen": 23,
        "spans": 23,
        "merged": 0,
        "summaries": 0,
        "quarantined": 0,
    }
    asked = len(keys)
    assert asked == 5 + 2
    assert len(set(keys)) == 5
    tk.pull_dynamodb_tracer("trace-spans", tmp_path / "spans", session=table, page=5)
    assert len(keys) == asked, "a copy that is done asks for nothing"
    with pytest.raises(ValueError, match="expected a folder of table traces, found trace-spans in"):
        tk.pull_dynamodb_tracer("traces", tmp_path / "spans", session=table)


def test_a_copy_that_is_killed_between_page_and_state_has_no_page_twice(table, tmp_path, monkeypatch):
    whole = tracer_tables._write

    def stopped(path, text):
        if path.name == ".state.json" and '"page": 3' in text:
            raise KeyboardInterrupt
        whole(path, text)

    monkeypatch.setattr(tracer_tables, "_write", stopped)
    with pytest.raises(KeyboardInterrupt):
        tk.pull_dynamodb_tracer("trace-spans", tmp_path / "spans", session=table, page=5)
    monkeypatch.setattr(tracer_tables, "_write", whole)
    tables = tk.read_dynamodb_tracer(tk.pull_dynamodb_tracer("trace-spans", tmp_path / "spans", session=table, page=5))
    assert (tables.counts["seen"], tables.counts["merged"]) == (23, 0)


def test_a_table_that_is_not_there_is_reported(moto, tmp_path):
    with pytest.raises(tk.PullError, match=r"expected a page of table nothing, found ResourceNotFoundException"):
        tk.pull_dynamodb_tracer("nothing", tmp_path / "spans", session=moto)
    with pytest.raises(ValueError, match="expected a page of 1 item or more, found 0"):
        tk.pull_dynamodb_tracer("nothing", tmp_path / "spans", session=moto, page=0)


def test_a_connection_that_fails_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setitem(Reader.__init__.__kwdefaults__, "attempts", 1)
    with pytest.raises(tk.PullError, match=r"expected a page of table spans, found EndpointConnectionError"):
        tk.pull_dynamodb_tracer("spans", tmp_path / "spans", region="eu-west-1")


# -------------------------------------------------------------------- metrics


FINDINGS = tk.Findings(
    [
        tk.Finding("a.late", "warning", "x", tk.Estimate(2_500_000, "ns", 0, 0, 1)),
        tk.Finding("a.lost", "warning", "x", tk.Estimate(0.06, "ratio", 0, 1, 1)),
        tk.Finding("a.lost", "warning", "x"),
        tk.Finding("a.lost", "info", "x", tk.Estimate(float("nan"), "ratio", 0, 1, 0)),
        tk.Finding("a.odd", "info", "x", tk.Estimate(7, "usd", 7, 7, 1)),
    ]
)


def test_a_dry_run_sends_nothing_and_shows_all(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    told = tk.publish_cloudwatch(FINDINGS, "shop", dimensions={"ServiceName": "web"})
    assert told.is_dry_run
    assert told.call_count == 0
    rows = {
        (row["name"], row["dimensions"]["Severity"]): (row["value"], row["unit"])
        for row in told.metrics.to_dict("records")
    }
    assert rows == {
        ("a.late", "warning"): (1.0, "Count"),
        ("a.lost", "warning"): (2.0, "Count"),
        ("a.lost", "info"): (1.0, "Count"),
        ("a.odd", "info"): (1.0, "Count"),
        ("a.late.value", "warning"): (2500.0, "Microseconds"),
        ("a.lost.value", "warning"): (6.0, "Percent"),
        ("a.odd.value", "info"): (7.0, "None"),
    }
    assert all(one["ServiceName"] == "web" for one in told.metrics["dimensions"])
    assert repr(told) == "Published(7 values for shop, not sent: send with dry_run=False)"
    assert "<table" in told._repr_html_()


def test_metrics_arrive(moto):
    told = tk.publish_cloudwatch(FINDINGS, "shop", at=datetime.now(UTC), dry_run=False, session=moto)
    assert repr(told) == "Published(7 values for shop, sent in 1 calls)"
    listed = moto.client("cloudwatch").list_metrics(Namespace="shop")["Metrics"]
    assert {(one["MetricName"], one["Dimensions"][0]["Value"]) for one in listed} >= {
        ("a.lost", "warning"),
        ("a.lost", "info"),
    }
    assert tk.publish_cloudwatch([], "shop", dry_run=False, session=moto).call_count == 0


def test_a_call_sends_a_thousand_values_and_an_error_reports_the_progress(monkeypatch):
    sent = []

    class CloudWatch:
        def put_metric_data(self, Namespace, MetricData):  # noqa: N803 - as boto3 has them
            if len(sent) == 2:
                raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutMetricData")
            assert Namespace == "shop"
            sent.append(MetricData)

    monkeypatch.setattr(Reader, "client", lambda *_: CloudWatch())
    many = [tk.Finding(f"check.{number}", "info", "x") for number in range(1500)]
    assert tk.publish_cloudwatch(many, "shop", dry_run=False).call_count == 2
    assert [len(data) for data in sent] == [1000, 500]
    assert sent[1][0]["Dimensions"] == [{"Name": "Severity", "Value": "info"}]
    sent.clear()
    more = [tk.Finding(f"check.{number}", "info", "x") for number in range(2100)]
    with pytest.raises(
        tk.PullError, match="expected CloudWatch to accept 100 values, found AccessDenied; 2,000 were sent before"
    ):
        tk.publish_cloudwatch(more, "shop", dry_run=False)


@pytest.mark.parametrize(
    ("namespace", "dimensions", "expected"),
    [
        ("AWS/Lambda", {}, "expected a namespace of letters, digits and .-_/#: that is not AWS's, found 'AWS/Lambda'"),
        ("", {}, "expected a namespace"),
        ("shop", {"a": ""}, "expected dimensions as non-empty ASCII text, found 'a': ''"),
        ("shop", {"a": "ä"}, "expected dimensions as non-empty ASCII text"),
        ("shop", {str(n): "x" for n in range(30)}, "expected at most 29 dimensions besides Severity, found 30"),
    ],
)
def test_names_that_cloudwatch_refuses_are_refused_before(namespace, dimensions, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        tk.publish_cloudwatch(FINDINGS, namespace, dimensions=dimensions)


def test_values_are_finite():
    assert np.isfinite(tk.publish_cloudwatch(FINDINGS).metrics["value"]).all()


ODD_SPANS = [
    {"service_name": ["a"]},
    {"duration_ms": 1e300, "end_time": None},
    {"tags": {"\ud800": "\ud800"}},
    {"start_time": [1]},
    {"logs": [float("inf")]},
    {"parent_span_id": {"a": 1}},
]


@pytest.mark.parametrize("odd", ODD_SPANS)
def test_an_odd_span_is_counted_and_the_rest_is_read(odd):
    good = {"trace_id": "1732170000-00f067aa0ba902b7", "span_id": "a1", "start_time": "2024-11-21T06:20:00"}
    good |= {"end_time": "2024-11-21T06:20:01"}
    found = tk.read_dynamodb_tracer([good, {**good, "span_id": "a2"} | odd])
    counts = found.counts
    assert counts["seen"] == 2 == counts["spans"] + counts["merged"] + counts["summaries"] + counts["quarantined"]
    assert "00000000000000a1" in set(found.traces.spans["span_id"])


@pytest.mark.parametrize("odd", [{"span_count": 1e300}, {"error_count": [1]}, {"duration_ms": 10**400}])
def test_an_odd_summary_is_counted_and_the_rest_is_read(odd):
    good = {"trace_id": "1732170000-00f067aa0ba902b7", "span_count": 2, "root_operation": "x\ud800"}
    found = tk.read_dynamodb_tracer([good, {**good, "trace_id": "1732170000-00f067aa0ba902b8"} | odd])
    assert found.counts == {"seen": 2, "spans": 0, "merged": 0, "quarantined": 1, "summaries": 1}
    assert found.quarantined["problem"].item().startswith("expected a summary, found")
    assert found.summaries["root_operation"].tolist() == ["x?"]


def test_a_typed_item_that_is_odd_is_counted():
    odd = {"Item": {"trace_id": {"N": None}}}
    good = {"trace_id": "1732170000-00f067aa0ba902b7", "span_id": "a1", "start_time": "2024-11-21T06:20:00"}
    assert tk.read_dynamodb_tracer([odd, good]).counts["quarantined"] == 1
