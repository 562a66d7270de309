"""The sections of a postmortem, made one by one: the failure of one is a finding and stops no other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tracekit.checks.postmortem.action_items import action_items
from tracekit.checks.postmortem.hypotheses import hypotheses
from tracekit.checks.postmortem.impact import impact
from tracekit.checks.postmortem.limits import limits
from tracekit.checks.postmortem.remedies import remedies
from tracekit.checks.postmortem.result import TITLES, Action, Hypothesis, Postmortem
from tracekit.checks.postmortem.summary import summary
from tracekit.checks.postmortem.timeline import timeline
from tracekit.checks.postmortem.waits import waits
from tracekit.checks.screen.made import Made
from tracekit.investigation.steps import Failure, attempt, failed
from tracekit.report.leaving import redacted_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.case import Case
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.findings import Finding, Findings
    from tracekit.report.redaction import Outgoing

_Entry = TypeVar("_Entry")
_PLAIN: Final = [name for name in TITLES if name not in {"hypotheses", "actions"}]  # sections of sentences


def redacted_story(story: Postmortem, outgoing: Outgoing) -> Postmortem:
    """Return a postmortem of a store as it may leave."""

    def shown(*found: Finding) -> tuple[Finding, ...]:
        """Return sentences as they may leave."""
        return tuple(redacted_lines(found, outgoing))

    entries: dict[str, Any] = {name: shown(*getattr(story, name)) for name in _PLAIN}
    causes = [Hypothesis(shown(one.claim)[0], shown(*one.evidence), shown(*one.counter)) for one in story.hypotheses]
    actions = [Action(shown(one.item)[0], shown(*one.checks)) for one in story.actions]
    return replace(story, hypotheses=tuple(causes), actions=tuple(actions), **entries)


def story_of(case: Case, findings: Findings, screen: FirstScreen) -> Postmortem:
    """Return the postmortem of an investigation, whole."""
    made, failures = Made(case, findings), list[Failure]()

    def section(name: str, make: Callable[[], tuple[_Entry, ...]]) -> tuple[_Entry, ...]:
        """Return the entries of a section; none where it fails."""
        return attempt(f"postmortem.{name}", make, failures) or ()

    causes = section("hypotheses", partial(hypotheses, made))
    first = section("summary", partial(summary, screen, causes))
    story = Postmortem(
        first,
        section("impact", partial(impact, made, screen)),
        section("timeline", partial(timeline, made)),
        section("waits", partial(waits, made)),
        causes,
        section("limits", partial(limits, made)),
        section("remedies", partial(remedies, made)),
        section("actions", partial(action_items, made)),
    )
    return story if not failures else story.weakened(tuple(failed(failures)))
