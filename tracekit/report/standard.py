"""The standard sections of a report, with a comparison if there is a baseline."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.timeline.compute import started_between
from tracekit.analysis.traffic import Traffic
from tracekit.checks.case import Case
from tracekit.checks.comparison import Changes, changes_of
from tracekit.checks.data.not_made import not_made
from tracekit.checks.figures.calls import calls_figure
from tracekit.checks.figures.contributions import contributions_figure
from tracekit.checks.figures.latency import latency_figure
from tracekit.checks.figures.over_time import over_time_figure
from tracekit.checks.figures.requests import request_figures
from tracekit.checks.figures.traffic import traffic_figure
from tracekit.checks.logs.join import logs as logs_of
from tracekit.checks.overview import Overview, overview
from tracekit.checks.postmortem.result import TITLES
from tracekit.checks.registry import CHECKS, left_out, readings, run_checks, weaknesses
from tracekit.checks.screen.lines import FirstScreen, screen_of, title_of
from tracekit.findings import Findings
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.trace_store import TraceStore
from tracekit.report.changes import Change, changes_shown
from tracekit.report.critical_path import path_table, waits_table
from tracekit.report.failures import exceptions_table, failing_table
from tracekit.report.frame_table import frame_table
from tracekit.report.goals import Goal, Goals, goals_shown
from tracekit.report.input_data import issues_table, sources_table
from tracekit.report.input_sums import input_sums
from tracekit.report.inputs import NO_INPUTS, Inputs
from tracekit.report.latency_change import change_picture, entries_table, timeline_of, timeline_picture
from tracekit.report.leaving import Leaving, LeavingChanges, redacted_findings, redacted_lines
from tracekit.report.ledger import set_facts
from tracekit.report.logs import logs_table, telling
from tracekit.report.policy import packed
from tracekit.report.services import latency_pictures, operations_table, services_table
from tracekit.report.sides import Sides
from tracekit.report.slowest import fitting_height, traces_table, waterfall_view
from tracekit.report.tables import rest_note
from tracekit.report.tiles import tiles
from tracekit.self_description import made
from tracekit.text import count, duration, period, plural
from tracekit.traces import TraceSet
from tracekit.views.scales import time_step
from tracekit.views.service_graph.map import map_payload, map_picture
from tracekit.views.volume import traffic_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tracekit.analysis.timeline.result import Timeline
    from tracekit.checks.postmortem.result import Postmortem
    from tracekit.checks.registry import Topic
    from tracekit.findings import Finding
    from tracekit.parts import Parts
    from tracekit.report.ledger import Form
    from tracekit.report.redaction import Outgoing
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

WATERFALLS: Final = 5
_NAMED: Final = 40  # further waterfalls, of traces that findings and tables name, with at most ...
_NAMED_SPANS: Final = 4_000  # ... so many spans: about 100 bytes each in the page
_WAITS: Final = 5  # operations in the table of a waterfall
_TABLE: Final = "Values of the figure"
_ROWS: Final = 10  # rows of a table whose exemplars are embedded
# id and title of each section in the table of contents; findings precede all of them
SECTIONS: Final = {
    "changes": "What changed",
    "path": "Critical path",
    "errors": "Errors",
    "logs": "Log lines",
    "slo": "Service level objective",
    "cost": "Cost",
    "volume": "Traffic",
    "services": "Services",
    "operations": "Operations",
    "map": "Service map",
    "latency": "Latency",
    "traces": "Slowest traces",
    "sources": "Input data",
}

# the section that a finding without an exemplar trace links to, by topic, with exceptions by check
_SECTIONS_OF_TOPICS: Final = {
    "data": "sources", "changes": "changes", "patterns": "path", "latency": "latency", "errors": "errors",
}  # fmt: skip
_PLACES: Final = {check.name: _SECTIONS_OF_TOPICS.get(check.topic, "sources") for check in CHECKS} | {
    "tail": "operations", "failing": "errors", "calls": "map", "failing_calls": "map", "operations": "operations",
    "suspects": "suspects", "affected": "affected", "over_time": "volume", "new_log_lines": "logs",
}  # fmt: skip
_SECTIONS: Final = {
    "changes": (
        "by = ['service_name', 'operation', 'callee_service']\n"
        "tk.critical_path(before).compare(tk.critical_path(traces), by=by).table"
    ),
    "sources": "traces.sources\ntraces.issues",
    "volume": "traces.summary[['start_ns', 'is_error']]\ntk.plot(tk.timeline(traces))",
    "path": "tk.critical_path(traces).by(['service_name', 'operation', 'callee_service'])",
    "services": "tk.service_graph(traces).services",
    "operations": "tk.latency(traces).table",
    "map": "tk.plot(tk.service_graph(traces))",
    "latency": "tk.plot(tk.latency(traces))",
    "errors": "tk.errors(traces).operations\ntk.errors(traces).exceptions",
    "traces": "traces.summary.nlargest(25, 'root_duration_ns')",
}


_TOPICS: Final[tuple[Topic, ...]] = ("data", "changes", "patterns", "latency", "errors")
_RESULTS: Final = ("content", "requests", "entries", "operations", "graph", "errors", "failed", "waits")
_OF_BASELINE: Final = ("content", "requests", "entries", "graph", "failed", "waits")
_TRACE_ID: Final = re.compile("[0-9a-f]{32}")


class Reading(NamedTuple):
    """How the traces of a report were read.

    Parameters
    ----------
    files
        Names of the sources of ``traces`` and ``baseline``.
    traces_code, baseline_code
        The calls that recreate them; empty without a baseline.
    """

    files: Mapping[str, Sequence[str]]
    traces_code: str
    baseline_code: str


@dataclass(frozen=True)
class Standard:
    """Findings and results of a standard report.

    Parameters
    ----------
    case
        The traces, and the baseline if there is one.
    sides
        The names of both, and the recording that they are from.
    inputs
        What was given beside the traces, as it may leave.
    known, known_screen
        Findings and first screen, if an investigation has made them.
    outgoing
        What may leave of a store; traces in memory are given as they may leave.
    story
        The postmortem that the page begins with instead of the first screen; None in a report.
    told
        How the traces were read, if a page says so that is rendered again; None: as they were read.
    """

    case: Case
    sides: Sides
    inputs: Inputs = NO_INPUTS
    known: Findings | None = None
    known_screen: FirstScreen | None = None
    outgoing: Outgoing | None = None
    story: Postmortem | None = None
    told: Reading | None = None

    @classmethod
    def of(cls, traces: TraceSet | Parts, baseline: TraceSet | Parts | None = None) -> Standard:
        """Return the standard report of traces; each analysis runs on first use."""
        return cls.between(Sides(traces, baseline, traces))

    @classmethod
    def between(cls, sides: Sides, inputs: Inputs = NO_INPUTS, outgoing: Outgoing | None = None) -> Standard:
        """Return the standard report of two sides that may leave, with what was given beside them."""
        if not (isinstance(sides.traces, TraceSet) and isinstance(sides.baseline, TraceSet | None)):
            if inputs.logs is not None:
                raise ValueError("expected no logs= with a store, found some; use store.sample(spans=1_000_000).load()")
            return _of_store(sides, inputs, outgoing)
        shown = inputs.read() if outgoing is None else inputs.redacted(outgoing)
        joined = None if shown.logs is None else logs_of(sides.traces, shown.logs, baseline=sides.baseline)
        before = None if sides.baseline is None else Case(sides.baseline)
        return cls(Case(sides.traces, baseline=before, logs=joined), sides, shown)

    @property
    def goals(self) -> Goals:
        """The objective and the prices that the reader gave."""
        return self.inputs.goals

    @property
    def is_brief(self) -> bool:
        """Whether the page is a postmortem without the sections of the report."""
        return self.story is not None and self.story.length != "full"

    def claims(self, form: Form = "page") -> list[Iterable[Finding]]:
        """Return what a page, Markdown or an investigation claims; the page of one trace has no first screen."""
        if self.story is not None and form == "Markdown":
            return [self.story.findings, self.pictured.values()]
        if self.story is not None and self.is_brief:
            return [self.story.findings, self.figures_shown.values()]
        screen = self.screen if form == "investigation" else [line for _, line in self._lines()]
        first = screen if self.story is None else self.story.findings
        return [first, self.findings, self.figures.values(), self.waits.values()]

    @property
    def figures_shown(self) -> dict[str, Finding]:
        """What to see in the figures of the page: of a postmortem on call two of them, of an executive one none."""
        if self.story is None or self.story.length == "full":
            return self.figures
        return {} if self.story.length == "executive" else self.pictured

    @property
    def pictured(self) -> dict[str, Finding]:
        """What to see in the two pictures of a postmortem, which in Markdown has them in each length."""
        waits = () if self.story is None else self.story.waits
        names = ["over_time", *["contributions"] * bool(waits)]
        return {name: self.figures[name] for name in names if name in self.figures}

    @cached_property
    def seen(self) -> Overview:
        """Results of the traces, as they may leave."""
        found = self.case.result(overview)
        return found if self._leaving is None else Leaving(found.source, found, self._leaving)

    @property
    def _leaving(self) -> Outgoing | None:
        """What may leave of a store; None for traces in memory, which are given as they may leave."""
        return self.outgoing if self.case.has_store else None

    @cached_property
    def changes(self) -> Changes | None:
        """Comparison with the baseline; None without one."""
        found = self.case.result(changes_of)
        if found is None or self._leaving is None:
            return found
        before = Leaving(found.before.source, found.before, self._leaving)
        return LeavingChanges(before, self.seen, found, self._leaving)

    @cached_property
    def reading(self) -> Reading:
        """How the traces and the baseline were read."""
        if self.told is not None:
            return self.told
        before = None if self.changes is None else self.changes.before
        files = {"traces": self.seen.source_names}
        if before is None:
            return Reading(files, _made(self.seen.source), "")
        return Reading({**files, "baseline": before.source_names}, _made(self.seen.source), _made(before.source))

    @property
    def _source_names(self) -> list[str]:
        """Display names of the sources."""
        names = [*self.reading.files.get("traces", ())]
        return names if len(names) == len(self.seen.sources) else self.seen.source_names

    @property
    def taken(self) -> list[str]:
        """Element ids of the standard sections."""
        views = ["view-map-1", *(f"view-waterfall-{k + 1}" for k in range(len(self.embedded)))]
        parts = [f"postmortem-{name}" for name in (*TITLES, "appendix")]
        return ["findings", *SECTIONS, *parts, *views, *self._anchors, *(answer.name for answer in self.answers)]

    @cached_property
    def findings(self) -> Findings:
        """Findings of the first screen: data, changes, latency, errors, and weaknesses of the data."""
        if self.known is not None:
            return self.known
        found = run_checks(self.case, _TOPICS) + weaknesses(self.case)
        found += Findings(not_made([one.reason for one in left_out(self.case) if one.topic in _TOPICS or one.weakens]))
        return found if self._leaving is None else redacted_findings(found, self._leaving)

    @cached_property
    def screen(self) -> FirstScreen:
        """The lines that the page begins with."""
        if self.known_screen is not None:
            return self.known_screen
        found = screen_of(self.case, self.findings)
        return found if self._leaving is None else FirstScreen(redacted_lines(found, self._leaving))

    @property
    def _anchors(self) -> list[str]:
        """The element id of each finding; several of one check are numbered."""
        names = [finding.check.replace(".", "-") for finding in self.findings]
        before = [names[:k].count(name) for k, name in enumerate(names)]
        return [f"finding-{name}" + f"-{k + 1}" * bool(k) for name, k in zip(names, before, strict=True)]

    @property
    def sections(self) -> dict[str, str]:
        """Titles of the sections after the findings, by id."""
        is_left_out = {"changes": not self.changes, "traces": self.is_alone, "logs": telling(self.case.logs) is None}
        is_left_out |= {name: name not in self.goals_shown for name in ("slo", "cost")}
        return {name: title for name, title in SECTIONS.items() if not is_left_out.get(name)}

    @property
    def leading(self) -> dict[str, str]:
        """Titles of the sections before all others, by id."""
        story = {} if self.story is None else {f"postmortem-{name}": TITLES[name] for name in self.story.sections}
        appendix = {} if self.story is None else {"postmortem-appendix": "Appendix"}
        return {**story, **appendix, **({"traces": "Trace"} if self.is_alone else {}), "findings": "Findings"}

    @property
    def is_alone(self) -> bool:
        """Whether the report is about one trace: its waterfall then comes first."""
        return self.seen.trace_count == 1

    @property
    def _exemplars(self) -> list[str]:
        """Ids of the exemplar traces of changes."""
        changes = {check.name for check in CHECKS if check.topic == "changes"}
        return [found.exemplars[0] for found in self.findings if found.check in changes and found.exemplars]

    @property
    def waterfalls(self) -> list[str]:
        """Ids of the traces with a waterfall: exemplars of changes, and the slowest; a single trace in any case."""
        if self.is_alone:  # also without a duration
            return self._traces.trace_ids
        known = set(self._traces.trace_ids)
        return [name for name in dict.fromkeys([*self._exemplars, *self._slowest]) if name in known]

    @property
    def _slowest(self) -> list[str]:
        """Ids of the slowest traces that have a waterfall."""
        return [str(trace_id) for trace_id in self.seen.slowest_traces.index[:WATERFALLS]]

    @cached_property
    def _traces(self) -> TraceSet:
        """The traces that may have a waterfall: all of them in memory, of a store those that the page names."""
        if not self.case.is_stored:
            return self.seen.traces
        ids = [name for name in [*self._exemplars, *self._slowest, *self._names] if _is_id(name)]
        found = self.seen.having(ids)
        return found if self._leaving is None else self._leaving.traces(found)

    @cached_property
    def _path(self) -> CriticalPath:
        """The critical paths of these traces; of a store, with the clock offsets that all of its traces prove."""
        paths = self.case.result(overview).paths
        if isinstance(paths, CriticalPath):
            return paths
        return critical_path(self._traces, skew=paths.offsets or "off")

    @cached_property
    def answers(self) -> list[Change]:
        """Suspects, who is affected, and changed shapes."""
        found = changes_shown(self.case) if self.changes else []
        return found if self._leaving is None else [answer.redacted(self._leaving) for answer in found]

    @cached_property
    def goals_shown(self) -> dict[str, Goal]:
        """The objective and the costs, each where there is something to show."""
        found = goals_shown(self.seen.source, self.goals)
        return found if self._leaving is None else {name: goal.redacted(self._leaving) for name, goal in found.items()}

    @cached_property
    def _names(self) -> list[str]:
        """Ids that findings and tables name, in the order of the page; also of spans."""
        ids = [name for found in self.findings for name in found.exemplars]
        if self.changes and self.changes.comparison is not None:
            ids += self.changes.comparison.table["exemplar_trace_id"].head(_ROWS).tolist()
        if self.seen.timed_count:
            ids += self.seen.waits["largest_trace_id"].head(_ROWS).tolist()
        ids += self.seen.errors.exceptions["exemplar_trace_id"].head(_ROWS).tolist()
        if (templates := telling(self.case.logs)) is not None:
            ids += templates["exemplar_trace_id"].head(_ROWS).tolist()
        return ids + self.seen.slowest_traces.index.tolist()[:_ROWS]

    @cached_property
    def named(self) -> list[str]:
        """Ids of further traces that findings and tables name, in the order of the page, within the size budget."""
        sizes = self._traces.summary["span_count"].to_dict()
        chosen: list[str] = []
        room = _NAMED_SPANS
        for name in dict.fromkeys(self._names):
            if name in sizes and name not in self.waterfalls and sizes[name] <= room and len(chosen) < _NAMED:
                chosen.append(str(name))
                room -= sizes[name]
        return chosen

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Checksum and size of the traces, and of the baseline if there is one."""
        sets = {"traces": self.sides.traces, "baseline": self.sides.baseline}
        return {name: set_facts(one) for name, one in sets.items() if one is not None}

    @cached_property
    def input_sums(self) -> dict[str, str]:
        """Checksum of each input beside the traces."""
        return input_sums(self.inputs)

    @cached_property
    def timeline(self) -> Timeline:
        """Requests over time, of both sides."""
        return timeline_of(self.sides)

    @cached_property
    def traffic(self) -> Traffic | None:
        """Traces over time; None if no trace has a start and a weight above 0."""
        return _traffic(self.seen)

    @cached_property
    def figures(self) -> dict[str, Finding]:
        """What to see in each figure, by name; its evidence is the table of the figure."""
        found: dict[str, Finding | None] = {
            "over_time": over_time_figure(self.timeline) if self.timeline.table["weight_sum"].any() else None,
            "contributions": contributions_figure(self.changes) if self.changes else None,
            **{answer.name: answer.figure for answer in self.answers},
            **{name: goal.figure for name, goal in self.goals_shown.items()},
            "traffic": traffic_figure(self.traffic, self.seen) if self.traffic else None,
            "map": calls_figure(self.seen) if self.seen.weights.n_effective else None,
            "latency": latency_figure(self.seen, self.changes.before if self.changes else None),
        }
        return {name: figure for name, figure in found.items() if figure is not None}

    @cached_property
    def waits(self) -> dict[str, Finding]:
        """What each request with a waterfall waited for, by trace id."""
        return request_figures(self._path, self.embedded)

    @property
    def embedded(self) -> list[str]:
        """Ids of all traces with a waterfall."""
        return [*self.waterfalls, *self.named]

    def title(self) -> str:
        """Return a title made of the source names."""
        names = self._source_names
        title = f"{'Postmortem: ' * (self.story is not None)}{names[0] if names else 'Traces'}"
        if len(names) > 1:
            title += f" and {plural(len(names) - 1, 'other source')}"
        baseline, current = self.sides.names
        title += f", {current}" * (current != "current")
        return title + f", compared with {baseline}" * (baseline != "baseline")

    def first_screen(self) -> dict[str, Any]:
        """Return period, figures and findings for the template."""
        names = self._source_names
        return {
            "screen": self._lines(),
            "screen_code": self._screen_code(),
            "timeline": self.timeline_shown(),
            "period": _period(self.seen),
            "alone": self.is_alone,
            "figures": tiles(self.seen, self.changes, self.screen),
            "findings": [
                (anchor, found, self._with_reading(found.code))
                for anchor, found in zip(self._anchors, self.findings, strict=True)
            ],
            "places": _PLACES,
            "baseline": _period(self.changes.before) if self.changes else "",
            "sampling": _sampling(self),
            "source_list": ", ".join(names[:3]) + (f" and {count(len(names) - 3)} more" if len(names) > 3 else ""),  # noqa: PLR2004 - names in a line
        }

    def timeline_shown(self) -> Markup | None:
        """Return requests, durations and errors over time, as they may leave."""
        picture = timeline_picture(self.timeline, self.sides, self.screen)
        return picture if picture is None or self._leaving is None else self._leaving.markup(picture)

    def _lines(self) -> list[tuple[str, Finding]]:
        """Return the lines of the first screen with their titles; none for a single trace."""
        is_left_out = self.is_alone or self.story is not None
        return [] if is_left_out else [(title_of(line), line) for line in self.screen]

    def _screen_code(self) -> str:
        """Return the code behind the lines of the first screen, each under its title."""
        codes = [f"# {title}\n{line.code}" for title, line in self._lines() if title and line.code]
        return self._with_reading("\n".join(codes))

    @cached_property
    def _code(self) -> dict[str, str]:
        """The code that reproduces each section."""
        overlaid = {"latency": "tk.plot(tk.latency(traces), against=tk.latency(before))"} if self.changes else {}
        if self.case.logs is not None:
            against = ", baseline=before" * (self.changes is not None)
            overlaid["logs"] = f"tk.logs(traces, {self.case.logs.source_code}{against}).templates"
        answers = {answer.name: answer.code for answer in self.answers}
        answers |= {name: goal.code for name, goal in self.goals_shown.items()}
        return {section: self._with_reading(code) for section, code in {**_SECTIONS, **overlaid, **answers}.items()}

    def _waits_shown(self, trace_id: str, colours: Colours, shown: set[str]) -> dict[str, Any]:
        """Return what a request waited for: the sentence and its table; None for both without a critical path."""
        figure = self.waits.get(trace_id)
        if figure is None:
            return {"figure": None, "table": None}
        rows = figure.evidence
        table = frame_table(rows.head(_WAITS), _TABLE, colours, shown)
        return {"figure": figure, "table": replace(table, note=rest_note(len(rows), "operations", _WAITS))}

    def _with_reading(self, code: str) -> str:
        """Return code that starts with reading the files that it uses; empty without code."""
        before = self.reading.baseline_code if re.search(r"\bbefore\b", code) else ""
        return f"{_reading(self.reading.traces_code, before)}\n{code}" if code else ""

    def contents(self, colours: Colours, shown: set[str], elsewhere: set[str]) -> dict[str, Any]:
        """Return tables, charts, views and code for the template."""
        seen, changes = self.seen, self.changes
        names = self._source_names
        before = changes.before.source if changes and isinstance(changes.before.source, TraceSet) else None
        exemplars = self._exemplars
        return {
            "code": self._code,
            "readings": self.figures,
            "tables": {
                name: frame_table(figure.evidence, _TABLE, colours, shown) for name, figure in self.figures.items()
            },
            "sources": sources_table(seen, names),
            "issues": issues_table(seen, names),
            "volume": traffic_picture(self.traffic, width=1000) if self.traffic else None,
            "spans": (plural(seen.span_count, "span"), plural(seen.service_count, "service")),
            "path": path_table(seen, colours, shown),
            "timed": seen.timed_count,
            "services": services_table(seen, colours),
            "operations": operations_table(seen, colours),
            "map": _map(seen, colours),
            "compared": changes is not None,
            "distributions": latency_pictures(seen, changes.before if changes else None, self.sides.names),
            "failing": failing_table(seen, colours),
            "exceptions": exceptions_table(seen, colours, shown),
            "logs": logs_table(self.case.logs, colours, shown),
            "traces": traces_table(seen, colours, shown),
            "waits": waits_table(changes, colours, shown) if changes else None,
            "step_by_step": change_picture(changes, self.sides.names) if changes else None,
            "answers": self.answers,
            "goals": [
                (
                    name,
                    SECTIONS[name],
                    goal,
                    [frame_table(*named[::-1], colours, shown) for named in goal.tables.items()],
                )
                for name, goal in self.goals_shown.items()
            ],
            "entries": entries_table(changes, colours) if changes else None,
            "waterfalls": [
                waterfall_view(self._path, trace_id, colours, before if trace_id in exemplars else None)
                | self._waits_shown(trace_id, colours, shown)
                for trace_id in self.waterfalls
                if trace_id not in elsewhere
            ],
            "named": [
                waterfall_view(self._path, trace_id, colours, with_picture=False)
                | self._waits_shown(trace_id, colours, shown)
                for trace_id in self.named
                if trace_id not in elsewhere
            ],
        }


def _of_store(sides: Sides, inputs: Inputs, outgoing: Outgoing | None) -> Standard:
    """Return the standard report of a store, or with one as a baseline: its analyses read the parts together."""
    rounds = Rounds()
    traces, recording = (read_by(rounds, side) for side in (sides.traces, sides.recording))
    baseline = None if sides.baseline is None else read_by(rounds, sides.baseline)
    policy = None if outgoing is None else outgoing.policy
    case = Case(traces, policy=policy, baseline=None if baseline is None else Case(baseline, policy=policy))
    sides = sides._replace(traces=traces, baseline=baseline, recording=recording)
    read_together(rounds, case, [partial(timeline_of, sides), partial(goals_shown, traces, inputs.goals)])
    if outgoing is not None:
        keep_names(case, outgoing)
    return Standard(case, sides, inputs, outgoing=outgoing)


def read_together(rounds: Rounds, case: Case, more: Sequence[Callable[[], Any]] = ()) -> None:
    """Read the parts of the stores of a case for everything that is made of them, and for more functions."""
    asked = list(more)
    for each in _cases(case):
        seen = each.result(overview)
        asked += [partial(getattr, seen, name) for name in (_RESULTS if each is case else _OF_BASELINE)]
        asked += [partial(set_facts, each.source), partial(_offsets, seen)]
    asked += readings(case, CHECKS)
    rounds.run([*asked, partial(_traffic, case.result(overview))])


def keep_names(case: Case, outgoing: Outgoing) -> None:
    """Leave the names of the services and callees of a case as they are."""
    sides = [each.result(overview) for each in _cases(case)]
    known = [{*seen.services, *seen.graph.services["service_name"].dropna()} for seen in sides]
    outgoing.keep_names(set().union(*known))


def _cases(case: Case) -> list[Case]:
    """Return a case, and that of its baseline."""
    return [case] if case.baseline is None else [case, case.baseline]


def read_by(rounds: Rounds, traces: TraceSet | Parts) -> TraceSet | Parts:
    """Return traces, of a store with states that are computed in rounds."""
    return rounds.of(traces) if isinstance(traces, TraceStore) else traces


def _offsets(seen: Overview) -> Any:
    """Return the clock offsets of a store."""
    return None if isinstance(seen.paths, CriticalPath) else seen.paths.offsets


def _traffic(seen: Overview) -> Traffic | None:
    """Return traces over time; None if no trace has a start and a weight above 0."""
    period_ns = started_between(seen.source)
    if period_ns is None:
        return None
    low, high = period_ns
    step = time_step(low, high)
    first = low // step * step
    bars = (high - first) // step + 1
    totals, failed = seen.volume(first, step, bars)
    return Traffic(first + np.arange(bars) * step, totals, failed, step, low, high) if totals.any() else None


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


def _is_id(text: str) -> bool:
    """Return whether a text is the id of a trace, not of a span."""
    return bool(_TRACE_ID.fullmatch(text))


def reading(traces: TraceSet | Parts, baseline: TraceSet | Parts | None = None) -> str:
    """Return the code that reads the files."""
    return _reading(_made(traces), "" if baseline is None else _made(baseline))


def _made(side: TraceSet | Parts) -> str:
    """Return the calls that recreate traces."""
    return made(side) if isinstance(side, TraceSet) else side.made


def _reading(traces: str, baseline: str) -> str:
    """Return the code that makes traces by these calls, and a baseline if there are some for it."""
    named = {"traces": traces, "before": baseline}
    lines = ["import tracekit as tk", "", *(f"{name} = {calls}" for name, calls in named.items() if calls)]
    if any("(...)" in line for line in lines):
        lines.insert(1, "# ...: a mask, function or table; insert the one you used")
    return "\n".join(lines)
