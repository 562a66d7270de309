"""The figures in the index, computed from a recording with the json module only."""

from __future__ import annotations

import json
from collections import defaultdict
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Durations = dict[tuple[str, str], list[float]]


def spans(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the spans of OTLP JSON lines, each with its service's name and version."""
    for line in lines:
        for resource_spans in json.loads(line)["resourceSpans"]:
            resource = plain(resource_spans["resource"]["attributes"])
            named = {"service": resource["service.name"], "version": resource["service.version"]}
            named["zone"] = resource.get("cloud.availability_zone", "")
            for scope_spans in resource_spans["scopeSpans"]:
                for span in scope_spans["spans"]:
                    yield span | named | {"attributes": plain(span.get("attributes", []))}


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return OTLP attributes as a dictionary."""
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


def entries(lines: Iterable[str]) -> Durations:
    """Return the durations of customer requests in milliseconds, by operation and tier."""
    found: Durations = defaultdict(list)
    for span in spans(lines):
        if not span.get("parentSpanId"):
            milliseconds = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e6
            found[span["name"], span["attributes"]["app.customer.tier"]].append(milliseconds)
    return found


def comparison(before: list[str], during: list[str], operation: str) -> dict[str, Any]:
    """Return mean and p95 of an operation by tier, and of all requests, before and during the incident."""
    figures: dict[str, Any] = {}
    for role, lines in (("baseline", before), ("during", during)):
        found = entries(lines)
        everything = [one for durations in found.values() for one in durations]
        by_tier = {tier: _figures(durations) for (name, tier), durations in sorted(found.items()) if name == operation}
        figures[role] = {"all_requests": _figures(everything), operation: by_tier, "error_ratio": error_ratio(lines)}
    return figures


def disturbance(before: list[str], during: list[str], operation: str, affected: str) -> float:
    """Return the relative change of an operation's mean for customers not affected by the incident."""
    spared = [
        [one for (name, tier), some in entries(lines).items() if name == operation and tier != affected for one in some]
        for lines in (before, during)
    ]
    return mean(spared[1]) / mean(spared[0]) - 1


def disturbance_by_zone(before: list[str], during: list[str], operation: str, affected: str) -> float:
    """Return the relative change of an operation's median for requests that never entered the affected zone."""
    medians = []
    for lines in (before, during):
        whole = [(root(trace), {span["zone"] for span in trace}) for trace in by_trace(lines).values()]
        spared = [one for one, zones in whole if one["name"] == operation and affected not in zones]
        medians.append(median(int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"]) for one in spared))
    return float(medians[1] / medians[0] - 1)


def error_ratio(lines: Iterable[str]) -> float:
    """Return the share of customer requests with a 5xx status."""
    answered = [
        int(span["attributes"]["http.response.status_code"]) for span in spans(lines) if not span.get("parentSpanId")
    ]
    return round(sum(status >= 500 for status in answered) / len(answered), 5)  # noqa: PLR2004 - the server errors


def _figures(durations: list[float]) -> dict[str, float]:
    """Return count, mean and p95."""
    p95 = quantiles(durations, n=20, method="inclusive")[-1]
    return {"count": len(durations), "mean_ms": round(mean(durations), 2), "p95_ms": round(p95, 2)}


def by_trace(lines: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the spans of every trace."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in spans(lines):
        found[span["traceId"]].append(span)
    return dict(found)


def root(trace: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the root span of a request."""
    return next(span for span in trace if not span.get("parentSpanId"))


def population(lines: Iterable[str]) -> dict[str, Any]:
    """Return the figures of all requests: in total, by route, tier and phase, and the ids of the failed ones."""
    roots = [root(trace) for trace in by_trace(lines).values()]
    strata = {
        "http.route": lambda one: f"{one['attributes']['http.request.method']} {one['attributes']['http.route']}",
        "app.customer.tier": lambda one: one["attributes"]["app.customer.tier"],
        "http.response.status_code": lambda one: one["attributes"]["http.response.status_code"],
        "app.customer.id": lambda one: one["attributes"]["app.customer.id"],
    }
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {name: defaultdict(list) for name in strata}
    for one in roots:
        for name, label in strata.items():
            parts[name][label(one)].append(one)
    failed = sorted(one["traceId"] for one in roots if is_failed(one))
    whole = {"all_requests": request_figures(roots), "failing_trace_ids": failed}
    return whole | {
        name: {key: request_figures(some) for key, some in sorted(part.items())} for name, part in parts.items()
    }


def is_failed(span: dict[str, Any]) -> bool:
    """Return whether a span has an error status."""
    return bool(span.get("status", {}).get("code") == 2)  # noqa: PLR2004 - STATUS_CODE_ERROR


def request_figures(roots: list[dict[str, Any]]) -> dict[str, Any]:
    """Return count, failures and latency of requests; quantiles only for 100 requests or more."""
    took = [(int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"])) / 1e6 for one in roots]
    errors = sum(is_failed(one) for one in roots)
    figures = {"count": len(roots), "error_count": errors, "error_ratio": round(errors / len(roots), 5)}
    if len(roots) >= 100:  # noqa: PLR2004 - the docstring says so
        cuts = quantiles(took, n=100, method="inclusive")
        figures |= {f"p{share}_ms": round(cuts[share - 1], 2) for share in (50, 95, 99)}
    return figures
