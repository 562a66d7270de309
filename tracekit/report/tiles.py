"""The figures under the first screen: those of the requests, and of what regressed, with the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.text import NO_FIGURE, cell, count, duration, number, ratio

if TYPE_CHECKING:
    from tracekit.checks.comparison import Changes
    from tracekit.checks.overview import Overview
    from tracekit.checks.screen.lines import FirstScreen

Tile = tuple[str, str, str]


def tiles(seen: Overview, changes: Changes | None, screen: FirstScreen) -> list[Tile]:
    """Return six figures: value, label, and the value of the baseline (empty without one)."""
    if changes is None:
        return [(value, words, "") for value, words in (*_sizes(seen), *_requests(seen))]
    sides = changes.now, changes.before
    both = [[*_endpoint(screen, at), *_requests(side), *_rate(side)] for at, side in enumerate(sides)]
    found = [(value, words, was) for (value, words), (was, _) in zip(*both, strict=True)]
    found[-1:-1] = _affected(screen)
    return [(count(seen.trace_count), "traces", count(changes.before.trace_count)), *found][-_MOST:]


_MOST = 6


def _sizes(seen: Overview) -> list[tuple[str, str]]:
    """Return how much was recorded."""
    return [
        (count(seen.trace_count), "trace" if seen.trace_count == 1 else "traces"),
        (count(seen.span_count), "span" if seen.span_count == 1 else "spans"),
        (count(seen.service_count), "service" if seen.service_count == 1 else "services"),
    ]


def _requests(seen: Overview) -> list[tuple[str, str]]:
    """Return error rate, p50 and p95 of all requests."""
    requests = seen.requests.table
    known = len(requests) and requests["span_count"].iloc[0]
    row = requests.iloc[0] if known else None
    of = "(recorded requests)" if seen.recorded else "of requests"
    return [
        (cell(ratio, seen.failed.value), f"error rate {of}"),
        (NO_FIGURE if row is None else cell(duration, row["p50_ns"]), f"p50 {of}"),
        (NO_FIGURE if row is None else cell(duration, row["p95_ns"]), f"p95 {of}"),
    ]


def _endpoint(screen: FirstScreen, side: int) -> list[tuple[str, str]]:
    """Return the p95 of the endpoint of the headline, on one side; none where it is about something else."""
    line = screen.headline
    if line is None or line.values.get("metric") != "p95":
        return []
    value = line.values["baseline" if side else "current"]
    return [(duration(value), f"p95 {line.values['operation']}")]


def _affected(screen: FirstScreen) -> list[Tile]:
    """Return how many requests are affected; none where nobody is named."""
    line = next((one for one in screen if one.check == "screen.affected"), None)
    if line is None or "request_count" not in line.values:
        return []
    return [(f"{count(line.values['request_count'])} of {count(line.values['of_count'])}", "requests affected", "")]


def _rate(seen: Overview) -> list[tuple[str, str]]:
    """Return the requests per second."""
    of = "recorded requests/s" if seen.recorded else "requests/s"
    return [(NO_FIGURE if seen.rate_per_s is None else number(seen.rate_per_s), of)]
