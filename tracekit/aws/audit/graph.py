"""Steps 1 and 5: what X-Ray has seen of every service, hour by hour, and what the traces' skeletons show."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.audit.service_record import ServiceRecords

_PLATFORMS = {
    "AWS::ApiGateway": "gateway",
    "AWS::Lambda": "lambda",
    "AWS::ECS": "container",
    "AWS::EKS": "container",
    "AWS::EC2": "instance",
    "AWS::ElasticBeanstalk": "instance",
    "AWS::AppRunner": "instance",
}
REMOTE = "remote"
_FEW = 5


@dataclass
class Seen:
    """A service in the graphs of all hours."""

    platform: str | None = None
    is_root: bool = False
    counts: Counter[int] = field(default_factory=Counter)
    callers: Counter[str] = field(default_factory=Counter)
    node: dict[str, Any] = field(default_factory=dict)


def read_graph(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down what the service graphs show."""
    operation = "xray:GetServiceGraph"
    if not answers.is_complete(operation):
        return
    seen: defaultdict[str, Seen] = defaultdict(Seen)
    for call in answers.of(operation):
        _take(seen, call.content["Services"], _hour(call.request["StartTime"], answers.start))
    last = answers.of(operation)[-1]
    for name, one in seen.items():
        if one.platform is not None or one.counts:
            sheet = sheets.of(name)
            sheet.add(1, "node_type", one.node.get("Type"), last)
            if sheet.value("platform") is None:
                sheet.add(1, "platform", one.platform, last, one.node.get("Type"))
    for name, sheet in sheets.items():
        one = seen.get(name, Seen())
        is_silent = one.platform == REMOTE
        counts = np.zeros(answers.hours)
        for hour, count in one.counts.items():
            counts[hour] = 0 if is_silent else count
        sheet.recorded = counts
        excerpt = {"Name": name, "TotalCount": int(counts.sum()), "hours": int((counts > 0).sum())}
        sheet.add(1, "recorded", int(counts.sum()), last, excerpt, "calls in the service graphs of all hours")
        sheet.add(1, "is_root", one.is_root, last)
        sheet.add(5, "silent", is_silent, last, one.node, "in the graph only as its callers saw it")
        sheet.add(1, "callers", dict(one.callers), last)
        for word, hours in (("first_trace", np.flatnonzero(counts)[:1]), ("last_trace", np.flatnonzero(counts)[-1:])):
            if len(hours):
                sheet.add(5, word, answers.start + 3600 * int(hours[0]), last, None, "the hour that begins then")


def _take(seen: defaultdict[str, Seen], nodes: list[dict[str, Any]], hour: int) -> None:
    """Take the graph of one hour."""
    by_id = {node.get("ReferenceId"): node for node in nodes}
    for node in nodes:
        kind, name = str(node.get("Type") or ""), str(node.get("Name"))
        platform = next((word for prefix, word in _PLATFORMS.items() if kind.startswith(prefix)), None)
        is_remote = kind == REMOTE
        if kind == "client" or (kind.startswith("AWS::") and platform is None):
            continue
        one = seen[name]
        one.platform = platform or (REMOTE if is_remote and not one.counts.total() else one.platform)
        if is_remote and one.platform == REMOTE:
            one.node = {"Name": name, "Type": kind}
        elif not is_remote:
            one.platform = None if one.platform == REMOTE else one.platform
            one.is_root = one.is_root or bool(node.get("Root"))
            one.counts[hour] = max(one.counts[hour], int(_total(node)))
            one.node = {"Name": name, "Type": kind}
    for node in nodes:
        for edge in node.get("Edges", ()):
            target = by_id.get(edge.get("ReferenceId"), {})
            if node.get("Type") != "client" and str(target.get("Name")) in seen:
                seen[str(target["Name"])].callers[str(node.get("Name"))] += int(_total(edge))


def _total(part: dict[str, Any]) -> float:
    """Return the calls of a node or an edge."""
    return float((part.get("SummaryStatistics") or {}).get("TotalCount") or 0)


def _hour(time: str, start: int) -> int:
    """Return the number of the hour that begins at a time."""
    return int((pd.Timestamp(time).timestamp() - start) // 3600)


@dataclass
class _Parts:
    """What the segments of a service show."""

    segments: int = 0
    sdks: Counter[str] = field(default_factory=Counter)
    referenced: int = 0
    missing: int = 0
    asked: int = 0
    unanswered: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    exemplars: list[str] = field(default_factory=list)


def read_documents(sheets: ServiceRecords, answers: Answers) -> None:
    """Write down what the segments of some traces show: who sent them, and which references lead nowhere."""
    traces = answers.items("xray:BatchGetTraces")
    if traces is None:
        return
    found: defaultdict[str, _Parts] = defaultdict(_Parts)
    for trace in traces:
        if not trace.get("LimitExceeded"):
            _take_trace(found, trace)
    source = answers.of("xray:BatchGetTraces")[-1]
    for name, parts in found.items():
        if parts.segments and name in sheets:
            sheet = sheets[name]
            sheet.add(1, "sdk", _family(parts.sdks), source, dict(parts.sdks) | dict(parts.versions))
            broken = {
                "segments": parts.segments,
                "referenced": parts.referenced,
                "missing": parts.missing,
                "asked": parts.asked,
                "unanswered": parts.unanswered,
                "exemplars": parts.exemplars[:_FEW],
            }
            sheet.add(5, "propagation", broken, source, broken, f"in {len(traces):,} traces of the last hours with any")


def _take_trace(found: defaultdict[str, _Parts], trace: dict[str, Any]) -> None:
    """Take the segments of one trace."""
    documents = [json.loads(segment["Document"]) for segment in trace.get("Segments", ())]
    parts = list(_walk(documents))
    ids = {part.get("id") for part, _ in parts}
    parents = {part.get("parent_id") for part in documents}
    for document in documents:
        if document.get("inferred"):
            continue
        one = found[str(document.get("name"))]
        one.segments += 1
        sdk = ((document.get("aws") or {}).get("xray")) or {}
        one.sdks[
            "otel" if "opentelemetry" in str(sdk.get("sdk")).lower() else "classic" if sdk.get("sdk") else "unnamed"
        ] += 1
        one.versions[str(sdk.get("sdk_version", "no version"))] += 1
        if document.get("parent_id"):
            one.referenced += 1
            if document["parent_id"] not in ids:
                one.missing += 1
                one.exemplars.append(str(trace.get("Id")))
    for part, top in parts:
        if part is not top and ((part.get("http") or {}).get("request") or {}).get("traced"):
            one = found[str(top.get("name"))]
            one.asked += 1
            if part.get("id") not in parents:
                one.unanswered += 1
                one.exemplars.append(str(trace.get("Id")))


def _walk(documents: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every segment and subsegment with the segment it stands in."""
    todo = [(document, document) for document in documents]
    while todo:
        part, top = todo.pop()
        yield part, top
        todo += [(child, top) for child in part.get("subsegments", ())]


def _family(sdks: Counter[str]) -> str:
    """Return the family of SDK that sent the segments."""
    named = {word for word in sdks if word != "unnamed"}
    return named.pop() if len(named) == 1 and not sdks["unnamed"] else "mixed" if named else "unnamed"
