"""What changed: the suspects, who is affected, and the shapes of traces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tracekit.checks.changes.affected import affected_requests
from tracekit.checks.changes.suspects import suspects_of
from tracekit.checks.comparison import comparable_changes
from tracekit.checks.figures.changed import CHANGED, affected_figure, shapes_figure, suspects_figure
from tracekit.report.leaving import redacted_lines
from tracekit.views.markup import Markup, element
from tracekit.views.plot import plot

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.report.redaction import Outgoing

_BARS = 8  # values with two bars
_SHAPES = 4  # shapes with a flame graph


class Change(NamedTuple):
    """One answer to what changed.

    Parameters
    ----------
    name
        Element id.
    title, lead
        The heading, and a sentence below it.
    content
        The view.
    code
        The call that draws it.
    figure
        What to see in it, with its table.
    """

    name: str
    title: str
    lead: str
    content: Markup
    code: str
    figure: Finding

    def redacted(self, outgoing: Outgoing) -> Change:
        """Return the answer as it may leave."""
        (figure,) = redacted_lines([self.figure], outgoing)
        texts = outgoing.texts([self.title, self.lead, self.code])
        return Change(self.name, texts[0], texts[1], outgoing.markup(self.content), texts[2], figure)


def changes_shown(case: Case) -> list[Change]:
    """Return the suspects, who is affected and the changed shapes, each where there is something to show."""
    return [*_suspects(case), *_affected(case), *_shapes(case)]


def _suspects(case: Case) -> list[Change]:
    """Return the card of the suspects; also that there is none."""
    found = case.result(suspects_of)
    if found is None or not found.is_assessable:
        return []
    lead = "Services ranked by how well they explain the difference from the baseline."
    drawn = Markup("") if case.has_store else plot(found).inline()
    content = element("div", {"class": "chart"}, drawn)  # of a store, the table below it
    return [
        Change("suspects", "Suspects", lead, content, "tk.plot(tk.suspects(before, traces))", suspects_figure(found))
    ]


def _affected(case: Case) -> list[Change]:
    """Return what sets slow and failed requests apart."""
    shown = []
    for at, found in enumerate(case.result(affected_requests)):
        if found.differences.table["is_significant"].any():
            lead = f"Attribute values of {found.band.what} that {found.band.verb[0]}, and of the rest."
            picture = element("div", {"class": "chart"}, plot(found.differences, bars=_BARS).picture())
            name = f"affected{f'-{at + 1}' * bool(at)}"
            shown.append(
                Change(name, "Who is affected", lead, picture, f"tk.plot({found.band.code})", affected_figure(found))
            )
    return shown


def _shapes(case: Case) -> list[Change]:
    """Return the shapes of traces that are new, gone, or more or less frequent."""
    changes = comparable_changes(case)
    found = None if changes is None else changes.shapes
    changed = None if found is None else found.table[found.table["verdict"].isin(CHANGED)]
    if found is None or changed is None or changed.empty:
        return []
    lead = (
        "Sets of call paths that are more or less frequent than in the baseline; frames are as wide as the mean time "
        "of their calls."
    )
    drawn = Markup("") if case.has_store else plot(replace(found, table=changed), shapes=_SHAPES).inline()
    content = element("div", {"class": "chart"}, drawn)  # of a store, the table below it
    return [
        Change("shapes", "Shapes of traces", lead, content, "tk.plot(tk.paths(traces, before))", shapes_figure(found))
    ]
