"""Seeded fuzz of what is read beside traces, and of expressions: an answer with conserved counts, or an error of ours.

Structure-aware: valid inputs with members replaced by odd values, lines cut and bytes flipped; expressions from a
grammar that knows Python's syntax.  Never a bare error, never code that runs, never much time.
"""

import json
import random
import re
import time

import pandas as pd
import pytest

import tracekit as tk
from tracekit.weights.rule_formats import sampling_rules as weight_rules

ODD = [None, True, 5, -1, 1e308, float("inf"), float("nan"), 10**400, "x", "", [], {}, [5], {"a": 1}, [None], "\ud800"]
REPORT = {
    "time": "2026-11-21T14:00:01.5Z",
    "type": "platform.report",
    "record": {"requestId": "a", "metrics": {"durationMs": 5, "initDurationMs": 2}, "tracing": {"value": "Sampled=1"}},
}
GATEWAY = {
    "requestTimeEpoch": 1795269600000,
    "apiId": "pets",
    "status": "200",
    "responseLatency": "5",
    "routeKey": "a b",
}
LINE = {"time": "2026-11-21T14:00:01.5Z", "level": "INFO", "message": "paid 5", "trace_id": "a1", "service": "web"}
BODY = {"timeUnixNano": "5", "severityNumber": 9, "body": {"stringValue": "x"}, "traceId": "a1"}
OTLP_LOGS = {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"logRecords": [BODY]}]}]}
EVENTS = {"events": [{"timestamp": 1795269600000, "message": '{"msg": "x", "trace_id": "b2"}'}]}
METRICS = {
    "MetricDataResults": [
        {"Id": "a", "Label": "RequestCount", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": [640]},
        {"Id": "b", "Label": "HTTPCode_Target_5XX_Count", "Timestamps": ["2026-11-21T14:00:00Z"], "Values": [4]},
    ]
}
CENTRAL = {
    "SamplingRuleRecords": [
        {"SamplingRule": {"RuleName": "pay", "Priority": 5, "FixedRate": 0.5, "ReservoirSize": 0, "URLPath": "/p*"}},
        {"SamplingRule": {"RuleName": "Default", "Priority": 10000, "FixedRate": 0.05, "Attributes": {"a": "b"}}},
    ]
}
LOCAL = {
    "version": 2,
    "rules": [{"description": "a", "host": "*", "http_method": "*", "url_path": "/a*", "fixed_target": 1, "rate": 1}],
    "default": {"fixed_target": 1, "rate": 0.05},
}
COLLECTOR = {
    "processors": {
        "tail_sampling": {
            "decision_wait": "10s",
            "policies": [
                {"name": "slow", "type": "latency", "latency": {"threshold_ms": 800, "upper_threshold_ms": 900}},
                {"name": "some", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}},
            ],
        }
    }
}
JAEGER = {
    "service_strategies": [{"service": "a", "type": "probabilistic", "param": 0.8, "operation_strategies": []}],
    "default_strategy": {"type": "probabilistic", "param": 0.1},
}
SPAN = {
    "trace_id": "1732170000-00f067aa0ba902b7",
    "span_id": "a1",
    "parent_span_id": "b2",
    "operation_name": "GET /",
    "service_name": "web",
    "start_time": "2024-11-21T06:20:00",
    "duration_ms": 5,
    "status": "ok",
    "tags": {"n": 1},
    "logs": [{"m": 1}],
}
SUMMARY = {"trace_id": "1732170000-00f067aa0ba902b8", "span_count": 2, "duration_ms": 3, "services": ["a"]}
TYPED = {
    "Item": {"trace_id": {"S": "1732170000-00f067aa0ba902b8"}, "span_id": {"S": "a1"}, "duration_ms": {"N": "1.5"}}
}
SHOP = tk.TraceSet.from_spans(
    pd.DataFrame(
        {"trace_id": ["a1", "b2"], "span_id": "1", "name": ["x", None], "start_ns": [0, 5], "end_ns": [9, 7]},
    ).assign(service_name="web")
)
WORDS = re.findall(
    r"\S+",
    "depth duration_ns start_time name service_name is_error trace_id parent_span_id nobody __class__ open canary "
    "and or not in is if else lambda for await ( ) [ ] { } , . : := @ ` ~ ! & | ^ + - * / // % ** << == != < <= > >= "
    ".contains( .like( .isna() .str.contains( .__class__ .to_csv( canary() __import__('canary') 'x' \"*a*b\" '' 0 1 "
    "2.5 1e999 9999999999999999999999 None True '2024-05-14' \ud800 \0 ö AND OR fault service( edge( annotation[a] "
    "{ ok } duration http.status rootcause.json # CONTAINS BEGINSWITH id(name: ,type:",
)


def places(value, above=()):
    """Every place within a JSON value."""
    yield above
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield from places(inner, (*above, key))


def bent(draw, value):
    """A JSON value with one or two members replaced."""
    for _ in range(draw.choice([1, 1, 2])):
        place = draw.choice(list(places(value)))
        odd = draw.choice(ODD)
        value = json.loads(json.dumps(value))
        if not place:
            return odd
        inner = value
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = odd
    return value


def text_of(draw, *values):
    """Values as lines, now and then with bytes flipped or cut."""
    raw = bytearray(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    for _ in range(draw.choice([0, 0, 1, 3])):
        raw[draw.randrange(len(raw))] = draw.randrange(256)
    return bytes(raw[: draw.randrange(len(raw))] if draw.random() < 0.1 else raw)


def a_log(draw):
    kind, good = draw.choice([("lambda", REPORT), ("api-gateway", GATEWAY)])
    seen = tk.read_requests(text_of(draw, good, bent(draw, good), good), format=kind)
    assert len(seen.log) == seen.counts["count"].sum()


def a_metric(draw):
    seen = tk.read_requests(text_of(draw, bent(draw, METRICS)), format="metrics")
    assert (seen.counts["count"] >= 0).all()


def log_lines(draw):
    text = text_of(draw, LINE, bent(draw, draw.choice([LINE, OTLP_LOGS, EVENTS])), LINE)
    found = tk.logs(SHOP, text if draw.random() < 0.8 else b"2026-11-21T14:00:01Z " + text)
    counts = found.sources[["accepted_count", "continued_count", "rejected_count"]].sum(axis=1)
    assert counts.tolist() == found.sources["line_count"].tolist()
    assert len(found.redacted().lines) == found.matches["line_count"].sum() == len(found.lines)


def rules(draw):
    content = bent(draw, draw.choice([CENTRAL, LOCAL, COLLECTOR, JAEGER]))
    if not isinstance(content, (str, type(None))):  # those are a path and the rules in force
        for rule in weight_rules(content).head:
            assert rule.matches({"path": "/pay"}) in {True, False, None}


def central_rules(draw):
    content = bent(draw, draw.choice([CENTRAL, LOCAL]))
    if not isinstance(content, (str, type(None))):
        assert len(tk.sampling_rules(content).lint()) >= 1


def a_tracer(draw):
    counts = tk.read_dynamodb_tracer(text_of(draw, SPAN, bent(draw, draw.choice([SPAN, SUMMARY, TYPED])))).counts
    assert counts["seen"] == counts["spans"] + counts["merged"] + counts["summaries"] + counts["quarantined"]


def an_expression(draw):
    text = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 12)))
    assert 0 <= len(SHOP.where(text)) <= len(SHOP)


READERS = [*[an_expression] * 12, *[rules] * 4, central_rules, a_log, a_metric, a_tracer, *[log_lines] * 2]


def problem_of(reader, draw):
    """What is wrong with what a reader did, empty where nothing is; and whether it answered."""
    began = time.process_time()
    try:
        reader(draw)
        wrong, answered = "", True
    except (tk.TracekitError, ValueError) as error:
        is_ours = "expected" in str(error) and not isinstance(error, UnicodeError) and len(str(error)) < 3000
        wrong, answered = "" if is_ours else repr(error)[:300], False
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        wrong, answered = repr(error)[:300], False
    return wrong or ("slow" if time.process_time() - began > 5 else ""), answered


def fuzz(count, seed, monkeypatch):
    ran = []
    monkeypatch.setattr("builtins.canary", lambda: ran.append("called"), raising=False)
    answers, problems = 0, []
    for number in range(count):
        draw = random.Random(f"{seed} {number}")
        reader = draw.choice(READERS)
        wrong, answered = problem_of(reader, draw)
        answers += answered
        problems += [(number, reader.__name__, wrong)] if wrong else []
    assert problems == []
    assert not ran
    return answers


def test_side_readers_and_expressions_answer_or_refuse(monkeypatch):
    assert fuzz(500, 1, monkeypatch) > 50


@pytest.mark.slow
def test_side_readers_and_expressions_answer_or_refuse_twenty_thousand_times(monkeypatch):
    assert fuzz(20_000, 2, monkeypatch) > 2_000
