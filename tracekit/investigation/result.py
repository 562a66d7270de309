"""The result of an investigation: its findings, the first screen, and the report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.arguments import check_traces
from tracekit.checks.postmortem.result import check_length
from tracekit.findings import Shown
from tracekit.investigation.story import redacted_story, story_of
from tracekit.investigation.verification import COLUMNS, Verification, differences
from tracekit.report.goals import NO_GOALS
from tracekit.report.inputs import NO_INPUTS, Inputs
from tracekit.report.latency_change import timeline_of, timeline_picture
from tracekit.report.ledger import ledger_of
from tracekit.report.page import write
from tracekit.report.postmortem_markdown import write_markdown
from tracekit.report.redaction import Outgoing
from tracekit.report.standard import Standard
from tracekit.text import plural
from tracekit.traces import TraceSet
from tracekit.views.svg import image

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tracekit.checks.case import Case
    from tracekit.checks.postmortem.result import Length, Postmortem
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.findings import Findings, Severity
    from tracekit.investigation.baseline import Baseline
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.parts import Parts
    from tracekit.redaction.policy import Policy
    from tracekit.report.sides import Sides


@dataclass(frozen=True, repr=False, eq=False)
class Investigation(Shown):
    """What the traces show, with the evidence.

    Parameters
    ----------
    first_screen
        The answer in at most ten lines: what is wrong, since when, who is affected, what changed, the likely cause,
        what to do, where to see it.  Each is a finding with its numbers in ``values``; ``first_screen["cause"]``.
    findings
        All findings, the most severe first; a check that failed is a finding named ``failed``.
    traces
        The traces that are explained.
    baseline
        What they are compared with: ``kind``, ``before`` (traces, or None), ``statement``.
    steps
        One row per step: ``step``, ``title``, ``finding_count``.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = tk.investigate(during, before)
    >>> found
    Investigation(critical: storefront POST /checkout p95 regressed 2.55×: 100 → 256 ms.)
    >>> found.first_screen["changed"].headline
    'ledger 1.4.0 → 1.5.0, first seen 04:59:03. No other service version changed. (Coincides; not proof.)'
    >>> found.first_screen["actions"].values["roll_back"], found.severity
    ('ledger', 'critical')
    >>> found.story.actions[0].item.headline
    'Roll back ledger to 1.4.0.'
    """

    first_screen: FirstScreen
    findings: Findings
    traces: TraceSet | Parts
    baseline: Baseline
    steps: pd.DataFrame
    _case: Case = field(repr=False)
    _sides: Sides = field(repr=False)
    _inputs: Inputs = field(default=NO_INPUTS, repr=False)
    _again: Callable[..., Investigation] | None = field(default=None, repr=False)
    _outgoing: Outgoing | None = field(default=None, repr=False)
    _kept: list[tuple[Investigation, Outgoing]] = field(default_factory=list, init=False, repr=False)

    @property
    def severity(self) -> Severity:
        """Severity of the headline; ``critical``: users are hurt when the data end."""
        return self.first_screen.severity

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        generated: datetime | None = None,
        redact: Policy | str | Path | Mapping[str, Any] | None = "default",
        embed: bool = False,
    ) -> Path:
        """Write the report into one self-contained HTML file, with the same findings.

        Where the traces contain personal data or secrets, the investigation is repeated without them.

        Parameters
        ----------
        path
            Path of the file; an existing file is replaced atomically.
        title
            Title of the page (default: the names of the sources).
        generated
            Time shown in the footer.
        redact
            What becomes of personal data and secrets, as for ``tk.report``; None writes everything.
        embed
            Whether the page contains the spans, as for ``tk.report``: ``tk.verify(path)`` then needs nothing else.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        RenderError
            If the folder does not exist, or the path is a folder; more than 25 MB of spans to embed; if the finished
            page contains a removed value.
        ValueError
            A policy that cannot be used.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = tk.investigate(shop, baseline).report(f"{folder}/shop.html").read_text()
        >>> page.count('id="first-screen"')
        1
        """
        shown, outgoing = self._leaving(Outgoing.of(redact))
        return write(shown.standard, path, title=title, generated=generated, outgoing=outgoing, embed=embed)

    def postmortem(
        self,
        path: str | os.PathLike[str],
        *,
        length: Length = "full",
        template: str | os.PathLike[str] | None = None,
        title: str | None = None,
        generated: datetime | None = None,
        redact: Policy | str | Path | Mapping[str, Any] | None = "default",
        embed: bool = False,
    ) -> Path:
        """Write a postmortem: summary, impact, timeline, hypotheses with counter-evidence, limits, action items.

        Every sentence is a finding of the investigation, or of results that it computed (``story``).

        Parameters
        ----------
        path
            ``.html``: one self-contained file, which ``tk.verify`` checks as it does a report.  ``.md``: Markdown, with
            its pictures as SVG files beside it.  Existing files are replaced.
        length
            ``executive``: one printed page; ``on-call``: all sections; ``full``: also everything that the report has.
            In Markdown, ``full`` has all sentences.
        template
            Jinja2 template of Markdown with headings of your own.  It sees ``title``, ``length``, ``sections`` (name,
            title, entries), each section by its name, ``pictures``, ``captions``, ``facts``, ``redaction`` and
            ``generated``.
        title
            Title of the page (default: the names of the sources).
        generated
            Time that is shown.
        redact
            What becomes of personal data and secrets, as for ``tk.report``; None writes everything.
        embed
            Whether the page contains the spans, as for ``tk.report``: ``tk.verify(path)`` then needs nothing else.
            An objective and prices are embedded with length ``full`` only: no other one states anything of them.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        RenderError
            If the folder does not exist, or the path is a folder; if the finished file contains a removed value; if the
            template cannot be read or rendered; more than 25 MB of spans to embed, or a store.
        ValueError
            Another suffix or length; a template for HTML; spans to embed in Markdown; a policy that cannot be used.

        Notes
        -----
        Templates are rendered in a sandbox, and all that comes from traces is escaped: it cannot become markup.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = tk.investigate(shop, baseline).postmortem(f"{folder}/shop.md").read_text()
        >>> [line for line in text.splitlines() if line.startswith("## ")][:2]
        ['## Summary', '## Timeline (UTC)']

        A page that is verified with nothing but itself:

        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = tk.investigate(shop, baseline).postmortem(f"{folder}/shop.html", length="executive", embed=True)
        ...     tk.verify(page).is_verified
        True
        """
        target = Path(path)
        if target.suffix not in {".html", ".md"}:
            raise ValueError(f"expected a file name with suffix .html or .md, found {target.name!r}")
        if template is not None and target.suffix != ".md":
            raise ValueError(f"expected a .md file for a template of Markdown, found {target.name!r}")
        if embed and target.suffix != ".html":
            raise ValueError(f"expected a .html file to embed spans in, found {target.name!r}")
        check_length(length)
        found, outgoing = self._leaving(Outgoing.of(redact))
        shown = found.postmortem_page(length)
        if target.suffix == ".md":
            return write_markdown(shown, target, template=template, title=title, generated=generated, outgoing=outgoing)
        return write(shown, target, title=title, generated=generated, outgoing=outgoing, embed=embed)

    def verify(self, traces: TraceSet | TraceStore, *, baseline: TraceSet | TraceStore | None = None) -> Verification:
        """Investigate again, with the same options, and list the claims that differ.

        Parameters
        ----------
        traces, baseline
            The traces read again, or the store opened again, with the same sampling weights; the baseline if one was
            given.

        Returns
        -------
        Verification
            ``.is_verified``, ``.table``, ``.differences``; see ``tk.verify``, which does the same for a report.

        Raises
        ------
        TypeError
            Neither a TraceSet nor a TraceStore.

        Examples
        --------
        >>> case = tk.investigate(shop, baseline)
        >>> [case.verify(one, baseline=baseline).is_verified for one in (shop, baseline)]
        [True, False]
        """
        check_traces(traces, "verify")
        if baseline is not None:
            check_traces(baseline, "verify")
        assert self._again is not None
        again = self._again(sets=(traces, baseline))
        stated, found = (ledger_of(one.standard, None, form="investigation") for one in (self, again))
        rows = pd.DataFrame(differences(stated, found), columns=list(COLUMNS))
        return Verification(rows, stated["tracekit"], found["tracekit"])

    def postmortem_page(self, length: Length) -> Standard:
        """Return the sections of a postmortem page.

        Parameters
        ----------
        length
            ``executive``, ``on-call`` or ``full``.
        """
        sides = self._sides._replace(asked={**self._sides.asked, "postmortem": length})
        inputs = self._inputs if length == "full" else self._inputs._replace(goals=NO_GOALS)  # has no section on them
        return replace(self.standard, sides=sides, inputs=inputs, story=self.story.cut(length))

    def _leaving(self, outgoing: Outgoing | None) -> tuple[Investigation, Outgoing | None]:
        """Return the investigation of what may leave, and what redacts the file that shows it.

        In memory, the last one is kept: several files of one investigation are made of it.
        """
        if outgoing is None or self._case.has_store:
            return (self if outgoing is None else self.redacted(outgoing)), outgoing
        policy = outgoing.policy
        if not any((one.policy, one.policy.secret) == (policy, policy.secret) for _, one in self._kept):
            self._kept[:] = [(self.redacted(outgoing), outgoing)]
        ((found, known),) = self._kept
        return found, known.copy()

    def redacted(self, outgoing: Outgoing) -> Investigation:
        """Return the same investigation of what may leave; itself where nothing is removed.

        Parameters
        ----------
        outgoing
            What redacts the file that shows it.
        """
        sets = (self._sides.recording, self.baseline.before)
        if self._again is None or leave_unchanged(sets, self._inputs, outgoing):
            return self
        return self._again(outgoing)

    @cached_property
    def story(self) -> Postmortem:
        """The sections of a postmortem, made of findings; ``postmortem`` writes them."""
        found = story_of(self._case, self.findings, self.first_screen)
        return found if self._outgoing is None else redacted_story(found, self._outgoing)

    @property
    def standard(self) -> Standard:
        """The sections of the report; its findings are those of this investigation."""
        return Standard(
            self._case,
            self._sides,
            self._inputs,
            known=self.findings,
            known_screen=self.first_screen,
            outgoing=self._outgoing,
        )

    def __str__(self) -> str:
        return str(self.first_screen)

    def __repr__(self) -> str:
        line = self.first_screen.headline
        text = plural(len(self.findings), "finding") if line is None else line.headline
        return f"Investigation({self.severity}: {text})"

    def _repr_html_(self) -> str:
        picture = timeline_picture(timeline_of(self._sides), self._sides, self.first_screen)
        chart = "" if picture is None else image(picture, "Latency and error rate over time, with deployments")
        return f"{self.first_screen._repr_html_()}{chart}"


def leave_unchanged(sets: Sequence[Any], inputs: Inputs, outgoing: Outgoing) -> bool:
    """Return whether nothing is removed from traces and what was given beside them; of stores and logs, results are.

    Parameters
    ----------
    sets, inputs
        Traces or None, and what was given beside them.
    outgoing
        What redacts the file; it takes note of what is removed.
    """
    if inputs.logs is not None or not all(isinstance(one, TraceSet | None) for one in sets):
        return False
    changed = [one for one in sets if one is not None and not outgoing.keeps(one)]
    inputs.redacted(outgoing)
    return not changed and not any(len(frame) for frame in outgoing.removed)
