"""The decision tree of the coverage playbook, stage by stage: what fails, what is well, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from tracekit.aws.audit.expected import Expected, chance_of_none, expected_traces, ratio
from tracekit.aws.audit.gateways import UNTRACED
from tracekit.stats.gap_scan import gap_scan
from tracekit.stats.proportions import share_interval
from tracekit.stats.thinned import capture_probability, requests_needed, required_rate

if TYPE_CHECKING:
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords

Status = Literal["pass", "fail", "unknown", "not_needed"]
ABSENT = 0.01  # a smaller chance of none proves that something is missing
_LOW, _HIGH = 0.9, 1.1
_BROKEN = 0.02
_LEAST_LOSS, _FEWEST_HOURS = 0.2, 13
STAGES = {
    "T0": ("requests",),
    "T1": ("tracing_mode", "switched_off", "sdk", "protocol"),
    "T2": (
        "collector",
        "collector_image",
        "collector_running",
        "collector_health",
        "collector_restarts",
        "collector_log",
        "collector_trouble",
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
        "iam_refuses",
        "cut_off",
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
    "T6b": ("silent", "callers"),
    "T6c": ("propagation",),
    "T7": ("groups",),
}
"""The facts that every stage rests on."""


class Verdict(NamedTuple):
    """What a stage says about a service."""

    stage: str
    status: Status
    diagnosis: str = ""
    numbers: dict[str, Any] = {}  # noqa: RUF012 - never written to


class Known(NamedTuple):
    """What the stages share about an audit: which inventories were read to their end, and what the user declared."""

    has_functions: bool
    has_containers: bool
    min_incident_requests: tuple[int, int] | None


def judge_service(sheet: ServiceRecord, sheets: ServiceRecords, known: Known) -> list[Verdict]:
    """Return the verdicts of all stages about a service."""
    if sheet.value("platform") == "remote":
        return [_silent(sheet, sheets)]
    if sheet.value("platform") == UNTRACED:
        return [Verdict("T1", "not_needed", "D1n")]
    traffic = _traffic(sheet)
    enabled, collector = _enabled(sheet, known), _collector(sheet, known)
    expected = expected_traces(sheet, sheets)
    verdicts = [traffic, enabled, collector, _absence(sheet, enabled, collector), _share(sheet, expected, known)]
    verdicts += [
        _deployments(sheet),
        _gaps(sheet, expected),
        _silent(sheet, sheets),
        _propagation(sheet),
        _groups(sheet),
    ]
    return verdicts


def headline(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict that stands for a service: the first failure, else what is not known, else OK.

    A first deployment without traces explains missing instrumentation, so it goes before that.
    """
    failed = [one for one in verdicts if one.status == "fail" and one.diagnosis]
    if failed:
        newer = next((one for one in failed if one.diagnosis == "D4a"), None)
        return newer if newer and failed[0].diagnosis in {"D1c", "D2c"} else failed[0]
    quiet = next((one for one in verdicts if one.diagnosis in {"T0q", "D1n"}), None)
    if quiet:
        return quiet
    unknown = [one for one in verdicts if one.status == "unknown"]
    told = next((one for one in unknown if one.diagnosis), None)
    return told or (Verdict("T8", "unknown", "T8u") if unknown else Verdict("T8", "pass", "OK"))


def _traffic(sheet: ServiceRecord) -> Verdict:
    """T0: how many requests there were."""
    if sheet.request_total is None:
        return Verdict("T0", "unknown", "T0u")
    return Verdict("T0", "pass") if sheet.request_total > 0 else Verdict("T0", "not_needed", "T0q")


def _enabled(sheet: ServiceRecord, known: Known) -> Verdict:
    """T1: is tracing switched on."""
    platform, recorded = sheet.value("platform"), sheet.value("recorded")
    if platform == "lambda":
        mode = sheet.value("tracing_mode")
        if mode is None or (mode != "Active" and recorded is None):
            return Verdict("T1", "unknown")
        return Verdict("T1", "pass") if mode == "Active" or recorded else Verdict("T1", "fail", "D1b")
    switched_off = sheet.value("switched_off")
    if switched_off:
        return Verdict("T1", "fail", "D1a", {"fact": switched_off})
    is_elsewhere = known.has_containers and known.has_functions and platform not in {"container", "gateway"}
    if switched_off is None and not (recorded and (is_elsewhere or sheet.value("hidden_variables"))):
        return Verdict("T1", "unknown")
    return Verdict("T1", "pass")


def _collector(sheet: ServiceRecord, known: Known) -> Verdict:
    """T2: does anything hand the traces of containers on."""
    platform, kind = sheet.value("platform"), sheet.value("collector")
    if platform in {"lambda", "gateway"}:
        return Verdict("T2", "not_needed")
    if platform != "container":
        return Verdict("T2", "not_needed" if known.has_containers and known.has_functions else "unknown")
    if kind == "none":
        return Verdict("T2", "fail", "D2a", {"state": "runs no X-Ray daemon or collector and names no remote one"})
    up, wanted = sheet.value("collector_running") or (None, None)
    if up == 0 and wanted:
        return Verdict("T2", "fail", "D2a", {"state": f"has a collector, of which {up} of {wanted} run"})
    ill = sheet.value("collector_restarts") or sheet.value("collector_trouble")
    if sheet.value("collector_health") == "UNHEALTHY" or ill:
        return Verdict("T2", "fail", "D2b")
    if kind == "remote":
        return Verdict("T2", "pass" if sheet.value("recorded") else "unknown")
    return Verdict("T2", "unknown" if kind is None or up is None or not wanted else "pass")


def _absence(sheet: ServiceRecord, enabled: Verdict, collector: Verdict) -> Verdict:
    """T3: there is no trace, and that proves something."""
    if sheet.value("recorded") is None:
        return Verdict("T3", "unknown")
    if sheet.value("recorded") > 0 or sheet.request_total == 0:
        return Verdict("T3", "not_needed")
    if sheet.request_total is None:
        return Verdict("T3", "unknown")
    chance = chance_of_none(sheet.request_total, sheet.rules, sheet.value("indexed"))
    if chance is None:
        return Verdict("T3", "unknown")
    if chance >= ABSENT:
        rates = [rule.rate for rule in sheet.rules or () if rule.rate > 0]
        return Verdict(
            "T3", "unknown", "D3x", {"chance": chance, "needed": requests_needed(min(rates)) if rates else None}
        )
    if "fail" in {enabled.status, collector.status}:
        return Verdict("T3", "fail", "", {"chance": chance})
    if "unknown" in {enabled.status, collector.status}:
        return Verdict("T3", "unknown", "", {"chance": chance})
    if sheet.value("iam_refuses"):
        return Verdict("T3", "fail", "W1", {"chance": chance})
    if sheet.value("cut_off"):
        return Verdict("T3", "fail", "W2", {"chance": chance})
    is_container = sheet.value("platform") == "container"
    return Verdict("T3", "fail", "D2c" if is_container else "D1c", {"chance": chance})


def _share(sheet: ServiceRecord, expected: Expected | None, known: Known) -> Verdict:
    """T4: as many traces as the rule should give."""
    recorded, indexed = sheet.value("recorded"), sheet.value("indexed")
    if recorded == 0 or sheet.request_total == 0:
        return Verdict("T4", "not_needed")
    if recorded is None or expected is None or sheet.request_total is None or not sheet.rules or not expected.high:
        return Verdict("T4", "unknown")
    if indexed is not None and indexed < 1:
        return Verdict("T4", "unknown", "D3f")
    middle, low, high = ratio(recorded, expected)
    rate = expected.low / sheet.request_total
    values: dict[str, Any] = {
        "ratio": middle,
        "low": low,
        "high": high,
        "rate": rate,
        "lost": max(0, expected.low - recorded),
    }
    if high < _LOW:
        return Verdict("T4", "fail", "D3b" if rate >= 1 else "D3b'", values)
    if low > _HIGH:
        return Verdict("T4", "fail", "D3d", values)
    if low < _LOW or high > _HIGH:
        values["needed"] = sheet.request_total * ((high - low) / (_HIGH - _LOW)) ** 2
        return Verdict("T4", "unknown", "D3e", values)
    if known.min_incident_requests is not None:
        times, wanted = known.min_incident_requests
        values |= {"need": required_rate(times, wanted), "times": times, "wanted": wanted}
        values["capture"] = capture_probability(times, min(rate, 1.0), wanted)
        if rate < values["need"]:
            return Verdict("T4", "fail", "D3a", values)
    return Verdict("T4", "pass" if indexed is not None else "unknown", "D3c" if indexed is not None else "", values)


def _deployments(sheet: ServiceRecord) -> Verdict:
    """T5: did traces end, or never begin, with a deployment."""
    if sheet.request_total == 0:
        return Verdict("T5", "not_needed")
    if sheet.recorded is None or sheet.requests is None:
        return Verdict("T5", "unknown")
    seen = np.flatnonzero(sheet.recorded)
    if not len(seen):
        return _first_deployment(sheet)
    after = float(sheet.requests[seen[-1] + 1 :].sum())
    chance = chance_of_none(after, sheet.rules, sheet.value("indexed"))
    if chance is None:
        return Verdict("T5", "unknown")
    if after and chance < ABSENT:
        return Verdict("T5", "fail", "D4b", {"after": after, "chance": chance})
    return Verdict("T5", "pass")


def _first_deployment(sheet: ServiceRecord) -> Verdict:
    """T5 of a service without traces: is it new."""
    first = sheet.value("first_deployed")
    chance = chance_of_none(sheet.request_total or 0, sheet.rules, sheet.value("indexed"))
    if first is not None and chance is not None and chance < ABSENT:
        return Verdict("T5", "fail", "D4a", {"first": first, "after": sheet.request_total, "chance": chance})
    return Verdict("T5", "not_needed" if sheet.value("changes_known") and chance is not None else "unknown")


def _gaps(sheet: ServiceRecord, expected: Expected | None) -> Verdict:
    """T6: hours whose traces are missing."""
    if sheet.request_total == 0 or (sheet.recorded is not None and not sheet.recorded.any()):
        return Verdict("T6a", "not_needed")
    if sheet.recorded is None or sheet.requests is None:
        return Verdict("T6a", "unknown")
    end = int(np.flatnonzero(sheet.recorded)[-1]) + 1  # what ended for good is no hole
    requests = np.maximum(sheet.requests, sheet.recorded)[:end]
    due = requests if expected is None else expected.hours[:end]
    if ((requests > 0) & (due > 0)).sum() < _FEWEST_HOURS:
        return Verdict("T6a", "unknown")
    gap = gap_scan(sheet.recorded[:end], requests, expected=due)
    if gap.p < ABSENT and gap.loss >= _LEAST_LOSS:
        return Verdict("T6a", "fail", "D5a", {"gap": gap})
    return Verdict("T6a", "pass")


def _silent(sheet: ServiceRecord, sheets: ServiceRecords) -> Verdict:
    """T6: a service that only its callers saw."""
    silent = sheet.value("silent")
    if silent is None:
        return Verdict("T6b", "unknown")
    if not silent:
        return Verdict("T6b", "pass")
    callers = {name: count for name, count in (sheet.value("callers") or {}).items() if name in sheets}
    return Verdict("T6b", "fail", "D5b", {"callers": callers})


def _propagation(sheet: ServiceRecord) -> Verdict:
    """T6: references that lead nowhere."""
    if sheet.value("recorded") == 0:
        return Verdict("T6c", "not_needed")
    parts = sheet.value("propagation")
    if parts is None:
        return Verdict("T6c", "unknown")
    low, high = share_interval(
        np.array([parts["missing"], parts["unanswered"]]), np.array([parts["referenced"], parts["asked"]])
    )
    values = {"missing": (float(low[0]), float(high[0])), "unanswered": (float(low[1]), float(high[1]))}
    if low[0] > _BROKEN or low[1] > _BROKEN:
        return Verdict("T6c", "fail", "D5c", values)
    return Verdict("T6c", "pass")


def _groups(sheet: ServiceRecord) -> Verdict:
    """T7: does a group see the service."""
    groups = sheet.value("groups")
    if groups is None:
        return Verdict("T7", "unknown")
    return Verdict("T7", "pass", "" if groups else "G1")
