"""Three samplers as functions of a full recording: the traces that each keeps of the same traffic.

Each uses only what it would know: the head samplers trace id and arrival time, the tail sampler the spans of the whole
trace.  The decisions follow the specifications and source code named in the functions.  No code is shared with
tracekit, which has to estimate all requests from the kept traces.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SPANS_A_LINE = 200
ERROR = 2

HEAD_THRESHOLD = "e"  # fraction of 2^56 as in ot=th: 14/16 are rejected, one in eight is kept

COLLECTOR: dict[str, Any] = {
    "processors": {
        "tail_sampling": {
            "decision_wait": "10s",
            "policies": [
                {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
                {"name": "slow", "type": "latency", "latency": {"threshold_ms": 150}},
                {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}},
            ],
        }
    }
}

XRAY_RULES: list[dict[str, Any]] = [
    {
        "RuleName": "Default",
        "Priority": 10_000,
        "ReservoirSize": 1,
        "FixedRate": 0.1,
        "ServiceName": "*",
        "ServiceType": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Host": "*",
        "ResourceARN": "*",
        "Version": 1,
    }
]


def head(traces: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Return the tracestate of every trace that a consistent probability sampler keeps.

    OpenTelemetry, tracestate handling: kept if the low 56 bits of the trace id are not below the threshold.
    """
    threshold = int(HEAD_THRESHOLD.ljust(14, "0"), 16)
    return {one: f"ot=th:{HEAD_THRESHOLD}" for one in traces if int(one[-14:], 16) >= threshold}


def tail(traces: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Return every trace that one of the collector's policies keeps; the collector does not change the tracestate.

    opentelemetry-collector-contrib, tail_sampling: ``status_code`` looks at every span, ``latency`` at the time from
    the first start to the last end, ``probabilistic`` at a hash of salt and trace id.
    """
    errors, slow, rest = COLLECTOR["processors"]["tail_sampling"]["policies"]
    assert errors["status_code"]["status_codes"] == ["ERROR"]
    threshold_ns = slow["latency"]["threshold_ms"] * 1_000_000
    boundary = int((2**64 - 1) * rest["probabilistic"]["sampling_percentage"] / 100)

    def is_kept(trace_id: str, spans: list[dict[str, Any]]) -> bool:
        took = max(int(one["endTimeUnixNano"]) for one in spans) - min(int(one["startTimeUnixNano"]) for one in spans)
        failed = any(one.get("status", {}).get("code") == ERROR for one in spans)
        return failed or took >= threshold_ns or _fnv1a(b"default-hash-seed" + bytes.fromhex(trace_id)) <= boundary

    return {trace_id: "" for trace_id, spans in traces.items() if is_kept(trace_id, spans)}


def _fnv1a(content: bytes) -> int:
    """Return FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def reservoir(traces: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Return the tracestate of every trace that X-Ray's rule for OpenTelemetry keeps: one per second, and a fixed rate.

    aws-otel-python: a token bucket of one second's quota keeps a new trace; if it is empty,
    ``TraceIdRatioBased`` decides.  Only the storefront starts traces.
    """
    rule = XRAY_RULES[0]
    bound, cost_ns = round(rule["FixedRate"] * 2**64), 1_000_000_000 // rule["ReservoirSize"]
    state = f"xrsr={hashlib.sha256(rule['RuleName'].encode()).hexdigest()[:16]}"
    begun = {trace_id: int(measure.root(spans)["startTimeUnixNano"]) for trace_id, spans in traces.items()}
    floor_ns, kept = min(begun.values()), {}
    for trace_id in sorted(begun, key=lambda one: begun[one]):
        balance_ns = min(begun[trace_id] - floor_ns, 1_000_000_000)
        if balance_ns >= cost_ns:
            floor_ns = begun[trace_id] - (balance_ns - cost_ns)
            kept[trace_id] = state
        elif int(trace_id[16:], 16) < bound:
            kept[trace_id] = state
    return kept


def only(lines: Iterable[str], kept: dict[str, str]) -> list[str]:
    """Return OTLP JSON lines with only the spans of these traces, with the tracestate of the sampler."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for envelope, span in _enveloped(lines):
        if span["traceId"] in kept:
            found[envelope].append(span | ({"traceState": kept[span["traceId"]]} if kept[span["traceId"]] else {}))
    batches = [
        (envelope, spans[first : first + SPANS_A_LINE])
        for envelope, spans in found.items()
        for first in range(0, len(spans), SPANS_A_LINE)
    ]
    batches.sort(key=lambda batch: int(batch[1][0]["endTimeUnixNano"]))
    return [_line(json.loads(envelope), spans) for envelope, spans in batches]


def _enveloped(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every span with its resource, scope and schemas."""
    for line in lines:
        for resource_spans in json.loads(line)["resourceSpans"]:
            for scope_spans in resource_spans["scopeSpans"]:
                scope = {key: value for key, value in scope_spans.items() if key != "spans"}
                around = {key: value for key, value in resource_spans.items() if key != "scopeSpans"}
                envelope = json.dumps({"around": around, "scope": scope})
                yield from ((envelope, span) for span in scope_spans["spans"])


def _line(envelope: dict[str, Any], spans: list[dict[str, Any]]) -> str:
    """Return one request of an exporter."""
    scope_spans = [envelope["scope"] | {"spans": spans}]
    return json.dumps({"resourceSpans": [envelope["around"] | {"scopeSpans": scope_spans}]}, separators=(",", ":"))
