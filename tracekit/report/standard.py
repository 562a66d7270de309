"""The standard sections of a report, with a comparison if there is a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.case import Case
from tracekit.checks.changes.over_time import timeline_of as over_time
from tracekit.checks.comparison import Changes, changes_of
from tracekit.checks.figures.calls import calls_figure
from tracekit.checks.figures.contributions import contributions_figure
from tracekit.checks.figures.latency import latency_figure
from tracekit.checks.figures.over_time import over_time_figure
from tracekit.checks.figures.requests import request_figures
from tracekit.checks.figures.traffic import traffic_figure
from tracekit.checks.logs.join import logs as logs_of
from tracekit.checks.overview import Overview, overview
from tracekit.checks.postmortem.result import TITLES
from tracekit.checks.registry import findings_of
from tracekit.checks.screen.lines import FirstScreen, screen_of, title_of
from tracekit.loading.store.rounds import Rounds
from tracekit.report.beside import shared
from tracekit.report.changes import Change, changes_shown
from tracekit.report.goals import Goal, Goals, goals_shown
from tracekit.report.input_sums import input_sums
from tracekit.report.inputs import NO_INPUTS, Inputs
from tracekit.report.latency_change import timeline_of, timeline_picture
from tracekit.report.leaving import Leaving, LeavingChanges, redacted_findings, redacted_lines
from tracekit.report.ledger import set_facts
from tracekit.report.logs import telling
from tracekit.report.printed_code import Reading, made_by
from tracekit.report.shown_traces import ShownTraces
from tracekit.report.sides import Sides
from tracekit.report.stores import keep_names, read_by, read_together, with_lines
from tracekit.report.traffic import traffic_of
from tracekit.text import plural
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracekit.analysis.timeline.result import Timeline
    from tracekit.analysis.traffic import Traffic
    from tracekit.checks.postmortem.result import Postmortem
    from tracekit.checks.registry import Topic
    from tracekit.findings import Finding, Findings
    from tracekit.parts import Parts
    from tracekit.report.ledger import Form
    from tracekit.report.redaction import Outgoing
    from tracekit.views.markup import Markup

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


_READ_LATER: Final = ("answers", "figures", "screen")  # what follows from findings and comparison
_TOPICS: Final[tuple[Topic, ...]] = ("errors", "latency", "changes", "data", "patterns")  # as they are worked out


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
    stated
        How the traces were read, if a page says so that is rendered again; None: as they were read.
    """

    case: Case
    sides: Sides
    inputs: Inputs = NO_INPUTS
    known: Findings | None = None
    known_screen: FirstScreen | None = None
    outgoing: Outgoing | None = None
    story: Postmortem | None = None
    stated: Reading | None = None

    @classmethod
    def of(cls, traces: TraceSet | Parts, baseline: TraceSet | Parts | None = None) -> Standard:
        """Return the standard report of traces; each analysis runs on first use."""
        return cls.between(Sides(traces, baseline, traces))

    @classmethod
    def between(cls, sides: Sides, inputs: Inputs = NO_INPUTS, outgoing: Outgoing | None = None) -> Standard:
        """Return the standard report of two sides that may leave, with what was given beside them."""
        if not (isinstance(sides.traces, TraceSet) and isinstance(sides.baseline, TraceSet | None)):
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
        screen = self.screen if form == "investigation" else [line for _, line in self.lines]
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
        if self.stated is not None:
            return self.stated
        before = None if self.changes is None else self.changes.before
        files = {"traces": self.seen.source_names}
        if before is None:
            return Reading(files, made_by(self.seen.source), "")
        return Reading({**files, "baseline": before.source_names}, made_by(self.seen.source), made_by(before.source))

    @property
    def source_names(self) -> list[str]:
        """Display names of the sources."""
        names = [*self.reading.files.get("traces", ())]
        return names if len(names) == len(self.seen.sources) else self.seen.source_names

    @property
    def taken(self) -> list[str]:
        """Element ids of the standard sections."""
        views = ["view-map-1", *(f"view-waterfall-{k + 1}" for k in range(len(self.shown.embedded)))]
        parts = [f"postmortem-{name}" for name in (*TITLES, "appendix")]
        return ["findings", *SECTIONS, *parts, *views, *self.anchors, *(answer.name for answer in self.answers)]

    @cached_property
    def findings(self) -> Findings:
        """Findings of the first screen: data, changes, latency, errors, and weaknesses of the data."""
        if self.known is not None:
            return self.known
        found = findings_of(self.case, _TOPICS, self._done)
        return found if self._leaving is None else redacted_findings(found, self._leaving)

    def _done(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return what tasks return, some done by a second process while this one works out what the page shows."""
        return shared(tasks, self.span_count, meanwhile=self._work_out)

    def _work_out(self) -> None:
        """Work out of all traces what names those that are shown."""
        _ = self.seen.traces.summary, self.seen.errors, self.seen.timed_count and self.seen.waits

    @property
    def span_count(self) -> int:
        """Number of spans in memory; 0 where a store is read, which has processes of its own."""
        sides = [side for side in (self.sides.traces, self.sides.baseline) if isinstance(side, TraceSet)]
        return 0 if self.case.has_store else sum(len(side.columns.spans) for side in sides)

    @cached_property
    def screen(self) -> FirstScreen:
        """The lines that the page begins with."""
        if self.known_screen is not None:
            return self.known_screen
        found = screen_of(self.case, self.findings)
        return found if self._leaving is None else FirstScreen(redacted_lines(found, self._leaving))

    @property
    def anchors(self) -> list[str]:
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

    @cached_property
    def shown(self) -> ShownTraces:
        """The traces that have a waterfall in the page."""
        return ShownTraces(self.case, self.findings, self.seen, self.changes, self._leaving)

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
        """Requests over time, of both sides: what a check has made of the same traces."""
        is_same = self.case.deployments is None and self.case.recording is None
        is_same &= self.sides.baseline is None and self.sides.recording is self.case.source
        return self.case.result(over_time) if is_same else timeline_of(self.sides)

    @cached_property
    def traffic(self) -> Traffic | None:
        """Traces over time; None if no trace has a start and a weight above 0."""
        return traffic_of(self.seen)

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
        return request_figures(self.shown.path, self.shown.embedded)

    def title(self) -> str:
        """Return a title made of the source names."""
        names = self.source_names
        title = f"{'Postmortem: ' * (self.story is not None)}{names[0] if names else 'Traces'}"
        if len(names) > 1:
            title += f" and {plural(len(names) - 1, 'other source')}"
        baseline, current = self.sides.names
        title += f", {current}" * (current != "current")
        return title + f", compared with {baseline}" * (baseline != "baseline")

    def timeline_shown(self) -> Markup | None:
        """Return requests, durations and errors over time, as they may leave."""
        picture = timeline_picture(self.timeline, self.sides, self.screen)
        return picture if picture is None or self._leaving is None else self._leaving.markup(picture)

    @property
    def lines(self) -> list[tuple[str, Finding]]:
        """Return the lines of the first screen with their titles; none for a single trace."""
        is_left_out = self.is_alone or self.story is not None
        return [] if is_left_out else [(title_of(line), line) for line in self.screen]


def _of_store(sides: Sides, inputs: Inputs, outgoing: Outgoing | None) -> Standard:
    """Return the standard report of a store, or with one as a baseline: its analyses read the parts together."""
    rounds = Rounds()
    traces, recording = (read_by(rounds, side) for side in (sides.traces, sides.recording))
    baseline = None if sides.baseline is None else read_by(rounds, sides.baseline)
    policy = None if outgoing is None else outgoing.policy
    inputs = with_lines(inputs, outgoing)
    joined = None if inputs.logs is None else logs_of(traces, inputs.logs, baseline=baseline)
    before = None if baseline is None else Case(baseline, policy=policy)
    case = Case(traces, policy=policy, baseline=before, logs=joined)
    sides = sides._replace(traces=traces, baseline=baseline, recording=recording)
    read_together(rounds, case, [partial(timeline_of, sides), partial(goals_shown, traces, inputs.goals)])
    if outgoing is not None:
        keep_names(case, outgoing)
    found = Standard(case, sides, inputs, outgoing=outgoing)
    rounds.run([partial(getattr, found, name) for name in _READ_LATER])
    return found
