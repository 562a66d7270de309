"""What the template of a page shows: the first screen, then tables, charts, views and code of each section."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tracekit.checks.registry import CHECKS
from tracekit.report.beside import shared
from tracekit.report.critical_path import path_table, waits_table
from tracekit.report.failures import exceptions_table, failing_table
from tracekit.report.frame_table import frame_table
from tracekit.report.input_data import issues_table, sources_table
from tracekit.report.latency_change import change_picture, entries_table
from tracekit.report.logs import logs_table
from tracekit.report.policy import packed
from tracekit.report.printed_code import SECTION_CODES
from tracekit.report.services import latency_pictures, operations_table, services_table
from tracekit.report.slowest import fitting_height, traces_table, waterfall_view
from tracekit.report.standard import SECTIONS
from tracekit.report.tables import rest_note
from tracekit.report.tiles import tiles
from tracekit.text import count, duration, period, plural
from tracekit.traces import TraceSet
from tracekit.views.service_graph.map import map_payload, map_picture
from tracekit.views.volume import traffic_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.checks.logs.result import Logs
    from tracekit.checks.overview import Overview
    from tracekit.findings import Finding
    from tracekit.report.chapters import Chapters
    from tracekit.report.standard import Standard
    from tracekit.views.colours import Colours

    _Views = dict[str, list[dict[str, Any]]]

_Made = TypeVar("_Made")
_WAITS: Final = 5  # operations in the table of a waterfall
_TABLE: Final = "Values of the figure"
# the section that a finding without an exemplar trace links to, by topic, with exceptions by check
_SECTIONS_OF_TOPICS: Final = {
    "data": "sources", "changes": "changes", "patterns": "path", "latency": "latency", "errors": "errors",
}  # fmt: skip
_PLACES: Final = {check.name: _SECTIONS_OF_TOPICS.get(check.topic, "sources") for check in CHECKS} | {
    "tail": "operations", "failing": "errors", "calls": "map", "failing_calls": "map", "operations": "operations",
    "suspects": "suspects", "affected": "affected", "over_time": "volume", "new_log_lines": "logs",
}  # fmt: skip


def first_screen(standard: Standard) -> dict[str, Any]:
    """Return period, figures and findings for the template."""
    names = standard.source_names
    return {
        "screen": standard.lines,
        "screen_code": _screen_code(standard),
        "timeline": standard.timeline_shown(),
        "period": _period(standard.seen),
        "alone": standard.is_alone,
        "figures": tiles(standard.seen, standard.changes, standard.screen),
        "findings": [
            (anchor, found, standard.reading.before(found.code))
            for anchor, found in zip(standard.anchors, standard.findings, strict=True)
        ],
        "places": _PLACES,
        "baseline": _period(standard.changes.before) if standard.changes else "",
        "sampling": _sampling(standard),
        "source_list": ", ".join(names[:3]) + (f" and {count(len(names) - 3)} more" if len(names) > 3 else ""),  # noqa: PLR2004 - names in a line
    }


def _screen_code(standard: Standard) -> str:
    """Return the code behind the lines of the first screen, each under its title."""
    codes = [f"# {title}\n{line.code}" for title, line in standard.lines if title and line.code]
    return standard.reading.before("\n".join(codes))


def section_codes(standard: Standard) -> dict[str, str]:
    """Return the code that reproduces each section."""
    overlaid = {"latency": "tk.plot(tk.latency(traces), against=tk.latency(before))"} if standard.changes else {}
    if standard.case.logs is not None:
        overlaid["logs"] = _logs_code(standard, standard.case.logs)
    answers = {answer.name: answer.code for answer in standard.answers}
    answers |= {name: goal.code for name, goal in standard.goals_shown.items()}
    return {
        section: standard.reading.before(code) for section, code in {**SECTION_CODES, **overlaid, **answers}.items()
    }


def _logs_code(standard: Standard, logs: Logs) -> str:
    """Return the code that shows the log lines."""
    against = ", baseline=before" * (standard.changes is not None)
    return f"tk.logs(traces, {logs.source_code}{against}).templates"


def _waits_shown(standard: Standard, trace_id: str, colours: Colours, shown: set[str]) -> dict[str, Any]:
    """Return what a request waited for: the sentence and its table; None for both without a critical path."""
    figure = standard.waits.get(trace_id)
    if figure is None:
        return {"figure": None, "table": None}
    rows = figure.evidence
    table = frame_table(rows.head(_WAITS), _TABLE, colours, shown)
    return {"figure": figure, "table": replace(table, note=rest_note(len(rows), "operations", _WAITS))}


def contents(standard: Standard, chapters: Chapters, meanwhile: Callable[[], None]) -> dict[str, Any]:
    """Return what the template shows; a second process makes the waterfalls where it is allowed.

    ``meanwhile`` is called while it does.
    """
    colours, shown = chapters.colours, chapters.shown
    traces = standard.shown
    first, named = ([one for one in ids if one not in chapters.elsewhere] for ids in (traces.first, traces.named))
    make = partial(_requests, standard, colours, shown, first, named)
    tasks = [
        partial(_without_waterfalls, standard, colours, shown),
        partial(getattr, standard, "facts"),
        partial(_with_new_colours, make, colours),
    ]
    others, standard.__dict__["facts"], ((views, waits), new) = shared(tasks, standard.span_count, meanwhile=meanwhile)
    if any(colours.slot(service) != slot for service, slot in new.items()):  # taken meanwhile
        views, waits = make()
    standard.__dict__["waits"] = waits
    page: dict[str, Any] = {**others, **views}
    return page


def _requests(
    standard: Standard, colours: Colours, shown: set[str], first: Sequence[str], named: Sequence[str]
) -> tuple[_Views, dict[str, Finding]]:
    """Return waterfalls with what each request waited for, and the findings on it."""
    waits = {trace_id: _waits_shown(standard, trace_id, colours, shown) for trace_id in [*first, *named]}
    views = _waterfalls(standard, colours, first, named)
    return {name: [view | waits[view["id"]] for view in found] for name, found in views.items()}, standard.waits


def _with_new_colours(make: Callable[[], _Made], colours: Colours) -> tuple[_Made, dict[str, int]]:
    """Return what is made, and the slots of services that had no colour before."""
    before = colours.slots
    made = make()
    return made, {service: slot for service, slot in colours.slots.items() if service not in before}


def _without_waterfalls(standard: Standard, colours: Colours, shown: set[str]) -> dict[str, Any]:
    """Return the first screen, tables, charts, the map and code."""
    seen, changes = standard.seen, standard.changes
    names = standard.source_names
    return {
        **first_screen(standard),
        "code": section_codes(standard),
        "readings": standard.figures,
        "tables": {
            name: frame_table(figure.evidence, _TABLE, colours, shown) for name, figure in standard.figures.items()
        },
        "sources": sources_table(seen, names),
        "issues": issues_table(seen, names),
        "volume": traffic_picture(standard.traffic, width=1000) if standard.traffic else None,
        "spans": (plural(seen.span_count, "span"), plural(seen.service_count, "service")),
        "path": path_table(seen, colours, shown),
        "timed": seen.timed_count,
        "services": services_table(seen, colours),
        "operations": operations_table(seen, colours),
        "map": _map(seen, colours),
        "compared": changes is not None,
        "distributions": latency_pictures(seen, changes.before if changes else None, standard.sides.names),
        "failing": failing_table(seen, colours),
        "exceptions": exceptions_table(seen, colours, shown),
        "logs": logs_table(standard.case.logs, colours, shown),
        "traces": traces_table(seen, colours, shown),
        "waits": waits_table(changes, colours, shown) if changes else None,
        "step_by_step": change_picture(changes, standard.sides.names) if changes else None,
        "answers": standard.answers,
        "goals": [
            (
                name,
                SECTIONS[name],
                goal,
                [frame_table(*named[::-1], colours, shown) for named in goal.tables.items()],
            )
            for name, goal in standard.goals_shown.items()
        ],
        "entries": entries_table(changes, colours) if changes else None,
    }


def _waterfalls(standard: Standard, colours: Colours, first: Sequence[str], named: Sequence[str]) -> _Views:
    """Return the waterfalls that the page shows, and those that it shows on demand; one thread compresses their data.

    The next waterfall is made meanwhile.
    """
    traces, changes = standard.shown, standard.changes
    before = changes.before.source if changes and isinstance(changes.before.source, TraceSet) else None
    exemplars = traces.exemplars
    with ThreadPoolExecutor(1) as pool:
        views = {
            "waterfalls": [
                waterfall_view(traces.path, one, colours, before if one in exemplars else None, pool=pool)
                for one in first
            ],
            "named": [waterfall_view(traces.path, one, colours, pool=pool, with_picture=False) for one in named],
        }
        return {name: [view | {"data": view["data"].result()} for view in found] for name, found in views.items()}


def _period(seen: Overview) -> str:
    """Return the period of the data, with its length."""
    if seen.period_ns is None:
        return "no timestamps recorded"
    low, high = seen.period_ns
    return f"{period(low, high)} ({duration(high - low)})"


def _sampling(standard: Standard) -> str:
    """Return the sampling statement of each side."""
    now = standard.seen.weights.statement
    before = standard.changes.before.weights.statement if standard.changes else now
    shown = f"{now.partition(':')[0]}: see Findings" if "unknown" in now.partition(":")[0] else now
    return f"{shown[0].upper()}{shown[1:]}." + f" Baseline: {before}." * (before != now)


def _map(seen: Overview, colours: Colours) -> dict[str, Any]:
    """Return the service map with its facts; an empty one if all sampling weights are 0."""
    if not seen.weights.n_effective:
        return {"count": 0}
    graph = map_payload(seen.graph, colours=colours)
    return {
        "height": fitting_height(graph["size"][1] + 100),
        "picture": map_picture(graph, paper=False),
        "data": packed(json.dumps(graph, ensure_ascii=False, allow_nan=False).encode("utf-8")),
        "count": len(graph["nodes"]),
        "left_out": graph["left_out"],
        "unnamed": seen.graph.unnamed_count,
    }
