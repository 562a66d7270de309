"""What ``report`` does: run the analyses, fill the page, write it in one piece."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
import numpy as np

from tracekit.errors import RenderError
from tracekit.findings import Findings
from tracekit.report.changed import entries_table, waits_table
from tracekit.report.changes import Changes
from tracekit.report.code import code_of
from tracekit.report.failures import exceptions_table, failing_table
from tracekit.report.headlines import headlines
from tracekit.report.overview import Overview
from tracekit.report.policy import content_security_policy, inline, packed
from tracekit.report.reading import issues_table, sources_table
from tracekit.report.services import latency_pictures, operations_table, services_table
from tracekit.report.slowest import fitting_height, traces_table, waterfall_view
from tracekit.report.waiting import path_table
from tracekit.schema import Quality
from tracekit.views.colours import DARK, LIGHT, Colours
from tracekit.views.details import source_names
from tracekit.views.markup import Markup
from tracekit.views.service_graph import map_payload, map_picture
from tracekit.views.text import NO_FIGURE, clean, count, duration, moment, plural, ratio
from tracekit.views.volume import volume_picture

if TYPE_CHECKING:
    import os
    from datetime import datetime

    from tracekit.traces import TraceSet

WATERFALLS: Final = 5
_HERE: Final = Path(__file__).parent
_MODULE: Final = _HERE.parent / "views" / "static" / "tracekit.js"


def write(
    traces: TraceSet,
    path: str | os.PathLike[str],
    *,
    baseline: TraceSet | None = None,
    title: str | None = None,
    generated: datetime | None = None,
) -> Path:
    """Write the page; see ``tracekit.report.report``."""
    target = Path(path)
    if target.is_dir() or not target.absolute().parent.is_dir():
        what = "a folder" if target.is_dir() else "no folder " + str(target.absolute().parent)
        raise RenderError(f"expected the path of a file in an existing folder, found {what}: {target}")
    _write(target, render(traces, baseline=baseline, title=title, generated=generated))
    return target


def render(
    traces: TraceSet,
    *,
    baseline: TraceSet | None = None,
    title: str | None = None,
    generated: datetime | None = None,
) -> str:
    """Return the whole page as text.

    Parameters
    ----------
    traces, baseline, title, generated
        As in ``report``.

    Returns
    -------
    str
        HTML; can be encoded in UTF-8.
    """
    seen = Overview(traces)
    changes = None if baseline is None else Changes(Overview(baseline), seen)
    colours = Colours(seen.services)
    names = source_names(traces)
    script = inline(_MODULE.read_text(encoding="utf-8") + "\nbootStatic();\n", "the script")
    style = inline((_HERE / "report.css").read_text(encoding="utf-8") + _service_rules(), "the style sheet")
    return (
        _environment()
        .get_template("template.html")
        .render(
            title=clean(title or _title(names), limit=200),
            policy=content_security_policy(script, style),
            script=Markup(script),
            style=Markup(style),
            generated=generated.strftime("%Y-%m-%d %H:%M") if generated else "",
            code=code_of(traces, baseline),
            **_first_screen(seen, changes, names),
            **_contents(seen, changes, colours, names),
        )
    )


def _environment() -> jinja2.Environment:
    """Return the template engine: everything is cleaned, then escaped; what is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: clean(value, block=True) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _service_rules() -> str:
    """Return the colours of services as style rules: swatches and pictures, light and dark."""
    light = "".join(f".dot{k}{{background:{c}}}.tk-s{k}{{fill:{c}}}" for k, c in enumerate(LIGHT))
    dark = [(f".dot{k}{{background:{c}}}", f".tk-s{k}{{fill:{c}}}") for k, c in enumerate(DARK)]
    chosen = "".join(f":root[data-theme=dark] {dot}:root[data-theme=dark] {fill}" for dot, fill in dark)
    system = "".join(f":root:not([data-theme=light]) {dot}:root:not([data-theme=light]) {fill}" for dot, fill in dark)
    return f"{light}@media screen{{{chosen}}}@media screen and (prefers-color-scheme:dark){{{system}}}"


def _title(names: list[str]) -> str:
    """Return the names of the sources as a title."""
    if not names:
        return "Traces"
    return names[0] if len(names) == 1 else f"{names[0]} and {plural(len(names) - 1, 'other source')}"


def _first_screen(seen: Overview, changes: Changes | None, names: list[str]) -> dict[str, Any]:
    """Return period, figures and findings; what changed comes first."""
    now = _figures(seen)
    before = _figures(changes.before) if changes else [("", "")] * len(now)
    return {
        "period": _period(seen),
        "figures": [(value, words, was) for (value, words), (was, _) in zip(now, before, strict=True)],
        "findings": Findings([*(changes.findings() if changes else []), *headlines(seen)]),
        "baseline": _period(changes.before) if changes else "",
        "source_list": ", ".join(names[:3]) + (f" and {count(len(names) - 3)} more" if len(names) > 3 else ""),  # noqa: PLR2004 - names in a line
    }


def _figures(seen: Overview) -> list[tuple[str, str]]:
    """Return the six figures with their words."""
    requests = seen.requests.table
    known = len(requests) and requests["span_count"].iloc[0]
    row = requests.iloc[0] if known else None
    return [
        (count(len(seen.traces)), "trace" if len(seen.traces) == 1 else "traces"),
        (count(seen.span_count), "span" if seen.span_count == 1 else "spans"),
        (count(seen.service_count), "service" if seen.service_count == 1 else "services"),
        (ratio(float(row["error_ratio"])) if row is not None else NO_FIGURE, "of requests failed"),
        (duration(row["p50_ns"]) if row is not None else NO_FIGURE, "p50 of requests"),
        (duration(row["p95_ns"]) if row is not None else NO_FIGURE, "p95 of requests"),
    ]


def _period(seen: Overview) -> str:
    """Return from when to when the data reach."""
    if seen.period_ns is None:
        return "no time is recorded"
    low, high = seen.period_ns
    first, last = moment(low), moment(high)
    shown = last[11:] if first[:10] == last[:10] else last
    return f"{first} to {shown} UTC ({duration(high - low)})"


def _contents(seen: Overview, changes: Changes | None, colours: Colours, names: list[str]) -> dict[str, Any]:
    """Return tables, pictures and views, by the names that the template uses."""
    telling = [finding.exemplars[0] for finding in (changes.findings() if changes else []) if finding.exemplars]
    slowest = [str(trace_id) for trace_id in seen.slowest_traces.index[:WATERFALLS]]
    known = set(seen.traces.trace_ids)
    worst = [name for name in dict.fromkeys([*telling, *slowest]) if name in known]
    shown = set(worst)
    graph = map_payload(seen.graph, colours=colours)
    return {
        "sources": sources_table(seen, names),
        "issues": issues_table(seen, names),
        "volume": _volume(seen),
        "path": path_table(seen, colours, shown),
        "services": services_table(seen, colours),
        "operations": operations_table(seen, colours),
        "map": {
            "height": fitting_height(graph["size"][1] + 100),
            "picture": map_picture(graph, paper=False),
            "data": packed(json.dumps(graph, ensure_ascii=False, allow_nan=False).encode("utf-8")),
            "count": len(graph["nodes"]),
            "left_out": graph["left_out"],
            "unnamed": seen.graph.unnamed_count,
        },
        "distributions": latency_pictures(seen),
        "failing": failing_table(seen, colours),
        "exceptions": exceptions_table(seen, colours, shown),
        "traces": traces_table(seen, colours, shown),
        "waits": waits_table(changes, colours, shown) if changes else None,
        "entries": entries_table(changes, colours) if changes else None,
        "waterfalls": [
            waterfall_view(seen, trace_id, colours, changes.before.traces if changes and trace_id in telling else None)
            for trace_id in worst
        ],
        "shown": shown,
    }


def _volume(seen: Overview) -> Markup | None:
    """Return traces over time; None where no start is known."""
    spans, root = seen.traces.columns.spans, seen.traces.forest.root_row
    known = (spans.quality[root] & Quality.NO_START) == 0
    if not known.any():
        return None
    failed = seen.traces.summary["is_error"].to_numpy(np.float64)
    weights = seen.traces.weights.value
    return volume_picture(spans.start_ns[root][known], weights[known], failed[known], width=1000)


def _write(target: Path, text: str) -> None:
    """Write beside the target and rename: an interrupted report leaves the old one, or none."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        beside.write_bytes(text.encode("utf-8"))
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
