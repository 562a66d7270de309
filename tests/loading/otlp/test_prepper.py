"""Span documents of OpenSearch Data Prepper, and a ResourceSpans on its own; Zipkin's Thrift JSON is named."""

import json

import pytest
from otlp_made import counts, line, pretty, request, span, told

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.otlp.prepper import recognises

DOTTED = {
    "traceId": "0000000000000000856bfa5aeba5ec77",
    "spanId": "fe0e3811627189df",
    "traceState": "",
    "parentSpanId": "856bfa5aeba5ec77",
    "name": "/getcart",
    "kind": "SPAN_KIND_SERVER",
    "startTime": "2021-05-18T18:58:44.695000001Z",
    "endTime": "2021-05-18T18:58:44.760Z",
    "durationInNanos": 64999999,
    "serviceName": "cartservice",
    "events": [{"name": "retry", "time": "2021-05-18T18:58:44.700Z", "attributes": {"n": 1}}],
    "links": [{"traceId": "0000000000000000856bfa5aeba5ec77", "spanId": "856bfa5aeba5ec77", "attributes": {}}],
    "droppedAttributesCount": 1,
    "droppedEventsCount": 2,
    "droppedLinksCount": 3,
    "traceGroup": "/cart",
    "traceGroupFields.endTime": "2021-05-18T18:58:44.983Z",
    "traceGroupFields.statusCode": 0,
    "span.attributes.http@method": "GET",
    "span.attributes.net@host@port": 80,
    "resource.attributes.service@name": "cart",
    "instrumentationLibrary.name": "flask",
    "instrumentationLibrary.version": "0.14",
    "status.code": 2,
    "status.message": "broken",
}
NESTED = {
    "traceId": "0000000000000000856bfa5aeba5ec77",
    "spanId": "fe0e3811627189df",
    "traceState": "",
    "parentSpanId": "856bfa5aeba5ec77",
    "name": "/getcart",
    "kind": "SPAN_KIND_SERVER",
    "startTime": "2021-05-18T18:58:44.695000001Z",
    "endTime": "2021-05-18T18:58:44.760Z",
    "@timestamp": "2021-05-18T18:58:44.695000001Z",
    "time": "2021-05-18T18:58:44.695000001Z",
    "durationInNanos": 64999999,
    "serviceName": "cart",
    "events": DOTTED["events"],
    "links": DOTTED["links"],
    "droppedAttributesCount": 1,
    "droppedEventsCount": 2,
    "droppedLinksCount": 3,
    "traceGroup": "/cart",
    "traceGroupFields": {"endTime": "2021-05-18T18:58:44.983Z", "statusCode": 0},
    "attributes": {"http.method": "GET", "net.host.port": 80},
    "resource": {"attributes": {"service.name": "cart"}, "schemaUrl": "https://opentelemetry.io/schemas/1.20.0"},
    "instrumentationScope": {"name": "flask", "version": "0.14"},
    "status": {"code": 2, "message": "broken"},
}
THRIFT = {
    "trace_id": 1068169210207794600,
    "name": "checkStock",
    "id": 77,
    "annotations": [{"timestamp": 1, "value": "sr", "host": {"ipv4": 1, "port": 0, "service_name": "s1"}}],
    "binary_annotations": [],
}


@pytest.mark.parametrize("document", [DOTTED, NESTED], ids=["dotted", "nested"])
@pytest.mark.parametrize("form", [line, pretty])
@pytest.mark.parametrize("wrap", ["bare", "list", "hit", "hits", "search"])
def test_every_member_of_a_span_document_is_read(document, form, wrap):
    hit = {"_index": "otel-v1-apm-span-000006", "_source": document}
    record = {
        "bare": document,
        "list": [document],
        "hit": hit,
        "hits": [hit],
        "search": {"took": 1, "timed_out": False, "hits": {"total": {"value": 1}, "hits": [hit]}},
    }[wrap]
    traces = read(form(record))
    assert counts(traces) == (1, 1, 0, 0)
    assert traces.sources["format"].tolist() == ["otlp"]
    assert "data_prepper=1" in traces.sources["dialects"].iloc[0]
    [one] = traces.spans.reset_index().to_dict("records")
    assert (one["start_ns"], one["duration_ns"]) == (1_621_364_324_695_000_001, 64_999_999)
    assert (one["name"], one["kind"], one["status_code"], one["service_name"]) == (
        "/getcart",
        "SERVER",
        "ERROR",
        "cart",
    )
    assert (one["parent_span_id"], one["status_message"]) == ("856bfa5aeba5ec77", "broken")
    texts, scopes = traces.columns.texts, traces.columns.scopes
    assert [texts[code] for code in (scopes.name[-1], scopes.version[-1])] == ["flask", "0.14"]
    assert traces.attribute("http.method").tolist() == ["GET"]
    assert traces.attribute("net.host.port").map(str).tolist() == ["80"]
    assert traces.attribute("opensearch.traceGroup").tolist() == ["/cart"]
    assert traces.events["name"].tolist() == ["retry"]
    assert traces.events["time_ns"].tolist() == [1_621_364_324_700_000_000]
    assert len(traces.links) == 1
    assert told(traces, "TIME_STRING").empty, "a date that names its zone is what this format has"


def test_a_document_without_an_end_ends_after_its_duration():
    traces = read(line({key: value for key, value in NESTED.items() if key != "endTime"}))
    assert traces.spans["duration_ns"].tolist() == [64_999_999]


def test_a_later_document_of_a_list_may_have_a_copy_of_its_start_alone():
    alone = {key: value for key, value in NESTED.items() if key != "startTime"} | {"spanId": "00000000000000b1"}
    traces = read(
        line([NESTED, DOTTED | {"spanId": "00000000000000b2"}, NESTED | {"spanId": "00000000000000b3"}, alone])
    )
    assert counts(traces)[:2] == (4, 4)
    assert traces.attribute("opensearch.time").dropna().tolist() == [NESTED["time"]]


def test_what_is_odd_about_a_document_is_kept_and_reported():
    odd = {"startTime": "yesterday", "events": ["x"], "resource": {"attributes": [1]}, "status": 5, "time": "now"}
    traces = read(line(NESTED | odd))
    assert counts(traces) == (1, 1, 0, 0)
    assert traces.spans["service_name"].tolist() == ["cart"]
    assert {"TIME_STRING", "ATTR_BAD", "TIME_ZERO"} <= set(traces.issues["code"])
    for member, value in (("status", "5"), ("time", "now"), ("resource.attributes", "[1]")):
        assert traces.attribute(f"opensearch.{member}").map(str).tolist() == [value]


def test_documents_of_another_index_are_not_taken():
    assert not recognises({"traceId": "a", "spanId": "b", "time": "2021-05-18T18:58:44.695Z", "body": "a log"})
    assert not recognises({"hits": {"hits": []}})
    traces = read(line([NESTED, NESTED, NESTED, {"serviceName": "map"}, "noise"]))
    assert counts(traces) == (5, 1, 2, 2)


@pytest.mark.parametrize("form", [line, pretty])
@pytest.mark.parametrize("wrap", [lambda group: group, lambda group: [group, group]])
@pytest.mark.parametrize("key", ["scopeSpans", "scope_spans", "instrumentationLibrarySpans"])
def test_a_resource_spans_on_its_own(form, wrap, key):
    [group] = request(span())["resourceSpans"]
    group[key] = group.pop("scopeSpans")
    traces = read(form(wrap(group)))
    assert counts(traces)[1] == 1
    assert traces.spans["service_name"].tolist() == ["shop"]
    assert "bare_resource_spans" in traces.sources["dialects"].iloc[0]


@pytest.mark.parametrize("record", [THRIFT, [THRIFT, THRIFT]])
def test_thrift_json_of_zipkin_is_named(record):
    message = r"found a Zipkin v1 span as Thrift JSON, which is not supported"
    with pytest.raises(LoadError, match=message) as error:
        read(json.dumps(record).encode())
    assert error.value.code == "FORMAT_UNKNOWN"
