"""Steps 1 and 5: recorded calls of every service per hour, and context propagation in sampled traces."""

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
class GraphNode:
    """A service in the service graphs of all hours."""

    platform: str | None = None
    is_root: bool = False
    counts: Counter[int] = field(default_factory=Counter)
    callers: Counter[str] = field(default_factory=Counter)
    node: dict[str, Any] = field(default_factory=dict)


def read_graph(records: ServiceRecords, answers: Answers) -> None:
    """Add facts from the service graphs."""
    operation = "xray:GetServiceGraph"
    if not answers.is_complete(operation):
        return
    seen: defaultdict[str, GraphNode] = defaultdict(GraphNode)
    for call in answers.of(operation):
        _add_graph(seen, call.content["Services"], _hour(call.request["StartTime"], answers.start))
    last = answers.of(operation)[-1]
    for name, one in seen.items():
        if one.platform is not None or one.counts:
            record = records.of(name)
            record.add(1, "node_type", one.node.get("Type"), last)
            if record.value("platform") is None:
                record.add(1, "platform", one.platform, last, one.node.get("Type"))
    for name, record in records.items():
        one = seen.get(name, GraphNode())
        is_silent = one.platform == REMOTE
        counts = np.zeros(answers.hours)
        for hour, count in one.counts.items():
            counts[hour] = 0 if is_silent else count
        record.recorded = counts
        excerpt = {"Name": name, "TotalCount": int(counts.sum()), "hours": int((counts > 0).sum())}
        record.add(1, "recorded", int(counts.sum()), last, excerpt, "calls in the service graphs of all hours")
        record.add(1, "is_root", one.is_root, last)
        record.add(5, "uninstrumented", is_silent, last, one.node, "in the graph only as recorded by its callers")
        record.add(1, "callers", dict(one.callers), last)
        for word, hours in (("first_trace", np.flatnonzero(counts)[:1]), ("last_trace", np.flatnonzero(counts)[-1:])):
            if len(hours):
                record.add(5, word, answers.start + 3600 * int(hours[0]), last, None, "start of the hour")


def _add_graph(seen: defaultdict[str, GraphNode], nodes: list[dict[str, Any]], hour: int) -> None:
    """Add the graph of one hour."""
    for node in nodes:
        kind, name = str(node.get("Type") or ""), str(node.get("Name"))
        platform, is_remote = _platform(kind), kind == REMOTE
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
    _add_callers(seen, nodes)


def _platform(kind: str) -> str | None:
    """Return the platform of a type of node, None for other types."""
    return next((word for prefix, word in _PLATFORMS.items() if kind.startswith(prefix)), None)


def _add_callers(seen: defaultdict[str, GraphNode], nodes: list[dict[str, Any]]) -> None:
    """Add the callers of the services in the graph of one hour."""
    by_id = {node.get("ReferenceId"): node for node in nodes}
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
class _SegmentCounts:
    """Counts over the segments of a service."""

    segments: int = 0
    sdks: Counter[str] = field(default_factory=Counter)
    parent_references: int = 0
    orphans: int = 0
    sampled_calls: int = 0
    calls_without_segment: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    exemplars: list[str] = field(default_factory=list)


def read_documents(records: ServiceRecords, answers: Answers) -> None:
    """Add facts from the segments of some traces: the SDK, orphans, and calls without a segment."""
    traces = answers.items("xray:BatchGetTraces")
    if traces is None:
        return
    found: defaultdict[str, _SegmentCounts] = defaultdict(_SegmentCounts)
    for trace in traces:
        if not trace.get("LimitExceeded"):
            _add_trace(found, trace)
    source = answers.of("xray:BatchGetTraces")[-1]
    for name, parts in found.items():
        if parts.segments and name in records:
            record = records[name]
            record.add(1, "sdk", _family(parts.sdks), source, dict(parts.sdks) | dict(parts.versions))
            counts = {
                "segments": parts.segments,
                "parent_references": parts.parent_references,
                "orphans": parts.orphans,
                "sampled_calls": parts.sampled_calls,
                "calls_without_segment": parts.calls_without_segment,
                "exemplars": parts.exemplars[:_FEW],
            }
            record.add(5, "propagation", counts, source, counts, f"in {len(traces):,} recent traces")


def _add_trace(found: defaultdict[str, _SegmentCounts], trace: dict[str, Any]) -> None:
    """Add the segments of one trace."""
    documents = [json.loads(segment["Document"]) for segment in trace.get("Segments", ())]
    parts = list(_walk(documents))
    ids = {part.get("id") for part, _ in parts}
    parents = {part.get("parent_id") for part in documents}
    for document in documents:
        if not document.get("inferred"):
            _add_segment(found[str(document.get("name"))], document, ids, str(trace.get("Id")))
    for part, top in parts:
        if part is not top and ((part.get("http") or {}).get("request") or {}).get("traced"):
            one = found[str(top.get("name"))]
            one.sampled_calls += 1
            if part.get("id") not in parents:
                one.calls_without_segment += 1
                one.exemplars.append(str(trace.get("Id")))


def _add_segment(one: _SegmentCounts, document: dict[str, Any], ids: set[Any], trace_id: str) -> None:
    """Add the SDK of a segment, and whether its parent is in the trace, whose ids are given."""
    sdk = ((document.get("aws") or {}).get("xray")) or {}
    family = "otel" if "opentelemetry" in str(sdk.get("sdk")).lower() else "classic" if sdk.get("sdk") else "unnamed"
    one.segments += 1
    one.sdks[family] += 1
    one.versions[str(sdk.get("sdk_version", "no version"))] += 1
    if document.get("parent_id"):
        one.parent_references += 1
        if document["parent_id"] not in ids:
            one.orphans += 1
            one.exemplars.append(trace_id)


def _walk(documents: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every segment and subsegment with its segment."""
    todo = [(document, document) for document in documents]
    while todo:
        part, top = todo.pop()
        yield part, top
        todo += [(child, top) for child in part.get("subsegments", ())]


def _family(sdks: Counter[str]) -> str:
    """Return the family of SDK that sent the segments."""
    named = {word for word in sdks if word != "unnamed"}
    return named.pop() if len(named) == 1 and not sdks["unnamed"] else "mixed" if named else "unnamed"
