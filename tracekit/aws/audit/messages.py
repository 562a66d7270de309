"""What every diagnosis says, how grave it is, and what to do: the texts of the playbook with the evidence filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.aws.audit.service_record import when
from tracekit.aws.audit.tree import ABSENT
from tracekit.aws.prices import USD_PER_RECORDED
from tracekit.findings import Estimate, Severity

if TYPE_CHECKING:
    from tracekit.aws.audit.service_record import ServiceRecord
    from tracekit.aws.audit.tree import Verdict

INCOMPLETE = frozenset(
    {"D1a", "D1b", "D1c", "D2a", "D2b", "D2c", "D3b", "D3b'", "D4a", "D4b", "D5b", "D5c", "W1", "W2"}
)
"""Diagnoses for which the playbook's alarm TraceCoverageIncomplete stands."""
GAP = frozenset({"D5a"})
"""Diagnoses for which TraceCollectionGapDetected stands."""


class Words(NamedTuple):
    """A diagnosis in words."""

    severity: Severity
    text: str
    remedy: str


WORDS: dict[str, Words] = {
    "D1a": Words(
        "warning",
        "{svc}: tracing is switched off ({fact}, {as_of}). {N} requests in {days} days left {recorded} traces.",
        "Enable tracing for this service.",
    ),
    "D1b": Words(
        "warning",
        "{svc}: TracingConfig.Mode is PassThrough; it only follows a sampled upstream header, and {recorded} of {N}"
        " invocations carried one.",
        "Set Mode=Active.",
    ),
    "D1c": Words(
        "warning",
        "{svc}: tracing is enabled and {N} requests came, yet no trace exists. With rule {rule} the chance of that by"
        " luck is {P0}.",
        "Install and initialise the ADOT instrumentation or the SDK ({instrumented_by} was found).",
    ),
    "D2a": Words(
        "warning",
        "{svc}: {td} {state}. Nothing in its containers can hand traces on.",
        "Add the ADOT collector or the CloudWatch agent (the X-Ray daemon is in maintenance mode since 2026-02-25).",
    ),
    "D2b": Words(
        "warning",
        "{svc}: collector {img} {ill}; {recorded} of {expected} expected traces came.",
        "Mend the collector before touching sampling.",
    ),
    "D2c": Words(
        "warning",
        "{svc}: its collector runs on {up} of {wanted} {units} and {N} requests came, yet no trace exists"
        " (chance: {P0}).",
        "Instrument the application, or mend the address that it sends to ({endpoint}).",
    ),
    "D3a": Words(
        "notice",
        "{svc}: {rate} of requests are traced, as rule {rule} says. Of an incident of {times} requests, "
        "{wanted_traces} or more leave a trace with a chance of {capture}; {need} would give 95 %.",
        "Raise the rate to {need} (about {cost} a month more).",
    ),
    "D3b": Words(
        "warning",
        "{svc}: rule {rule} samples 100 % but only {ratio} of requests have traces.",
        "Collection or delivery is failing: look at the collector, then at the network.",
    ),
    "D3b'": Words(
        "warning",
        "{svc}: {ratio} of the traces that rule {rule} should produce arrived. Sampling is not the cause; about {lost}"
        " sampled traces were lost after the decision.",
        "Look at the collector, then at the network.",
    ),
    "D3c": Words(
        "info", "{svc}: observed over expected traces is {ratio}{captured}.", "Look elsewhere than at sampling."
    ),
    "D3d": Words(
        "notice",
        "{svc}: {ratio} times the traces that rule {rule} explains: an upstream decision, another rule, a sampling"
        " boost or duplicate export.",
        "Compare with the rules that the traces themselves name: tk.sampling_rules(...).lint(traces).",
    ),
    "D3e": Words(
        "notice",
        "{svc}: {N} requests are too few to tell whether rule {rule} is followed (observed over expected {ratio});"
        " about {needed} would do.",
        "Look at a longer period (days=).",
    ),
    "D3x": Words(
        "notice",
        "{svc}: no trace of {N} requests, but with rule {rule} that happens by luck with {P0}; about {needed} requests"
        " would tell.",
        "Look at a longer period (days=), or raise the rate for a while.",
    ),
    "D3f": Words(
        "notice",
        "{svc}: spans go to CloudWatch Logs; only {indexed} are indexed as X-Ray traces, and {recorded} are there.",
        "Search by span (Transaction Search), or raise the indexing rule.",
    ),
    "D4a": Words(
        "warning",
        "{svc}: first deployed {first}; {after} requests since, no trace (chance: {P0}). The deployment pipeline does"
        " not set it up. {lacking}",
        "Put tracing mode, collector and SDK into the deployment pipeline.",
    ),
    "D4b": Words(
        "warning",
        "{svc}: last trace in the hour from {last_trace}; {after} requests since (chance: {P0}). {change}",
        "Configuration drift: undo the change, or bring tracing back with it.",
    ),
    "D5a": Words(
        "warning",
        "{svc}: collection dropped by {loss} from {a} to {b} (chance: {p}); requests did not. About {lost} traces were"
        " not recorded. {others}",
        "Look at what happened to the collectors in that time.",
    ),
    "D5b": Words(
        "warning",
        "{svc} is called by {callers} but sends no segments: {calls} sampled calls, in the graph only as its callers"
        " saw it.",
        "Instrument it, where it is yours.",
    ),
    "D5c": Words(
        "warning",
        "{svc}: {missing} of its references to parents lead nowhere, and {unanswered} of its calls that asked for a"
        " trace have no segment beneath.",
        "Context is lost: forward X-Amzn-Trace-Id (or traceparent) through every hop and queue.",
    ),
    "D1n": Words(
        "info",
        "{svc} is an API of protocol {protocol}: API Gateway traces REST APIs only, so traces begin behind it.",
        "Trace the services behind it; their first spans are roots.",
    ),
    "G1": Words("info", "{svc} matches no trace group; alarms and insights on groups do not see it.", "Add a group."),
    "W1": Words(
        "warning",
        "{role} may not write traces ({refused}). Segments of {svc} are refused.",
        "Allow the action, for example by AWSXRayDaemonWriteAccess.",
    ),
    "W2": Words(
        "warning",
        "{svc} runs in private subnets ({subnets}) without an endpoint for {endpoint_service} and without a route out:"
        " segments cannot leave.",
        "Add the VPC endpoint, or NAT.",
    ),
    "T0u": Words(
        "notice",
        "{svc}: requests are not known, so no traffic cannot be told from no traces ({recorded} traces).",
        "Supply request counts (requests=), or allow cloudwatch:ListMetrics and cloudwatch:GetMetricData.",
    ),
    "T0q": Words("notice", "{svc}: no traffic in the window.", "Look at a longer period (days=)."),
    "T8u": Words(
        "notice",
        "{svc}: nothing failed, but not everything is known: {unknown}.",
        "{closing}",
    ),
    "OK": Words("info", "{svc}: nothing failed and nothing is unknown; observed over expected traces is {ratio}.", ""),
}
SHORT = {
    "OK": "traced as the rules say",
    "T0q": "no traffic",
    "T0u": "requests not known",
    "T8u": "not everything is known",
    "D1a": "tracing is switched off",
    "D1b": "traces only what others sampled",
    "D1c": "not instrumented (switched on)",
    "D1n": "cannot be traced",
    "D2a": "no collector",
    "D2b": "its collector is ill",
    "D2c": "not instrumented (collector well)",
    "D3a": "sampled too little",
    "D3b": "all sampled, not all there",
    "D3b'": "sampled traces are lost",
    "D3c": "sampled as the rules say",
    "D3d": "more traces than the rules explain",
    "D3e": "too few requests to tell",
    "D3f": "only a share is indexed",
    "D3x": "too few requests to tell",
    "D4a": "deployed without tracing",
    "D4b": "traces ended",
    "D5a": "a hole in time",
    "D5b": "called, but silent",
    "D5c": "context is lost",
    "G1": "in no group",
    "W1": "may not write traces",
    "W2": "has no way to X-Ray",
}
"""What a diagnosis is called in a table."""
CLOSING = {
    "T0": "cloudwatch:GetMetricData (requests)",
    "T1": "lambda:ListFunctions, the task definition, kubectl or apigateway:GET (is tracing on); SDK initialisation in"
    " the code",
    "T2": "ecs:DescribeTasks and ecs:DescribeTaskDefinition, or eks:ListClusters and kubectl (collector)",
    "T3": "iam:SimulatePrincipalPolicy and ec2:DescribeVpcEndpoints (may segments leave)",
    "T4": "xray:GetSamplingRules and xray:GetTraceSegmentDestination (rate)",
    "T5": "cloudtrail:LookupEvents (changes)",
    "T6a": "cloudwatch:GetMetricData and xray:GetServiceGraph (gaps)",
    "T6b": "xray:GetServiceGraph (called but silent)",
    "T6c": "xray:GetTraceSummaries and xray:BatchGetTraces (propagation)",
    "T7": "xray:GetGroups (groups)",
}
"""What would settle a stage that is not known."""
_SMALLEST = 1e-12


def values_of(sheet: ServiceRecord, verdict: Verdict, extra: dict[str, Any]) -> dict[str, Any]:
    """Return what the texts are filled with."""
    v = verdict.numbers
    up, wanted = sheet.value("collector_running") or ("?", "?")
    values: dict[str, Any] = {
        "svc": sheet.name,
        "N": _count(sheet.request_total),
        "recorded": _count(sheet.value("recorded")),
        "rule": sheet.value("rule") or "unknown",
        "as_of": next((fact.as_of[:10] for fact in sheet.facts.values() if fact.as_of), "now"),
        "instrumented_by": sheet.value("instrumented_by") or "nothing visible",
        "td": sheet.value("workload") or f"task definition {sheet.value('task_definition') or 'unknown'}",
        "protocol": sheet.value("protocol") or "unknown",
        "img": sheet.value("collector_image") or sheet.value("endpoint") or "unknown",
        "ill": _illness(sheet),
        "endpoint": sheet.value("endpoint") or "no endpoint variable is set",
        "role": sheet.value("role") or "the role",
        "refused": sheet.value("iam_refuses") or "",
        "subnets": sheet.value("cut_off") or "",
        "endpoint_service": f"com.amazonaws.{extra.get('region')}.xray",
        "up": up,
        "wanted": wanted,
        "units": "pods" if sheet.value("workload") else "tasks",
        "indexed": _share(sheet.value("indexed")),
        "last_trace": when(sheet.value("last_trace")) if sheet.value("last_trace") is not None else "unknown",
        "fact": v.get("fact", ""),
        "state": v.get("state", ""),
        "P0": _chance(v.get("chance")),
        "rate": _share(v.get("rate")),
        "capture": _share(v.get("capture")),
        "need": _share(v.get("need")),
        "times": _count(v.get("times")),
        "wanted_traces": _count(v.get("wanted")),
        "needed": _count(v.get("needed")),
        "lost": _count(v.get("lost")),
        "after": _count(v.get("after")),
        "first": when(v["first"]) if "first" in v else "unknown",
        "ratio": _ratio(v, verdict.diagnosis),
        "captured": f", and the declared incident is captured with {_share(v['capture'])}" if "capture" in v else "",
        "cost": f"${(v['need'] - v['rate']) * sheet.request_total / extra['days'] * 30 * USD_PER_RECORDED:,.2f}"
        if "need" in v and sheet.request_total
        else "unknown",
    }
    return values | _of_gap(v, extra) | _of_edges(v) | extra


def _illness(sheet: ServiceRecord) -> str:
    """Return how a collector is, and what its log tells of lost spans."""
    health, restarts = sheet.value("collector_health"), sheet.value("collector_restarts") or 0
    told = f"tells in its log of lost spans ({log})" if (log := sheet.value("collector_trouble")) else ""
    if told and health != "UNHEALTHY" and not restarts:
        return str(told)
    reason = sheet.value("collector_reason") or "none given"
    fallen = f"is {health or 'of unknown health'}, {restarts} restarts, last reason '{reason}'"
    return f"{fallen}, and {told}" if told else fallen


def _of_gap(v: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    """Return what a hole in time is told with."""
    if "gap" not in v:
        return {}
    gap, start = v["gap"], extra["start"]
    return {
        "loss": _share(gap.loss),
        "a": when(start + 3600 * gap.start),
        "b": when(start + 3600 * gap.end),
        "p": _chance(gap.p),
        "lost": _count(gap.expected - gap.traced),
    }


def _of_edges(v: dict[str, Any]) -> dict[str, Any]:
    """Return what calls and references are told with."""
    callers = v.get("callers") or {}
    told: dict[str, Any] = {name: _limits(*v[name]) for name in ("missing", "unanswered") if name in v}
    return {"callers": ", ".join(sorted(callers)) or "nobody named", "calls": _count(sum(callers.values())), **told}


def _limits(low: float, high: float) -> str:
    """Return the limits of a share; none where nothing was tried."""
    return "none" if low != low else f"{_share(low)} to {_share(high)}"  # noqa: PLR0124 - NaN


def _count(number: float | None) -> str:
    """Return a count."""
    return "an unknown number of" if number is None else f"{number:,.0f}"


def _share(number: float | None) -> str:
    """Return a share."""
    return "an unknown share" if number is None else f"{100 * number:.3g} %"


def _chance(number: float | None) -> str:
    """Return a small chance; what cannot be at all is said as less than the smallest that is printed."""
    if number is None:
        return "unknown"
    if number < _SMALLEST:
        return f"below {_SMALLEST:.0e}"
    return f"{number:.1e}" if number < ABSENT else f"{100 * number:.0f} %"


def _ratio(v: dict[str, Any], diagnosis: str) -> str:
    """Return observed over expected with its limits, as a share where traces are missing."""
    if "ratio" not in v:
        return "unknown"
    low, high = max(0.0, v["low"]), v["high"]
    if diagnosis.startswith("D3b"):
        return f"{100 * v['ratio']:.0f} % ({100 * low:.0f} to {100 * high:.0f} %)"
    return f"{v['ratio']:.2f} ({low:.2f} to {high:.2f})"


def estimate_of(sheet: ServiceRecord, verdict: Verdict) -> Estimate | None:
    """Return the number that a verdict rests on; None where it rests on a setting."""
    v, n = verdict.numbers, int(sheet.value("recorded") or 0)
    if "ratio" in v:
        return Estimate(float(v["ratio"]), "ratio", max(0.0, float(v["low"])), float(v["high"]), n)
    if "missing" in v and v["missing"][0] == v["missing"][0]:
        parts = sheet.value("propagation")
        low, high = v["missing"]
        return Estimate(parts["missing"] / parts["referenced"], "ratio", low, high, parts["referenced"])
    return None
