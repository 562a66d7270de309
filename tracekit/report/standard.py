"""The standard sections: what any set of traces is asked, beside a baseline if there is one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.case import Case
from tracekit.checks.comparison import Changes, changes_of
from tracekit.checks.overview import Overview, overview
from tracekit.checks.registry import CHECKS, run_checks, weaknesses
from tracekit.report.changed import change_picture, entries_table
from tracekit.report.code import code_of
from tracekit.report.failures import exceptions_table, failing_table
from tracekit.report.policy import packed
from tracekit.report.reading import issues_table, sources_table
from tracekit.report.services import latency_pictures, operations_table, services_table
from tracekit.report.slowest import fitting_height, traces_table, waterfall_view
from tracekit.report.waiting import path_table, waits_table
from tracekit.schema import Quality
from tracekit.text import NO_FIGURE, count, duration, moment, plural, ratio
from tracekit.views.details import source_names
from tracekit.views.service_graph.service_graph import map_payload, map_picture
from tracekit.views.volume import volume_picture

if TYPE_CHECKING:
    from tracekit.findings import Finding, Findings
    from tracekit.traces import TraceSet
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

WATERFALLS: Final = 5
# id and words of each section in the table of contents; the findings stand before everything else
SECTIONS: Final = {
    "changes": "What changed",
    "path": "Critical path",
    "sources": "What was read",
    "volume": "Traffic",
    "services": "Services",
    "operations": "Operations",
    "map": "Service map",
    "latency": "Latency",
    "errors": "Errors",
    "traces": "Slowest traces",
}

# where a finding leads that has no trace to show: by topic, and by check where another section is nearer
_SECTIONS_OF_TOPICS: Final = {"data": "sources", "changes": "changes", "latency": "latency", "errors": "errors"}
_PLACES: Final = {check.name: _SECTIONS_OF_TOPICS.get(check.topic, "sources") for check in CHECKS} | {
    "tail": "operations", "failing": "errors", "calls": "map", "operations": "operations",
}  # fmt: skip


@dataclass(frozen=True)
class Standard:
    """The traces and their baseline with the findings and results that a report shows.

    Parameters
    ----------
    case
        The traces, and the baseline if there is one.
    """

    case: Case

    @classmethod
    def of(cls, traces: TraceSet, baseline: TraceSet | None = None) -> Standard:
        """Return the standard report of traces; each analysis runs when it is first needed."""
        return cls(Case(traces, baseline=None if baseline is None else Case(baseline)))

    @property
    def seen(self) -> Overview:
        """The traces with their results."""
        return self.case.result(overview)

    @property
    def changes(self) -> Changes | None:
        """The traces and their baseline with their comparisons; None without a baseline."""
        return self.case.result(changes_of)

    @property
    def taken(self) -> list[str]:
        """Ids that the standard sections have."""
        views = ["view-map-1", *(f"view-waterfall-{k + 1}" for k in range(len(self.waterfalls)))]
        return ["findings", *SECTIONS, *views, *self._anchors]

    @cached_property
    def findings(self) -> Findings:
        """The findings of the first screen: what the figures describe, what changed, what is slow, what fails."""
        return run_checks(self.case, ["data", "changes", "latency", "errors"]) + weaknesses(self.case)

    @property
    def _anchors(self) -> list[str]:
        """An id for every finding; several of one check are numbered."""
        names = [finding.check.replace(".", "-") for finding in self.findings]
        before = [names[:k].count(name) for k, name in enumerate(names)]
        return [f"finding-{name}" + f"-{k + 1}" * bool(k) for name, k in zip(names, before, strict=True)]

    @property
    def sections(self) -> dict[str, str]:
        """Ids of the sections with their words."""
        return {name: words for name, words in SECTIONS.items() if self.changes or name != "changes"}

    @property
    def _telling(self) -> list[str]:
        """Ids of the traces that show what changed."""
        changes = {check.name for check in CHECKS if check.topic == "changes"}
        return [found.exemplars[0] for found in self.findings if found.check in changes and found.exemplars]

    @property
    def waterfalls(self) -> list[str]:
        """Ids of the traces whose waterfall is shown: those that tell what changed, and the slowest."""
        slowest = [str(trace_id) for trace_id in self.seen.slowest_traces.index[:WATERFALLS]]
        known = set(self.seen.traces.trace_ids)
        return [name for name in dict.fromkeys([*self._telling, *slowest]) if name in known]

    def title(self) -> str:
        """Return the names of the sources as a title."""
        names = source_names(self.seen.traces)
        if not names:
            return "Traces"
        return names[0] if len(names) == 1 else f"{names[0]} and {plural(len(names) - 1, 'other source')}"

    def first_screen(self) -> dict[str, Any]:
        """Return period, figures and findings."""
        names = source_names(self.seen.traces)
        now = _figures(self.seen)
        before = _figures(self.changes.before) if self.changes else [("", "")] * len(now)
        return {
            "period": _period(self.seen),
            "figures": [(value, words, was) for (value, words), (was, _) in zip(now, before, strict=True)],
            "findings": [
                (anchor, found, self._code_of(found))
                for anchor, found in zip(self._anchors, self.findings, strict=True)
            ],
            "places": _PLACES,
            "baseline": _period(self.changes.before) if self.changes else "",
            "sampling": _sampling(self),
            "source_list": ", ".join(names[:3]) + (f" and {count(len(names) - 3)} more" if len(names) > 3 else ""),  # noqa: PLR2004 - names in a line
        }

    @cached_property
    def _code(self) -> dict[str, str]:
        """The code behind each section."""
        return code_of(self.seen.traces, self.changes.before.traces if self.changes else None)

    def _code_of(self, finding: Finding) -> str:
        """Return the code behind a finding, from the files on."""
        return f"{self._code['head']}\n{finding.code}" if finding.code else ""

    def contents(self, colours: Colours, shown: set[str], elsewhere: set[str]) -> dict[str, Any]:
        """Return tables, pictures, views and code."""
        seen, changes = self.seen, self.changes
        names = source_names(seen.traces)
        before = changes.before.traces if changes else None
        telling = self._telling
        return {
            "code": self._code,
            "sources": sources_table(seen, names),
            "issues": issues_table(seen, names),
            "volume": _volume(seen),
            "path": path_table(seen, colours, shown),
            "timed": len(seen.path.latency_ns),
            "services": services_table(seen, colours),
            "operations": operations_table(seen, colours),
            "map": _map(seen, colours),
            "distributions": latency_pictures(seen),
            "failing": failing_table(seen, colours),
            "exceptions": exceptions_table(seen, colours, shown),
            "traces": traces_table(seen, colours, shown),
            "waits": waits_table(changes, colours, shown) if changes else None,
            "step_by_step": change_picture(changes) if changes else None,
            "entries": entries_table(changes, colours) if changes else None,
            "waterfalls": [
                waterfall_view(seen, trace_id, colours, before if trace_id in telling else None)
                for trace_id in self.waterfalls
                if trace_id not in elsewhere
            ],
        }


def _figures(seen: Overview) -> list[tuple[str, str]]:
    """Return the six figures with their words."""
    requests = seen.requests.table
    known = len(requests) and requests["span_count"].iloc[0]
    row = requests.iloc[0] if known else None
    of = f"of {seen.recorded}requests"
    return [
        (count(len(seen.traces)), "trace" if len(seen.traces) == 1 else "traces"),
        (count(seen.span_count), "span" if seen.span_count == 1 else "spans"),
        (count(seen.service_count), "service" if seen.service_count == 1 else "services"),
        (ratio(seen.failed.value) if np.isfinite(seen.failed.value) else NO_FIGURE, f"error rate {of}"),
        (duration(row["p50_ns"]) if row is not None else NO_FIGURE, f"p50 {of}"),
        (duration(row["p95_ns"]) if row is not None else NO_FIGURE, f"p95 {of}"),
    ]


def _period(seen: Overview) -> str:
    """Return from when to when the data reach."""
    if seen.period_ns is None:
        return "no time is recorded"
    low, high = seen.period_ns
    first, last = moment(low), moment(high)
    shown = last[11:] if first[:10] == last[:10] else last
    return f"{first} to {shown} UTC ({duration(high - low)})"


def _sampling(standard: Standard) -> str:
    """Return what the figures of each side describe."""
    now = standard.seen.traces.weights.statement
    if standard.changes is None:
        return f"{now[0].upper()}{now[1:]}."
    before = standard.changes.before.traces.weights.statement
    return f"{now[0].upper()}{now[1:]}." + f" Baseline: {before}." * (before != now)


def _map(seen: Overview, colours: Colours) -> dict[str, Any]:
    """Return the service map with its words; without a box where nothing stands for a call."""
    if not seen.traces.weights.n_effective:
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


def _volume(seen: Overview) -> Markup | None:
    """Return traces over time; None where no start is known, or where traces stand for nothing."""
    spans, root, weights = seen.traces.columns.spans, seen.traces.forest.root_row, seen.traces.weights.value
    known = (spans.quality[root] & Quality.NO_START) == 0
    if not weights[known].any():
        return None
    failed = (seen.traces.summary["is_error"].to_numpy(bool) & seen.finished).astype(np.float64)
    return volume_picture(spans.start_ns[root][known], weights[known], failed[known], width=1000)
