"""The result of an investigation: its findings, the first screen, and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracekit.analysis.deployments import renamed
from tracekit.findings import Shown
from tracekit.report.goals import Goals
from tracekit.report.latency_change import timeline_picture
from tracekit.report.page import write
from tracekit.report.redaction import Outgoing
from tracekit.report.standard import Standard
from tracekit.text import plural
from tracekit.views.svg import image

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.findings import Findings, Severity
    from tracekit.investigation.baseline import Baseline
    from tracekit.redaction.policy import Policy
    from tracekit.report.sides import Sides
    from tracekit.traces import TraceSet


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
    """

    first_screen: FirstScreen
    findings: Findings
    traces: TraceSet
    baseline: Baseline
    steps: pd.DataFrame
    _case: Case = field(repr=False)
    _sides: Sides = field(repr=False)
    _goals: Goals = field(default_factory=Goals, repr=False)
    _again: Callable[[Outgoing], Investigation] | None = field(default=None, repr=False)

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
        outgoing = Outgoing.of(redact)
        shown = self if outgoing is None else self.redacted(outgoing)
        return write(shown.standard, path, title=title, generated=generated, outgoing=outgoing, embed=embed)

    def redacted(self, outgoing: Outgoing) -> Investigation:
        """Return the same investigation of what may leave; itself where nothing is removed.

        Parameters
        ----------
        outgoing
            What redacts the file that shows it.
        """
        sets = [traces for traces in (self._sides.recording, self.baseline.before) if traces is not None]
        changed = [traces for traces in sets if not outgoing.keeps(traces)]
        renamed(self._case.deployments, outgoing.texts)
        is_clean = self._case.logs is None and not changed and not any(len(frame) for frame in outgoing.removed)
        return self if is_clean or self._again is None else self._again(outgoing)

    @property
    def standard(self) -> Standard:
        """The sections of the report; its findings are those of this investigation."""
        return Standard(self._case, self._sides, self._goals, known=self.findings, known_screen=self.first_screen)

    def __str__(self) -> str:
        return str(self.first_screen)

    def __repr__(self) -> str:
        line = self.first_screen.headline
        text = plural(len(self.findings), "finding") if line is None else line.headline
        return f"Investigation({self.severity}: {text})"

    def _repr_html_(self) -> str:
        picture = timeline_picture(self._sides)
        chart = "" if picture is None else image(picture, "Latency and error rate over time, with deployments")
        return f"{self.first_screen._repr_html_()}{chart}"
