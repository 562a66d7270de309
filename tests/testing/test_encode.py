"""Spans of the SDK as OTLP: what is set on a span is there when it is read."""

import math

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

import tracekit as tk
from tracekit.testing.encode import request_of

REMOTE = SpanContext(0xA, 0xB, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "1")]))


@pytest.fixture
def made():
    """A tracer, and a function that returns the spans so far as a TraceSet."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("library", "1.2", attributes={"level": "high"})
    yield tracer, lambda: tk.read(request_of(exporter.get_finished_spans()))
    provider.shutdown()


def test_a_span_keeps_everything(made):
    tracer, read = made
    span = tracer.start_span("POST /pay", kind=SpanKind.SERVER, start_time=1000, links=[Link(REMOTE, {"why": "retry"})])
    span.add_event("cache.miss", {"key": "k"}, timestamp=1500)
    span.set_status(Status(StatusCode.ERROR, "no money"))
    span.end(3000)
    traces = read()
    row = traces.spans.iloc[0]
    assert (row["name"], row["kind"], row["service_name"]) == ("POST /pay", "SERVER", "shop")
    assert (row["start_ns"], row["end_ns"], row["status_code"], row["status_message"]) == (
        1000,
        3000,
        "ERROR",
        "no money",
    )
    scope = traces.scopes.loc[row["scope_id"]]
    assert (scope["name"], scope["version"]) == ("library", "1.2")
    owned = traces.attributes.set_index(["owner", "key"])["value_str"]
    assert (owned["scope", "level"], owned["event", "key"], owned["link", "why"]) == ("high", "k", "retry")
    assert traces.events[["name", "time_ns"]].to_numpy().tolist() == [["cache.miss", 1500]]
    (link,) = traces.links.to_dict("records")
    assert (link["trace_id"], link["span_id"]) == (f"{0xA:032x}", f"{0xB:016x}")
    assert (link["trace_state"], link["trace_flags"]) == ("a=1", 0x301)
    assert traces.issues[traces.issues["severity"] != "info"]["code"].tolist() == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", ("str", "text")),
        (True, ("bool", True)),
        (7, ("int", 7)),
        (-(2**62), ("int", -(2**62))),
        (0.5, ("double", 0.5)),
        (math.inf, ("double", math.inf)),
        (-math.inf, ("double", -math.inf)),
        (("a", "b"), ("array", '["a","b"]')),
        ((), ("array", "[]")),
    ],
)
def test_attributes_keep_their_values(made, value, expected):
    tracer, read = made
    tracer.start_span("op", attributes={"key": value}).end()
    (found,) = read().attributes.query("key == 'key'").to_dict("records")
    column = {"array": "json"}.get(expected[0], expected[0])
    assert (found["value_type"], found[f"value_{column}"]) == expected


def test_children_name_their_parents(made):
    tracer, read = made
    with tracer.start_as_current_span("parent"), tracer.start_as_current_span("child"):
        pass
    spans = read().spans.set_index("name")
    assert spans.loc["child", "parent_span_id"] == spans.loc["parent", "span_id"]
    assert spans["trace_id"].nunique() == 1


def test_no_spans_are_an_empty_set():
    assert len(tk.read(request_of([]))) == 0


def test_a_number_that_json_does_not_have_is_kept(made):
    tracer, read = made
    tracer.start_span("op", attributes={"key": math.nan}).end()
    assert read().attributes.query("key == 'key'")["value_type"].tolist() == ["double"]
