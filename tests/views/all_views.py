"""Every chart and every payload of this room, made from the same traces."""

import json
import math

from tracekit.analysis.cost.compute import cost
from tracekit.analysis.cost.prices import Price
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.errors import errors
from tracekit.analysis.latency import latency
from tracekit.analysis.self_time import self_time
from tracekit.analysis.service_graph.build import service_graph
from tracekit.analysis.skew import clock_skew
from tracekit.analysis.timeline.compute import timeline
from tracekit.checks.coverage.coverage import coverage
from tracekit.checks.logs.join import logs
from tracekit.checks.sampling.collection_gaps import collection_gaps
from tracekit.checks.sampling.latency_bias import latency_bias
from tracekit.checks.sampling.sample_mix import sample_mix
from tracekit.checks.sampling.start_phases import start_phases
from tracekit.findings import Estimate, Finding, Findings
from tracekit.views import plot
from tracekit.views.heat import heat_chart

HOSTILE = (
    "<a href='http://evil'>x</a>",
    "<b>bold</b>",
    "</script><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "gpj.\u202eexe",
    "nul\x00 line\u2028end",
    "A" * 20_000,
    "&lt;already&gt; &amp; %{x} {y}",
)


def charts(traces):
    """Every figure, by what it is."""
    lines = traces.spans[["start_ns", "name", "service_name", "trace_id"]].rename(columns={"name": "message"})
    lines = lines.rename(columns={"start_ns": "time", "service_name": "service"}).assign(level="ERROR")
    found = Findings(
        [Finding("c", "warning", "one", Estimate(0.5, "ratio", 0.1, float("nan"), n=3)), Finding("d", "info", "x")]
    )
    return {
        "traces": plot(traces),
        "histogram": plot(latency(traces)),
        "ecdf": plot(latency(traces), kind="ecdf", against={"unweighted": latency(traces.with_weights(1))}),
        "limits": plot(latency(traces), kind="limits"),
        "cost": plot(cost(traces, [Price("spans", "kind == kind", usd_per_million=2)], by="operation")),
        "errors": plot(errors(traces)),
        "self time": plot(self_time(traces), by=["service_name", "operation"]),
        "bands": plot(timeline(traces)),
        "heat": heat_chart(timeline(traces)),
        "findings": plot(found),
        "finding": plot(found[0]),
        "clocks": plot(clock_skew(traces, any_kind=True)),
        "collection": plot(collection_gaps(traces)),
        "coverage": plot(coverage(traces)),
        "logs": plot(logs(traces, lines)),
        "latency bias": plot(latency_bias(traces.with_weights(2))),
        "phases": plot(start_phases(traces)),
        "sample mix": plot(sample_mix(traces)),
    }


def widgets(traces):
    """Every widget, by what it is."""
    flame, graph = critical_path(traces).flame(), service_graph(traces)
    return {
        "heat": plot(timeline(traces), kind="heat"),
        "flame": plot(flame),
        "flame of durations": plot(flame, value="duration"),
        "difference": plot(flame, against=flame),
        "map": plot(graph),
        "comparison": plot(graph, against=graph),
    }


def payload_of(widget):
    """What the page gets."""
    return json.loads(getattr(widget, "payload", None) or widget.graph)


def numbers(part):
    """Every number in a figure or payload."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list | tuple):
        for value in part:
            yield from numbers(value)
    elif isinstance(part, float | int):
        yield part


def is_finite(part):
    return all(math.isfinite(value) for value in numbers(part))
