"""The decision tree of the coverage audit, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tracekit.aws.audit.expected import Expected, chance_of_none, expected_traces, ratio
from tracekit.aws.audit.gateways import UNTRACED
from tracekit.stats.gap_scan import gap_scan
from tracekit.stats.proportions import share_interval
from tracekit.stats.thinned import capture_probability, requests_needed, required_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords
    from tracekit.weights.rules import HeadRule

Status = Literal["pass", "fail", "unknown", "not_needed"]
SIGNIFICANT = 0.01  # a smaller p means that traces are missing
_LOW, _HIGH = 0.9, 1.1
_BROKEN = 0.02
_LEAST_LOSS, _FEWEST_HOURS = 0.2, 13
STAGES = {
    "T0": ("requests",),
    "T1": ("tracing_mode", "tracing_disabled", "sdk", "protocol"),
    "T2": (
        "collector",
        "collector_image",
        "collector_running",
        "collector_health",
        "collector_restarts",
        "collector_log",
        "collector_losses",
        "endpoint",
        "task_definition",
        "workload",
        "cluster_status",
        "addon",
    ),
    "T3": (
        "recorded",
        "rule",
        "instrumented_by",
        "collector",
        "collector_running",
        "cluster_status",
        "endpoint",
        "iam_denied",
        "isolated_subnets",
        "role",
        "subnets",
    ),
    "T4": ("recorded", "rule", "destination", "indexed", "sdk_reports"),
    "T5": (
        "last_trace",
        "first_deployed",
        "last_config_change",
        "versions",
        "service_deployments",
        "codedeploy",
        "rollouts",
    ),
    "T6a": ("recorded", "requests"),
    "T6b": ("uninstrumented", "callers"),
    "T6c": ("propagation",),
    "T7": ("groups",),
}
"""The facts that each stage needs."""


class StageResult(NamedTuple):
    """The result of one stage for one service."""

    stage: str
    status: Status
    diagnosis: str = ""
    numbers: dict[str, Any] = {}  # noqa: RUF012 - never written to


class AuditContext(NamedTuple):
    """Inputs shared by all stages: which inventories are complete, and the smallest incident to detect."""

    has_functions: bool
    has_containers: bool
    min_incident_requests: tuple[int, int] | None

    @property
    def is_complete(self) -> bool:
        """Whether both inventories are complete."""
        return self.has_functions and self.has_containers


def assess_service(record: ServiceRecord, records: ServiceRecords, context: AuditContext) -> list[StageResult]:
    """Return the verdicts of all stages for a service."""
    if record.value("platform") == "remote":
        return [_uninstrumented(record, records)]
    if record.value("platform") == UNTRACED:
        return [StageResult("T1", "not_needed", "D1n")]
    traffic = _traffic(record)
    enabled, collector = _enabled(record, context), _collector(record, context)
    expected = expected_traces(record, records)
    results = [traffic, enabled, collector, _absence(record, enabled, collector), _share(record, expected, context)]
    results += [
        _deployments(record),
        _gaps(record, expected),
        _uninstrumented(record, records),
        _propagation(record),
        _groups(record),
    ]
    return results


def main_result(results: list[StageResult]) -> StageResult:
    """Return the main verdict on a service: the first failure, else what is unknown, else OK.

    A first deployment without traces explains missing instrumentation, so it takes precedence.
    """
    failed = [one for one in results if one.status == "fail" and one.diagnosis]
    unknown = [one for one in results if one.status == "unknown"]
    newer = _first(failed, {"D4a"})
    if newer and failed[0].diagnosis in {"D1c", "D2c"}:
        return newer
    if failed:
        return failed[0]
    if quiet := _first(results, {"T0q", "D1n"}):
        return quiet
    named = next((one for one in unknown if one.diagnosis), None)
    return named or (StageResult("T8", "unknown", "T8u") if unknown else StageResult("T8", "pass", "OK"))


def _first(results: list[StageResult], diagnoses: set[str]) -> StageResult | None:
    """Return the first result with one of these diagnoses."""
    return next((one for one in results if one.diagnosis in diagnoses), None)


def _traffic(record: ServiceRecord) -> StageResult:
    """Return whether there was any traffic (T0)."""
    if record.request_total is None:
        return StageResult("T0", "unknown", "T0u")
    return StageResult("T0", "pass") if record.request_total > 0 else StageResult("T0", "not_needed", "T0q")


def _enabled(record: ServiceRecord, context: AuditContext) -> StageResult:
    """Return whether tracing is enabled (T1)."""
    platform, recorded = record.value("platform"), record.value("recorded")
    if platform == "lambda":
        mode = record.value("tracing_mode")
        if mode is None or (mode != "Active" and recorded is None):
            return StageResult("T1", "unknown")
        return StageResult("T1", "pass") if mode == "Active" or recorded else StageResult("T1", "fail", "D1b")
    disabled = record.value("tracing_disabled")
    if disabled:
        return StageResult("T1", "fail", "D1a", {"fact": disabled})
    is_elsewhere = context.is_complete and platform not in {"container", "gateway"}
    if disabled is None and not (recorded and (is_elsewhere or record.value("hidden_variables"))):
        return StageResult("T1", "unknown")
    return StageResult("T1", "pass")


def _collector(record: ServiceRecord, context: AuditContext) -> StageResult:
    """Return whether a healthy collector exports the traces of containers (T2)."""
    platform, kind = record.value("platform"), record.value("collector")
    if platform in {"lambda", "gateway"}:
        return StageResult("T2", "not_needed")
    if platform != "container":
        return StageResult("T2", "not_needed" if context.is_complete else "unknown")
    if kind == "none":
        return StageResult("T2", "fail", "D2a", {"state": "has no X-Ray daemon, collector or remote endpoint"})
    up, wanted = record.value("collector_running") or (None, None)
    if up == 0 and wanted:
        return StageResult("T2", "fail", "D2a", {"state": f"has a collector, but 0 of {wanted} run"})
    is_failing = any(map(record.value, ("collector_restarts", "collector_losses")))
    if record.value("collector_health") == "UNHEALTHY" or is_failing:
        return StageResult("T2", "fail", "D2b")
    if kind == "remote":
        return StageResult("T2", "pass" if record.value("recorded") else "unknown")
    return StageResult("T2", "unknown" if kind is None or up is None or not wanted else "pass")


def _absence(record: ServiceRecord, enabled: StageResult, collector: StageResult) -> StageResult:
    """Return whether the absence of traces is significant (T3)."""
    if record.value("recorded") is None:
        return StageResult("T3", "unknown")
    if record.value("recorded") > 0 or record.request_total == 0:
        return StageResult("T3", "not_needed")
    if record.request_total is None:
        return StageResult("T3", "unknown")
    chance = chance_of_none(record.request_total, record.rules, record.value("indexed"))
    if chance is None:
        return StageResult("T3", "unknown")
    if chance >= SIGNIFICANT:
        return StageResult("T3", "unknown", "D3x", {"chance": chance, "needed": _needed(record.rules or ())})
    if "fail" in {enabled.status, collector.status}:
        return StageResult("T3", "fail", "", {"chance": chance})
    if "unknown" in {enabled.status, collector.status}:
        return StageResult("T3", "unknown", "", {"chance": chance})
    if record.value("iam_denied"):
        return StageResult("T3", "fail", "W1", {"chance": chance})
    if record.value("isolated_subnets"):
        return StageResult("T3", "fail", "W2", {"chance": chance})
    is_container = record.value("platform") == "container"
    return StageResult("T3", "fail", "D2c" if is_container else "D1c", {"chance": chance})


def _needed(rules: Sequence[HeadRule]) -> int | None:
    """Return the requests after which no trace is significant at the lowest rate, None if all rates are 0."""
    rates = [rule.rate for rule in rules if rule.rate > 0]
    return requests_needed(min(rates)) if rates else None


def _share(record: ServiceRecord, expected: Expected | None, context: AuditContext) -> StageResult:
    """Return whether the number of traces matches the sampling rules (T4)."""
    recorded, indexed = record.value("recorded"), record.value("indexed")
    if recorded == 0 or record.request_total == 0:
        return StageResult("T4", "not_needed")
    if recorded is None or expected is None or record.request_total is None or not record.rules or not expected.high:
        return StageResult("T4", "unknown")
    if indexed is not None and indexed < 1:
        return StageResult("T4", "unknown", "D3f")
    result = _compared(recorded, record.request_total, expected, context)
    if result.status != "pass":
        return result
    return result._replace(diagnosis="D3c") if indexed is not None else result._replace(status="unknown")


def _compared(recorded: float, requests: float, expected: Expected, context: AuditContext) -> StageResult:
    """Return whether the number of traces is the expected one, and enough for the smallest incident (T4)."""
    middle, low, high = ratio(recorded, expected)
    rate = expected.low / requests
    values: dict[str, Any] = {
        "ratio": middle,
        "low": low,
        "high": high,
        "rate": rate,
        "lost": max(0, expected.low - recorded),
    }
    if high < _LOW:
        return StageResult("T4", "fail", "D3b" if rate >= 1 else "D3b'", values)
    if low > _HIGH:
        return StageResult("T4", "fail", "D3d", values)
    if low < _LOW or high > _HIGH:
        values["needed"] = requests * ((high - low) / (_HIGH - _LOW)) ** 2
        return StageResult("T4", "unknown", "D3e", values)
    if context.min_incident_requests is not None:
        times, wanted = context.min_incident_requests
        values |= {"need": required_rate(times, wanted), "times": times, "wanted": wanted}
        values["capture"] = capture_probability(times, min(rate, 1.0), wanted)
        if rate < values["need"]:
            return StageResult("T4", "fail", "D3a", values)
    return StageResult("T4", "pass", "", values)


def _deployments(record: ServiceRecord) -> StageResult:
    """Return whether traces stopped, or never started, with a deployment (T5)."""
    if record.request_total == 0:
        return StageResult("T5", "not_needed")
    if record.recorded is None or record.requests is None:
        return StageResult("T5", "unknown")
    traced = np.flatnonzero(record.recorded)
    if not len(traced):
        return _first_deployment(record)
    after = float(record.requests[traced[-1] + 1 :].sum())
    chance = chance_of_none(after, record.rules, record.value("indexed"))
    if chance is None:
        return StageResult("T5", "unknown")
    if after and chance < SIGNIFICANT:
        return StageResult("T5", "fail", "D4b", {"after": after, "chance": chance})
    return StageResult("T5", "pass")


def _first_deployment(record: ServiceRecord) -> StageResult:
    """Return whether a service without traces is newly deployed (T5)."""
    first = record.value("first_deployed")
    chance = chance_of_none(record.request_total or 0, record.rules, record.value("indexed"))
    if first is not None and chance is not None and chance < SIGNIFICANT:
        return StageResult("T5", "fail", "D4a", {"first": first, "after": record.request_total, "chance": chance})
    return StageResult("T5", "not_needed" if record.value("changes_known") and chance is not None else "unknown")


def _gaps(record: ServiceRecord, expected: Expected | None) -> StageResult:
    """Return whether there is a collection gap (T6a)."""
    if record.request_total == 0 or (record.recorded is not None and not record.recorded.any()):
        return StageResult("T6a", "not_needed")
    if record.recorded is None or record.requests is None:
        return StageResult("T6a", "unknown")
    end = int(np.flatnonzero(record.recorded)[-1]) + 1  # traces that stopped for good are no gap
    requests = np.maximum(record.requests, record.recorded)[:end]
    due = requests if expected is None else expected.hours[:end]
    if ((requests > 0) & (due > 0)).sum() < _FEWEST_HOURS:
        return StageResult("T6a", "unknown")
    gap = gap_scan(record.recorded[:end], requests, expected=due)
    if gap.p < SIGNIFICANT and gap.loss >= _LEAST_LOSS:
        return StageResult("T6a", "fail", "D5a", {"gap": gap})
    return StageResult("T6a", "pass")


def _uninstrumented(record: ServiceRecord, records: ServiceRecords) -> StageResult:
    """Return whether a service is recorded by its callers only (T6b)."""
    is_uninstrumented = record.value("uninstrumented")
    if is_uninstrumented is None:
        return StageResult("T6b", "unknown")
    if not is_uninstrumented:
        return StageResult("T6b", "pass")
    callers = {name: count for name, count in (record.value("callers") or {}).items() if name in records}
    return StageResult("T6b", "fail", "D5b", {"callers": callers})


def _propagation(record: ServiceRecord) -> StageResult:
    """Return whether context propagation is broken (T6c)."""
    if record.value("recorded") == 0:
        return StageResult("T6c", "not_needed")
    parts = record.value("propagation")
    if parts is None:
        return StageResult("T6c", "unknown")
    low, high = share_interval(
        np.array([parts["orphans"], parts["calls_without_segment"]]),
        np.array([parts["parent_references"], parts["sampled_calls"]]),
    )
    values = {"orphans": (float(low[0]), float(high[0])), "calls_without_segment": (float(low[1]), float(high[1]))}
    if low[0] > _BROKEN or low[1] > _BROKEN:
        return StageResult("T6c", "fail", "D5c", values)
    return StageResult("T6c", "pass")


def _groups(record: ServiceRecord) -> StageResult:
    """Return whether a trace group includes the service (T7)."""
    groups = record.value("groups")
    if groups is None:
        return StageResult("T7", "unknown")
    return StageResult("T7", "pass", "" if groups else "G1")
