"""Severity, headline and remedy of every diagnosis of the coverage audit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.aws.audit.service_record import when
from tracekit.aws.audit.tree import SIGNIFICANT
from tracekit.aws.prices import USD_PER_RECORDED
from tracekit.findings import Estimate, Severity
from tracekit.text import factor, interval, ratio, round_ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.aws.audit.service_record import ServiceRecord
    from tracekit.aws.audit.tree import StageResult

INCOMPLETE = frozenset(
    {"D1a", "D1b", "D1c", "D2a", "D2b", "D2c", "D3b", "D3b'", "D4a", "D4b", "D5b", "D5c", "W1", "W2"}
)
"""Diagnoses for which the alarm TraceCoverageIncomplete should fire."""
GAP = frozenset({"D5a"})
"""Diagnoses for which the alarm TraceCollectionGapDetected should fire."""


class Message(NamedTuple):
    """Severity, headline and remedy of a diagnosis; the texts are format strings.

    Codes: D1 tracing disabled, D2 collector, D3 sampling (D3b: the rule samples 100%, D3b': less), D4 deployments, D5
    gaps and propagation, W permissions and network path, G groups, T missing input or traffic.
    """

    severity: Severity
    text: str
    remedy: str


MESSAGES: dict[str, Message] = {
    "D1a": Message(
        "warning",
        "{svc}: tracing is disabled ({fact}, {as_of}): {recorded} traces of {N} requests in {days} days.",
        "Enable tracing for this service.",
    ),
    "D1b": Message(
        "warning",
        "{svc}: TracingConfig.Mode is PassThrough, which follows upstream sampling decisions only: {recorded} of {N}"
        " invocations have traces.",
        "Set Mode=Active.",
    ),
    "D1c": Message(
        "warning",
        "{svc}: tracing is enabled, but {N} requests left no traces ({P0} under rule {rule}).",
        "Install and initialise the ADOT instrumentation or the SDK (found: {instrumented_by}).",
    ),
    "D2a": Message(
        "warning",
        "{svc}: {td} {state}, so no traces are exported.",
        "Add the ADOT collector or the CloudWatch agent (the X-Ray daemon has been in maintenance mode since"
        " 2026-02-25).",
    ),
    "D2b": Message(
        "warning",
        "{svc}: collector {img} {health}; {recorded} of {expected} expected traces recorded.",
        "Fix the collector before changing sampling rules.",
    ),
    "D2c": Message(
        "warning",
        "{svc}: collector running on {up} of {wanted} {units}, but {N} requests left no traces ({P0}).",
        "Instrument the application, or fix the endpoint that it exports to ({endpoint}).",
    ),
    "D3a": Message(
        "notice",
        "{svc}: rule {rule} samples {rate} of requests. Detection probability of an incident of {times} requests:"
        " {capture} ({wanted_traces} or more traces); 95% needs a rate of {need}.",
        "Raise the rate to {need} (about {cost} more per month).",
    ),
    "D3b": Message(
        "warning",
        "{svc}: rule {rule} samples 100%, but only {ratio} of requests have traces: sampled traces dropped before"
        " storage.",
        "Check the collector, then the network path to X-Ray.",
    ),
    "D3b'": Message(
        "warning",
        "{svc}: {ratio} of the traces expected under rule {rule} recorded: about {lost} sampled traces dropped before"
        " storage.",
        "Check the collector, then the network path to X-Ray.",
    ),
    "D3c": Message(
        "info",
        "{svc}: over the whole period, the number of traces matches the sampling rules; observed/expected traces"
        " {ratio}{captured}.",
        "",
    ),
    "D3d": Message(
        "notice",
        "{svc}: more traces than rule {rule} explains, observed/expected {ratio}: an upstream decision, another rule,"
        " a sampling boost or duplicate export.",
        "Compare with the rules recorded in the traces: tk.sampling_rules(...).lint(traces).",
    ),
    "D3e": Message(
        "notice",
        "{svc}: {N} requests are too few to verify rule {rule}, observed/expected {ratio}; about {needed} are needed.",
        "Use a longer period (days=).",
    ),
    "D3x": Message(
        "notice",
        "{svc}: no traces of {N} requests, not significant under rule {rule} ({P0}); about {needed} requests are"
        " needed.",
        "Use a longer period (days=), or raise the rate temporarily.",
    ),
    "D3f": Message(
        "notice",
        "{svc}: spans are stored in CloudWatch Logs and only {indexed} are indexed as X-Ray traces ({recorded}"
        " recorded).",
        "Search by span (Transaction Search), or raise the indexing percentage.",
    ),
    "D4a": Message(
        "warning",
        "{svc}: shipped without instrumentation: first deployed {first}; no traces for {after} requests since ({P0})."
        " {lacking}",
        "Add tracing mode, collector and SDK to the deployment pipeline.",
    ),
    "D4b": Message(
        "warning",
        "{svc}: stopped sending traces: last trace between {last_trace}; {after} requests since then ({P0}). {change}",
        "Revert the change, or re-enable tracing.",
    ),
    "D5a": Message(
        "warning",
        "{svc}: collection gap from {a} to {b}: {loss} of expected traces missing ({p}) while request volume did not"
        " drop. About {lost} traces were not recorded. {others}",
        "Check the collectors in that period.",
    ),
    "D5b": Message(
        "warning",
        "{svc}: uninstrumented dependency of {callers}: {calls} sampled calls, no segments from {svc}.",
        "Instrument the service, if you own it.",
    ),
    "D5c": Message(
        "warning",
        "{svc}: broken context propagation. {orphans} parent references are orphans{orphans_ci};"
        " {downstream_calls}{calls_without_segment_ci}.",
        "Forward X-Amzn-Trace-Id (or traceparent) through every hop and queue.",
    ),
    "D1n": Message(
        "info",
        "{svc}: not traceable: API Gateway traces only REST APIs, and this is an API of type {protocol}. Traces start"
        " in the service behind it.",
        "Instrument the services behind it; their first spans are roots.",
    ),
    "G1": Message(
        "info", "{svc}: not in a trace group, so group alarms and insights do not cover it.", "Add it to a group."
    ),
    "W1": Message(
        "warning",
        "{svc}: access denied: {role} has no permission to write traces ({refused}), so its segments are rejected.",
        "Allow the action, for example with AWSXRayDaemonWriteAccess.",
    ),
    "W2": Message(
        "warning",
        "{svc}: no network path to X-Ray: private subnets ({subnets}) without an endpoint for {endpoint_service} and"
        " without a route out.",
        "Add the VPC endpoint, or a NAT gateway.",
    ),
    "T0u": Message(
        "notice",
        "{svc}: no request counts, so trace coverage cannot be computed ({recorded} traces recorded).",
        "Supply request counts (requests=), or allow cloudwatch:ListMetrics and cloudwatch:GetMetricData.",
    ),
    "T0q": Message("notice", "{svc}: no traffic in the period.", "Use a longer period (days=)."),
    "T8u": Message("notice", "{svc}: no failures found, but not checked: {unknown}.", "{to_check}"),
    "OK": Message("info", "{svc}: OK, all checks passed; observed/expected traces {ratio}.", ""),
}
LABELS = {
    "OK": "OK",
    "T0q": "no traffic",
    "T0u": "no request counts",
    "T8u": "not fully checked",
    "D1a": "tracing disabled",
    "D1b": "PassThrough mode",
    "D1c": "not instrumented",
    "D1n": "not traceable",
    "D2a": "no collector",
    "D2b": "collector unhealthy",
    "D2c": "not instrumented",
    "D3a": "sampling rate too low",
    "D3b": "sampled traces dropped",
    "D3b'": "sampled traces dropped",
    "D3c": "OK (matches sampling rule)",
    "D3d": "more traces than expected",
    "D3e": "too few requests",
    "D3f": "partially indexed",
    "D3x": "too few requests",
    "D4a": "shipped without instrumentation",
    "D4b": "stopped sending traces",
    "D5a": "collection gap",
    "D5b": "uninstrumented dependency",
    "D5c": "broken context propagation",
    "G1": "not in a trace group",
    "W1": "access denied",
    "W2": "no network path to X-Ray",
}
"""The short form of each diagnosis, for tables."""
INPUTS = {
    "T0": ("cloudwatch:GetMetricData", "requests"),
    "T1": (
        "lambda:ListFunctions, the task definition, kubectl, apigateway:GET or SDK initialisation in the code",
        "tracing mode",
    ),
    "T2": ("ecs:DescribeTasks and ecs:DescribeTaskDefinition, or eks:ListClusters and kubectl", "collector"),
    "T3": ("iam:SimulatePrincipalPolicy and ec2:DescribeVpcEndpoints", "permissions and network path"),
    "T4": ("xray:GetSamplingRules and xray:GetTraceSegmentDestination", "sampling rate"),
    "T5": ("cloudtrail:LookupEvents", "changes"),
    "T6a": ("cloudwatch:GetMetricData and xray:GetServiceGraph", "collection gaps"),
    "T6b": ("xray:GetServiceGraph", "uninstrumented dependencies"),
    "T6c": ("xray:GetTraceSummaries and xray:BatchGetTraces", "context propagation"),
    "T7": ("xray:GetGroups", "trace groups"),
}
"""The sources that a stage needs, and what the stage checks."""
_SMALLEST_P = 1e-12


def values_of(record: ServiceRecord, result: StageResult, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the format strings."""
    v = result.numbers
    up, wanted = record.value("collector_running") or ("?", "?")
    values: dict[str, Any] = {
        "svc": record.name,
        "N": _count(record.request_total),
        "recorded": _count(record.value("recorded")),
        "rule": record.value("rule") or "unknown",
        "as_of": _day(record),
        "instrumented_by": record.value("instrumented_by") or "none",
        "td": record.value("workload") or f"task definition {record.value('task_definition') or 'unknown'}",
        "protocol": record.value("protocol") or "unknown",
        "img": record.value("collector_image") or record.value("endpoint") or "unknown",
        "health": _health(record),
        "endpoint": record.value("endpoint") or "no endpoint variable set",
        "role": record.value("role") or "the role",
        "refused": record.value("iam_denied") or "",
        "subnets": record.value("isolated_subnets") or "",
        "endpoint_service": f"com.amazonaws.{extra.get('region')}.xray",
        "up": up,
        "wanted": wanted,
        "units": "pods" if record.value("workload") else "tasks",
        "indexed": _share(record.value("indexed")),
        "last_trace": _hour(record.value("last_trace")),
        "fact": v.get("fact", ""),
        "state": v.get("state", ""),
    }
    values |= _number_values(record, result, extra) | _gap_values(v, extra)
    return values | _call_values(v, record.value("propagation")) | extra


def _day(record: ServiceRecord) -> str:
    """Return the day on which the facts were read."""
    return next((fact.as_of[:10] for fact in record.facts.values() if fact.as_of), "now")


def _number_values(record: ServiceRecord, result: StageResult, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the values about requests, rates and probabilities."""
    v = result.numbers
    return {
        "P0": _p(v.get("chance")),
        "rate": _share(v.get("rate"), round_ratio),
        "capture": _share(v.get("capture")),
        "need": _share(v.get("need")),
        "times": _count(v.get("times")),
        "wanted_traces": _count(v.get("wanted")),
        "needed": _count(v.get("needed")),
        "lost": _count(v.get("lost")),
        "after": _count(v.get("after")),
        "first": when(v["first"]) if "first" in v else "unknown",
        "ratio": _ratio(v, result.diagnosis),
        "captured": f"; detection probability of the declared incident {_share(v['capture'])}"
        if "capture" in v
        else "",
        "cost": f"${(v['need'] - v['rate']) * record.request_total / extra['days'] * 30 * USD_PER_RECORDED:,.2f}"
        if "need" in v and record.request_total
        else "unknown",
    }


def _health(record: ServiceRecord) -> str:
    """Return the health of a collector and the lost spans in its log."""
    health, restarts = record.value("collector_health"), record.value("collector_restarts") or 0
    losses = f"logged lost spans ({log})" if (log := record.value("collector_losses")) else ""
    if losses and health != "UNHEALTHY" and not restarts:
        return losses
    reason = record.value("collector_reason") or "none given"
    state = f"is {health or 'of unknown health'} ({restarts} restarts, last reason '{reason}')"
    return f"{state} and {losses}" if losses else state


def _gap_values(v: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Return the values about a collection gap."""
    if "gap" not in v:
        return {}
    gap, start = v["gap"], extra["start"]
    return {
        "loss": _share(gap.loss),
        "a": when(start + 3600 * gap.start),
        "b": when(start + 3600 * gap.end),
        "p": _p(gap.p),
        "lost": _count(gap.expected - gap.traced),
    }


def _call_values(v: dict[str, Any], counts: dict[str, Any] | None) -> dict[str, Any]:
    """Return the values about callers, parent references and downstream calls."""
    callers = v.get("callers") or {}
    values = {"callers": ", ".join(sorted(callers)) or "an unnamed caller", "calls": _count(sum(callers.values()))}
    for part, total in (("orphans", "parent_references"), ("calls_without_segment", "sampled_calls")):
        if part in v and counts is not None:
            values |= {part: f"{counts[part]:,} of {counts[total]:,}", f"{part}_ci": _interval(*v[part])}
    if counts is not None:
        broken, total = counts["calls_without_segment"], counts["sampled_calls"]
        values["downstream_calls"] = f"{broken:,} of {total:,} sampled downstream calls have no segment"
        if not broken:
            values["downstream_calls"] = f"all {total:,} sampled downstream calls have a segment"
            values["calls_without_segment_ci"] = ""
    return values


def _hour(start: float | None) -> str:
    """Return the hour of the last trace."""
    return "unknown times" if start is None else f"{when(start)} and {when(start + 3600)[-5:]}"


def _interval(low: float, high: float) -> str:
    """Return the confidence interval of a share; nothing if it was estimated from nothing."""
    return "" if math.isnan(low) else f" ({interval(low, high, ratio)})"


def _count(number: float | None) -> str:
    """Return a count."""
    return "an unknown number of" if number is None else f"{number:,.0f}"


def _share(number: float | None, form: Callable[[float], str] = ratio) -> str:
    """Return a share in percent."""
    return "an unknown share" if number is None else form(number)


def _p(number: float | None) -> str:
    """Return a p-value; one below the smallest that is printed as such."""
    if number is None:
        return "p unknown"
    if number < _SMALLEST_P:
        return f"p < {_SMALLEST_P:.0e}"
    return f"p = {number:.1e}" if number < SIGNIFICANT else f"p = {number:.2f}"


def _ratio(v: dict[str, Any], diagnosis: str) -> str:
    """Return observed over expected traces with its 95% CI, in percent where traces are missing."""
    if "ratio" not in v:
        return "unknown"
    low, high = max(0.0, v["low"]), v["high"]
    if diagnosis.startswith("D3b"):
        return f"{ratio(v['ratio'])} ({interval(low, high, ratio)})"
    return f"{factor(v['ratio'])} ({interval(low, high, factor)})"


def estimate_of(record: ServiceRecord, result: StageResult) -> Estimate | None:
    """Return the estimate behind a verdict, or None if a setting decides it."""
    v, n = result.numbers, int(record.value("recorded") or 0)
    if "ratio" in v:
        return Estimate(float(v["ratio"]), "ratio", max(0.0, float(v["low"])), float(v["high"]), n)
    if "orphans" in v and v["orphans"][0] == v["orphans"][0]:
        parts = record.value("propagation")
        low, high = v["orphans"]
        return Estimate(parts["orphans"] / parts["parent_references"], "ratio", low, high, parts["parent_references"])
    return None
