"""The dataset ``tail-sampled``: all traces of a night and a day, and the traces that three samplers keep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import measure
import publish
import samplers
from load import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from recording import Recording

NAME = "tail-sampled"
NIGHT, NIGHT_RATE = 200, 2.0  # requests, and requests per second: only companies at night
NIGHT_KINDS = {"checkout": 0.6, "order": 0.4}
NIGHT_TIERS = {"free": 0.0, "pro": 0.0, "enterprise": 1.0}
DAY_KINDS = {"view": 0.55, "search": 0.15, "add": 0.12, "checkout": 0.08, "order": 0.10}
DAY_TIERS = {"free": 0.6, "pro": 0.3, "enterprise": 0.1}
SAMPLERS = {"head": samplers.head, "tail": samplers.tail, "reservoir": samplers.reservoir}
CONFIGURATIONS: dict[str, tuple[str, Any]] = {
    "collector": ("collector-configuration", samplers.COLLECTOR),
    "xray-rules": ("xray-sampling-rules", samplers.XRAY_RULES),
}


def phases(traces: int, rate: float) -> dict[str, Phase]:
    """Return the phases of a recording, night and day, for a number of traces and a daytime rate per second."""
    return {
        "night": Phase(NIGHT, NIGHT_RATE, NIGHT_KINDS, NIGHT_TIERS),
        "day": Phase(traces - NIGHT, rate, DAY_KINDS, DAY_TIERS),
    }


def write(folder: Path, recording: Recording) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Write all parts; return the index entries of the files, and the ground truth."""
    traces = measure.by_trace(recording.lines)
    kept = {role: sample(traces) for role, sample in SAMPLERS.items()}
    parts = {"population": recording.lines} | {role: samplers.only(recording.lines, kept[role]) for role in SAMPLERS}
    files = [_traces(folder, role, lines) for role, lines in parts.items()]
    path = folder / "access-log.log.zst"
    publish.write(path, recording.access_log)
    files.append(publish.file_entry(path, "access-log", "alb"))
    files += [_configuration(folder, role, form, content) for role, (form, content) in CONFIGURATIONS.items()]
    naive = {role: measure.request_figures([measure.root(traces[one]) for one in kept[role]]) for role in SAMPLERS}
    return files, measure.population(recording.lines) | {"raw": naive, "kept_by": _policies(traces, kept["tail"])}


def _traces(folder: Path, role: str, lines: list[str]) -> dict[str, Any]:
    """Write one part with traces and return its entry."""
    path = folder / f"{role}.jsonl.zst"
    publish.write(path, lines)
    found = list(measure.spans(lines))
    counts = {"span_count": len(found), "trace_count": len({span["traceId"] for span in found})}
    return publish.file_entry(path, role, "otlp-json", **counts)


def _configuration(folder: Path, role: str, form: str, content: Any) -> dict[str, Any]:
    """Write a configuration as JSON, which is valid YAML, and return its entry."""
    path = folder / f"{role}.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return publish.file_entry(path, role, form, compression=None)


def _policies(traces: dict[str, list[dict[str, Any]]], kept: Iterable[str]) -> dict[str, int]:
    """Return the number of traces in the tail sample with an error span, with high latency, and others."""
    threshold_ns = samplers.COLLECTOR["processors"]["tail_sampling"]["policies"][1]["latency"]["threshold_ms"] * 10**6
    found = {"errors": 0, "slow": 0, "rest": 0}
    for one in kept:
        ends, begins = ([int(span[f"{end}TimeUnixNano"]) for span in traces[one]] for end in ("end", "start"))
        failed = any(measure.is_failed(span) for span in traces[one])
        found["errors" if failed else "slow" if max(ends) - min(begins) >= threshold_ns else "rest"] += 1
    return found
